//! The expected logs of drivers, for all hosts. There is one for `ntmem`.

mod ntmem_log;
mod parameters;
mod scenario_log;

use crate::host::Service;
use crate::logmatch::ExpectedLog;
use crate::service_run::ServiceRun;

/// The expected log of the driver of `service` in a run with the results of `run`;
/// `None` if the driver has none, or the kernel stopped.
///
/// `run` has the result of the start, and whether the driver was unloaded. If the start
/// failed, the log has to contain the failure with the status of DriverEntry; otherwise
/// it must not contain a failure.
#[must_use]
pub fn expected_log(service: &Service, run: &ServiceRun) -> Option<ExpectedLog> {
    let is_ntmem = service
        .image
        .file_stem()
        .is_some_and(|stem| stem.eq_ignore_ascii_case("ntmem"));
    is_ntmem
        .then(|| ntmem_log::expected_log(service, run))
        .flatten()
}

//! What drivers promise to log. The transcript language is for anybody; this is
//! where the promises of this project's own driver are put down in it, once for
//! all hosts.

mod ntmem;
mod settings;
mod steps;

use crate::host::Service;
use crate::lifecycle::Run;
use crate::transcript::Script;

/// What the driver of `service` promises to log in a run like `run`; `None` if
/// nobody has put it down, or if the kernel stopped, which no driver promises.
///
/// The run says how the driver started and whether it was unloaded. A driver
/// that refused to start must have logged why, and with the very status that it
/// returned; one that runs must have logged no failure.
#[must_use]
pub fn of(service: &Service, run: &Run) -> Option<Script> {
    let is_ntmem = service
        .image
        .file_stem()
        .is_some_and(|stem| stem.eq_ignore_ascii_case("ntmem"));
    is_ntmem.then(|| ntmem::script(service, run)).flatten()
}

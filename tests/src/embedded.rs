//! Runs a service on the embedded kernel with the options of most tests.

use driver_harness::host::Service;
use driver_harness::host::ntbox::{Ntbox, Options};
use driver_harness::service_run::{self, ServiceRun};

/// The options of most runs: everything that a driver logs is shown.
#[must_use]
pub fn options() -> Options {
    Options {
        filter: vec![(77, 0xF)],
        ..Options::default()
    }
}

/// Runs `service` from install to remove.
#[must_use]
pub fn run(service: &Service) -> ServiceRun {
    run_with(options(), service)
}

/// Runs `service` with these options.
///
/// # Panics
///
/// When the host fails, which no driver may bring about.
#[must_use]
pub fn run_with(options: Options, service: &Service) -> ServiceRun {
    match service_run::run(&mut Ntbox::new(options), service) {
        Ok(run) => run,
        Err(error) => panic!("{}: {error}", service.image.display()),
    }
}

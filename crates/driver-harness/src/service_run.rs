//! Runs a driver as a service: create, start, stop, delete, as with `sc.exe`. The
//! service is stopped and deleted even if a step fails.

use serde::Serialize;

use crate::host::{Host, HostError, Service};
use crate::record::{Findings, LogLine, StartResult};

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceRun {
    /// The result of the start.
    #[serde(flatten)]
    pub start: StartResult,
    /// Everything that the driver logged, up to its unload.
    pub log: Vec<LogLine>,
    /// What the host reported at the stop.
    pub findings: Findings,
}

impl ServiceRun {
    /// The status that DriverEntry returned; `None` if the kernel stopped first.
    #[must_use]
    pub fn status(&self) -> Option<u32> {
        match self.start {
            StartResult::Running(status) | StartResult::EntryFailed(status) => Some(status),
            StartResult::KernelStopped => None,
        }
    }

    /// The texts of the log, those that the debug print filter hides included.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.log.iter().map(|line| line.text.as_str())
    }
}

/// Installs, starts, stops and removes `service`.
///
/// # Errors
///
/// If the host fails; the service is removed nevertheless.
pub fn run(host: &mut dyn Host, service: &Service) -> Result<ServiceRun, HostError> {
    run_with(host, service, |_| Ok(())).map(|(run, _)| run)
}

/// Like [`run`], and calls `work` between start and stop if the driver started. Also
/// returns the result of `work`.
///
/// # Errors
///
/// If the host or `work` fails; the service is stopped and removed nevertheless.
pub fn run_with<T>(
    host: &mut dyn Host,
    service: &Service,
    work: impl FnOnce(&mut dyn Host) -> Result<T, HostError>,
) -> Result<(ServiceRun, Option<T>), HostError> {
    host.install(service)?;
    let run = start_and_stop(host, work);
    let removed = host.remove();
    let run = run?;
    removed.map(|()| run)
}

fn start_and_stop<T>(
    host: &mut dyn Host,
    work: impl FnOnce(&mut dyn Host) -> Result<T, HostError>,
) -> Result<(ServiceRun, Option<T>), HostError> {
    let start = host.start()?;
    let work_result = match start {
        StartResult::Running(_) => work(host).map(Some),
        StartResult::EntryFailed(_) | StartResult::KernelStopped => Ok(None),
    };
    let findings = host.stop()?;
    let log = host.output()?;
    let run = ServiceRun {
        start,
        log,
        findings,
    };
    work_result.map(|work_result| (run, work_result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{IoctlRequest, IoctlResponse};

    /// A host that fails at one action, and records its calls.
    #[derive(Default)]
    struct FailingHost {
        fails_at: Option<&'static str>,
        calls: Vec<&'static str>,
    }

    impl FailingHost {
        fn record<T>(&mut self, action: &'static str, result: T) -> Result<T, HostError> {
            self.calls.push(action);
            if self.fails_at == Some(action) {
                return Err(HostError::Failed {
                    host: "failing",
                    action,
                    reason: "as configured".to_owned(),
                });
            }
            Ok(result)
        }
    }

    impl Host for FailingHost {
        fn name(&self) -> &'static str {
            "failing"
        }

        fn install(&mut self, service: &Service) -> Result<(), HostError> {
            service.check_name()?;
            self.record("install", ())
        }

        fn start(&mut self) -> Result<StartResult, HostError> {
            self.record("start", StartResult::from_status(0))
        }

        fn send_ioctl(&mut self, _: &str, _: &IoctlRequest) -> Result<IoctlResponse, HostError> {
            self.record("send a request to", IoctlResponse::KernelStopped)
        }

        fn send_ioctl_pair(
            &mut self,
            _: &str,
            _: &IoctlRequest,
            _: &IoctlRequest,
        ) -> Result<(IoctlResponse, IoctlResponse), HostError> {
            self.record(
                "send a request to",
                (IoctlResponse::KernelStopped, IoctlResponse::KernelStopped),
            )
        }

        fn stop(&mut self) -> Result<Findings, HostError> {
            self.record(
                "stop",
                Findings {
                    unloaded: true,
                    ..Findings::default()
                },
            )
        }

        fn remove(&mut self) -> Result<(), HostError> {
            self.record("remove", ())
        }

        fn output(&mut self) -> Result<Vec<LogLine>, HostError> {
            self.record("output", vec![LogLine::from_text("a")])
        }
    }

    #[test]
    fn run_installs_starts_stops_and_removes_in_order() {
        let mut host = FailingHost::default();
        let run = run(&mut host, &Service::new("a.sys")).unwrap();
        assert_eq!(host.calls, ["install", "start", "stop", "output", "remove"]);
        assert_eq!((run.status(), run.texts().collect()), (Some(0), vec!["a"]));
    }

    #[test]
    fn run_with_failing_step_removes_the_service() {
        for fails_at in ["start", "stop", "output", "remove"] {
            let mut host = FailingHost {
                fails_at: Some(fails_at),
                ..FailingHost::default()
            };
            let error = run(&mut host, &Service::new("a.sys")).unwrap_err();
            assert!(error.to_string().contains(fails_at), "{error}");
            assert_eq!(host.calls.last(), Some(&"remove"), "{fails_at}");
        }
        let mut host = FailingHost {
            fails_at: Some("install"),
            ..FailingHost::default()
        };
        run(&mut host, &Service::new("a.sys")).unwrap_err();
        assert_eq!(
            host.calls,
            ["install"],
            "a service that was not installed is not removed"
        );
    }

    #[test]
    fn run_with_failing_work_stops_the_driver() {
        let service = Service::new("a.sys");
        let mut host = FailingHost {
            fails_at: Some("send a request to"),
            ..FailingHost::default()
        };
        let result = run_with(&mut host, &service, |host| {
            host.send_ioctl("", &IoctlRequest::default())
        });
        assert!(
            result
                .unwrap_err()
                .to_string()
                .contains("send a request to")
        );
        assert_eq!(
            host.calls,
            [
                "install",
                "start",
                "send a request to",
                "stop",
                "output",
                "remove"
            ]
        );
        let (_, response) = run_with(&mut FailingHost::default(), &service, |host| {
            host.send_ioctl("", &IoctlRequest::default())
        })
        .expect("no step fails");
        assert_eq!(response, Some(IoctlResponse::KernelStopped));
    }

    #[test]
    fn run_with_invalid_service_name_is_an_error() {
        for name in ["", "a/b", "a\\b", &"x".repeat(257)] {
            let service = Service {
                name: name.to_owned(),
                ..Service::new("a.sys")
            };
            let error = run(&mut FailingHost::default(), &service).unwrap_err();
            assert!(matches!(error, HostError::Name { .. }), "{name}: {error}");
        }
    }
}

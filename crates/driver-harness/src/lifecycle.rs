//! A driver's whole life on a host, in the order in which a person does it with
//! `sc`: create, start, stop, delete. Whatever goes wrong on the way, what was
//! done is undone.

use serde::Serialize;

use crate::host::{Host, HostError, Service};
use crate::record::{Findings, Line, Start};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// How the start ended.
    #[serde(flatten)]
    pub start: Start,
    /// Everything that was logged, up to the unload.
    pub log: Vec<Line>,
    /// What the host found.
    pub findings: Findings,
}

impl Run {
    /// The status that DriverEntry returned, if it did.
    #[must_use]
    pub fn status(&self) -> Option<u32> {
        match self.start {
            Start::Running(status) | Start::Refused(status) => Some(status),
            Start::Stopped => None,
        }
    }

    /// The texts of the log, shown or not.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.log.iter().map(|line| line.text.as_str())
    }
}

/// Installs, starts, stops and removes `service`.
///
/// # Errors
///
/// When the host fails; the service is removed all the same.
pub fn run(host: &mut dyn Host, service: &Service) -> Result<Run, HostError> {
    run_with(host, service, |_| Ok(())).map(|(run, _)| run)
}

/// The same with `work` between start and stop, if the driver started; what the
/// work came to is returned beside the run.
///
/// # Errors
///
/// When the host fails or `work` does; the service is stopped and removed all the
/// same.
pub fn run_with<T>(
    host: &mut dyn Host,
    service: &Service,
    work: impl FnOnce(&mut dyn Host) -> Result<T, HostError>,
) -> Result<(Run, Option<T>), HostError> {
    host.install(service)?;
    let run = start_and_stop(host, work);
    let removed = host.remove();
    let run = run?;
    removed.map(|()| run)
}

fn start_and_stop<T>(
    host: &mut dyn Host,
    work: impl FnOnce(&mut dyn Host) -> Result<T, HostError>,
) -> Result<(Run, Option<T>), HostError> {
    let start = host.start()?;
    let worked = match start {
        Start::Running(_) => work(host).map(Some),
        Start::Refused(_) | Start::Stopped => Ok(None),
    };
    let findings = host.stop()?;
    let log = host.output()?;
    let run = Run {
        start,
        log,
        findings,
    };
    worked.map(|worked| (run, worked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Asked, Inquiry};

    /// A host that fails where it is told to, and remembers what it was asked.
    #[derive(Default)]
    struct Fake {
        fails_at: Option<&'static str>,
        asked: Vec<&'static str>,
    }

    impl Fake {
        fn answer<T>(&mut self, action: &'static str, answer: T) -> Result<T, HostError> {
            self.asked.push(action);
            if self.fails_at == Some(action) {
                return Err(HostError::Failed {
                    host: "fake",
                    action,
                    why: "told to".to_owned(),
                });
            }
            Ok(answer)
        }
    }

    impl Host for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }

        fn install(&mut self, service: &Service) -> Result<(), HostError> {
            service.check_name()?;
            self.answer("install", ())
        }

        fn start(&mut self) -> Result<Start, HostError> {
            self.answer("start", Start::from_status(0))
        }

        fn ask(&mut self, _: &str, _: &Inquiry) -> Result<Asked, HostError> {
            self.answer("ask", Asked::Stopped)
        }

        fn ask_both(
            &mut self,
            _: &str,
            _: &Inquiry,
            _: &Inquiry,
        ) -> Result<(Asked, Asked), HostError> {
            self.answer("ask", (Asked::Stopped, Asked::Stopped))
        }

        fn stop(&mut self) -> Result<Findings, HostError> {
            self.answer(
                "stop",
                Findings {
                    unloaded: true,
                    ..Findings::default()
                },
            )
        }

        fn remove(&mut self) -> Result<(), HostError> {
            self.answer("remove", ())
        }

        fn output(&mut self) -> Result<Vec<Line>, HostError> {
            self.answer("output", vec![Line::from_text("a")])
        }
    }

    #[test]
    fn the_order_is_that_of_a_service() {
        let mut host = Fake::default();
        let run = run(&mut host, &Service::new("a.sys")).unwrap();
        assert_eq!(host.asked, ["install", "start", "stop", "output", "remove"]);
        assert_eq!((run.status(), run.texts().collect()), (Some(0), vec!["a"]));
    }

    #[test]
    fn a_service_is_removed_whatever_fails() {
        for fails_at in ["start", "stop", "output", "remove"] {
            let mut host = Fake {
                fails_at: Some(fails_at),
                ..Fake::default()
            };
            let error = run(&mut host, &Service::new("a.sys")).unwrap_err();
            assert!(error.to_string().contains(fails_at), "{error}");
            assert_eq!(host.asked.last(), Some(&"remove"), "{fails_at}");
        }
        let mut host = Fake {
            fails_at: Some("install"),
            ..Fake::default()
        };
        run(&mut host, &Service::new("a.sys")).unwrap_err();
        assert_eq!(
            host.asked,
            ["install"],
            "what is not installed is not removed"
        );
    }

    #[test]
    fn a_driver_is_stopped_when_the_work_fails() {
        let service = Service::new("a.sys");
        let mut host = Fake {
            fails_at: Some("ask"),
            ..Fake::default()
        };
        let asked = run_with(&mut host, &service, |host| {
            host.ask("", &Inquiry::default())
        });
        assert!(asked.unwrap_err().to_string().contains("ask"));
        assert_eq!(
            host.asked,
            ["install", "start", "ask", "stop", "output", "remove"]
        );
        let (_, asked) = run_with(&mut Fake::default(), &service, |host| {
            host.ask("", &Inquiry::default())
        })
        .expect("nothing fails");
        assert_eq!(asked, Some(Asked::Stopped));
    }

    #[test]
    fn names_that_no_service_can_have_are_refused() {
        for name in ["", "a/b", "a\\b", &"x".repeat(257)] {
            let service = Service {
                name: name.to_owned(),
                ..Service::new("a.sys")
            };
            let error = run(&mut Fake::default(), &service).unwrap_err();
            assert!(matches!(error, HostError::Name { .. }), "{name}: {error}");
        }
    }
}

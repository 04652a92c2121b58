//! The expected log of `ntmem.sys`, according to `docs/reference/ntmem-log.md`: the lines of the
//! driver and, between them, those of each scenario.
//!
//! If the start succeeded, the log has no failure. If it failed, one step fails, the
//! driver releases what it has acquired, and the status is that of DriverEntry.

use super::parameters::{Parameters, ValidParameters};
use super::scenario_log::ScenarioLog;
use crate::host::Service;
use crate::logmatch::{
    ExpectedLog, Expr, Matcher, any_of, check, count, either, line, never, nothing, one_of, seq,
    var,
};
use crate::record::{Level, StartResult};
use crate::service_run::ServiceRun;

/// The expected log of a run with the results of `run`.
pub(super) fn expected_log(service: &Service, run: &ServiceRun) -> Option<ExpectedLog> {
    let entry_failure = match run.start {
        StartResult::Running(_) => None,
        StartResult::EntryFailed(status) => Some(status),
        StartResult::KernelStopped => return None,
    };
    let parameters = Parameters::of(service);
    let expectation = Expectation {
        parameters: &parameters,
        entry_failure,
        unloaded: run.findings.unloaded,
    };
    run.findings
        .bug_check
        .is_none()
        .then(|| ExpectedLog::new(expectation.log()))
}

pub(super) struct Expectation<'a> {
    parameters: &'a Parameters,
    /// The failure that DriverEntry returned.
    entry_failure: Option<u32>,
    unloaded: bool,
}

/// The calls that can fail when the driver opens its `Parameters` key.
const OPEN_CALLS: &[&str] = &["ExAllocatePool2", "ExAllocatePoolWithTag", "ZwOpenKey"];

/// The calls that can fail when it reads a parameter.
const READ_CALLS: &[&str] = &["ZwOpenKey", "ZwQueryValueKey"];

/// The calls that can fail when it creates its device.
const DEVICE_CALLS: &[&str] = &[
    "ExAllocatePool2",
    "ExAllocatePoolWithTag",
    "IoCreateDevice",
    "ObOpenObjectByPointer",
    "ZwSetSecurityObject",
    "IoCreateSymbolicLink",
    "PsSetCreateProcessNotifyRoutine",
];

fn driver(text: &str) -> Matcher {
    line(&format!("ntmem: driver: {text}"))
}

/// The fields `status=… code=…`.
pub(super) fn status_fields(status: u32) -> String {
    let name = nt_status::name(status).map_or_else(|| format!("{status:#010x}"), str::to_owned);
    format!("status={name} code={status:#010x}")
}

/// The last line of a failed start.
pub(super) fn not_started(status: u32) -> Matcher {
    driver(&format!("not-started {}", status_fields(status))).at(Level::Error)
}

/// The failure of a step outside of the scenarios.
fn failed_step(step: &str, calls: &[&str], status: u32) -> Matcher {
    driver(&format!(
        "failed step={step} call={{call:word}} {}",
        status_fields(status)
    ))
    .with(one_of("call", calls), "the step makes only these calls")
    .at(Level::Error)
}

/// Escapes literal text for a pattern.
fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

impl Expectation<'_> {
    fn log(&self) -> Matcher {
        let log = match self.parameters.valid() {
            Some(parameters) => self.or_failure(self.successful_start(&parameters), |status| {
                self.failed_start(status)
            }),
            None => match self.entry_failure {
                Some(status) => self.failed_start(status),
                None => never("the driver started although one of its parameters is invalid"),
            },
        };
        self.or_failure(log, |status| {
            seq([
                failed_step("version", &["RtlGetVersion"], status),
                not_started(status),
            ])
        })
    }

    /// The lines before the parameters.
    fn header() -> Matcher {
        seq([
            driver(
                "start version={version:word} build={build:word} process={process:dec} thread={_:dec} \
                 irql={irql:dec} windows={_:word} allocator={allocator:word}",
            )
            .with(one_of("build", &["release", "debug"]), "the build is release or debug")
            .with(one_of("allocator", &["ExAllocatePool2", "ExAllocatePoolWithTag"]), "the driver calls one of these pool allocators")
            .with(var("irql").equals(0), "DriverEntry runs at PASSIVE_LEVEL"),
            driver("limits highest-user={highest:hex16} user-probe={probe:hex16} system-range-start={system:hex16}")
                .with(var("highest").less_than(var("probe")), "the probe limit is above the user range")
                .with(var("system").at_least(var("probe")), "the system range is above the probe limit"),
        ])
    }

    /// Continues with `success` or, if the start failed, with `failure`.
    pub(super) fn or_failure(
        &self,
        success: Matcher,
        failure: impl FnOnce(u32) -> Matcher,
    ) -> Matcher {
        match self.entry_failure {
            Some(status) => either([success, failure(status)]),
            None => success,
        }
    }

    /// A start with valid parameters.
    fn successful_start(&self, parameters: &ValidParameters) -> Matcher {
        let ValidParameters {
            scenarios,
            size,
            cache,
            level,
        } = parameters;
        let names = scenarios
            .iter()
            .map(|scenario| scenario.name())
            .collect::<Vec<_>>()
            .join(",");
        let names = if names.is_empty() { "none" } else { &names };
        let level_number = u32::from(*level);
        let accepted = driver(&format!(
            "parameters size={size} cache-type={cache} log-level={level_number} scenario={names}"
        ));
        let mut rest = self.end(scenarios.len(), *level);
        for scenario in scenarios.iter().rev() {
            rest = ScenarioLog::new(self, *scenario, *size, cache, *level).log(rest);
        }
        seq([seq([Self::header(), accepted]).at(*level), rest])
    }

    /// A start that fails because of its parameters. The level of the first lines is not
    /// checked: it is a parameter that can be the invalid one.
    fn failed_start(&self, status: u32) -> Matcher {
        let values = self
            .parameters
            .rejections()
            .map(|rejection| rejected_value(rejection, status));
        let open_failure = failed_step("parameters", OPEN_CALLS, status);
        let values = seq([
            seq(values),
            check(
                count("event").at_least(1),
                "a failed start logs the failure",
            ),
        ]);
        seq([
            Self::header(),
            either([open_failure, values]),
            not_started(status),
        ])
    }

    /// The lines after the last scenario: the device, and the end of the start.
    fn end(&self, scenarios: usize, level: Level) -> Matcher {
        if let Some(status) = self.entry_failure {
            let no_failure = never("DriverEntry returned a failure, but no line has a failure");
            let device = seq([
                failed_step("device", DEVICE_CALLS, status),
                not_started(status),
            ]);
            return either([device, no_failure]);
        }
        let unload = format!(
            "unload process={{=process:dec}} thread={{_:dec}} irql={{irql:dec}} scenarios={scenarios}"
        );
        let unload =
            driver(&unload).with(var("irql").equals(0), "DriverUnload runs at PASSIVE_LEVEL");
        let device = driver(r#"device object="\\Device\\NtMem" link="\\DosDevices\\NtMem""#);
        let started = driver(&format!("started scenarios={scenarios}"));
        seq([
            device,
            started,
            if self.unloaded { unload } else { nothing() },
        ])
        .at(level)
    }
}

/// The line of one value in a failed start: the value is refused, or cannot be read, or
/// has no line. The first failure determines the status.
fn rejected_value(rejection: Option<&String>, status: u32) -> Matcher {
    let first_or = |same| any_of([count("event").at_least(2), same]);
    let unreadable =
        driver("{event:word} step=parameters call={call:word} status={_:word} code={failure:hex8}")
            .with(one_of("event", &["failed"]), "the value cannot be read")
            .with(
                one_of("call", READ_CALLS),
                "the driver reads values with these calls",
            )
            .with(
                first_or(var("failure").equals(u64::from(status))),
                "the first failure determines the status",
            );
    let refused = match rejection {
        None => nothing(),
        Some(rejection) => driver(&format!("{{event:word}} {}", escape(rejection)))
            .with(one_of("event", &["refused"]), "the value is refused")
            .with(
                first_or(
                    Expr::from(u64::from(status))
                        .equals(u64::from(nt_status::STATUS_INVALID_PARAMETER)),
                ),
                "a refused value makes the start fail with STATUS_INVALID_PARAMETER",
            ),
    };
    either([unreadable, refused]).at(Level::Error)
}

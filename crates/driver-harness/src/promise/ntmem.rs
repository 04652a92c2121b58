//! The log of `ntmem.sys`, as `docs/log-format.md` describes it: the driver's
//! own lines, and between them one scenario after the other.
//!
//! A run that started is held to the path without failures; one that was refused
//! to a path on which a step fails, what was taken is given back, and the status
//! is the very one that DriverEntry returned.

use super::settings::{Accepted, Settings};
use super::steps::Steps;
use crate::host::Service;
use crate::lifecycle::Run;
use crate::record::{Level, Start};
use crate::transcript::{
    Expr, Node, Script, any_of, check, count, either, line, never, nothing, one_of, seq, var,
};

const STATUS_INVALID_PARAMETER: u32 = 0xC000_000D;

/// The log of a run that started and ended as `run` did.
pub(super) fn script(service: &Service, run: &Run) -> Option<Script> {
    let refused = match run.start {
        Start::Running(_) => None,
        Start::Refused(status) => Some(status),
        Start::Stopped => return None,
    };
    let settings = Settings::of(service);
    let promise = Promise {
        settings: &settings,
        refused,
        unloaded: run.findings.unloaded,
    };
    run.findings
        .bug_check
        .is_none()
        .then(|| Script::new(promise.whole()))
}

pub(super) struct Promise<'a> {
    settings: &'a Settings,
    /// The status that DriverEntry failed with, if it did.
    refused: Option<u32>,
    unloaded: bool,
}

/// What can fail when the key of the parameters is opened.
const OPEN_CALLS: &[&str] = &["ExAllocatePool2", "ExAllocatePoolWithTag", "ZwOpenKey"];

/// What can fail when a parameter is read.
const READ_CALLS: &[&str] = &["ZwOpenKey", "ZwQueryValueKey"];

/// What can fail when the device is made.
const DEVICE_CALLS: &[&str] = &[
    "ExAllocatePool2",
    "ExAllocatePoolWithTag",
    "IoCreateDevice",
    "ObOpenObjectByPointer",
    "ZwSetSecurityObject",
    "IoCreateSymbolicLink",
    "PsSetCreateProcessNotifyRoutine",
];

fn driver(text: &str) -> Node {
    line(&format!("ntmem: driver: {text}"))
}

/// `status=… code=…`, as every line that gives a status does.
pub(super) fn outcome(status: u32) -> String {
    let name = nt_status::name(status).map_or_else(|| format!("{status:#010x}"), str::to_owned);
    format!("status={name} code={status:#010x}")
}

/// The last line of a start that fails.
pub(super) fn not_started(status: u32) -> Node {
    driver(&format!("not-started {}", outcome(status))).at(Level::Error)
}

/// A step outside of the scenarios that failed with this status.
fn failed(step: &str, calls: &[&str], status: u32) -> Node {
    driver(&format!(
        "failed step={step} call={{call:word}} {}",
        outcome(status)
    ))
    .with(one_of("call", calls), "this step makes these calls")
    .at(Level::Error)
}

/// Literal text of a pattern.
fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

impl Promise<'_> {
    fn whole(&self) -> Node {
        let whole = match self.settings.accepted() {
            Some(settings) => {
                self.or_failure(self.started(&settings), |status| self.trouble(status))
            }
            None => match self.refused {
                Some(status) => self.trouble(status),
                None => never("the driver started although it has to refuse one of its parameters"),
            },
        };
        self.or_failure(whole, |status| {
            seq([
                failed("version", &["RtlGetVersion"], status),
                not_started(status),
            ])
        })
    }

    /// The driver's lines before it says what its parameters are.
    fn introduction() -> Node {
        seq([
            driver(
                "start version={version:word} build={build:word} process={process:dec} thread={_:dec} \
                 irql={irql:dec} windows={_:word} allocator={allocator:word}",
            )
            .with(one_of("build", &["release", "debug"]), "there are two builds")
            .with(one_of("allocator", &["ExAllocatePool2", "ExAllocatePoolWithTag"]), "pool has two sources")
            .with(var("irql").equals(0), "DriverEntry runs at PASSIVE_LEVEL"),
            driver("limits highest-user={highest:hex16} user-probe={probe:hex16} system-range-start={system:hex16}")
                .with(var("highest").less_than(var("probe")), "probing refuses what lies above the user range")
                .with(var("system").at_least(var("probe")), "the system range lies above that"),
        ])
    }

    /// Goes on with `right`, or in a run that was refused with `failure`.
    pub(super) fn or_failure(&self, right: Node, failure: impl FnOnce(u32) -> Node) -> Node {
        match self.refused {
            Some(status) => either([right, failure(status)]),
            None => right,
        }
    }

    /// A start whose parameters are in order.
    fn started(&self, settings: &Accepted) -> Node {
        let Accepted {
            scenarios,
            size,
            cache,
            level,
        } = settings;
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
            rest = Steps::new(self, *scenario, *size, cache, *level).whole(rest);
        }
        seq([seq([Self::introduction(), accepted]).at(*level), rest])
    }

    /// A start that fails because of its parameters. The level of its first lines
    /// is itself a parameter, and may be what cannot be read.
    fn trouble(&self, status: u32) -> Node {
        let values = self
            .settings
            .refusals()
            .map(|refusal| value(refusal, status));
        let unopened = failed("parameters", OPEN_CALLS, status);
        let values = seq([
            seq(values),
            check(
                count("trouble").at_least(1),
                "a start that fails says what failed",
            ),
        ]);
        seq([
            Self::introduction(),
            either([unopened, values]),
            not_started(status),
        ])
    }

    /// What follows the last scenario: the device, and the end of the start.
    fn end(&self, scenarios: usize, level: Level) -> Node {
        if let Some(status) = self.refused {
            let nothing_said =
                never("DriverEntry returned a failure, but no line says what failed");
            let device = seq([failed("device", DEVICE_CALLS, status), not_started(status)]);
            return either([device, nothing_said]);
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

/// What is said of one value in a start that fails: that it is refused, that it
/// cannot be read, or nothing. The first trouble decides the status.
fn value(refusal: Option<&String>, status: u32) -> Node {
    let first_or = |same| any_of([count("trouble").at_least(2), same]);
    let unreadable = driver(
        "{trouble:word} step=parameters call={call:word} status={_:word} code={failure:hex8}",
    )
    .with(one_of("trouble", &["failed"]), "this is a failure")
    .with(one_of("call", READ_CALLS), "values are read with these")
    .with(
        first_or(var("failure").equals(u64::from(status))),
        "the first failure decides the status",
    );
    let refused = match refusal {
        None => nothing(),
        Some(refusal) => driver(&format!("{{trouble:word}} {}", literal(refusal)))
            .with(one_of("trouble", &["refused"]), "the value is refused")
            .with(
                first_or(Expr::from(u64::from(status)).equals(u64::from(STATUS_INVALID_PARAMETER))),
                "a refused value makes the start fail with STATUS_INVALID_PARAMETER",
            ),
    };
    either([unreadable, refused]).at(Level::Error)
}

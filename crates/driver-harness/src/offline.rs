//! Splits a saved log (of a serial port, a debugger or DebugView) into sessions of
//! the driver `ntmem`, one for each start. The log is the only source: the lines say
//! where a session begins and ends, the result of the start, and the parameters.

use std::mem;

use crate::host::RegValue;
use crate::record::{Findings, LogLine, StartResult};
use crate::service_run::ServiceRun;

/// The prefix of each line of the driver.
pub const PREFIX: &str = "ntmem: ";

/// The prefix of the lines that no scenario logs.
const DRIVER_PREFIX: &str = "ntmem: driver: ";

/// The lines from a start of the driver to its unload, or to the end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverSession {
    /// The run. If the log ends before the start is complete, the kernel stopped.
    pub run: ServiceRun,
    /// The parameters that the driver logged as accepted or refused; `None` if it did
    /// not log the value of one of them.
    pub parameters: Option<Vec<(String, RegValue)>>,
    /// The number of lines of scenarios that programs requested from the running driver.
    /// They can occur at any time and on several processors, and are not in
    /// [`ServiceRun::log`].
    pub requested_lines: usize,
}

/// The sessions in a log. Lines before the first start are ignored.
#[must_use]
pub fn sessions(log: &[LogLine]) -> Vec<DriverSession> {
    let mut sessions = Vec::new();
    let mut lines: Vec<LogLine> = Vec::new();
    for line in log.iter().filter(|line| line.text.starts_with(PREFIX)) {
        if begins_session(&line.text) {
            sessions.extend(session(mem::take(&mut lines)));
        } else if lines.is_empty() {
            continue;
        }
        lines.push(line.clone());
        if ends_session(&line.text) {
            sessions.extend(session(mem::take(&mut lines)));
        }
    }
    sessions.extend(session(lines));
    sessions
}

/// The fields of a driver line with this event.
fn event_fields<'l>(text: &'l str, event: &str) -> Option<&'l str> {
    let fields = text.strip_prefix(DRIVER_PREFIX)?.strip_prefix(event)?;
    (fields.is_empty() || fields.starts_with(' ')).then(|| fields.trim_start())
}

fn begins_session(text: &str) -> bool {
    event_fields(text, "start").is_some() || event_fields(text, "failed step=version").is_some()
}

fn ends_session(text: &str) -> bool {
    event_fields(text, "not-started").is_some() || event_fields(text, "unload").is_some()
}

/// The value of a field without blanks.
fn field<'l>(fields: &'l str, name: &str) -> Option<&'l str> {
    let mut words = fields.split(' ');
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn session(lines: Vec<LogLine>) -> Option<DriverSession> {
    if lines.is_empty() {
        return None;
    }
    let find = |event| {
        lines
            .iter()
            .find_map(|line| event_fields(&line.text, event))
    };
    let start = match (find("not-started"), find("started")) {
        (Some(fields), _) => {
            let code = field(fields, "code").and_then(|code| code.strip_prefix("0x"));
            // The driver never logs this line without a status; the check reports it.
            code.and_then(|code| u32::from_str_radix(code, 16).ok())
                .map_or(StartResult::KernelStopped, StartResult::EntryFailed)
        }
        (None, Some(_)) => StartResult::Running(0),
        (None, None) => StartResult::KernelStopped,
    };
    let unloaded = find("unload").is_some();
    let parameters = match find("parameters") {
        Some(fields) => accepted_parameters(fields),
        None => lines
            .iter()
            .filter_map(|line| event_fields(&line.text, "refused"))
            .map(refused_parameter)
            .collect(),
    };
    let (log, requested_lines) = split_requested(lines);
    let findings = Findings {
        unloaded,
        ..Findings::default()
    };
    Some(DriverSession {
        run: ServiceRun {
            start,
            log,
            findings,
        },
        parameters,
        requested_lines,
    })
}

/// The registry values for the fields of the line `parameters`.
fn accepted_parameters(fields: &str) -> Option<Vec<(String, RegValue)>> {
    let number = |name| field(fields, name)?.parse().ok().map(RegValue::Dword);
    let text = |name| Some(RegValue::Sz(field(fields, name)?.to_owned()));
    let values = [
        ("Size", number("size")?),
        ("CacheType", text("cache-type")?),
        ("LogLevel", number("log-level")?),
        ("Scenario", text("scenario")?),
    ];
    Some(
        values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// The value in a line `refused`, if the line has all its bytes.
fn refused_parameter(fields: &str) -> Option<(String, RegValue)> {
    let (_, data) = fields.rsplit_once(" data=")?;
    let bytes: usize = field(fields, "bytes")?.parse().ok()?;
    let value = match field(fields, "type")? {
        "REG_DWORD" => RegValue::Dword(data.parse().ok()?),
        "REG_SZ" => {
            let text = data.strip_prefix('"')?.strip_suffix('"')?;
            (!text.contains(['\\', '"'])).then(|| RegValue::Sz(text.to_owned()))?
        }
        _ => return None,
    };
    let name = field(fields, "value")?.to_owned();
    (value.data().len() == bytes).then_some((name, value))
}

/// Removes and counts the scenario lines between `started` and `unload`: programs
/// requested them.
fn split_requested(lines: Vec<LogLine>) -> (Vec<LogLine>, usize) {
    let mut running = false;
    let all = lines.len();
    let own: Vec<LogLine> = lines
        .into_iter()
        .filter(|line| {
            let is_own = !running || line.text.starts_with(DRIVER_PREFIX);
            running |= event_fields(&line.text, "started").is_some();
            is_own
        })
        .collect();
    let requested = all.saturating_sub(own.len());
    (own, requested)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectations;
    use crate::host::Service;
    use crate::logs;
    use crate::verdict::LogCheck;

    const HEADER: &str = "\
ntmem: driver: start version=0.1.0 build=release process=4 thread=8 irql=0 windows=5.2.3790 allocator=ExAllocatePoolWithTag
ntmem: driver: limits highest-user=0x000007fffffeffff user-probe=0x000007ffffff0000 system-range-start=0xffff080000000000
";
    const PARAMETERS: &str = "\
ntmem: driver: parameters size=4096 cache-type=cached log-level=0 scenario=none
";
    const END: &str = "\
ntmem: driver: device object=\"\\\\Device\\\\NtMem\" link=\"\\\\DosDevices\\\\NtMem\"
ntmem: driver: started scenarios=0
";
    const UNLOAD: &str = "ntmem: driver: unload process=4 thread=36 irql=0 scenarios=0\n";

    fn parse(text: &str) -> Vec<DriverSession> {
        sessions(&logs::parse(text))
    }

    fn check(session: &DriverSession) -> LogCheck {
        let mut service = Service::new("ntmem.sys");
        service.parameters = session.parameters.clone().unwrap_or_default();
        let expected =
            expectations::expected_log(&service, &session.run).expect("ntmem has an expected log");
        LogCheck::of(&session.run, &expected)
    }

    #[test]
    fn sessions_are_one_per_start() {
        let life = [HEADER, PARAMETERS, END, UNLOAD].concat();
        let text = format!("BOOT DRIVERS LOADED\nntmem: driver: unload rest\n{life}kd> g\n{life}");
        let sessions = parse(&text);
        assert_eq!(sessions.len(), 2);
        for session in &sessions {
            assert_eq!(session.run.start, StartResult::Running(0));
            assert!(session.run.findings.unloaded);
            assert_eq!(check(session), LogCheck::Passed { lines: 6 });
        }
    }

    #[test]
    fn session_without_unload_passes() {
        let sessions = parse(&[HEADER, PARAMETERS, END].concat());
        assert!(!sessions[0].run.findings.unloaded);
        assert_eq!(check(&sessions[0]), LogCheck::Passed { lines: 5 });
        // The next start ends it.
        let twice = [HEADER, PARAMETERS, END].concat().repeat(2);
        assert_eq!(parse(&twice).len(), 2);
    }

    #[test]
    fn session_excludes_requested_scenarios() {
        let requested = "ntmem: lock: begin size=1 cache-type=cached\nntmem: lock: end status=X\n";
        let sessions = parse(&[HEADER, PARAMETERS, END, requested, UNLOAD].concat());
        assert_eq!(sessions[0].requested_lines, 2);
        assert_eq!(check(&sessions[0]), LogCheck::Passed { lines: 6 });
        // Before `started` no program can request a scenario.
        let sessions = parse(&[HEADER, PARAMETERS, requested, END].concat());
        assert_eq!(sessions[0].requested_lines, 0);
        assert!(matches!(check(&sessions[0]), LogCheck::Failed { .. }));
    }

    #[test]
    fn session_with_missing_line_fails_the_check() {
        let sessions = parse(&[HEADER, END, UNLOAD].concat());
        assert!(matches!(check(&sessions[0]), LogCheck::Failed { .. }));
        let scenario = PARAMETERS.replace("none", "lock");
        let sessions = parse(&[HEADER, &scenario, END].concat());
        assert!(matches!(check(&sessions[0]), LogCheck::Failed { .. }));
    }

    #[test]
    fn session_ending_in_the_start_is_a_stopped_kernel() {
        let sessions = parse(HEADER);
        assert_eq!(sessions[0].run.start, StartResult::KernelStopped);
        assert_eq!(parse("nothing of the driver\n"), []);
    }

    #[test]
    fn session_with_failed_start_has_its_status() {
        let refused = "\
ntmem: driver: refused value=Scenario reason=contradictory type=REG_SZ bytes=20 expected=\"REG_SZ: lock, nonpaged, double-map, or several of them, or none\" data=\"lock,lock\"
ntmem: driver: refused value=Size reason=out-of-range type=REG_DWORD bytes=4 expected=\"REG_DWORD: 1 to 16777216 bytes\" data=0
";
        let end = "ntmem: driver: not-started status=STATUS_INVALID_PARAMETER code=0xc000000d\n";
        let sessions = parse(&[HEADER, refused, end].concat());
        assert_eq!(sessions[0].run.start, StartResult::EntryFailed(0xC000_000D));
        assert_eq!(check(&sessions[0]), LogCheck::Passed { lines: 5 });
        let opaque = refused.replace("bytes=4", "bytes=2");
        let sessions = parse(&[HEADER, &opaque, end].concat());
        assert_eq!(sessions[0].parameters, None);
        let no_status = end.replace("code=0x", "code=");
        let sessions = parse(&[HEADER, &no_status].concat());
        assert_eq!(sessions[0].run.start, StartResult::KernelStopped);
    }
}

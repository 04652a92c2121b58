//! The lives of a driver in a log that somebody saved: a serial port's, a
//! debugger's, DebugView's. Who saved it ran the driver on a kernel that this
//! program cannot reach, so all that is known of a run is what its lines say:
//! where it begins and ends, how the start ended, and which settings counted.

use std::mem;

use crate::host::RegValue;
use crate::lifecycle::Run;
use crate::record::{Findings, Line, Start};

/// What each line of the driver begins with.
pub const PREFIX: &str = "ntmem: ";

/// What the driver itself logs, and not one of its walks.
const DRIVER: &str = "ntmem: driver: ";

/// From one start of the driver to its unload, or to the log's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The run as the lines tell it. A log that ends while the driver starts is
    /// that of a kernel that stopped.
    pub run: Run,
    /// The settings, as the driver says that they are, or those that it refused;
    /// nothing if it does not say what was in one of these.
    pub parameters: Option<Vec<(String, RegValue)>>,
    /// Lines of walks that programs asked the running driver for. They may come
    /// at any time and from several processors, and are not in [`Run::log`].
    pub asked: usize,
}

/// The driver's lives in a log. Lines before the first start are nobody's.
#[must_use]
pub fn lives(log: &[Line]) -> Vec<Life> {
    let mut found = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    for line in log.iter().filter(|line| line.text.starts_with(PREFIX)) {
        if begins(&line.text) {
            found.extend(life(mem::take(&mut lines)));
        } else if lines.is_empty() {
            continue;
        }
        lines.push(line.clone());
        if ends(&line.text) {
            found.extend(life(mem::take(&mut lines)));
        }
    }
    found.extend(life(lines));
    found
}

/// What the driver says, if it is the driver who speaks: the event and its fields.
fn said<'l>(text: &'l str, event: &str) -> Option<&'l str> {
    let fields = text.strip_prefix(DRIVER)?.strip_prefix(event)?;
    (fields.is_empty() || fields.starts_with(' ')).then(|| fields.trim_start())
}

fn begins(text: &str) -> bool {
    said(text, "start").is_some() || said(text, "failed step=version").is_some()
}

fn ends(text: &str) -> bool {
    said(text, "not-started").is_some() || said(text, "unload").is_some()
}

/// The value of a field that has no blanks.
fn field<'l>(fields: &'l str, name: &str) -> Option<&'l str> {
    let mut words = fields.split(' ');
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn life(lines: Vec<Line>) -> Option<Life> {
    if lines.is_empty() {
        return None;
    }
    let find = |event| lines.iter().find_map(|line| said(&line.text, event));
    let start = match (find("not-started"), find("started")) {
        (Some(fields), _) => {
            let code = field(fields, "code").and_then(|code| code.strip_prefix("0x"));
            // A line without a status is not the driver's; the check will say so.
            code.and_then(|code| u32::from_str_radix(code, 16).ok())
                .map_or(Start::Stopped, Start::Refused)
        }
        (None, Some(_)) => Start::Running(0),
        (None, None) => Start::Stopped,
    };
    let unloaded = find("unload").is_some();
    let parameters = match find("parameters") {
        Some(fields) => settings(fields),
        None => lines
            .iter()
            .filter_map(|line| said(&line.text, "refused"))
            .map(refused)
            .collect(),
    };
    let (log, asked) = split(lines);
    let findings = Findings {
        unloaded,
        ..Findings::default()
    };
    Some(Life {
        run: Run {
            start,
            log,
            findings,
        },
        parameters,
        asked,
    })
}

/// The settings in the line `parameters`, as values that make the driver say so.
fn settings(fields: &str) -> Option<Vec<(String, RegValue)>> {
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

/// A value that was refused, if the line quotes it to the last byte.
fn refused(fields: &str) -> Option<(String, RegValue)> {
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

/// Takes out the walks between `started` and `unload`, which programs ask for.
fn split(lines: Vec<Line>) -> (Vec<Line>, usize) {
    let mut running = false;
    let all = lines.len();
    let own: Vec<Line> = lines
        .into_iter()
        .filter(|line| {
            let is_own = !running || line.text.starts_with(DRIVER);
            running |= said(&line.text, "started").is_some();
            is_own
        })
        .collect();
    let asked = all.saturating_sub(own.len());
    (own, asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Service;
    use crate::logs;
    use crate::promise;
    use crate::verdict::Check;

    const INTRODUCTION: &str = "\
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

    fn found(text: &str) -> Vec<Life> {
        lives(&logs::lines(text))
    }

    fn check(life: &Life) -> Check {
        let mut service = Service::new("ntmem.sys");
        service.parameters = life.parameters.clone().unwrap_or_default();
        let script = promise::of(&service, &life.run).expect("a promise");
        Check::of(&life.run, &script)
    }

    #[test]
    fn a_log_has_as_many_lives_as_the_driver_was_started() {
        let life = [INTRODUCTION, PARAMETERS, END, UNLOAD].concat();
        let text = format!("BOOT DRIVERS LOADED\nntmem: driver: unload rest\n{life}kd> g\n{life}");
        let lives = found(&text);
        assert_eq!(lives.len(), 2);
        for life in &lives {
            assert_eq!(life.run.start, Start::Running(0));
            assert!(life.run.findings.unloaded);
            assert_eq!(check(life), Check::Passed { lines: 6 });
        }
    }

    #[test]
    fn a_driver_that_still_runs_has_not_said_good_bye() {
        let lives = found(&[INTRODUCTION, PARAMETERS, END].concat());
        assert!(!lives[0].run.findings.unloaded);
        assert_eq!(check(&lives[0]), Check::Passed { lines: 5 });
        // The next start ends it.
        let twice = [INTRODUCTION, PARAMETERS, END].concat().repeat(2);
        assert_eq!(found(&twice).len(), 2);
    }

    #[test]
    fn what_programs_ask_for_is_left_out() {
        let asked = "ntmem: lock: begin size=1 cache-type=cached\nntmem: lock: end status=X\n";
        let lives = found(&[INTRODUCTION, PARAMETERS, END, asked, UNLOAD].concat());
        assert_eq!(lives[0].asked, 2);
        assert_eq!(check(&lives[0]), Check::Passed { lines: 6 });
        // The same before the driver has started is no one's wish.
        let lives = found(&[INTRODUCTION, PARAMETERS, asked, END].concat());
        assert_eq!(lives[0].asked, 0);
        assert!(matches!(check(&lives[0]), Check::Failed { .. }));
    }

    #[test]
    fn a_line_that_is_missing_is_found() {
        let lives = found(&[INTRODUCTION, END, UNLOAD].concat());
        assert!(matches!(check(&lives[0]), Check::Failed { .. }));
        let walk = PARAMETERS.replace("none", "lock");
        let lives = found(&[INTRODUCTION, &walk, END].concat());
        assert!(matches!(check(&lives[0]), Check::Failed { .. }));
    }

    #[test]
    fn a_log_that_ends_early_is_that_of_a_kernel_that_stopped() {
        let lives = found(INTRODUCTION);
        assert_eq!(lives[0].run.start, Start::Stopped);
        assert_eq!(found("nothing of the driver\n"), []);
    }

    #[test]
    fn a_start_that_failed_says_its_status() {
        let refused = "\
ntmem: driver: refused value=Scenario reason=contradictory type=REG_SZ bytes=20 expected=\"REG_SZ: lock, nonpaged, double-map, or several of them, or none\" data=\"lock,lock\"
ntmem: driver: refused value=Size reason=out-of-range type=REG_DWORD bytes=4 expected=\"REG_DWORD: 1 to 16777216 bytes\" data=0
";
        let end = "ntmem: driver: not-started status=STATUS_INVALID_PARAMETER code=0xc000000d\n";
        let lives = found(&[INTRODUCTION, refused, end].concat());
        assert_eq!(lives[0].run.start, Start::Refused(0xC000_000D));
        assert_eq!(check(&lives[0]), Check::Passed { lines: 5 });
        let opaque = refused.replace("bytes=4", "bytes=2");
        let lives = found(&[INTRODUCTION, &opaque, end].concat());
        assert_eq!(lives[0].parameters, None);
        let no_status = end.replace("code=0x", "code=");
        let lives = found(&[INTRODUCTION, &no_status].concat());
        assert_eq!(lives[0].run.start, Start::Stopped);
    }
}

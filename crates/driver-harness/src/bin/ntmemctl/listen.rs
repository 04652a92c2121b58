//! What a driver logs, without running it: the log that another program writes,
//! and the filter that decides which lines are sent at all.

use std::io::{self, Write as _};
use std::time::Duration;

use driver_harness::debugview::printable;
use driver_harness::host::HostError;
use driver_harness::logs::Tail;
use driver_harness::record::Line;
use serde_json::json;

use crate::args::{FilterMask, Log};
use crate::{Failure, show, show_failure};

/// How often a growing log is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// Shows a log.
pub fn log(args: &Log) -> (io::Result<()>, u8) {
    let mut tail = Tail::new(&args.file);
    loop {
        let found = match tail.read() {
            Ok(found) => found,
            Err(error) => {
                let why = format!("{} cannot be read: {error}", args.file.display());
                return show_failure(&Failure::Unreadable(why), args.json);
            }
        };
        if let Err(error) = print(args, &found) {
            return (Err(error), 0);
        }
        if !args.follow {
            return (print(args, &tail.last()), 0);
        }
        std::thread::sleep(INTERVAL);
    }
}

fn print(args: &Log, lines: &[Line]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let wanted = |line: &&Line| args.all || line.text.starts_with(&args.prefix);
    for line in lines.iter().filter(wanted) {
        if args.json {
            serde_json::to_writer(&mut out, line)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", printable(&line.text))?;
        }
    }
    out.flush()
}

/// Shows the filter, or sets it.
pub fn filter(args: &FilterMask) -> (io::Result<()>, u8) {
    let outcome = match args.set {
        Some(mask) => registry::set(mask).and_then(|()| registry::mask()),
        None => registry::mask(),
    };
    match outcome {
        Ok(mask) if args.json => (show::print(&json!({ "IHVDRIVER": mask })), 0),
        Ok(mask) => (explain(mask), 0),
        Err(error) => show_failure(&Failure::Host(error), args.json),
    }
}

fn explain(mask: Option<u32>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match mask {
        Some(mask) => writeln!(
            out,
            "IHVDRIVER = {mask:#x}, from the next start of Windows on"
        )?,
        None => writeln!(out, "IHVDRIVER is not set: level ERROR only")?,
    }
    if mask.is_none_or(|mask| mask & 0xF != 0xF) {
        writeln!(
            out,
            "`ntmemctl filter --set 0xf` lets all levels through; in a debugger \
             `ed nt!Kd_IHVDRIVER_Mask 0xf` does so at once"
        )?;
    }
    Ok(())
}

/// Says so if the filter hides lines that a run is about to look for.
#[cfg(windows)]
pub fn warn_of_filter() {
    if let Ok(mask) = registry::mask()
        && mask.is_none_or(|mask| mask & 0xF != 0xF)
    {
        eprintln!(
            "ntmemctl: the debug print filter hides lines below level ERROR; \
             `ntmemctl filter --set 0xf` and a restart show them"
        );
    }
}

#[cfg(windows)]
mod registry {
    use driver_harness::host::scm::filter;

    use super::HostError;

    pub fn mask() -> Result<Option<u32>, HostError> {
        filter::mask()
    }

    pub fn set(mask: u32) -> Result<(), HostError> {
        filter::set_mask(mask)
    }
}

#[cfg(not(windows))]
mod registry {
    use super::HostError;

    fn elsewhere<T>() -> Result<T, HostError> {
        Err(HostError::Options(
            "the debug print filter is in the registry of Windows; the host ntbox has --filter"
                .to_owned(),
        ))
    }

    pub fn mask() -> Result<Option<u32>, HostError> {
        elsewhere()
    }

    pub fn set(_: u32) -> Result<(), HostError> {
        elsewhere()
    }
}

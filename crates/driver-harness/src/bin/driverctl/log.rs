//! `driverctl log` shows a log that another program writes; `driverctl filter` shows and
//! sets the debug print filter of Windows.

use std::io::{self, Write as _};
use std::time::Duration;

use driver_harness::host::HostError;
use driver_harness::logs::Tail;
use driver_harness::logs::debugview::printable;
use driver_harness::record::LogLine;
use ntbox_api::ExitStatus;
use serde_json::json;

use crate::args::{FilterArgs, Log};
use crate::{CommandResult, Failure, output, print_failure};

/// The interval between reads of a growing log.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Shows a log.
pub fn show(args: &Log) -> CommandResult {
    let mut tail = Tail::new(&args.file);
    loop {
        let lines = match tail.read() {
            Ok(lines) => lines,
            Err(error) => {
                let message = format!("{} cannot be read: {error}", args.file.display());
                return print_failure(&Failure::Unreadable(message), args.json);
            }
        };
        if let Err(error) = print(args, &lines) {
            return (Err(error), ExitStatus::Success);
        }
        if !args.follow {
            return (print(args, &tail.last_line()), ExitStatus::Success);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn print(args: &Log, lines: &[LogLine]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let is_shown = |line: &&LogLine| args.all || line.text.starts_with(&args.prefix);
    for line in lines.iter().filter(is_shown) {
        if args.json {
            serde_json::to_writer(&mut out, line)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", printable(&line.text))?;
        }
    }
    out.flush()
}

/// Shows or sets the filter.
pub fn filter(args: &FilterArgs) -> CommandResult {
    let mask = match args.set {
        Some(mask) => registry::set(mask).and_then(|()| registry::mask()),
        None => registry::mask(),
    };
    match mask {
        Ok(mask) if args.json => (
            output::print_json(&json!({ "IHVDRIVER": mask })),
            ExitStatus::Success,
        ),
        Ok(mask) => (print_filter(mask), ExitStatus::Success),
        Err(error) => print_failure(&Failure::Host(error), args.json),
    }
}

fn print_filter(mask: Option<u32>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match mask {
        Some(mask) => writeln!(
            out,
            "IHVDRIVER = {mask:#x}, in effect from the next start of Windows"
        )?,
        None => writeln!(out, "IHVDRIVER is not set; only level ERROR passes")?,
    }
    if mask.is_none_or(|mask| mask & 0xF != 0xF) {
        writeln!(
            out,
            "`driverctl filter --set 0xf` enables all levels; in a debugger, \
             `ed nt!Kd_IHVDRIVER_Mask 0xf` enables them at once"
        )?;
    }
    Ok(())
}

/// Warns if the filter hides lines that the log check needs.
#[cfg(windows)]
pub fn warn_if_filtered() {
    if let Ok(mask) = registry::mask()
        && mask.is_none_or(|mask| mask & 0xF != 0xF)
    {
        eprintln!(
            "driverctl: the debug print filter hides the lines below level ERROR; to see them, run \
             `driverctl filter --set 0xf` and restart"
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

    fn unsupported<T>() -> Result<T, HostError> {
        Err(HostError::Options(
            "the debug print filter is in the registry of Windows; for the host ntbox, use --filter"
                .to_owned(),
        ))
    }

    pub fn mask() -> Result<Option<u32>, HostError> {
        unsupported()
    }

    pub fn set(_: u32) -> Result<(), HostError> {
        unsupported()
    }
}

//! What can be said on the command line, and how its values are written.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ntbox_api::{Fault, Mask, OsVersion, ParseError, RegValue, parse};

use crate::blocks::Blocks;
use crate::exercises::Probe;
use crate::hosts::HostArgs;
use crate::questions::{Copy, Scenario, Signal};

/// Runs a Windows kernel driver on a host, shows what it logs, and says whether
/// it did what it promises.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install, start, show the log, check it, stop, remove.
    Run(Run),
    /// Ask the driver which it is: its version, and the system's.
    Version(Ask),
    /// Ask where a request is handled: process, thread, IRQL, address limits.
    Context(Ask),
    /// Ask what the driver has done since it started, and what it holds.
    Statistics(Ask),
    /// Have the IRQL raised and lowered, and read each time.
    Irql(Ask),
    /// Ask where the driver was when each of its entry points was last called.
    Contexts(Ask),
    /// Have pool of every kind taken, filled, read back and given back.
    Pool(Ask),
    /// Have entries put into lists of every kind, walked, and taken out.
    List(Ask),
    /// Have lookaside lists of every kind used.
    Lookaside(Ask),
    /// Have memory copied, moved, filled, zeroed and compared.
    Memory(Ask),
    /// Have mutexes, events and a remove lock used.
    Sync(Ask),
    /// Have the clocks read.
    Time(Ask),
    /// Ask what the driver holds of pool.
    Held(Ask),
    /// Have an address probed as one of the caller's own memory.
    Probe(Probe),
    /// Run a scenario and print the status of each step.
    #[command(alias = "walk")]
    Scenario(Scenario),
    /// Have one caller wait, and another one wake it.
    Wait(Signal),
    /// Signal, though nobody waits.
    Signal(Signal),
    /// Have a text copied from one buffer of the caller to another.
    Copy(Copy),
    /// List the address space of a process, as the kernel tells it.
    Blocks(Blocks),
    /// Show what a driver logs, from a file that DebugView or a debugger writes.
    Log(Log),
    /// Check a log that DebugView, a debugger or a serial port's reader saved: each
    /// life of the driver in it against what the driver promises.
    Check(CheckLog),
    /// Show the debug print filter of this Windows, or set it.
    Filter(FilterMask),
    /// Serve a host to another program: a JSON request a line on standard input,
    /// an answer a line on standard output, until the input ends.
    Serve(HostArgs),
}

const EXIT_STATUSES: &str = "\
Exit status:
  0  started, logged what was promised, unloaded, left nothing behind
  1  the log is not what was promised
  2  wrong usage
  3  DriverEntry returned a failure
  4  the kernel stopped: bug check, crash or hang
  5  a rule was broken or something left behind
  6  the file is not a driver that can be loaded
  7  the host itself failed";

const LOG_EXIT_STATUSES: &str = "\
Exit status:
  0  shown
  2  wrong usage
  7  the file cannot be read, or the registry not be used";

const CHECK_EXIT_STATUSES: &str = "\
Exit status, of all lives in the log the worst:
  0  started, and logged what was promised
  1  the log is not what was promised, or the driver is not in it
  2  wrong usage
  3  DriverEntry returned a failure, and said so as promised
  4  the log ends before DriverEntry returned
  7  the file cannot be read";

const ASK_EXIT_STATUSES: &str = "\
Exit status:
  0  answered
  1  the scenario failed
  2  wrong usage
  3  DriverEntry returned a failure
  4  the kernel stopped: bug check, crash or hang
  5  a rule was broken or something left behind
  6  the file is not a driver that can be loaded
  7  the host itself failed
  8  the device cannot be opened, or the driver refused the request";

/// A command of the protocol, sent to a driver that is started for it.
#[derive(Debug, Args)]
#[command(after_help = ASK_EXIT_STATUSES)]
pub struct Ask {
    /// The driver, a .sys file that has this device: `ntmem.sys`.
    pub file: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUSES)]
pub struct Run {
    /// The driver, a .sys file.
    pub file: PathBuf,
    /// Name of the service [default: the file's, without .sys].
    #[arg(long)]
    pub service: Option<String>,
    /// A value of the service's Parameters key: dword:N, qword:N, sz:TEXT,
    /// expand:TEXT, multi:A,B, binary:HEX or raw:KIND:HEX; numbers are
    /// decimal or 0x hexadecimal.
    #[arg(long = "param", value_name = "NAME=TYPE:VALUE", value_parser = parse::parameter)]
    pub parameters: Vec<(String, RegValue)>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    /// Do not compare the log with what the driver promises.
    #[arg(long)]
    pub no_check: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

/// A log that others write.
#[derive(Debug, Args)]
#[command(after_help = LOG_EXIT_STATUSES)]
pub struct Log {
    /// The log: saved by DebugView, or written by a debugger (`-logo FILE`), UTF-8 or
    /// UTF-16.
    pub file: PathBuf,
    /// What each of the driver's lines begins with.
    #[arg(long, default_value = "ntmem: ", conflicts_with = "all")]
    pub prefix: String,
    /// Show the lines of all drivers.
    #[arg(long)]
    pub all: bool,
    /// Wait for more lines and show them as they come, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// A log of `ntmem.sys` that others wrote, to be checked.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXIT_STATUSES)]
pub struct CheckLog {
    /// The log, UTF-8 or UTF-16; lines of others may be between.
    pub file: PathBuf,
    /// A value that the service's Parameters key had, as for `run`; for all lives in
    /// the log. Without any, the settings are what the driver logs that they are.
    #[arg(long = "param", value_name = "NAME=TYPE:VALUE", value_parser = parse::parameter)]
    pub parameters: Vec<(String, RegValue)>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// The debug print filter of the component that drivers log as.
#[derive(Debug, Args)]
#[command(after_help = LOG_EXIT_STATUSES)]
pub struct FilterMask {
    /// Write this mask, such as 0xf for all levels; it counts from the next start of
    /// Windows. Needs an elevated prompt.
    #[arg(long, value_name = "MASK", value_parser = parse::number32)]
    pub set: Option<u32>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// What only the embedded kernel can do.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the host ntbox")]
pub struct NtboxArgs {
    /// Make the Nth call of an export fail (the first if N is left out).
    #[arg(long = "fault", value_name = "EXPORT[:N]", value_parser = parse::fault)]
    pub faults: Vec<Fault>,
    /// Debug print filter: `default` for that of a fresh Windows, or a
    /// component's mask, such as IHVDRIVER=0xf or 101=8 [default:
    /// IHVDRIVER=0xf].
    #[arg(long = "filter", value_name = "COMPONENT=MASK", value_parser = filter)]
    pub filters: Vec<Filter>,
    /// Version of Windows that the kernel claims to be, such as 6.1.7601
    /// [default: 10.0.19045].
    #[arg(long, value_name = "MAJOR.MINOR.BUILD", value_parser = parse::version)]
    pub windows: Option<OsVersion>,
    /// Seconds that one request may keep the driver busy before it counts as
    /// hung.
    #[arg(long, value_name = "SECONDS", value_parser = parse::seconds)]
    pub timeout: Option<Duration>,
}

/// One word of `--filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing but what a fresh Windows shows.
    Default,
    /// A mask.
    Mask(Mask),
}

fn filter(text: &str) -> Result<Filter, ParseError> {
    if text.eq_ignore_ascii_case("default") {
        return Ok(Filter::Default);
    }
    Ok(Filter::Mask(parse::filter(text)?))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn filters_are_read() {
        assert_eq!(
            filter("ihvdriver=0xf"),
            Ok(Filter::Mask(Mask::Component(77, 15)))
        );
        assert_eq!(filter("Default"), Ok(Filter::Default));
        assert_eq!(
            filter("DEFAULT=8"),
            Ok(Filter::Mask(Mask::Component(101, 8)))
        );
        assert!(filter("FOO=1").is_err() && filter("1").is_err());
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ntbox_api::{ExitStatus, Fault, Mask, OsVersion, ParseError, RegValue, parse};

use crate::blocks::Blocks;
use crate::host_args::HostArgs;
use crate::requests::{Copy, Scenario, Signal};
use crate::selftest::Probe;

/// Runs a Windows kernel driver on a host, shows its log, and compares the log with the
/// expected one.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = ExitStatus::HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install, start, stop and remove a driver; show and check its log.
    Run(Run),
    /// Query the version of the driver and of the system.
    Version(RequestArgs),
    /// Query the context of a request: process, thread, IRQL, address limits.
    Context(RequestArgs),
    /// Query the counters and resources of the driver.
    Statistics(RequestArgs),
    /// Raise and lower the IRQL, and read it each time.
    Irql(RequestArgs),
    /// Query the context of the last call of each entry point.
    Contexts(RequestArgs),
    /// Allocate, fill, read and free pool of every kind.
    Pool(RequestArgs),
    /// Insert, enumerate and remove entries of lists of every kind.
    List(RequestArgs),
    /// Use lookaside lists of every kind.
    Lookaside(RequestArgs),
    /// Copy, move, fill, zero and compare memory.
    Memory(RequestArgs),
    /// Use mutexes, events and a remove lock.
    Sync(RequestArgs),
    /// Read the clocks.
    Time(RequestArgs),
    /// Query the pool usage of the driver.
    #[command(alias = "held")]
    PoolUsage(RequestArgs),
    /// Probe an address range of the caller.
    Probe(Probe),
    /// Run a scenario and print the status of each step.
    #[command(alias = "walk")]
    Scenario(Scenario),
    /// Send a wait request, and a signal request from a second program.
    Wait(Signal),
    /// Send a signal request without a waiting request.
    Signal(Signal),
    /// Copy text from the input buffer to the output buffer.
    Copy(Copy),
    /// List the address space of a process, by the driver.
    Blocks(Blocks),
    /// Show a driver's log from a file that DebugView or a debugger writes.
    Log(Log),
    /// Check a saved log (of DebugView, a debugger or a serial port): compare each session
    /// of `ntmem` with the expected log.
    Check(CheckLog),
    /// Show or set the debug print filter of Windows.
    Filter(FilterArgs),
    /// Serve a host to another program: JSON requests on standard input, responses on
    /// standard output, one per line, until the input ends.
    #[command(alias = "serve")]
    StdioServer(HostArgs),
}

/// The driver that is started for a request, and the output format.
#[derive(Debug, Args)]
#[command(after_help = ExitStatus::HELP)]
pub struct RequestArgs {
    /// The driver, a .sys file with the device of `ntmem`.
    pub file: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, Args)]
#[command(after_help = ExitStatus::HELP)]
pub struct Run {
    /// The driver, a .sys file.
    pub file: PathBuf,
    /// Name of the service [default: the name of the file, without .sys].
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
    /// Do not compare the log with the expected one.
    #[arg(long)]
    pub no_check: bool,
    #[command(flatten)]
    pub host: HostArgs,
}

/// A log file to show.
#[derive(Debug, Args)]
pub struct Log {
    /// The log of DebugView or of a debugger (`-logo FILE`), UTF-8 or UTF-16.
    pub file: PathBuf,
    /// Prefix of the driver's lines.
    #[arg(long, default_value = "ntmem: ", conflicts_with = "all")]
    pub prefix: String,
    /// Show the lines of all drivers.
    #[arg(long)]
    pub all: bool,
    /// Wait for further lines, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// A saved log to check.
#[derive(Debug, Args)]
#[command(after_help = ExitStatus::HELP)]
pub struct CheckLog {
    /// The log, UTF-8 or UTF-16; lines of other drivers are ignored.
    pub file: PathBuf,
    /// A value of the service's Parameters key, as for `run`, for all sessions in the log
    /// [default: the parameters in the log].
    #[arg(long = "param", value_name = "NAME=TYPE:VALUE", value_parser = parse::parameter)]
    pub parameters: Vec<(String, RegValue)>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// The debug print filter of the component IHVDRIVER.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Write this mask, such as 0xf for all levels. It takes effect at the next start of
    /// Windows. Needs an elevated prompt.
    #[arg(long, value_name = "MASK", value_parser = parse::number32)]
    pub set: Option<u32>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of the embedded kernel.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of the host ntbox")]
pub struct NtboxArgs {
    /// Make the Nth call of an export fail (default: the first).
    #[arg(long = "fail", alias = "fault", value_name = "EXPORT[:N]", value_parser = parse::fault)]
    pub faults: Vec<Fault>,
    /// Debug print filter: `default` for that of a new Windows, or the mask of a
    /// component, such as IHVDRIVER=0xf or 101=8 [default: IHVDRIVER=0xf].
    #[arg(long = "filter", value_name = "COMPONENT=MASK", value_parser = filter)]
    pub filters: Vec<Filter>,
    /// Version of Windows that the kernel reports, such as 6.1.7601
    /// [default: 10.0.19045].
    #[arg(long, alias = "windows", value_name = "MAJOR.MINOR.BUILD", value_parser = parse::version)]
    pub os_version: Option<OsVersion>,
    /// Time limit of one request; a longer one is a hang.
    #[arg(long, value_name = "SECONDS", value_parser = parse::seconds)]
    pub timeout: Option<Duration>,
}

/// A value of `--filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The filter of a new Windows.
    Default,
    /// The mask of a component.
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
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn former_names_are_aliases() {
        let line = "driverctl held a.sys --windows 6.1.7601 --fault IoAllocateMdl:2";
        let Command::PoolUsage(args) = Cli::parse_from(line.split(' ')).command else {
            panic!("`held` is not an alias of `pool-usage`")
        };
        let ntbox = args.host.ntbox;
        assert_eq!(ntbox.os_version.map(|version| version.build), Some(7601));
        assert_eq!(ntbox.faults[0].nth, 2);
        let serve = Cli::parse_from(["driverctl", "serve"]).command;
        assert!(matches!(serve, Command::StdioServer(_)));
    }

    #[test]
    fn filter_parses_default_and_masks() {
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

//! What can be said on the command line, and how its values are written.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use harness::host::RegValue;

use crate::blocks::Blocks;
use crate::exercises::Probe;
use crate::hosts::HostArgs;
use crate::questions::{Copy, Signal, Walk};

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
    /// Have a walk over memory done, and see what each step came to.
    Walk(Walk),
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
  1  the walk that was asked for failed
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
    /// expand-sz:TEXT, multi-sz:A;B, binary:HEX or raw:KIND:HEX; numbers are
    /// decimal or 0x hexadecimal.
    #[arg(long = "param", value_name = "NAME=TYPE:VALUE", value_parser = parameter)]
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
    #[arg(long = "param", value_name = "NAME=TYPE:VALUE", value_parser = parameter)]
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
    #[arg(long, value_name = "MASK", value_parser = number32)]
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
    #[arg(long = "fault", value_name = "EXPORT[:N]", value_parser = fault)]
    pub faults: Vec<(String, u32)>,
    /// Debug print filter: `default` for that of a fresh Windows, or a
    /// component's mask, such as IHVDRIVER=0xf or 101=8 [default:
    /// IHVDRIVER=0xf].
    #[arg(long = "filter", value_name = "COMPONENT=MASK", value_parser = filter)]
    pub filters: Vec<Filter>,
    /// Version of Windows that the kernel claims to be, such as 6.1.7601
    /// [default: 10.0.19045].
    #[arg(long, value_name = "MAJOR.MINOR.BUILD", value_parser = version)]
    pub windows: Option<(u32, u32, u32)>,
    /// Seconds that one request may keep the driver busy before it counts as
    /// hung.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

/// One word of `--filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing but what a fresh Windows shows.
    Default,
    /// The mask of WIN2000, which counts for all components.
    Win2000(u32),
    /// The mask of one component.
    Component(u32, u32),
}

pub fn number(text: &str) -> Result<u64, String> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` would take a sign.
    if digits.starts_with('+') {
        return Err(format!("`{text}` is not a number"));
    }
    u64::from_str_radix(digits, radix).map_err(|error| format!("`{text}` is not a number: {error}"))
}

fn number32(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?).map_err(|_| format!("`{text}` does not fit 32 bits"))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<_> = text
        .chars()
        .filter(|c| !matches!(c, ',' | ' '))
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("`{text}` is not hexadecimal"))?;
    if digits.len() % 2 == 1 {
        return Err(format!("`{text}` has half a byte too many"));
    }
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

fn parameter(text: &str) -> Result<(String, RegValue), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=TYPE:VALUE, such as Size=dword:4096")?;
    let (kind, data) = value
        .split_once(':')
        .ok_or_else(|| format!("`{value}` has no type; write dword:{value} or sz:{value}"))?;
    let value = match kind {
        "dword" => RegValue::Dword(number32(data)?),
        "qword" => RegValue::Qword(number(data)?),
        "sz" => RegValue::Sz(data.to_owned()),
        "expand-sz" => RegValue::ExpandSz(data.to_owned()),
        "multi-sz" => RegValue::MultiSz(
            data.split(';')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        "binary" => RegValue::Binary(bytes(data)?),
        "raw" => {
            let (kind, data) = data
                .split_once(':')
                .ok_or("write raw:KIND:HEX, such as raw:4:0010")?;
            RegValue::Raw {
                kind: number32(kind)?,
                data: bytes(data)?,
            }
        }
        other => {
            return Err(format!(
                "unknown type `{other}`; there are dword, qword, sz, expand-sz, multi-sz, binary and raw"
            ));
        }
    };
    Ok((name.to_owned(), value))
}

fn fault(text: &str) -> Result<(String, u32), String> {
    let (export, nth) = match text.split_once(':') {
        Some((export, nth)) => (export, number32(nth)?),
        None => (text, 1),
    };
    if export.is_empty() || nth == 0 {
        return Err("write EXPORT:N, such as IoAllocateMdl:1; N counts from 1".to_owned());
    }
    Ok((export.to_owned(), nth))
}

fn filter(text: &str) -> Result<Filter, String> {
    if text.eq_ignore_ascii_case("default") {
        return Ok(Filter::Default);
    }
    let (component, mask) = text
        .split_once('=')
        .ok_or("write `default` or COMPONENT=MASK, such as IHVDRIVER=0xf")?;
    let mask = number32(mask)?;
    Ok(match component.to_ascii_uppercase().as_str() {
        "WIN2000" => Filter::Win2000(mask),
        "IHVDRIVER" => Filter::Component(77, mask),
        "DEFAULT" => Filter::Component(101, mask),
        _ => Filter::Component(
            number32(component).map_err(|_| {
                format!("unknown component `{component}`; write IHVDRIVER, DEFAULT, WIN2000 or its number")
            })?,
            mask,
        ),
    })
}

fn version(text: &str) -> Result<(u32, u32, u32), String> {
    let numbers: Vec<_> = text.split('.').map(number32).collect::<Result<_, _>>()?;
    match numbers[..] {
        [major, minor, build] => Ok((major, minor, build)),
        _ => Err("write MAJOR.MINOR.BUILD, such as 10.0.19045".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match number(text)? {
        0 => Err("a driver needs more than 0 seconds".to_owned()),
        seconds => Ok(Duration::from_secs(seconds)),
    }
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
    fn parameters_are_read() {
        let value = |text: &str| parameter(text).map(|(_, value)| value);
        assert_eq!(
            parameter("Size=dword:0x2000"),
            Ok(("Size".to_owned(), RegValue::Dword(0x2000)))
        );
        assert_eq!(
            value("a=qword:18446744073709551615"),
            Ok(RegValue::Qword(u64::MAX))
        );
        assert_eq!(value("a=sz:"), Ok(RegValue::Sz(String::new())));
        assert_eq!(value("a=sz:b=c:d"), Ok(RegValue::Sz("b=c:d".to_owned())));
        assert_eq!(
            value("a=multi-sz:b;c"),
            Ok(RegValue::MultiSz(vec!["b".to_owned(), "c".to_owned()]))
        );
        assert_eq!(value("a=binary:00,1f"), Ok(RegValue::Binary(vec![0, 0x1F])));
        assert_eq!(
            value("a=raw:4:00"),
            Ok(RegValue::Raw {
                kind: 4,
                data: vec![0]
            })
        );
    }

    #[test]
    fn wrong_values_say_what_is_wrong() {
        for (text, part) in [
            ("Size", "NAME=TYPE:VALUE"),
            ("Size=4096", "dword:4096"),
            ("Size=int:1", "unknown type"),
            ("Size=dword:4294967296", "32 bits"),
            ("Size=dword:-1", "not a number"),
            ("Size=dword:+1", "not a number"),
            ("Size=binary:0", "half a byte"),
            ("Size=binary:0g", "not hexadecimal"),
        ] {
            let message = parameter(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!(fault("IoAllocateMdl:0").is_err() && fault(":1").is_err());
        assert!(filter("FOO=1").is_err() && filter("1").is_err());
        assert!(seconds("0").is_err());
        assert!(version("10.0").is_err() && version("10.0.x").is_err());
        assert_eq!(version("6.1.7601"), Ok((6, 1, 7601)));
    }

    #[test]
    fn filters_and_faults_are_read() {
        assert_eq!(filter("ihvdriver=0xf"), Ok(Filter::Component(77, 15)));
        assert_eq!(filter("Default"), Ok(Filter::Default));
        assert_eq!(filter("DEFAULT=8"), Ok(Filter::Component(101, 8)));
        assert_eq!(fault("IoAllocateMdl"), Ok(("IoAllocateMdl".to_owned(), 1)));
    }
}

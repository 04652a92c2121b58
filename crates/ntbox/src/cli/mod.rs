//! The command line of `ntbox`, for its own program and for `cargo ntbox`.

mod args;
mod commands;
mod ioctl;
mod junit;
mod requests;
mod rules;
mod sarif;
mod show;
mod sweep;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use ntbox_api::ExitStatus;

/// Runs the command line `arguments`, the first of which is the program's name, and
/// prints the result.
///
/// A usage error and `--help` are printed, and end the process with clap's status.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = args::Cli::try_parse_from(&arguments).unwrap_or_else(|mut error| {
        add_verify_hint(&mut error, &arguments);
        error.exit()
    });
    let outcome = commands::carry_out(&cli);
    if let Err(error) = outcome.write_files() {
        eprintln!("ntbox: {error}");
        return ExitStatus::Host.into();
    }
    match outcome.show() {
        // Whoever reads the output has seen enough; the outcome stands.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("ntbox: the result cannot be written: {error}");
            ExitStatus::Host.into()
        }
        _ => outcome.status().into(),
    }
}

/// Says how a set of rules is written, if one follows `--verify` as a word of its own.
fn add_verify_hint(error: &mut clap::Error, arguments: &[OsString]) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let follows = |pair: &[OsString]| pair[0] == "--verify" && pair[1] == word.as_str();
    if error.kind() == ErrorKind::UnknownArgument && arguments.windows(2).any(follows) {
        let tip = "write `--verify=standard` or `--verify=strict` for a set of rules";
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
}

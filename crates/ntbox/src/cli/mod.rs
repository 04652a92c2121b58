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
use ntbox_api::ExitStatus;

/// Runs the command line `arguments`, the first of which is the program's name, and
/// prints the result.
///
/// A usage error and `--help` are printed, and end the process with clap's status.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = args::Cli::parse_from(arguments);
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

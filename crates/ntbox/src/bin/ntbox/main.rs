//! Runs a Windows kernel driver on Linux, and says what it logged, what it broke
//! and where.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod args;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod commands;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod ioctl;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod junit;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod requests;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod show;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sweep;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    use std::io;

    use clap::Parser as _;

    let cli = args::Cli::parse();
    let outcome = commands::carry_out(&cli);
    if let Err(error) = outcome.junit() {
        eprintln!("ntbox: the JUnit file cannot be written: {error}");
        return ExitCode::from(ntbox_api::ExitStatus::Host);
    }
    match outcome.show() {
        // Whoever reads the output has seen enough; the outcome stands.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("ntbox: the result cannot be written: {error}");
            ExitCode::from(ntbox_api::ExitStatus::Host)
        }
        _ => ExitCode::from(outcome.status()),
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!("ntbox: this program needs Linux on x86-64; on Windows, load the driver itself");
    ExitCode::from(7)
}

//! Runs a Windows kernel driver on Linux, and reports what it logged, which rules it
//! broke and where.

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    ntbox::cli::run(std::env::args_os())
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!("ntbox: this program needs Linux on x86-64; on Windows, load the driver itself");
    ntbox_api::ExitStatus::Host.into()
}

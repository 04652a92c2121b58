//! `cargo ntbox`: builds, runs, verifies and packages Windows kernel drivers in Rust on
//! Linux, in their own workspaces, without a change to them.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod args;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod assets;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod build;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod check;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod commands;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod package;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod project;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stand_in;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod template;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    // Cargo runs this program again as the linker.
    if let Some(status) = cross_builder::linker::run_if_invoked() {
        return status;
    }
    match commands::execute(&args::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(HOST_FAILED)
        }
    }
}

/// The exit status if the driver could not be built or run, as ntbox's.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const HOST_FAILED: u8 = 7;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!(
        "error: cargo ntbox needs Linux on x86-64; on Windows, `cargo wdk build` builds the same project"
    );
    ExitCode::from(7)
}

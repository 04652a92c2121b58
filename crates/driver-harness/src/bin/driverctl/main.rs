//! Runs a driver on a host, checks its log, and prints the result as text or as JSON.

mod args;
mod blocks;
mod check_log;
#[cfg(test)]
mod documented;
mod host;
mod host_args;
mod ioctl;
mod log;
mod output;
mod requests;
mod selftest;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use driver_harness::expectations;
use driver_harness::host::{HostError, Service};
use driver_harness::image::{self, ImageError};
use driver_harness::json_lines;
use driver_harness::service_run::{self, ServiceRun};
use driver_harness::verdict::{LogCheck, verdict};
use ntbox_api::{ExitStatus, Verdict};

use crate::args::{Cli, Command, RequestArgs};
use crate::host_args::HostArgs;
use crate::requests::DriverRequest;

/// The result of a command: of writing its output, and its exit status.
type CommandResult = (io::Result<()>, ExitStatus);

/// The result of `run`.
struct RunReport {
    host: &'static str,
    service: Service,
    run: ServiceRun,
    check: LogCheck,
    verdict: Verdict,
}

/// The reason why a command has no result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Unreadable(String),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Failure {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Usage(_) | Self::Host(HostError::Name { .. } | HostError::Options(_)) => {
                ExitStatus::Usage
            }
            Self::Image(_) | Self::Host(HostError::Image(_)) => ExitStatus::Image,
            Self::Unreadable(_) | Self::Host(_) => ExitStatus::Host,
        }
    }
}

fn main() -> ExitCode {
    use ntmem_ioctl::Command as Ioctl;

    let (written, exit) = match Cli::parse().command {
        Command::Run(args) => run_and_print(&args),
        Command::Version(args) => send(Ioctl::Version, &args),
        Command::Context(args) => send(Ioctl::Context, &args),
        Command::Statistics(args) => send(Ioctl::Statistics, &args),
        Command::Irql(args) => send(Ioctl::Irql, &args),
        Command::Contexts(args) => send(Ioctl::Contexts, &args),
        Command::Pool(args) => send(Ioctl::Pool, &args),
        Command::List(args) => send(Ioctl::List, &args),
        Command::Lookaside(args) => send(Ioctl::Lookaside, &args),
        Command::Memory(args) => send(Ioctl::Memory, &args),
        Command::Sync(args) => send(Ioctl::Sync, &args),
        Command::Time(args) => send(Ioctl::Time, &args),
        Command::PoolUsage(args) => send(Ioctl::Held, &args),
        Command::Probe(args) => ioctl::send_and_print(&args.request(), &args.common),
        Command::Scenario(args) => ioctl::send_and_print(&args.request(), &args.common),
        Command::Wait(args) => ioctl::send_and_print(&args.wait_request(), &args.common),
        Command::Signal(args) => ioctl::send_and_print(&args.request(), &args.common),
        Command::Copy(args) => ioctl::send_and_print(&args.request(), &args.common),
        Command::Blocks(args) => blocks::list_and_print(&args),
        Command::Log(args) => log::show(&args),
        Command::Check(args) => check_log::check_and_print(&args),
        Command::Filter(args) => log::filter(&args),
        Command::StdioServer(args) => serve(&args),
    };
    match written {
        // If the reader closes the pipe, the exit status is still valid.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("driverctl: the result cannot be written: {error}");
            ExitStatus::Host.into()
        }
        _ => exit.into(),
    }
}

/// Sends a request without input.
fn send(command: ntmem_ioctl::Command, args: &RequestArgs) -> CommandResult {
    ioctl::send_and_print(&DriverRequest::new(command, Vec::new()), args)
}

/// Serves a host until the input ends.
fn serve(args: &HostArgs) -> CommandResult {
    match host::open(args) {
        Ok(mut host) => {
            let served = json_lines::serve(host.as_mut(), io::stdin().lock(), io::stdout().lock());
            (served, ExitStatus::Success)
        }
        Err(failure) => print_failure(&failure, false),
    }
}

fn run_and_print(args: &args::Run) -> CommandResult {
    match &run(args) {
        Ok(report) => {
            let written = if args.json {
                output::json(report)
            } else {
                output::text(report)
            };
            (written, report.verdict.exit_status())
        }
        Err(failure) => print_failure(failure, args.json),
    }
}

fn print_failure(failure: &Failure, json: bool) -> CommandResult {
    let written = if json {
        output::json_failure(failure)
    } else {
        output::error(&failure.to_string())
    };
    (written, failure.exit_status())
}

fn run(args: &args::Run) -> Result<RunReport, Failure> {
    image::check(&args.file)?;
    let mut service = Service::new(&args.file);
    if let Some(name) = &args.service {
        service.name.clone_from(name);
    }
    service.parameters.clone_from(&args.parameters);
    let mut host = host::open(&args.host)?;
    let run = service_run::run(host.as_mut(), &service)?;
    let check = check(args, &service, &run);
    let verdict = verdict(&run, &check);
    Ok(RunReport {
        host: host.name(),
        service,
        run,
        check,
        verdict,
    })
}

fn check(args: &args::Run, service: &Service, run: &ServiceRun) -> LogCheck {
    let skipped = |reason: &str| LogCheck::Skipped {
        reason: reason.to_owned(),
    };
    if args.no_check {
        return skipped("--no-check was given");
    }
    if run.findings.bug_check.is_some() {
        return skipped("the kernel stopped");
    }
    match expectations::expected_log(service, run) {
        Some(expected) => LogCheck::of(run, &expected),
        None => skipped("this driver has no expected log"),
    }
}

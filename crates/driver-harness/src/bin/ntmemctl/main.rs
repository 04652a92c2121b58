//! Runs a driver on a host and says whether it did what it promises: install,
//! start, show the log, check it, stop, remove. Or asks a running `ntmem.sys`
//! something through its device.

mod args;
mod ask;
mod blocks;
mod exercises;
mod hosts;
mod listen;
mod open;
mod questions;
mod saved;
mod show;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use driver_harness::host::{HostError, Service};
use driver_harness::image::{self, ImageError};
use driver_harness::lifecycle::{self, Run};
use driver_harness::promise;
use driver_harness::remote;
use driver_harness::verdict::{Check, Verdict};

use crate::args::{Cli, Command};
use crate::hosts::HostArgs;
use crate::questions::Question;

/// What a run came to, for a person or a program.
struct Outcome {
    host: &'static str,
    service: Service,
    run: Run,
    check: Check,
    verdict: Verdict,
}

/// Why there is no outcome.
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
    fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Host(HostError::Name { .. } | HostError::Options(_)) => 2,
            Self::Image(_) | Self::Host(HostError::Image(_)) => 6,
            Self::Unreadable(_) | Self::Host(_) => 7,
        }
    }
}

fn main() -> ExitCode {
    let (shown, exit) = match Cli::parse().command {
        Command::Run(args) => run_and_show(&args),
        Command::Version(args) => plain(ntmem_ioctl::Command::Version, &args),
        Command::Context(args) => plain(ntmem_ioctl::Command::Context, &args),
        Command::Statistics(args) => plain(ntmem_ioctl::Command::Statistics, &args),
        Command::Irql(args) => plain(ntmem_ioctl::Command::Irql, &args),
        Command::Contexts(args) => plain(ntmem_ioctl::Command::Contexts, &args),
        Command::Pool(args) => plain(ntmem_ioctl::Command::Pool, &args),
        Command::List(args) => plain(ntmem_ioctl::Command::List, &args),
        Command::Lookaside(args) => plain(ntmem_ioctl::Command::Lookaside, &args),
        Command::Memory(args) => plain(ntmem_ioctl::Command::Memory, &args),
        Command::Sync(args) => plain(ntmem_ioctl::Command::Sync, &args),
        Command::Time(args) => plain(ntmem_ioctl::Command::Time, &args),
        Command::Held(args) => plain(ntmem_ioctl::Command::Held, &args),
        Command::Probe(args) => ask::ask_and_show(&args.question(), &args.ask),
        Command::Scenario(args) => ask::ask_and_show(&args.question(), &args.ask),
        Command::Wait(args) => ask::ask_and_show(&args.waiting(), &args.ask),
        Command::Signal(args) => ask::ask_and_show(&args.question(), &args.ask),
        Command::Copy(args) => ask::ask_and_show(&args.question(), &args.ask),
        Command::Blocks(args) => blocks::list_and_show(&args),
        Command::Log(args) => listen::log(&args),
        Command::Check(args) => saved::check_and_show(&args),
        Command::Filter(args) => listen::filter(&args),
        Command::Serve(args) => serve(&args),
    };
    match shown {
        // Whoever reads the output has seen enough; the verdict stands.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("ntmemctl: cannot write the result: {error}");
            ExitCode::from(7)
        }
        _ => ExitCode::from(exit),
    }
}

/// Asks without input.
fn plain(command: ntmem_ioctl::Command, args: &args::Ask) -> (io::Result<()>, u8) {
    ask::ask_and_show(&Question::plain(command), args)
}

/// Serves a host until the input ends.
fn serve(args: &HostArgs) -> (io::Result<()>, u8) {
    match open::host(args) {
        Ok(mut host) => {
            let served = remote::serve(host.as_mut(), io::stdin().lock(), io::stdout().lock());
            (served, 0)
        }
        Err(failure) => show_failure(&failure, false),
    }
}

/// Runs, and says what came of it; whether that could be written, and the exit
/// status.
fn run_and_show(args: &args::Run) -> (io::Result<()>, u8) {
    match &run(args) {
        Ok(outcome) => {
            let shown = if args.json {
                show::json(outcome)
            } else {
                show::text(outcome)
            };
            (shown, outcome.verdict.exit_status())
        }
        Err(failure) => show_failure(failure, args.json),
    }
}

fn show_failure(failure: &Failure, json: bool) -> (io::Result<()>, u8) {
    let shown = if json {
        show::json_failure(failure)
    } else {
        show::failure(failure)
    };
    (shown, failure.exit_status())
}

fn run(args: &args::Run) -> Result<Outcome, Failure> {
    image::check(&args.file)?;
    let mut service = Service::new(&args.file);
    if let Some(name) = &args.service {
        service.name.clone_from(name);
    }
    service.parameters.clone_from(&args.parameters);
    let mut host = open::host(&args.host)?;
    let run = lifecycle::run(host.as_mut(), &service)?;
    let check = check(args, &service, &run);
    let verdict = Verdict::of(&run, &check);
    Ok(Outcome {
        host: host.name(),
        service,
        run,
        check,
        verdict,
    })
}

fn check(args: &args::Run, service: &Service, run: &Run) -> Check {
    if args.no_check {
        return Check::Skipped {
            reason: "--no-check was given".to_owned(),
        };
    }
    if run.findings.bug_check.is_some() {
        return Check::Skipped {
            reason: "the kernel stopped".to_owned(),
        };
    }
    match promise::of(service, run) {
        Some(script) => Check::of(run, &script),
        None => Check::Skipped {
            reason: "nobody has put down what this driver promises to log".to_owned(),
        },
    }
}

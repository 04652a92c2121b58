//! Lists the address space of a process, draws it, compares it.

mod args;
#[cfg(windows)]
mod live;
#[cfg(not(windows))]
#[path = "nowhere.rs"]
mod live;
mod show;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use vq::diff::{Diff, Difference};
use vq::groups::{Blind, Landmarks};
use vq::source::Written;
use vq::{Block, Error, Walk, listing, parse};

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(exit) => ExitCode::from(exit),
        // Whoever reads the output has seen enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vq: {error}");
            ExitCode::from(exit_status(&error))
        }
    }
}

const fn exit_status(error: &Error) -> u8 {
    match error {
        Error::NoSuchProcess(_) | Error::Ambiguous { .. } => 3,
        Error::AccessDenied { .. } => 4,
        Error::Gone { .. } => 5,
        Error::File { .. } | Error::Line { .. } => 6,
        Error::NoDevice { .. }
        | Error::Refused { .. }
        | Error::System { .. }
        | Error::Nonsense { .. }
        | Error::Output(_)
        | Error::Unsupported(_) => 7,
    }
}

fn run(args: &Args) -> Result<u8, Error> {
    if let Some([first, second]) = args.diff.as_deref() {
        let (first, second) = (read(first)?, read(second)?);
        let mut out = show::out();
        let differ = differences(
            first.into_iter().map(Ok),
            second.into_iter().map(Ok),
            ["-", "+"],
            &mut out,
        )?;
        out.flush()?;
        return Ok(u8::from(differ > 0));
    }
    if let Some(path) = &args.from {
        if args.check || args.watch.is_some() || args.working_set {
            return Err(Error::Unsupported(
                "a listing from a file is of one moment: only a process can be watched or checked",
            ));
        }
        let mut walk = Walk::new(Written::new(read(path)?));
        let subject = show::Subject {
            title: path.display().to_string(),
            landmarks: &Landmarks::default(),
            look: &mut Blind,
            process: None,
        };
        show::heading(args)?;
        let mut json = show::Json::begin(args)?;
        let shown = show::view(args, subject, &mut walk, json.as_mut());
        show::Json::end(json)?;
        return shown.map(|()| 0);
    }
    live::run(args)
}

/// The blocks of a file.
fn read(path: &Path) -> Result<Vec<Block>, Error> {
    let name = path.display().to_string();
    if name == "-" {
        return parse::read(io::stdin().lock(), "standard input");
    }
    let file = File::open(path).map_err(|error| Error::File {
        path: name.clone(),
        error,
    })?;
    parse::read(BufReader::new(file), &name)
}

/// Prints what differs, each with the sign of its side; returns how many.
fn differences(
    first: impl Iterator<Item = Result<Block, Error>>,
    second: impl Iterator<Item = Result<Block, Error>>,
    signs: [&str; 2],
    out: &mut impl Write,
) -> Result<u64, Error> {
    let mut count = 0;
    for difference in Diff::new(first, second) {
        let difference = difference?;
        let [only, other] = signs;
        let sign = match difference {
            Difference::Only(_) => only,
            Difference::Other(_) => other,
        };
        writeln!(out, "{sign} {}", listing::line(difference.block()))?;
        count += 1;
    }
    Ok(count)
}

//! The views of a list of blocks.

use std::fs;
use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;
use vq::groups::{self, Groups, Landmarks, Look};
use vq::listing::{self, Listing};
use vq::summary::Summary;
use vq::{Block, Error, Source, Walk, export, map};

use crate::args::Args;

/// What is shown, beside the blocks.
pub struct Subject<'a> {
    /// What it is called.
    pub title: String,
    /// Its number and name, if there are others beside it.
    pub process: Option<Member<'a>>,
    /// What is known of it.
    pub landmarks: &'a Landmarks,
    /// Looks into it.
    pub look: &'a mut dyn Look,
}

/// One of several processes.
#[derive(Clone, Copy, Serialize)]
pub struct Member<'a> {
    /// Its number.
    pub pid: u32,
    /// The name of its program.
    pub program: &'a str,
}

/// What is told of one of several processes.
#[derive(Serialize)]
struct Of<'a, T> {
    #[serde(flatten)]
    process: Member<'a>,
    #[serde(flatten)]
    value: &'a T,
}

type Out = BufWriter<StdoutLock<'static>>;

/// Standard output, collected: it is written to at once only line by line.
pub fn out() -> Out {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// The lines that stand above those of all processes.
pub fn heading(args: &Args) -> io::Result<()> {
    if args.csv {
        let process = if args.all { "pid,program," } else { "" };
        writeln!(io::stdout(), "{process}{}", export::CSV_HEADER)?;
    }
    Ok(())
}

/// An array of JSON on standard output. It is one also if it ends early.
pub struct Json(export::Array<Out>);

impl Json {
    /// Begins the array, if the command line says that there is one.
    pub fn begin(args: &Args) -> Result<Option<Self>, Error> {
        if !args.json || args.summary && !args.all {
            return Ok(None);
        }
        Ok(Some(Self(export::Array::begin(out())?)))
    }

    fn push(&mut self, process: Option<Member<'_>>, value: &impl Serialize) -> Result<(), Error> {
        match process {
            Some(process) => self.0.push(&Of { process, value })?,
            None => self.0.push(value)?,
        }
        Ok(())
    }

    /// Ends it.
    pub fn end(json: Option<Self>) -> Result<(), Error> {
        match json {
            Some(json) => Ok(json.0.end()?.flush()?),
            None => Ok(()),
        }
    }
}

/// Shows all blocks as the command line says.
pub fn view<S: Source>(
    args: &Args,
    subject: Subject<'_>,
    walk: &mut Walk<S>,
    json: Option<&mut Json>,
) -> Result<(), Error> {
    if let Some(json) = json {
        return objects(args, subject, walk, json);
    }
    let mut out = out();
    if args.summary {
        let summary = sums(walk)?;
        if args.json {
            serde_json::to_writer(&mut out, &summary).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            out.write_all(summary.table().as_bytes())?;
        }
    } else if args.groups {
        all_groups(args, subject, walk, &mut out)?;
    } else if let Some(path) = &args.map {
        let blocks: Vec<Block> = walk.by_ref().collect::<Result<_, _>>()?;
        let picture = map::svg(&subject.title, &blocks);
        fs::write(path, picture).map_err(|error| Error::File {
            path: path.display().to_string(),
            error,
        })?;
    } else if args.csv {
        for block in walk.by_ref() {
            let block = block?;
            if let Some(process) = subject.process {
                export::csv_process(process.pid, process.program, &mut out)?;
            }
            export::csv(&block, &mut out)?;
        }
    } else {
        lines(args, walk, &mut out)?;
    }
    Ok(out.flush()?)
}

/// Adds everything to an array.
fn objects<S: Source>(
    args: &Args,
    subject: Subject<'_>,
    walk: &mut Walk<S>,
    json: &mut Json,
) -> Result<(), Error> {
    let process = subject.process;
    if args.summary {
        return json.push(process, &sums(walk)?);
    }
    if !args.groups {
        return walk
            .by_ref()
            .try_for_each(|block| json.push(process, &export::Object::from(&block?)));
    }
    let mut groups = Groups::new(subject.landmarks, subject.look);
    for block in walk.by_ref() {
        if let Some(group) = groups.push(&block?) {
            json.push(process, &group)?;
        }
    }
    match groups.finish() {
        Some(group) => json.push(process, &group),
        None => Ok(()),
    }
}

fn lines<S: Source>(args: &Args, walk: &mut Walk<S>, out: &mut impl Write) -> Result<(), Error> {
    if args.header {
        writeln!(out, "{}", listing::HEADER)?;
    }
    let mut listing = Listing::new(&mut *out);
    for block in walk.by_ref() {
        match block {
            Ok(block) => listing.write(&block)?,
            Err(error) => {
                // What was listed before is true.
                out.flush()?;
                return Err(error);
            }
        }
    }
    Ok(())
}

fn sums<S: Source>(walk: &mut Walk<S>) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    for block in walk.by_ref() {
        summary.add(&block?);
    }
    Ok(summary)
}

fn all_groups<S: Source>(
    args: &Args,
    subject: Subject<'_>,
    walk: &mut Walk<S>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut groups = Groups::new(subject.landmarks, subject.look);
    if args.header {
        writeln!(out, "{}", groups::HEADER)?;
    }
    for block in walk.by_ref() {
        if let Some(group) = groups.push(&block?) {
            out.write_all(group.text().as_bytes())?;
        }
    }
    if let Some(group) = groups.finish() {
        out.write_all(group.text().as_bytes())?;
    }
    Ok(())
}

//! The views of a list of blocks.

use std::fs;
use std::io::{self, BufWriter, StdoutLock, Write};

use vq::groups::{self, Groups, Landmarks, Look};
use vq::listing::{self, Listing};
use vq::summary::Summary;
use vq::{Block, Error, Source, Walk, export, map};

use crate::args::Args;

/// What is shown, beside the blocks.
pub struct Subject<'a> {
    /// What it is called.
    pub title: String,
    /// What is known of it.
    pub landmarks: &'a Landmarks,
    /// Looks into it.
    pub look: &'a mut dyn Look,
}

/// Standard output, collected: it is written to at once only line by line.
pub fn out() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Shows all blocks as the command line says.
pub fn view<S: Source>(args: &Args, subject: Subject<'_>, walk: &mut Walk<S>) -> Result<(), Error> {
    let mut out = out();
    if args.summary {
        summary(args, walk, &mut out)?;
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
        writeln!(out, "{}", export::CSV_HEADER)?;
        for block in walk.by_ref() {
            export::csv(&block?, &mut out)?;
        }
    } else if args.json {
        let mut array = export::Array::begin(&mut out)?;
        for block in walk.by_ref() {
            array.push(&export::Object::from(&block?))?;
        }
        array.end()?;
    } else {
        lines(args, walk, &mut out)?;
    }
    Ok(out.flush()?)
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

fn summary<S: Source>(args: &Args, walk: &mut Walk<S>, out: &mut impl Write) -> Result<(), Error> {
    let mut summary = Summary::default();
    for block in walk.by_ref() {
        summary.add(&block?);
    }
    if args.json {
        serde_json::to_writer(&mut *out, &summary).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(summary.table().as_bytes())?;
    }
    Ok(())
}

fn all_groups<S: Source>(
    args: &Args,
    subject: Subject<'_>,
    walk: &mut Walk<S>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut groups = Groups::new(subject.landmarks, subject.look);
    if args.json {
        let mut array = export::Array::begin(out)?;
        for block in walk.by_ref() {
            if let Some(group) = groups.push(&block?) {
                array.push(&group)?;
            }
        }
        if let Some(group) = groups.finish() {
            array.push(&group)?;
        }
        array.end()?;
        return Ok(());
    }
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

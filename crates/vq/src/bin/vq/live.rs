//! Processes that run.

use std::io::{self, Write};
use std::thread;

use vq::kernel::Kernel;
use vq::windows::{self, Device, Named, Process, Suspended};
use vq::working_set::{self, Resident, WorkingSet};
use vq::{Block, Error, Source, State, Walk};

use crate::args::Args;
use crate::differences;
use crate::show::{self, Json};

/// Lists, draws, watches or checks a process, or all.
pub fn run(args: &Args) -> Result<u8, Error> {
    let named = match &args.process {
        Some(process) => vec![windows::find(process)?],
        None => windows::all()?,
    };
    show::heading(args)?;
    let mut json = Json::begin(args)?;
    let exit = match &named[..] {
        [named] if !args.all => one(args, named, json.as_mut()),
        all => every(args, all, json.as_mut()),
    };
    Json::end(json)?;
    exit
}

/// Processes that cannot be opened are named, and do not keep the others from
/// being listed.
fn every(args: &Args, all: &[Named], mut json: Option<&mut Json>) -> Result<u8, Error> {
    let mut exit = 0;
    for named in all {
        if !args.json && !args.csv {
            writeln!(io::stdout(), "# {} {}", named.id, named.name)?;
        }
        match one(args, named, json.as_deref_mut()) {
            Ok(status) => exit = exit.max(status),
            Err(Error::Output(error)) => return Err(error.into()),
            Err(error) => eprintln!("vq: {error}"),
        }
    }
    Ok(exit)
}

fn one(args: &Args, named: &Named, json: Option<&mut Json>) -> Result<u8, Error> {
    if args.kernel {
        let device = Device::open()?;
        let mut walk = Walk::new(Kernel::new(&device, named.id.into()));
        // Names are user mode's; without them the blocks are listed all the same.
        let process = Process::open(named.id).ok();
        view(args, named, process.as_ref(), &mut walk, json)?;
        return Ok(0);
    }
    let process = Process::open(named.id)?;
    if process.is_32_bit() {
        eprintln!(
            "vq: process {} is a 32-bit process; this is its whole address space, but stacks and \
             heaps of its 32-bit half are not named",
            named.id
        );
    }
    if let Some(wait) = args.watch {
        return watch(&process, wait);
    }
    let _still = if args.suspend || args.check {
        Some(Suspended::new(&process)?)
    } else {
        None
    };
    if args.check {
        return check(&process);
    }
    let mut walk = Walk::new(&process);
    view(args, named, Some(&process), &mut walk, json)?;
    Ok(0)
}

fn view<S: Source>(
    args: &Args,
    named: &Named,
    process: Option<&Process>,
    walk: &mut Walk<S>,
    json: Option<&mut Json>,
) -> Result<(), Error> {
    let mut process = process;
    let landmarks = match process {
        Some(process) if args.groups => windows::landmarks(process),
        _ => vq::groups::Landmarks::default(),
    };
    if let (true, Some(process)) = (args.working_set, process) {
        resident(args, process, walk)?;
    } else {
        let side = if args.kernel { ", by the kernel" } else { "" };
        let mut blind = vq::groups::Blind;
        let subject = show::Subject {
            title: format!("{} ({}){side}", named.name, named.id),
            process: args.all.then_some(show::Member {
                pid: named.id,
                program: &named.name,
            }),
            landmarks: &landmarks,
            look: match &mut process {
                Some(process) => process,
                None => &mut blind,
            },
        };
        show::view(args, subject, walk, json)?;
    }
    if let Some(at) = walk.change() {
        eprintln!(
            "vq: the process changed while it was walked, first seen at {at:#x}; --suspend keeps \
             it still"
        );
    }
    match process {
        Some(process) if process.has_ended() => Err(Error::Gone {
            process: process.id(),
            at: u64::MAX,
        }),
        _ => Ok(()),
    }
}

/// The table of what is in physical memory.
fn resident<S: Source>(
    args: &Args,
    mut process: &Process,
    walk: &mut Walk<S>,
) -> Result<(), Error> {
    let mut out = show::out();
    if args.header {
        writeln!(out, "{}", working_set::HEADER)?;
    }
    let (mut committed, mut sum) = (0, Resident::default());
    for block in walk.by_ref() {
        let block = block?;
        if block.state == State::Committed {
            let resident = process.resident(&block)?;
            working_set::write(&block, &resident, &mut out)?;
            committed += block.size;
            sum.bytes += resident.bytes;
            sum.shared += resident.shared;
        }
    }
    working_set::write_sum(committed, &sum, &mut out)?;
    Ok(out.flush()?)
}

/// Compares both sides.
fn check(process: &Process) -> Result<u8, Error> {
    let device = Device::open()?;
    let mut out = show::out();
    let user = Walk::new(process);
    let kernel = Walk::new(Kernel::new(&device, process.id().into()));
    let count = differences(user, kernel, ["user  ", "kernel"], &mut out)?;
    out.flush()?;
    if count == 0 {
        eprintln!(
            "vq: the kernel and the user tell the same of process {}",
            process.id()
        );
        return Ok(0);
    }
    eprintln!("vq: {count} blocks of process {} differ", process.id());
    Ok(1)
}

/// Prints what changes until the process ends.
fn watch(process: &Process, wait: std::time::Duration) -> Result<u8, Error> {
    let blocks = || Walk::new(process).collect::<Result<Vec<Block>, Error>>();
    let mut before = blocks()?;
    loop {
        thread::sleep(wait);
        let now = match blocks() {
            Ok(now) if !process.has_ended() => now,
            Ok(_) | Err(Error::Gone { .. }) => {
                eprintln!("vq: process {} has ended", process.id());
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        let mut out = show::out();
        let (first, second) = (before.iter().copied().map(Ok), now.iter().copied().map(Ok));
        if differences(first, second, ["-", "+"], &mut out)? > 0 {
            writeln!(out)?;
        }
        out.flush()?;
        before = now;
    }
}

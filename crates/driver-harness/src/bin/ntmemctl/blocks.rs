//! The address space of a process, as the kernel tells it to the driver: the
//! listing of `vq --kernel`, on every host that a driver runs on.

use std::io::{self, Write};

use clap::Args;
use driver_harness::debugview;
use driver_harness::host::{Asked, Host, HostError, Inquiry, Service};
use driver_harness::image;
use driver_harness::lifecycle;
use driver_harness::verdict::{Check, Verdict};
use nt_status::Named;
use ntmem_ioctl::{BlocksRequest, Command, ContextReply, DEVICE_LINK};
use vq::kernel::{Ask as AskDriver, Kernel, ROOM};
use vq::{Block, Error, Walk, export, listing, map, summary::Summary};
use zerocopy::{FromBytes, IntoBytes};

use crate::args::Ask;
use crate::{Failure, open, show, show_failure};

/// Exit status if the driver was asked and did not answer.
const REFUSED: u8 = 8;

/// Which process, and how its blocks are shown.
#[derive(Debug, Args)]
pub struct Blocks {
    /// Identifier of the process [default: that of the program that asks].
    #[arg(long)]
    pub process: Option<u64>,
    /// Sums by type and state, instead of the blocks.
    #[arg(long)]
    pub summary: bool,
    /// Draw the address space, as SVG on standard output.
    #[arg(long, conflicts_with_all = ["summary", "json"])]
    pub map: bool,
    #[command(flatten)]
    pub ask: Ask,
}

/// Asks the driver by way of a host.
struct Device<'h> {
    host: &'h mut dyn Host,
    /// The host's own failure, if that is what went wrong.
    failed: Option<HostError>,
}

impl Device<'_> {
    fn ask(&mut self, process: u64, command: Command, input: &[u8]) -> Result<Vec<u8>, Error> {
        let inquiry = Inquiry {
            code: command.code(),
            input: input.to_vec(),
            room: ROOM,
        };
        let refused = |why: String| Error::Refused { process, why };
        match self.host.ask(DEVICE_LINK, &inquiry) {
            Ok(Asked::Answered(0, output)) => Ok(output),
            Ok(Asked::Answered(status, _)) => Err(refused(Named(status).to_string())),
            Ok(Asked::Unopened(status)) => Err(refused(format!(
                "{DEVICE_LINK} cannot be opened: {}",
                Named(status)
            ))),
            Ok(Asked::Stopped) => Err(refused("the kernel stopped".to_owned())),
            Err(error) => {
                let why = error.to_string();
                self.failed = Some(error);
                Err(refused(why))
            }
        }
    }
}

impl AskDriver for &mut Device<'_> {
    fn blocks(&mut self, request: &BlocksRequest) -> Result<Vec<u8>, Error> {
        self.ask(request.process, Command::Blocks, request.as_bytes())
    }
}

/// All blocks of a process, or of the one that asks.
fn list(host: &mut dyn Host, process: Option<u64>) -> Result<Result<Vec<Block>, Error>, HostError> {
    let mut device = Device { host, failed: None };
    let own = |device: &mut Device<'_>| {
        let bytes = device.ask(0, Command::Context, &[])?;
        let context = ContextReply::read_from_bytes(&bytes).map_err(|_| Error::Nonsense {
            address: 0,
            what: format!("a context of {} bytes", bytes.len()),
        })?;
        Ok(context.process)
    };
    let listed = process
        .map_or_else(|| own(&mut device), Ok)
        .and_then(|process| Walk::new(Kernel::new(&mut device, process)).collect());
    match device.failed {
        Some(error) => Err(error),
        None => Ok(listed),
    }
}

/// Lists, and says what came of it; whether that could be written, and the exit
/// status.
pub fn list_and_show(args: &Blocks) -> (io::Result<()>, u8) {
    match run(args) {
        Ok(outcome) => outcome,
        Err(failure) => show_failure(&failure, args.ask.json),
    }
}

fn run(args: &Blocks) -> Result<(io::Result<()>, u8), Failure> {
    image::check(&args.ask.file)?;
    let service = Service::new(&args.ask.file);
    let mut host = open::host(&args.ask.host)?;
    let (run, listed) =
        lifecycle::run_with(host.as_mut(), &service, |host| list(host, args.process))?;
    let unchecked = Check::Skipped {
        reason: "a question is not a test".to_owned(),
    };
    let verdict = Verdict::of(&run, &unchecked);
    for violation in &run.findings.violations {
        let what = debugview::printable(&violation.what);
        // The exit status says it as well.
        let _ = show::error(&format!("{}: {what}", violation.rule));
    }
    let (shown, exit) = match listed {
        Some(Ok(blocks)) => (show_blocks(args, &blocks), 0),
        Some(Err(error)) => (show::error(&error.to_string()), REFUSED),
        None => (show::error("the driver did not start"), REFUSED),
    };
    Ok(match verdict {
        Verdict::Passed => (shown, exit),
        verdict => (shown, verdict.exit_status()),
    })
}

fn show_blocks(args: &Blocks, blocks: &[Block]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.summary {
        let mut summary = Summary::default();
        summary.extend(blocks);
        if args.ask.json {
            serde_json::to_writer(&mut out, &summary)?;
            writeln!(out)?;
        } else {
            out.write_all(summary.table().as_bytes())?;
        }
    } else if args.map {
        out.write_all(map::svg("by the kernel", blocks).as_bytes())?;
    } else if args.ask.json {
        let mut array = export::Array::begin(&mut out)?;
        for block in blocks {
            array.push(&export::Object::from(block))?;
        }
        array.end()?;
    } else {
        for block in blocks {
            writeln!(out, "{}", listing::line(block))?;
        }
    }
    out.flush()
}

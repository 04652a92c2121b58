//! `driverctl blocks`: the address space of a process, listed by the driver, as
//! `vq --kernel` lists it on Windows.

use std::io::{self, Write};

use clap::Args;
use driver_harness::host::{Host, HostError, IoctlRequest, IoctlResponse, Service};
use driver_harness::image;
use driver_harness::logs::debugview::printable;
use driver_harness::service_run;
use nt_status::Named;
use ntbox_api::ExitStatus;
use ntmem_ioctl::{BlocksRequest, Command, ContextReply, DEVICE_LINK};
use vq::kernel::{Ask as AskDriver, Kernel, ROOM};
use vq::{Block, Error, Walk, export, listing, map, summary::Summary};
use zerocopy::{FromBytes, IntoBytes};

use crate::args::RequestArgs;
use crate::ioctl::exit_status;
use crate::{CommandResult, Failure, host, output, print_failure};

/// The process, and the output format.
#[derive(Debug, Args)]
pub struct Blocks {
    /// ID of the process [default: the process that sends the request].
    #[arg(long)]
    pub process: Option<u64>,
    /// Print sums by type and state instead of the blocks.
    #[arg(long)]
    pub summary: bool,
    /// Draw the address space as SVG on standard output.
    #[arg(long, conflicts_with_all = ["summary", "json"])]
    pub map: bool,
    #[command(flatten)]
    pub common: RequestArgs,
}

/// The driver's device on a host.
struct Device<'h> {
    host: &'h mut dyn Host,
    /// The error of the host, if it failed.
    failure: Option<HostError>,
}

impl Device<'_> {
    fn send(&mut self, process: u64, command: Command, input: &[u8]) -> Result<Vec<u8>, Error> {
        let request = IoctlRequest {
            code: command.code(),
            input: input.to_vec(),
            output_size: ROOM,
        };
        let refused = |why: String| Error::Refused { process, why };
        match self.host.send_ioctl(DEVICE_LINK, &request) {
            Ok(IoctlResponse::Completed(0, output)) => Ok(output),
            Ok(IoctlResponse::Completed(status, _)) => Err(refused(Named(status).to_string())),
            Ok(IoctlResponse::OpenFailed(status)) => Err(refused(format!(
                "{DEVICE_LINK} cannot be opened: {}",
                Named(status)
            ))),
            Ok(IoctlResponse::KernelStopped) => Err(refused("the kernel stopped".to_owned())),
            Err(error) => {
                let why = error.to_string();
                self.failure = Some(error);
                Err(refused(why))
            }
        }
    }
}

impl AskDriver for &mut Device<'_> {
    fn blocks(&mut self, request: &BlocksRequest) -> Result<Vec<u8>, Error> {
        self.send(request.process, Command::Blocks, request.as_bytes())
    }
}

/// All blocks of a process; without an ID, of the one that sends the request.
fn list(host: &mut dyn Host, process: Option<u64>) -> Result<Result<Vec<Block>, Error>, HostError> {
    let mut device = Device {
        host,
        failure: None,
    };
    let current_process = |device: &mut Device<'_>| {
        let bytes = device.send(0, Command::Context, &[])?;
        let context = ContextReply::read_from_bytes(&bytes).map_err(|_| Error::Nonsense {
            address: 0,
            what: format!("a context of {} bytes", bytes.len()),
        })?;
        Ok(context.process)
    };
    let blocks = process
        .map_or_else(|| current_process(&mut device), Ok)
        .and_then(|process| Walk::new(Kernel::new(&mut device, process)).collect());
    match device.failure {
        Some(error) => Err(error),
        None => Ok(blocks),
    }
}

/// Lists the blocks and prints them.
pub fn list_and_print(args: &Blocks) -> CommandResult {
    run(args).unwrap_or_else(|failure| print_failure(&failure, args.common.json))
}

fn run(args: &Blocks) -> Result<CommandResult, Failure> {
    image::check(&args.common.file)?;
    let service = Service::new(&args.common.file);
    let mut host = host::open(&args.common.host)?;
    let (run, blocks) =
        service_run::run_with(host.as_mut(), &service, |host| list(host, args.process))?;
    for violation in &run.findings.violations {
        let message = printable(&violation.message);
        // The exit status reports it too.
        let _ = output::error(&format!("{}: {message}", violation.rule));
    }
    let (written, exit) = match blocks {
        Some(Ok(blocks)) => (print(args, &blocks), ExitStatus::Success),
        Some(Err(error)) => (output::error(&error.to_string()), ExitStatus::RequestFailed),
        None => (
            output::error("the driver did not start"),
            ExitStatus::RequestFailed,
        ),
    };
    Ok((written, exit_status(&run, exit)))
}

fn print(args: &Blocks, blocks: &[Block]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.summary {
        let mut summary = Summary::default();
        summary.extend(blocks);
        if args.common.json {
            serde_json::to_writer(&mut out, &summary)?;
            writeln!(out)?;
        } else {
            out.write_all(summary.table().as_bytes())?;
        }
    } else if args.map {
        out.write_all(map::svg("by the kernel", blocks).as_bytes())?;
    } else if args.common.json {
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

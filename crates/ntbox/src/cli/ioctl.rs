//! `ntbox ioctl`: a driver from load to unload with requests to its device in
//! between.

use std::io::{self, Write};
use std::time::Duration;

use crate::{Config, Error, Machine, Operation, Process, Progress, Reply, Report, Started, Ticket};
use serde::Serialize;

use super::args::Ioctl;
use super::requests::Ask;

/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xc000_0000;
/// How long a request may be pending before the next one is sent, in the kernel's
/// time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes in a line of a dump.
const LINE: usize = 16;

/// What came of one request.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The request, for a person.
    pub request: String,
    /// The status, as `"0x00000000"`.
    pub status: String,
    /// The status has this name.
    pub name: String,
    /// `IoStatus.Information`.
    pub information: u64,
    /// The output that the driver said there is, in hexadecimal.
    pub output: String,
    #[serde(skip)]
    bytes: Vec<u8>,
    /// Whether it is an error.
    #[serde(skip)]
    pub failed: bool,
}

/// A run with requests.
#[derive(Debug)]
pub struct Session {
    /// The run.
    pub report: Report,
    /// Opening the device, and each request in turn.
    pub answers: Vec<Answer>,
}

impl Session {
    /// Whether a request ended in an error.
    pub fn failed(&self) -> bool {
        self.answers.iter().any(|answer| answer.failed)
    }

    /// Shows the answers.
    pub fn text(&self, out: &mut impl Write) -> io::Result<()> {
        for answer in &self.answers {
            writeln!(
                out,
                "{}: {}, information {}",
                answer.request, answer.name, answer.information
            )?;
            dump(out, &answer.bytes)?;
        }
        Ok(())
    }
}

/// Bytes as people read them: offset, hexadecimal, text.
fn dump(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for (n, line) in bytes.chunks(LINE).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|byte| match byte {
                0x20..0x7f => char::from(*byte),
                _ => '.',
            })
            .collect();
        writeln!(out, "  {:08x}  {:<47}  {text}", n * LINE, hex.join(" "))?;
    }
    Ok(())
}

/// Loads the driver, sends the requests, unloads it.
pub fn run(args: &Ioctl) -> Result<Session, Error> {
    session(&args.run.config(), &args.device, &args.requests)
}

/// The same for what a configuration says.
pub fn session(config: &Config, device: &str, requests: &[Ask]) -> Result<Session, Error> {
    let mut machine = Machine::boot(config)?;
    let mut answers = Vec::new();
    if let Started::Status(status) = machine.start()?
        && status.cast_signed() >= 0
    {
        match send_all(&mut machine, device, requests, &mut answers) {
            // The report says how.
            Ok(()) | Err(Error::Stopped) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(Session {
        report: machine.finish()?,
        answers,
    })
}

fn send_all(
    machine: &mut Machine,
    device: &str,
    requests: &[Ask],
    answers: &mut Vec<Answer>,
) -> Result<(), Error> {
    let process = machine.process("ntbox.exe")?;
    let open = Operation::Open {
        path: device.to_owned(),
        access: READ_WRITE,
    };
    let opened = machine.call(process, open)?;
    let handle = opened.handle;
    answers.push(answer(format!("open {device}"), &opened, 0));
    let Some(handle) = handle else { return Ok(()) };
    let mut pending = Vec::new();
    for request in requests {
        if let Ask::Wait { .. } = request {
            sleep(machine, process, request)?;
            continue;
        }
        let name = request.name();
        let reply = match machine.begin(process, request.operation(handle))? {
            Progress::Done(reply) => Some(reply),
            Progress::Pending(ticket) => {
                let reply = machine.wait_at_most(ticket, PATIENCE)?;
                if reply.is_none() {
                    pending.push((answers.len(), ticket));
                }
                reply
            }
        };
        let reply = reply.unwrap_or_else(|| Reply::status(nt_status::STATUS_PENDING));
        answers.push(ended(name, &reply));
    }
    for (at, ticket) in pending {
        settle(machine, ticket, &mut answers[at])?;
    }
    machine.call(process, Operation::Close { handle })?;
    Ok(())
}

/// Lets time pass, as a program does that sleeps.
fn sleep(machine: &mut Machine, process: Process, wait: &Ask) -> Result<(), Error> {
    let event = Operation::CreateEvent {
        manual_reset: true,
        signaled: false,
    };
    if let Some(handle) = machine.call(process, event)?.handle {
        machine.call(process, wait.operation(handle))?;
        machine.call(process, Operation::Close { handle })?;
    }
    Ok(())
}

/// Finds out what has become of a request that was pending when the next was sent; it
/// is cancelled if it still is, as when a program ends.
fn settle(machine: &mut Machine, ticket: Ticket, told: &mut Answer) -> Result<(), Error> {
    let name = &told.request;
    *told = if let Some(reply) = machine.wait_at_most(ticket, Duration::ZERO)? {
        ended(format!("{name}, ended later"), &reply)
    } else {
        machine.cancel(ticket)?;
        match machine.wait_at_most(ticket, PATIENCE)? {
            Some(reply) => Answer {
                failed: false,
                ..ended(format!("{name}, pending until it was cancelled"), &reply)
            },
            None => Answer {
                request: format!("{name}, pending although it was cancelled"),
                failed: true,
                ..answer(String::new(), &Reply::status(nt_status::STATUS_PENDING), 0)
            },
        }
    };
    Ok(())
}

/// The answer of a request that has ended.
fn ended(request: String, reply: &Reply) -> Answer {
    let shown = usize::try_from(reply.information).unwrap_or(usize::MAX);
    answer(request, reply, shown)
}

/// Two digits a byte.
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn answer(request: String, reply: &Reply, shown: usize) -> Answer {
    let bytes = reply.output[..shown.min(reply.output.len())].to_vec();
    Answer {
        request,
        status: format!("{:#010x}", reply.status),
        name: nt_status::Named(reply.status).to_string(),
        information: reply.information,
        output: hex(&bytes),
        bytes,
        failed: reply.status >> 30 == 3,
    }
}

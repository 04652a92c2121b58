//! `ntbox ioctl`: a driver from load to unload with requests to its device in
//! between.

use std::io::{self, Write};

use ntbox::{Config, Error, Machine, Operation, Progress, Reply, Report, Started};
use serde::Serialize;

use crate::args::Ioctl;
use crate::requests::Ask;

/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xc000_0000;
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
    for request in requests {
        let progress = machine.begin(process, request.operation(handle))?;
        let reply = match progress {
            Progress::Done(reply) => reply,
            Progress::Pending(ticket) => machine.wait_for(ticket)?,
        };
        let shown = usize::try_from(reply.information).unwrap_or(usize::MAX);
        answers.push(answer(request.name(), &reply, shown));
    }
    machine.call(process, Operation::Close { handle })?;
    Ok(())
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
        name: ntstatus::Named(reply.status).to_string(),
        information: reply.information,
        output: hex(&bytes),
        bytes,
        failed: reply.status >> 30 == 3,
    }
}

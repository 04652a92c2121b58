//! What goes between the caller's process and the kernel's: requests one way,
//! events the other, each a length and a postcard message, over a socket pair.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::report::{BugCheck, CallCount, FaultPoint, ImageInfo, LogLine, Violation};
use super::request::{Account, Operation, Process, Progress, Reply, Ticket};

/// Longest message.
const MAX_MESSAGE: u32 = 256 << 20;

/// What the caller asks for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Set up and load the image.
    Boot(Box<Config>),
    /// Call DriverEntry.
    Start,
    /// Make a user process of that name for that account.
    Process(String, Account),
    /// Begin a request.
    Begin(Process, Operation),
    /// Begin several, one after the other.
    Batch(Process, Vec<Operation>),
    /// Wait for the end of a request, at most so long, in units of 100 ns.
    Wait(Ticket, Option<u64>),
    /// Cancel a request.
    Cancel(Ticket),
    /// End a process.
    Exit(Process),
    /// Tell the devices that asked for it that the system shuts down.
    Shutdown,
    /// Call DriverUnload if the driver is started, check what is left, end.
    Finish,
}

impl Request {
    /// What it is, for a person: the end of `it happened in`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Boot(_) => "the boot".to_owned(),
            Self::Start => "DriverEntry".to_owned(),
            Self::Process(name, _) => format!("the creation of the process {name}"),
            Self::Begin(_, operation) => format!("the request {}", operation.describe()),
            Self::Batch(_, operations) => match operations.as_slice() {
                [one, ..] => format!(
                    "a batch of {} requests, the first {}",
                    operations.len(),
                    one.describe()
                ),
                [] => "a batch of no requests".to_owned(),
            },
            Self::Wait(..) => "a wait for the end of a request".to_owned(),
            Self::Cancel(_) => "the cancellation of a request".to_owned(),
            Self::Exit(_) => "the end of a process".to_owned(),
            Self::Shutdown => "the shutdown".to_owned(),
            Self::Finish => "DriverUnload".to_owned(),
        }
    }
}

/// What the kernel says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Event {
    /// The image is loaded.
    Booted(ImageInfo),
    /// The image or the configuration cannot be used, and why.
    Refused(String),
    /// The host does not have what a machine needs, and what would help.
    Unable(String),
    /// A line of debug output.
    Log(LogLine),
    /// The driver broke a rule.
    Violation(Violation),
    /// What a reader should know of the run.
    Note(String),
    /// A call that could be made to fail, with a call stack that is new.
    FaultPoint(FaultPoint),
    /// The kernel stopped; nothing more comes.
    BugCheck(Box<BugCheck>),
    /// DriverEntry returned this status.
    Entered(u32),
    /// A process was made; `None` without memory.
    Made(Option<Process>),
    /// How far a request got.
    Progress(Progress),
    /// How far several got.
    Batch(Vec<Progress>),
    /// How a request ended; `None` if there is none of that number.
    Ended(Option<Reply>),
    /// Whether something was cancelled or ended.
    Did(bool),
    /// DriverUnload returned.
    Unloaded,
    /// The end of a run.
    Finished(Vec<CallCount>),
}

/// Writes a message.
///
/// # Errors
/// The message cannot be encoded, or the other process is gone.
pub fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    bytes = postcard::to_extend(message, bytes).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    stream.write_all(&bytes)
}

/// Reads a message; `None` at the end of the stream.
///
/// # Errors
/// What arrives is no message, or the other process is gone.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_MESSAGE {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes)
        .map(Some)
        .map_err(io::Error::other)
}

/// Opens the started process's end: the socket that it was given as standard input.
///
/// # Errors
/// Standard input cannot be duplicated.
#[cfg(unix)]
pub fn open() -> io::Result<std::os::unix::net::UnixStream> {
    use std::os::fd::AsFd as _;

    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

//! What programs ask of a driver: opening its device and sending requests, as
//! `CreateFile`, `DeviceIoControl` and their kin do.

use serde::{Deserialize, Serialize};

/// A user process in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Process(pub u32);

/// Who runs a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Account {
    /// An administrator whose token is elevated.
    #[default]
    Administrator,
    /// A user who is no administrator.
    Ordinary,
}

/// A handle of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handle(pub u64);

/// A request that has not ended when its caller went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// What a process asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Opens a device by its path, such as `\\.\NtMem` or `\Device\NtMem`.
    Open {
        /// The path, as a program or the kernel writes it.
        path: String,
        /// Rights, generic or specific.
        access: u32,
    },
    /// `DeviceIoControl`.
    Control {
        /// An open handle.
        handle: Handle,
        /// The control code.
        code: u32,
        /// Input.
        input: Vec<u8>,
        /// Room for output, bytes. For `METHOD_IN_DIRECT` this buffer is read.
        output: Vec<u8>,
    },
    /// The same with addresses of the caller's choice, good or bad.
    RawControl {
        /// An open handle.
        handle: Handle,
        /// The control code.
        code: u32,
        /// Address and bytes of the input.
        input: (u64, u32),
        /// Address and bytes of the output.
        output: (u64, u32),
    },
    /// `ReadFile`.
    Read {
        /// An open handle.
        handle: Handle,
        /// Byte offset.
        offset: u64,
        /// Bytes wanted.
        length: u32,
    },
    /// `WriteFile`.
    Write {
        /// An open handle.
        handle: Handle,
        /// Byte offset.
        offset: u64,
        /// What to write.
        data: Vec<u8>,
    },
    /// `CloseHandle`.
    Close {
        /// An open handle.
        handle: Handle,
    },
    /// `DuplicateHandle` into another process, with the same rights;
    /// [`Reply::handle`] is its handle there.
    Duplicate {
        /// An open handle.
        handle: Handle,
        /// Who gets one.
        to: Process,
    },
    /// `CreateEvent` without a name; [`Reply::handle`] is the event's.
    CreateEvent {
        /// Whether it stays signaled until it is reset, whoever waits for it.
        manual_reset: bool,
        /// Whether it is signaled to begin with.
        signaled: bool,
    },
    /// `SetEvent`.
    SetEvent {
        /// Handle of an event.
        handle: Handle,
    },
    /// `ResetEvent`.
    ResetEvent {
        /// Handle of an event.
        handle: Handle,
    },
    /// `WaitForSingleObject`; [`Reply::status`] is `STATUS_SUCCESS` or
    /// `STATUS_TIMEOUT`.
    Wait {
        /// Handle of what can be waited for.
        handle: Handle,
        /// How long; `None` is for ever.
        milliseconds: Option<u32>,
    },
    /// `VirtualAlloc` of private memory, committed, readable and writable;
    /// [`Reply::information`] is its address.
    Allocate {
        /// How many bytes; whole pages are taken.
        bytes: u64,
    },
    /// `VirtualFree` of what [`Operation::Allocate`] gave.
    Free {
        /// Its address.
        address: u64,
    },
    /// Reads memory of the process, as its own code would; in
    /// [`Reply::output`], or `STATUS_ACCESS_VIOLATION`, or once for a guard page
    /// `STATUS_GUARD_PAGE_VIOLATION`.
    Load {
        /// Where.
        address: u64,
        /// Bytes.
        length: u32,
    },
    /// Writes memory of the process, as its own code would.
    Store {
        /// Where.
        address: u64,
        /// What.
        data: Vec<u8>,
    },
    /// A system call: the service `Nt…` of this name, as code of the process calls
    /// it; where drivers can import only its form `Zw…`, that one. What an argument
    /// points to has to be in the process's memory ([`Operation::Store`]).
    /// [`Reply::status`] is what it returns; `STATUS_INVALID_SYSTEM_SERVICE` if
    /// there is none, or it is no system service.
    Service {
        /// Its name, such as `NtAllocateVirtualMemory`.
        name: String,
        /// Its arguments.
        arguments: Vec<u64>,
    },
    /// The same control request again and again, to measure.
    Repeat {
        /// An open handle.
        handle: Handle,
        /// The control code.
        code: u32,
        /// Input, the same each time.
        input: Vec<u8>,
        /// Room for output, bytes.
        output_length: u32,
        /// How often.
        count: u64,
    },
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status.
    pub status: u32,
    /// `IoStatus.Information`; for [`Operation::Repeat`] nanoseconds.
    pub information: u64,
    /// The output buffer after the request.
    pub output: Vec<u8>,
    /// The handle that was opened.
    pub handle: Option<Handle>,
}

impl Operation {
    /// What it asks for, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Open { path, .. } => format!("to open {path}"),
            Self::Control { code, .. }
            | Self::RawControl { code, .. }
            | Self::Repeat { code, .. } => {
                format!("with the control code {code:#x}")
            }
            Self::Read { length, .. } => format!("to read {length} bytes"),
            Self::Write { data, .. } => format!("to write {} bytes", data.len()),
            Self::Close { handle } => format!("to close the handle {:#x}", handle.0),
            Self::Duplicate { handle, .. } => format!("to duplicate the handle {:#x}", handle.0),
            Self::Service { name, .. } => format!("to call {name}"),
            Self::CreateEvent { .. } => "to create an event".to_owned(),
            Self::SetEvent { .. } => "to set an event".to_owned(),
            Self::ResetEvent { .. } => "to reset an event".to_owned(),
            Self::Wait { handle, .. } => format!("to wait for the handle {:#x}", handle.0),
            Self::Allocate { bytes } => format!("to allocate {bytes} bytes"),
            Self::Free { address } => format!("to free the memory at {address:#x}"),
            Self::Load { address, .. } => format!("to read the memory at {address:#x}"),
            Self::Store { address, .. } => format!("to write the memory at {address:#x}"),
        }
    }
}

impl Reply {
    /// An end without data.
    #[must_use]
    pub fn status(status: u32) -> Self {
        Self {
            status,
            information: 0,
            output: Vec::new(),
            handle: None,
        }
    }
}

/// How far a request got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// It has ended.
    Done(Reply),
    /// It goes on; `Machine::wait_for` sees its end.
    Pending(Ticket),
}

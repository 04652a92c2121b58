//! The requests themselves: what a system call of user mode does before and after
//! a driver has its turn.

use std::time::Instant;

use ntbox_api::request::{Handle, Operation, Process, Reply};
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::kernel_address_space::Protection;

use super::{events, memory, syscalls};
use crate::base::call_context::CallContext;
use crate::base::utf16;
use crate::io::file::{OpenOptions, Requestor, SendResult};
use crate::io::irp_completion::{CompletedRequest, CompletionTarget};
use crate::io::transfer::Buffers;
use crate::io::{file, irp_completion};
use crate::mm::process_address_space;
use crate::ob::Type;
use crate::{ob, um};

/// `FILE_OPEN` as a disposition, with `FILE_SYNCHRONOUS_IO_NONALERT` and
/// `FILE_NON_DIRECTORY_FILE`: what `CreateFile` asks for.
const OPEN: u32 = 0x0100_0060;

/// Carries out a request in the thread of a process.
pub fn carry_out(process: u64, operation: Operation, caller: &CallContext<'_>) -> Reply {
    let reply = match operation {
        Operation::Open { path, access } => open(&path, access, caller),
        Operation::Control {
            handle,
            code,
            input,
            output,
        } => control(process, handle, code, &input, &output, caller),
        Operation::RawControl {
            handle,
            code,
            input,
            output,
        } => {
            let buffers = Buffers {
                input: input.0,
                input_length: input.1,
                output: output.0,
                output_length: output.1,
            };
            request(handle, file::Operation::Control { code }, &buffers, caller)
                .map(|outcome| plain(&outcome))
        }
        Operation::Read {
            handle,
            offset,
            length,
        } => read(process, handle, offset, length, caller),
        Operation::Write {
            handle,
            offset,
            data,
        } => write(process, handle, offset, &data, caller),
        Operation::Close { handle } => Ok(match ob::handles::close(handle.0, caller) {
            Ok(()) => Reply::status(0),
            Err(status) => Reply::status(status),
        }),
        Operation::Duplicate { handle, to } => Ok(duplicate(handle, to)),
        Operation::CreateEvent {
            manual_reset,
            signaled,
        } => events::create(manual_reset, signaled, caller),
        Operation::SetEvent { handle } => events::set(handle, true),
        Operation::ResetEvent { handle } => events::set(handle, false),
        Operation::Wait {
            handle,
            milliseconds,
        } => events::wait_for(handle, milliseconds, caller),
        Operation::Allocate { bytes } => Ok(memory::allocate(process, bytes)),
        Operation::Free { address } => Ok(memory::free(process, address)),
        Operation::Load { address, length } => Ok(memory::load(address, length)),
        Operation::Store { address, data } => Ok(memory::store(address, &data)),
        Operation::Service { name, arguments } => syscalls::call(&name, &arguments),
        Operation::Repeat {
            handle,
            code,
            input,
            output_length,
            count,
        } => repeat(process, handle, code, &input, output_length, count, caller),
    };
    reply.unwrap_or_else(|refusal| caller.end(refusal))
}

fn plain(outcome: &CompletedRequest) -> Reply {
    Reply {
        information: outcome.information,
        ..Reply::status(outcome.status)
    }
}

/// The kernel's name for what a program writes: `\\.\Name` is `\??\Name`.
fn native_path(path: &str) -> String {
    match path
        .strip_prefix(r"\\.\")
        .or_else(|| path.strip_prefix(r"\\?\"))
    {
        Some(rest) => format!(r"\??\{rest}"),
        // A drive letter.
        None if path.as_bytes().get(1) == Some(&b':') => format!(r"\??\{path}"),
        None => path.to_owned(),
    }
}

fn open(path: &str, access: u32, caller: &CallContext<'_>) -> Result<Reply, NoReturn> {
    let path = utf16::wide(&native_path(path));
    let found = match ob::lookup_path(&path, None) {
        Ok(found) => found,
        Err(status) => return Ok(Reply::status(status)),
    };
    if found.kind != Type::Device {
        ob::dereference(found.object, caller);
        return Ok(Reply::status(nt_status::STATUS_OBJECT_TYPE_MISMATCH));
    }
    // CreateFile asks for these in any case.
    let access = Type::File.grant(access) | 0x0010_0080;
    let opening = OpenOptions {
        access,
        share: 7,
        options: OPEN,
        attributes: 0x80,
        user: true,
        ..OpenOptions::default()
    };
    let opened = file::open(found.object, &found.rest, opening, caller);
    ob::dereference(found.object, caller);
    let (object, information) = match opened? {
        Ok(opened) => opened,
        Err(status) => return Ok(Reply::status(status)),
    };
    let handle = ob::handles::insert(object, access, 0, 0);
    ob::dereference(object, caller);
    Ok(match handle {
        Ok(handle) => Reply {
            information,
            handle: Some(Handle(handle)),
            ..Reply::status(0)
        },
        Err(status) => Reply::status(status),
    })
}

/// Opens another handle to what `handle` leads to, in another process.
fn duplicate(handle: Handle, to: Process) -> Reply {
    let Some(process) = um::process_of(to) else {
        return Reply::status(nt_status::STATUS_INVALID_CID);
    };
    let opened = ob::handles::get(handle.0)
        .and_then(|entry| ob::handles::insert_in(process, entry.object, entry.access, 0, 0));
    match opened {
        Ok(handle) => Reply {
            handle: Some(Handle(handle)),
            ..Reply::status(0)
        },
        Err(status) => Reply::status(status),
    }
}

/// Sends a request on a handle and waits for its end.
fn request(
    handle: Handle,
    operation: file::Operation,
    buffers: &Buffers,
    caller: &CallContext<'_>,
) -> Result<CompletedRequest, NoReturn> {
    let refused = |status| CompletedRequest {
        status,
        information: 0,
        pending_returned: false,
    };
    let entry = match ob::handles::get(handle.0) {
        Ok(entry) if entry.kind == Type::File => entry,
        Ok(_) => return Ok(refused(nt_status::STATUS_OBJECT_TYPE_MISMATCH)),
        Err(status) => return Ok(refused(status)),
    };
    if !allowed(operation, entry.access) {
        return Ok(refused(nt_status::STATUS_ACCESS_DENIED));
    }
    // The request has the reference, and its end gives it back: a driver that has
    // let go of the request must not count on the file, whose handle others may
    // have closed meanwhile.
    if ob::reference(entry.object).is_none() {
        return Ok(refused(nt_status::STATUS_INVALID_HANDLE));
    }
    let notify = CompletionTarget {
        file: entry.object,
        ..CompletionTarget::default()
    };
    let sent = file::request(
        entry.object,
        operation,
        buffers,
        Requestor {
            user: true,
            access: entry.access,
        },
        notify,
        caller,
    );
    sent.map(|sent| match sent {
        SendResult::Done(outcome) => outcome,
        SendResult::Pending(id) => irp_completion::wait_for(id),
    })
}

/// Whether the rights of a handle allow a request: reading and writing need
/// theirs, a control request what its code says in bits 14 and 15.
fn allowed(operation: file::Operation, access: u32) -> bool {
    /// `FILE_READ_DATA` and `FILE_WRITE_DATA`, as in a control code.
    const READ: u32 = 1;
    const WRITE: u32 = 2;
    let needed = match operation {
        file::Operation::Control { code } | file::Operation::FsControl { code } => code >> 14 & 3,
        file::Operation::Read { .. } => READ,
        file::Operation::Write { .. } => WRITE,
        file::Operation::Other(_) => 0,
    };
    access & needed == needed
}

/// Memory of the process for the time of a request.
struct RequestMemory {
    process: u64,
    /// 0 for none.
    va: u64,
}

impl RequestMemory {
    fn with(process: u64, content: &[u8]) -> Result<Option<Self>, NoReturn> {
        if content.is_empty() {
            return Ok(Some(Self { process, va: 0 }));
        }
        let Some(va) =
            process_address_space::allocate(process, content.len() as u64, Protection::READ_WRITE)
        else {
            return Ok(None);
        };
        driver_mem::write_bytes(va, content)?;
        Ok(Some(Self { process, va }))
    }
}

impl Drop for RequestMemory {
    fn drop(&mut self) {
        if self.va != 0 {
            process_address_space::free(self.process, self.va);
        }
    }
}

fn control(
    process: u64,
    handle: Handle,
    code: u32,
    input: &[u8],
    output: &[u8],
    caller: &CallContext<'_>,
) -> Result<Reply, NoReturn> {
    let (Some(from), Some(to)) = (
        RequestMemory::with(process, input)?,
        RequestMemory::with(process, output)?,
    ) else {
        return Ok(Reply::status(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        input: from.va,
        input_length: length(input),
        output: to.va,
        output_length: length(output),
    };
    let outcome = request(handle, file::Operation::Control { code }, &buffers, caller)?;
    let mut result = vec![0; output.len()];
    driver_mem::read_bytes(to.va, &mut result)?;
    Ok(Reply {
        output: result,
        ..plain(&outcome)
    })
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn read(
    process: u64,
    handle: Handle,
    offset: u64,
    wanted: u32,
    caller: &CallContext<'_>,
) -> Result<Reply, NoReturn> {
    let Some(to) = RequestMemory::with(process, &vec![0; wanted as usize])? else {
        return Ok(Reply::status(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        output: to.va,
        output_length: wanted,
        ..Buffers::default()
    };
    let outcome = request(
        handle,
        file::Operation::Read { offset, key: 0 },
        &buffers,
        caller,
    )?;
    let got = outcome.information.min(u64::from(wanted));
    let mut output = vec![0; usize::try_from(got).unwrap_or(0)];
    driver_mem::read_bytes(to.va, &mut output)?;
    Ok(Reply {
        output,
        ..plain(&outcome)
    })
}

fn write(
    process: u64,
    handle: Handle,
    offset: u64,
    data: &[u8],
    caller: &CallContext<'_>,
) -> Result<Reply, NoReturn> {
    let Some(from) = RequestMemory::with(process, data)? else {
        return Ok(Reply::status(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        input: from.va,
        input_length: length(data),
        ..Buffers::default()
    };
    Ok(plain(&request(
        handle,
        file::Operation::Write { offset, key: 0 },
        &buffers,
        caller,
    )?))
}

fn repeat(
    process: u64,
    handle: Handle,
    code: u32,
    input: &[u8],
    output_length: u32,
    count: u64,
    caller: &CallContext<'_>,
) -> Result<Reply, NoReturn> {
    let output = vec![0; output_length as usize];
    let (Some(from), Some(to)) = (
        RequestMemory::with(process, input)?,
        RequestMemory::with(process, &output)?,
    ) else {
        return Ok(Reply::status(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    let buffers = Buffers {
        input: from.va,
        input_length: length(input),
        output: to.va,
        output_length,
    };
    let started = Instant::now();
    let mut status = 0;
    for _ in 0..count {
        status = request(handle, file::Operation::Control { code }, &buffers, caller)?.status;
        if status.cast_signed() < 0 {
            break;
        }
    }
    let elapsed = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Reply {
        information: elapsed,
        ..Reply::status(status)
    })
}

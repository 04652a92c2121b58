//! The rest of what is done with files by their handles or names: listing
//! directories, locking byte ranges, flushing, and files that are opened for one
//! question only.

use nt_layout::{FileObject, Irp};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::gate::{Call, NoReturn};

use super::file::{Data, FileRequest, OpenOptions, Operation, Requestor};
use super::nt_file_io::{IoArguments, low, serve};
use super::transfer::Buffers;
use super::write_status_block;
use super::{file, file_close, irp_completion};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::io_layout::major;
use crate::base::io_layout::stack::special;
use crate::base::processor_mode::Mode;
use crate::base::thread_table;
use crate::ke::irp_cancel_lock;
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob;
use crate::ob::{Attributes, Type};

/// `IRP_MN_QUERY_DIRECTORY`.
const QUERY_DIRECTORY: u8 = 1;
/// `IRP_MN_LOCK` and `IRP_MN_UNLOCK_SINGLE`.
const LOCK: u8 = 1;
const UNLOCK_SINGLE: u8 = 2;
/// `FILE_LIST_DIRECTORY`.
const LIST_DIRECTORY: u32 = 1;
/// `FILE_READ_DATA`, `FILE_WRITE_DATA` and `FILE_APPEND_DATA`.
const READ_OR_WRITE: u32 = 3;
const WRITE_OR_APPEND: u32 = 6;
/// `FILE_READ_ATTRIBUTES` and `DELETE`.
const READ_ATTRIBUTES: u32 = 0x80;
const DELETE: u32 = 0x1_0000;
/// `FileNetworkOpenInformation`, and its bytes.
const NETWORK_OPEN: u64 = 34;
const NETWORK_OPEN_SIZE: u32 = 0x38;
/// `FILE_OPEN`, for backup intent; with `FILE_DELETE_ON_CLOSE`.
const OPEN: u32 = 0x0100_4000;
const OPEN_TO_DELETE: u32 = 0x0100_5000;

/// A block of pool for the time of a request.
struct Block(u64);

impl Block {
    fn new(bytes: u64) -> Result<Self, Refusal> {
        let block = pool::allocate(PoolKind::NonPaged, bytes, u32::from_le_bytes(*b"Io  "));
        block
            .map(Self)
            .ok_or_else(|| nt_status::STATUS_INSUFFICIENT_RESOURCES.into())
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        pool::free(self.0);
    }
}

/// A query of a directory.
struct Listing {
    buffer: u64,
    length: u32,
    class: u32,
    /// `SL_…`.
    flags: u8,
    /// Address of a `UNICODE_STRING`; 0 for none.
    pattern: u64,
}

impl Listing {
    /// Bytes that an entry has at least, and how its buffer is aligned.
    fn check(&self, mode: Mode) -> Result<(), Refusal> {
        let least = match self.class {
            1 | 2 => 0x48,
            3 => 0x60,
            12 => 0x10,
            37 => 0x70,
            38 => 0x58,
            _ => return Err(nt_status::STATUS_INVALID_INFO_CLASS.into()),
        };
        if self.length < least {
            return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
        }
        let alignment = if self.class == 12 { 4 } else { 8 };
        Ok(mode.probe(self.buffer, u64::from(self.length), alignment)?)
    }

    fn send(&self, common: &IoArguments, caller: &CallContext<'_>) -> Result<u32, Refusal> {
        self.check(common.mode)?;
        // Captured, so that it stays what was checked.
        let pattern = match self.pattern {
            0 => None,
            at => {
                common.mode.probe(at, 16, 8)?;
                let string = UnicodeString::read(at)?;
                common
                    .mode
                    .probe(string.buffer, u64::from(string.length), 2)?;
                Some(capture(&string.units()?)?)
            }
        };
        let operation = Operation::Other(FileRequest {
            function: major::DIRECTORY_CONTROL,
            minor: QUERY_DIRECTORY,
            flags: self.flags,
            parameters: [
                u64::from(self.length),
                pattern.as_ref().map_or(0, |pattern| pattern.0),
                u64::from(self.class),
                0,
            ],
            data: Data::OutByDevice,
        });
        let buffers = Buffers {
            output: self.buffer,
            output_length: self.length,
            ..Buffers::default()
        };
        let begun = common.begin(LIST_DIRECTORY, caller)?;
        common.send(begun, operation, &buffers, caller)
    }
}

/// A `UNICODE_STRING` with its text behind it.
fn capture(text: &[u16]) -> Result<Block, Refusal> {
    let bytes: Vec<u8> = text.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let block = Block::new(16 + bytes.len() as u64)?;
    let length = u16::try_from(bytes.len()).unwrap_or(0);
    driver_mem::write_bytes(block.0 + 16, &bytes)?;
    let string = UnicodeString {
        length,
        maximum_length: length,
        buffer: block.0 + 16,
    };
    string.write(block.0)?;
    Ok(block)
}

/// Arguments 5 to 10 of `ZwQueryDirectoryFile`.
fn query_directory(call: &Call<'_>, mode: Mode) -> Result<u32, NoReturn> {
    let caller = CallContext::of(call);
    serve(call, mode, |common| {
        let flag = |argument: usize, flag: u8| -> Result<u8, Refusal> {
            let set = call.argument(argument)? & 0xff != 0;
            Ok(if set { flag } else { 0 })
        };
        let listing = Listing {
            buffer: call.argument(5)?,
            length: low(call.argument(6)?),
            class: low(call.argument(7)?),
            flags: flag(8, special::RETURN_SINGLE_ENTRY)? | flag(10, special::RESTART_SCAN)?,
            pattern: call.argument(9)?,
        };
        listing.send(common, &caller)
    })
}

/// Arguments 5 to 9 of `ZwQueryDirectoryFileEx`.
fn query_directory_ex(call: &Call<'_>, mode: Mode) -> Result<u32, NoReturn> {
    let caller = CallContext::of(call);
    serve(call, mode, |common| {
        // SL_RESTART_SCAN and SL_RETURN_SINGLE_ENTRY; the others ask for what only
        // other file systems tell apart.
        let flags = u8::try_from(call.argument(8)? & 3).unwrap_or(0);
        let listing = Listing {
            buffer: call.argument(5)?,
            length: low(call.argument(6)?),
            class: low(call.argument(7)?),
            flags,
            pattern: call.argument(9)?,
        };
        listing.send(common, &caller)
    })
}

/// A byte range: addresses of its start and length, and the key.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: u64,
    length: u64,
    key: u32,
}

fn lock(
    common: &IoArguments,
    range: Range,
    minor: u8,
    flags: u8,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    common.mode.probe(range.start, 8, 8)?;
    common.mode.probe(range.length, 8, 8)?;
    let start = driver_mem::read_u64(range.start)?;
    let length = driver_mem::read_u64(range.length)?;
    let captured = Block::new(8)?;
    driver_mem::write_u64(captured.0, length)?;
    let operation = Operation::Other(FileRequest {
        function: major::LOCK_CONTROL,
        minor,
        flags,
        parameters: [captured.0, u64::from(range.key), start, 0],
        data: Data::None,
    });
    let begun = common.begin(READ_OR_WRITE, caller)?;
    common.send(begun, operation, &Buffers::default(), caller)
}

/// Arguments 5 to 9 of `ZwLockFile`.
fn lock_file(call: &Call<'_>, mode: Mode) -> Result<u32, NoReturn> {
    let caller = CallContext::of(call);
    serve(call, mode, |common| {
        let range = Range {
            start: call.argument(5)?,
            length: call.argument(6)?,
            key: low(call.argument(7)?),
        };
        let immediately = call.argument(8)? & 0xff != 0;
        let exclusive = call.argument(9)? & 0xff != 0;
        let flags = (u8::from(immediately) * special::FAIL_IMMEDIATELY)
            | (u8::from(exclusive) * special::EXCLUSIVE_LOCK);
        lock(common, range, LOCK, flags, &caller)
    })
}

/// The arguments of `ZwUnlockFile`.
fn unlock_file(call: &Call<'_>, mode: Mode) -> Result<u32, NoReturn> {
    let caller = CallContext::of(call);
    let work = || -> Result<u32, Refusal> {
        let common = IoArguments::simple(call.argument(0)?, call.argument(1)?, mode)?;
        let range = Range {
            start: call.argument(2)?,
            length: call.argument(3)?,
            key: low(call.argument(4)?),
        };
        lock(&common, range, UNLOCK_SINGLE, 0, &caller)
    };
    mode.outcome(work())
}

fn flush(file: u64, block: u64, mode: Mode, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    let work = || -> Result<u32, Refusal> {
        let common = IoArguments::simple(file, block, mode)?;
        let operation = Operation::Other(FileRequest {
            function: major::FLUSH_BUFFERS,
            ..FileRequest::default()
        });
        let begun = common.begin(WRITE_OR_APPEND, caller)?;
        common.send(begun, operation, &Buffers::default(), caller)
    };
    mode.outcome(work())
}

/// Cancels what the current thread has asked of a file, and waits for its end.
fn cancel_all(
    file: u64,
    block: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    let work = || -> Result<u32, Refusal> {
        let common = IoArguments::simple(file, block, mode)?;
        let (entry, notify) = common.begin(0, caller)?;
        let cancel = || -> Result<(), NoReturn> {
            for irp in irp_completion::underway_of(thread_table::current_thread()) {
                let of = DriverPtr::<Irp>::new(irp).get(|irp| &irp.original_file_object)?;
                if of == entry.object {
                    irp_cancel_lock::cancel(irp, caller)?;
                    irp_completion::wait_for_end(irp);
                }
            }
            Ok(())
        };
        let done = cancel();
        notify.give_back(caller);
        done?;
        write_status_block(block, nt_status::STATUS_SUCCESS, 0)?;
        Ok(nt_status::STATUS_SUCCESS)
    };
    mode.outcome(work())
}

/// A file that is opened for one query.
struct OpenedFile(u64);

impl OpenedFile {
    fn new(
        attributes: u64,
        access: u32,
        options: u32,
        mode: Mode,
        caller: &CallContext<'_>,
    ) -> Result<Self, Refusal> {
        let attributes = Attributes::require(attributes)?;
        let found = ob::lookup(&attributes, None)?;
        let open = || -> Result<Self, Refusal> {
            let (device, related) = match found.kind {
                Type::Device => (found.object, 0),
                Type::File => {
                    let device = DriverPtr::<FileObject>::new(found.object)
                        .get(|file| &file.device_object)?;
                    (device, found.object)
                }
                _ => return Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into()),
            };
            let opening = OpenOptions {
                access,
                share: 7,
                options,
                user: mode.is_user(),
                related,
                ..OpenOptions::default()
            };
            let (object, _) = file::open(device, &found.rest, opening, caller)??;
            Ok(Self(object))
        };
        let opened = open();
        ob::dereference(found.object, caller);
        opened
    }

    /// Closes it, as its handle would be.
    fn close(self, caller: &CallContext<'_>) {
        file_close::handle_closed(&file_close::no_handle(self.0), caller);
        ob::dereference(self.0, caller);
    }
}

fn full_attributes(
    attributes: u64,
    information: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    mode.probe(information, u64::from(NETWORK_OPEN_SIZE), 8)?;
    let opened = OpenedFile::new(attributes, READ_ATTRIBUTES, OPEN, mode, caller)?;
    let operation = Operation::Other(FileRequest {
        function: major::QUERY_INFORMATION,
        parameters: [u64::from(NETWORK_OPEN_SIZE), NETWORK_OPEN, 0, 0],
        data: Data::Out,
        ..FileRequest::default()
    });
    let buffers = Buffers {
        output: information,
        output_length: NETWORK_OPEN_SIZE,
        ..Buffers::default()
    };
    let user = mode.is_user();
    let sent = file::request(
        opened.0,
        operation,
        &buffers,
        Requestor { user, access: 0 },
        irp_completion::CompletionTarget::default(),
        caller,
    );
    let status = sent.map(|sent| match sent {
        file::SendResult::Done(outcome) => outcome.status,
        file::SendResult::Pending(id) => irp_completion::wait_for(id).status,
    });
    opened.close(caller);
    Ok(status?)
}

fn delete(attributes: u64, mode: Mode, caller: &CallContext<'_>) -> Result<u32, Refusal> {
    let opened = OpenedFile::new(attributes, DELETE, OPEN_TO_DELETE, mode, caller)?;
    opened.close(caller);
    Ok(nt_status::STATUS_SUCCESS)
}

exports! {
    /// `ZwQueryDirectoryFile`: file, event, APC routine and context, status block,
    /// buffer, length, class, single entry, pattern, restart.
    fn ZwQueryDirectoryFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        query_directory(call, Mode::Kernel)
    }

    /// `NtQueryDirectoryFile`.
    fn NtQueryDirectoryFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        query_directory(call, Mode::previous())
    }

    /// `ZwQueryDirectoryFileEx`: the same with flags before the pattern.
    fn ZwQueryDirectoryFileEx<call>() -> u32 [max PASSIVE_LEVEL, ntifs, since VERSION_1709] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        query_directory_ex(call, Mode::Kernel)
    }

    /// `NtQueryDirectoryFileEx`.
    fn NtQueryDirectoryFileEx<call>() -> u32 [max PASSIVE_LEVEL, ntifs, since VERSION_1709] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        query_directory_ex(call, Mode::previous())
    }

    /// `ZwLockFile`: file, event, APC routine and context, status block, offset,
    /// length, key, fail at once, exclusive.
    fn ZwLockFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs, since WINDOWS_7] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        lock_file(call, Mode::Kernel)
    }

    /// `NtLockFile`.
    fn NtLockFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        lock_file(call, Mode::previous())
    }

    /// `ZwUnlockFile`: file, status block, offset, length, key.
    fn ZwUnlockFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs, since WINDOWS_7] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        unlock_file(call, Mode::Kernel)
    }

    /// `NtUnlockFile`.
    fn NtUnlockFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        unlock_file(call, Mode::previous())
    }

    /// `ZwFlushBuffersFile`.
    fn ZwFlushBuffersFile<call>(file: u64, block: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        flush(file, block, Mode::Kernel, &CallContext::of(call))
    }

    /// `NtFlushBuffersFile`.
    fn NtFlushBuffersFile<call>(file: u64, block: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        flush(file, block, Mode::previous(), &CallContext::of(call))
    }

    /// `ZwCancelIoFile`: the requests of the current thread.
    fn ZwCancelIoFile<call>(file: u64, block: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        cancel_all(file, block, Mode::Kernel, &CallContext::of(call))
    }

    /// `NtCancelIoFile`.
    fn NtCancelIoFile<call>(file: u64, block: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        cancel_all(file, block, Mode::previous(), &CallContext::of(call))
    }

    /// `ZwQueryFullAttributesFile`.
    fn ZwQueryFullAttributesFile<call>(attributes: u64, information: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::Kernel;
        mode.outcome(full_attributes(attributes, information, mode, &CallContext::of(call)))
    }

    /// `ZwDeleteFile`.
    fn ZwDeleteFile<call>(attributes: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::Kernel;
        mode.outcome(delete(attributes, mode, &CallContext::of(call)))
    }

    /// `NtDeleteFile`.
    fn NtDeleteFile<call>(attributes: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::previous();
        mode.outcome(delete(attributes, mode, &CallContext::of(call)))
    }
}

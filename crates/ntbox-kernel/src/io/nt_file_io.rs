//! Requests on an open file by its handle: `ZwReadFile`, `ZwWriteFile`,
//! `ZwDeviceIoControlFile`, `ZwFsControlFile`.
//!
//! On a file opened for synchronous I/O requests go one after the other and each
//! call waits for the end of its own; on another one `STATUS_PENDING` says that
//! the status block and the event will tell.

use nt_layout::FileObject;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::gate::{Call, NoReturn};

use super::file::{Operation, Requestor, SendResult};
use super::irp_completion::{Apc, CompletionTarget};
use super::transfer::Buffers;
use super::write_status_block;
use super::{file, irp_completion};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::io_layout::file::flag as file_flag;
use crate::base::processor_mode::Mode;
use crate::base::thread_table;
use crate::ke::{object, sched};
use crate::ob;
use crate::ob::Type;
use crate::ob::handles::Entry;

/// `EVENT_MODIFY_STATE`.
const MODIFY_STATE: u32 = 2;
/// `FILE_READ_DATA`.
const READ_DATA: u32 = 1;
/// `FILE_WRITE_DATA` and `FILE_APPEND_DATA`.
const WRITE_OR_APPEND: u32 = 6;
/// `FILE_APPEND_DATA`.
const APPEND_DATA: u32 = 4;
/// `FILE_WRITE_TO_END_OF_FILE`, as a byte offset.
const END_OF_FILE: u64 = u64::MAX;
/// `FILE_USE_FILE_POINTER_POSITION`, as a byte offset.
const USE_FILE_POINTER: u64 = 0xffff_ffff_ffff_fffe;

/// The first five arguments, which all of these have.
pub struct IoArguments {
    /// Handle of the file.
    pub file: u64,
    /// Handle of an event; 0 for none.
    pub event: u64,
    /// An APC routine and its context; 0 for none.
    pub routine: (u64, u64),
    /// Address of the status block.
    pub block: u64,
    /// Who asks.
    pub mode: Mode,
}

impl IoArguments {
    /// The first five arguments of a call.
    fn of(call: &Call<'_>, mode: Mode) -> Result<Self, Refusal> {
        let common = Self {
            file: call.argument(0)?,
            event: call.argument(1)?,
            routine: (call.argument(2)?, call.argument(3)?),
            block: call.argument(4)?,
            mode,
        };
        mode.probe(common.block, 16, 8)?;
        Ok(common)
    }

    /// A request that is told of by its status alone: the first two arguments.
    ///
    /// # Errors
    /// The status block is not the caller's.
    pub fn simple(file: u64, block: u64, mode: Mode) -> Result<Self, Refusal> {
        mode.probe(block, 16, 8)?;
        Ok(Self {
            file,
            event: 0,
            routine: (0, 0),
            block,
            mode,
        })
    }

    /// The file, referenced, and the event, referenced and reset.
    ///
    /// # Errors
    /// One of the handles is none of its kind, or has not the right.
    pub fn begin(
        &self,
        access: u32,
        caller: &CallContext<'_>,
    ) -> Result<(Entry, CompletionTarget), Refusal> {
        let user = self.mode.is_user();
        let file = ob::by_handle(self.file, 0, Some(Type::File), user)?;
        // One of the rights is enough.
        if user && access != 0 && file.access & access == 0 {
            return Err(nt_status::STATUS_ACCESS_DENIED.into());
        }
        let mut notify = CompletionTarget {
            block: self.block,
            event: 0,
            file: 0,
            apc: Apc {
                routine: self.routine.0,
                context: self.routine.1,
                thread: thread_table::current_thread(),
                mode: u8::from(user),
            },
        };
        if self.event != 0 {
            let event = ob::by_handle(self.event, MODIFY_STATE, Some(Type::Event), user)?;
            ob::reference(event.object);
            object::set_state(event.object, 0)?;
            notify.event = event.object;
        }
        if ob::reference(file.object).is_none() {
            notify.give_back(caller);
            return Err(nt_status::STATUS_INVALID_HANDLE.into());
        }
        notify.file = file.object;
        Ok((file, notify))
    }

    /// Sends the request, and waits where the file is for that.
    ///
    /// # Errors
    /// Why the caller does not go on.
    pub fn send(
        &self,
        (file, notify): (Entry, CompletionTarget),
        operation: Operation,
        buffers: &Buffers,
        caller: &CallContext<'_>,
    ) -> Result<u32, Refusal> {
        let synchronous = is_synchronous(file.object)?;
        // The request's end gives its reference back, which may come before the
        // driver returns. The lock of a synchronous file is let go after that, so it
        // has a reference of its own; another file is the request's alone.
        if synchronous {
            ob::reference(file.object);
            acquire(file.object)?;
        }
        let sender = Requestor {
            user: self.mode.is_user(),
            access: file.access,
        };
        let sent = file::request(file.object, operation, buffers, sender, notify, caller);
        let status = match sent {
            Ok(SendResult::Done(outcome)) if outcome.pending_returned && !synchronous => {
                Ok(nt_status::STATUS_PENDING)
            }
            Ok(SendResult::Done(outcome)) => {
                // The end of a file is told in the block, too, as by a read that
                // never needed a request.
                if synchronous && outcome.status == nt_status::STATUS_END_OF_FILE {
                    write_status_block(self.block, outcome.status, outcome.information)?;
                }
                Ok(outcome.status)
            }
            Ok(SendResult::Pending(id)) if synchronous => Ok(irp_completion::wait_for(id).status),
            Ok(SendResult::Pending(id)) => {
                irp_completion::detach(id);
                Ok(nt_status::STATUS_PENDING)
            }
            Err(stop) => Err(stop.into()),
        };
        if synchronous {
            release(file.object)?;
            ob::dereference(file.object, caller);
        }
        status
    }

    /// A control request: arguments 5 to 9.
    fn control(&self, call: &Call<'_>, file_system: bool) -> Result<u32, Refusal> {
        let caller = CallContext::of(call);
        let code = low(call.argument(5)?);
        let buffers = Buffers {
            input: call.argument(6)?,
            input_length: low(call.argument(7)?),
            output: call.argument(8)?,
            output_length: low(call.argument(9)?),
        };
        let needed = code >> 14 & 3;
        let begun = self.begin(0, &caller)?;
        if self.mode.is_user() && begun.0.access & needed != needed {
            begun.1.give_back(&caller);
            return Err(nt_status::STATUS_ACCESS_DENIED.into());
        }
        let operation = if file_system {
            Operation::FsControl { code }
        } else {
            Operation::Control { code }
        };
        self.send(begun, operation, &buffers, &caller)
    }

    /// A read or a write: arguments 5 to 8.
    fn transfer(&self, call: &Call<'_>, write: bool) -> Result<u32, Refusal> {
        let caller = CallContext::of(call);
        let (buffer, length) = (call.argument(5)?, low(call.argument(6)?));
        let (start, key) = (call.argument(7)?, call.argument(8)?);
        self.mode.probe_optional(start, 8, 8)?;
        self.mode.probe_optional(key, 4, 4)?;
        let begun = self.begin(if write { WRITE_OR_APPEND } else { READ_DATA }, &caller)?;
        let prepared = || -> Result<(u64, u32), Refusal> {
            let offset = Self::byte_offset(&begun.0, start, write)?;
            let key = if key == 0 {
                0
            } else {
                driver_mem::read_u32(key)?
            };
            Ok((offset, key))
        };
        let (offset, key) = match prepared() {
            Ok(prepared) => prepared,
            Err(refusal) => {
                begun.1.give_back(&caller);
                return Err(refusal);
            }
        };
        let (operation, buffers) = if write {
            let buffers = Buffers {
                input: buffer,
                input_length: length,
                ..Buffers::default()
            };
            (Operation::Write { offset, key }, buffers)
        } else {
            let buffers = Buffers {
                output: buffer,
                output_length: length,
                ..Buffers::default()
            };
            (Operation::Read { offset, key }, buffers)
        };
        self.send(begun, operation, &buffers, &caller)
    }

    /// Where a read or write begins: a file that is not synchronous has no
    /// position of its own.
    /// Whoever may only append to a file of the file system writes at its end.
    fn byte_offset(file: &Entry, start: u64, write: bool) -> Result<u64, Refusal> {
        let on_volume =
            DriverPtr::<FileObject>::new(file.object).get(|file| &file.fs_context)? != 0;
        if write && on_volume && file.access & WRITE_OR_APPEND == APPEND_DATA {
            return Ok(END_OF_FILE);
        }
        let file = file.object;
        let given = if start == 0 {
            None
        } else {
            Some(driver_mem::read_u64(start)?)
        };
        match given {
            Some(offset) if offset != USE_FILE_POINTER => Ok(offset),
            _ if is_synchronous(file)? => Ok(DriverPtr::<FileObject>::new(file)
                .get(|file| &file.current_byte_offset)?
                .cast_unsigned()),
            _ => Err(nt_status::STATUS_INVALID_PARAMETER.into()),
        }
    }
}

/// The low half of an argument.
pub fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

/// Whether requests on a file wait for their end.
pub fn is_synchronous(file: u64) -> Result<bool, Fault> {
    Ok(
        DriverPtr::<FileObject>::new(file).get(|file| &file.flags)? & file_flag::SYNCHRONOUS_IO
            != 0,
    )
}

/// Waits for the end of other requests on a synchronous file.
fn acquire(file: u64) -> Result<(), Fault> {
    let file = DriverPtr::<FileObject>::new(file);
    while file.get(|file| &file.busy)? != 0 {
        sched::park(file.at(|file| &file.lock).address(), None);
    }
    file.set(|file| &file.busy, 1)
}

fn release(file: u64) -> Result<(), Fault> {
    let file = DriverPtr::<FileObject>::new(file);
    file.set(|file| &file.busy, 0)?;
    sched::wake(file.at(|file| &file.lock).address());
    Ok(())
}

/// One of these services for one of the two kinds of caller.
pub fn serve(
    call: &Call<'_>,
    mode: Mode,
    work: impl FnOnce(&IoArguments) -> Result<u32, Refusal>,
) -> Result<u32, NoReturn> {
    mode.outcome(IoArguments::of(call, mode).and_then(|common| work(&common)))
}

exports! {
    /// `ZwDeviceIoControlFile`: file, event, APC routine and context, status block,
    /// code, input and its length, output and its length.
    fn ZwDeviceIoControlFile<call>() -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::Kernel, |common| common.control(call, false))
    }

    /// `NtDeviceIoControlFile`.
    fn NtDeviceIoControlFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::previous(), |common| common.control(call, false))
    }

    /// `ZwFsControlFile`.
    fn ZwFsControlFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::Kernel, |common| common.control(call, true))
    }

    /// `NtFsControlFile`.
    fn NtFsControlFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::previous(), |common| common.control(call, true))
    }

    /// `ZwReadFile`: file, event, APC routine and context, status block, buffer,
    /// length, byte offset, key.
    fn ZwReadFile<call>() -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::Kernel, |common| common.transfer(call, false))
    }

    /// `NtReadFile`.
    fn NtReadFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::previous(), |common| common.transfer(call, false))
    }

    /// `ZwWriteFile`.
    fn ZwWriteFile<call>() -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::Kernel, |common| common.transfer(call, true))
    }

    /// `NtWriteFile`.
    fn NtWriteFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Mode::previous(), |common| common.transfer(call, true))
    }
}

//! The end of a file in two steps, cleanup when its last handle is closed and close
//! when nothing refers to it; and what it is called until then.

use nt_layout::FileObject;
use nt_layout::Vpb;
use ntbox_api::rules;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::NoReturn;
use ntbox_host::hook::Event;

use super::file::{allocate_irp, send_and_wait};
use super::{device, file_system};
use crate::base::call_context::CallContext;
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout::file::flag as file_flag;
use crate::base::io_layout::irp::flag as irp_flag;
use crate::base::io_layout::major;
use crate::mm::pool;
use crate::ob;
use crate::ob::{ClosedHandle, ObjectTypeProcedures};

/// The procedures of file objects.
pub const OBJECT_TYPE: ObjectTypeProcedures = ObjectTypeProcedures {
    query_name: Some(name),
    close: Some(handle_closed),
    delete: Some(deleted),
    ..ObjectTypeProcedures::NONE
};

/// Called when the last reference to a file object is gone, with the object.
pub static FILE_OBJECT_DELETED: Event<fn(u64)> = Event::new();

/// A handle to a file was closed: with the last one the driver cleans up.
pub fn handle_closed(closed: &ClosedHandle, caller: &CallContext<'_>) {
    if closed.left == 0 {
        ending(closed.object, major::CLEANUP, caller);
    }
}

/// Nothing refers to a file any more: the driver closes it.
pub fn deleted(object: u64, caller: &CallContext<'_>) {
    let object = DriverPtr::<FileObject>::new(object);
    ending(object.address(), major::CLOSE, caller);
    FILE_OBJECT_DELETED.notify(|deleted| deleted(object.address()));
    let device = object.get(|file| &file.device_object).unwrap_or(0);
    let volume = object.get(|file| &file.vpb).unwrap_or(0);
    if device != 0 {
        // The block is the kernel's own memory.
        let _ = count_on_volume(DriverPtr::new(volume), false);
    }
    if let Ok(name) = UnicodeString::read(object.at(|file| &file.file_name).address())
        && name.buffer != 0
    {
        pool::free(name.buffer);
    }
    if device != 0 && device::count_reference(device, false, caller).is_err() {
        diag::violation(
            rules::DEVICE_DAMAGED,
            format!("the device at {device:#018x} cannot be read"),
            0,
        );
    }
}

/// Counts a file of a volume, or its end; 0 for a file that is on none.
pub fn count_on_volume(volume: DriverPtr<Vpb>, opened: bool) -> Result<(), Fault> {
    if volume.is_null() {
        return Ok(());
    }
    let count = volume.get(|volume| &volume.reference_count)?;
    let count = if opened {
        count.wrapping_add(1)
    } else {
        count.wrapping_sub(1)
    };
    volume.set(|volume| &volume.reference_count, count)
}

/// The name of a file: that of its device, and the path behind it.
pub fn name(object: u64) -> Option<Vec<u16>> {
    let object = DriverPtr::<FileObject>::new(object);
    let device = object.get(|file| &file.device_object).ok()?;
    let mut name = ob::path(device)?;
    let path = file_system::path_of(object.address()).or_else(|| {
        let path = UnicodeString::read(object.at(|file| &file.file_name).address()).ok()?;
        path.units().ok()
    });
    name.extend(path?);
    Some(name)
}

/// Sends cleanup or close and waits for the end; their status does not matter.
fn ending(object: u64, function: u8, caller: &CallContext<'_>) {
    let object = DriverPtr::<FileObject>::new(object);
    let work = || -> Result<(), NoReturn> {
        let device = object.get(|file| &file.device_object)?;
        if device == 0 {
            return Ok(());
        }
        let top = device::related(device)?;
        let Some((irp, _)) = allocate_irp(top, object.address(), function, false)? else {
            return Ok(());
        };
        let flags = if function == major::CLOSE {
            irp_flag::CLOSE_OPERATION
        } else {
            0
        };
        irp.set(|irp| &irp.flags, flags | irp_flag::SYNCHRONOUS_API)?;
        send_and_wait(top, irp.address(), caller)?;
        if function == major::CLEANUP {
            let flags = object.at(|file| &file.flags);
            flags.update(|flags| flags | file_flag::CLEANUP_COMPLETE)?;
        }
        Ok(())
    };
    if let Err(refusal) = work() {
        caller.end(refusal);
    }
}

/// What the end of the last handle to a file says, where there never was one.
pub fn no_handle(object: u64) -> ClosedHandle {
    ClosedHandle { object, left: 0 }
}

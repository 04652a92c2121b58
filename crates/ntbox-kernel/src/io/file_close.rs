//! The end of a file in two steps, cleanup when its last handle is closed and close
//! when nothing refers to it; and what it is called until then.

use nt_layout::Vpb;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::Stop;
use ntbox_host::hook::Event;

use super::file::{packet_for, send_and_wait};
use super::{device, file_system};
use crate::base::call_context::Caller;
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout::{file, irp as packet_offset, major};
use crate::mm::pool;
use crate::ob;
use crate::ob::{Closed, ObjectTypeProcedures};

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
pub fn handle_closed(closed: &Closed, caller: &Caller<'_>) {
    if closed.left == 0 {
        ending(closed.object, major::CLEANUP, caller);
    }
}

/// Nothing refers to a file any more: the driver closes it.
pub fn deleted(object: u64, caller: &Caller<'_>) {
    ending(object, major::CLOSE, caller);
    FILE_OBJECT_DELETED.notify(|deleted| deleted(object));
    let body = driver_mem::read_u64(object + file::DEVICE_OBJECT).unwrap_or(0);
    let volume = driver_mem::read_u64(object + file::VPB).unwrap_or(0);
    if body != 0 {
        // The block is the kernel's own memory.
        let _ = count_on_volume(DriverPtr::new(volume), false);
    }
    if let Ok(name) = UnicodeString::read(object + file::FILE_NAME)
        && name.buffer != 0
    {
        pool::free(name.buffer);
    }
    if body != 0 && device::count_reference(body, false, caller).is_err() {
        diag::violation(
            rules::DEVICE_DAMAGED,
            format!("the device at {body:#018x} cannot be read"),
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
    let body = driver_mem::read_u64(object + file::DEVICE_OBJECT).ok()?;
    let mut name = ob::path(body)?;
    let path = file_system::path_of(object).or_else(|| {
        let path = UnicodeString::read(object + file::FILE_NAME).ok()?;
        path.units().ok()
    });
    name.extend(path?);
    Some(name)
}

/// Sends cleanup or close and waits for the end; their status does not matter.
fn ending(object: u64, function: u8, caller: &Caller<'_>) {
    let work = || -> Result<(), Stop> {
        let body = driver_mem::read_u64(object + file::DEVICE_OBJECT)?;
        if body == 0 {
            return Ok(());
        }
        let top = device::related(body)?;
        let Some((packet, _)) = packet_for(top, object, function, false)? else {
            return Ok(());
        };
        let flags = if function == major::CLOSE {
            packet_offset::flag::CLOSE_OPERATION
        } else {
            0
        };
        driver_mem::write_u32(
            packet + packet_offset::FLAGS,
            flags | packet_offset::flag::SYNCHRONOUS_API,
        )?;
        send_and_wait(top, packet, caller)?;
        if function == major::CLEANUP {
            let flags = driver_mem::read_u32(object + file::FLAGS)?;
            driver_mem::write_u32(object + file::FLAGS, flags | file::flag::CLEANUP_COMPLETE)?;
        }
        Ok(())
    };
    if let Err(refusal) = work() {
        caller.end(refusal);
    }
}

/// What the end of the last handle to a file says, where there never was one.
pub fn no_handle(object: u64) -> Closed {
    Closed { object, left: 0 }
}

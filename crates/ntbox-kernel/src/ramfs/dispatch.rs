//! What each request leads to. The file system's driver object has one dispatch
//! routine, an export that nobody imports; it does what is asked and completes the
//! IRP, at once but for locks that must be waited for.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::{
    cleanup_close, create, directory, lock_control, query_info, set_info, transfer, volume_info,
};
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::io_layout::{irp as offset, major, stack};
use crate::base::log;
use crate::io::irp;

/// The result of a request: status and information.
pub type IoResult = (u32, u64);

/// A request that ends with a status only.
pub fn status(result: Result<(), u32>) -> IoResult {
    (result.err().unwrap_or(nt_status::STATUS_SUCCESS), 0)
}

exports! {
    /// The dispatch routine of the file system. A driver has no reason to import
    /// it; it finds it in the driver object, as every caller does.
    fn IopFileSystemRequest<call>(body: u64, packet: u64) -> u32
        [max PASSIVE_LEVEL, undocumented "a routine inside this kernel"] {
        request(packet, &CallContext::of(call))
    }
}

/// `IRP_MJ_FILE_SYSTEM_CONTROL`: the volume knows of none, and says so, as one that
/// does not claim reparse points and the like.
fn no_control(place: u64) -> Result<IoResult, Fault> {
    /// `IRP_MN_USER_FS_REQUEST`.
    const USER_REQUEST: u8 = 0;
    if driver_mem::read_u8(place + stack::MINOR)? == USER_REQUEST {
        let code = driver_mem::read_u32(place + stack::control::CODE)?;
        let named = match code {
            0x0009_00a4 => " (FSCTL_SET_REPARSE_POINT)",
            0x0009_00a8 => " (FSCTL_GET_REPARSE_POINT)",
            0x0009_00ac => " (FSCTL_DELETE_REPARSE_POINT)",
            _ => "",
        };
        log::note(&format!(
            "the volume C: refuses the file system control {code:#010x}{named}: it has no reparse points, and carries out none"
        ));
    }
    Ok((nt_status::STATUS_INVALID_DEVICE_REQUEST, 0))
}

fn request(packet: u64, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    let place = irp::location(packet)?;
    let function = driver_mem::read_u8(place + stack::MAJOR)?;
    let done = match function {
        major::CREATE => create::create(packet, place)?,
        major::CLEANUP => cleanup_close::cleanup(place, caller)?,
        major::CLOSE => cleanup_close::close(place)?,
        major::READ => transfer::read(packet, place)?,
        major::WRITE => transfer::write(packet, place)?,
        major::QUERY_INFORMATION => query_info::query(packet, place)?,
        major::SET_INFORMATION => set_info::set(packet, place)?,
        major::QUERY_VOLUME_INFORMATION => volume_info::query(packet, place)?,
        major::SET_VOLUME_INFORMATION => volume_info::set(packet, place)?,
        major::DIRECTORY_CONTROL => directory::control(packet, place)?,
        // All data is in memory, which is where it stays.
        major::FLUSH_BUFFERS => (nt_status::STATUS_SUCCESS, 0),
        major::LOCK_CONTROL => return lock_control::control(packet, place, caller),
        major::FILE_SYSTEM_CONTROL => no_control(place)?,
        _ => (nt_status::STATUS_INVALID_DEVICE_REQUEST, 0),
    };
    driver_mem::write_u32(packet + offset::STATUS, done.0)?;
    driver_mem::write_u64(packet + offset::INFORMATION, done.1)?;
    irp::complete(packet, caller)?;
    Ok(done.0)
}

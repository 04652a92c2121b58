//! Devices that every system has and this kernel drives itself: `\Device\Null`, which
//! takes everything and gives nothing, and `\Device\NamedPipe`, on which nobody has
//! made a pipe. The file system's driver objects are made here, too.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};

use super::device::DeviceParams;
use super::{device, irp};
use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::io_layout::{device as device_offset, driver, file, irp as offset, major, stack};
use crate::base::utf16::{text, wide};
use crate::base::{export_table, log};
use crate::ob;
use crate::ob::attributes::{CASE_INSENSITIVE, PERMANENT};
use crate::ob::{Attributes, Payload, Type};

/// A device and what belongs to it.
struct OwnDevice {
    driver: &'static str,
    dispatch: &'static str,
    device: &'static str,
    /// `FILE_DEVICE_…`.
    kind: u32,
    link: &'static str,
}

/// The devices, `FILE_DEVICE_NULL` and `FILE_DEVICE_NAMED_PIPE`.
const DEVICES: [OwnDevice; 2] = [
    OwnDevice {
        driver: r"\Driver\Null",
        dispatch: "IopNullRequest",
        device: r"\Device\Null",
        kind: 0x15,
        link: r"\GLOBAL??\NUL",
    },
    OwnDevice {
        driver: r"\FileSystem\Npfs",
        dispatch: "IopNamedPipeRequest",
        device: r"\Device\NamedPipe",
        kind: 0x11,
        link: r"\GLOBAL??\PIPE",
    },
];

/// Makes the devices.
///
/// # Errors
/// Which cannot be made, for a person.
pub fn initialize() -> Result<(), String> {
    DEVICES
        .iter()
        .try_for_each(|own| make(own).ok_or_else(|| format!("{} cannot be made", own.device)))
}

fn make(own: &OwnDevice) -> Option<()> {
    let wanted = DeviceParams {
        driver: driver(own.driver, own.dispatch)?,
        extension: 0,
        name: Some(wide(own.device)),
        kind: own.kind,
        characteristics: 0,
        exclusive: false,
    };
    let body = device::create(wanted, &Caller::kernel(0)).ok()?.ok()?;
    let flags = driver_mem::read_u32(body + device_offset::FLAGS).ok()?;
    let flags = flags & !device_offset::flag::INITIALIZING;
    driver_mem::write_u32(body + device_offset::FLAGS, flags).ok()?;
    let payload = Payload::SymbolicLink {
        target: wide(own.device),
        capacity: u16::try_from(2 * own.device.len() + 2).ok()?,
    };
    let link = ob::create(Type::SymbolicLink, 0x28, payload).ok()?;
    let attributes = Attributes::named(wide(own.link), PERMANENT | CASE_INSENSITIVE);
    ob::insert(link, &attributes).ok().map(drop)
}

/// Makes a driver object whose every request goes to an export. `None` without memory.
pub fn driver(path: &str, dispatch: &str) -> Option<u64> {
    let object = ob::create(Type::Driver, driver::SIZE_OF, Payload::None).ok()?;
    let attributes = Attributes::named(wide(path), PERMANENT | CASE_INSENSITIVE);
    ob::insert(object, &attributes).ok()?;
    let routine = export_table::resolve(dispatch)?;
    let fill = || -> Result<(), Fault> {
        driver_mem::write_u16(object, driver::TYPE_NUMBER)?;
        driver_mem::write_u16(object + 2, u16::try_from(driver::SIZE_OF).unwrap_or(0))?;
        for n in 0..driver::MAJOR_FUNCTIONS {
            driver_mem::write_u64(object + driver::MAJOR_FUNCTION + 8 * n, routine)?;
        }
        Ok(())
    };
    fill().ok().map(|()| object)
}

/// Completes a request.
fn complete(packet: u64, status: u32, information: u64, caller: &Caller<'_>) -> Result<u32, Stop> {
    driver_mem::write_u32(packet + offset::STATUS, status)?;
    driver_mem::write_u64(packet + offset::INFORMATION, information)?;
    irp::complete(packet, caller)?;
    Ok(status)
}

/// A pipe that nobody has made, which is all that can be opened but the device itself.
fn open_pipe(place: u64) -> Result<u32, Fault> {
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let name = UnicodeString::read(object + file::FILE_NAME)?.units()?;
    if matches!(text(&name).as_str(), "" | "\\") {
        return Ok(nt_status::STATUS_SUCCESS);
    }
    log::note(&format!(
        r"\Device\NamedPipe{} is not found: no program here serves a named pipe, and none can be made",
        text(&name)
    ));
    Ok(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
}

exports! {
    /// The dispatch routine of `\Driver\Null`: a read finds the end of the file, a write
    /// takes all. Nobody imports it.
    fn IopNullRequest<call>(body: u64, packet: u64) -> u32
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let place = irp::location(packet)?;
        let (status, information) = match driver_mem::read_u8(place + stack::MAJOR)? {
            major::CREATE | major::CLEANUP | major::CLOSE | major::FLUSH_BUFFERS | major::LOCK_CONTROL => {
                (nt_status::STATUS_SUCCESS, 0)
            }
            major::READ => (nt_status::STATUS_END_OF_FILE, 0),
            major::WRITE => {
                let length = driver_mem::read_u32(place + stack::transfer::LENGTH)?;
                (nt_status::STATUS_SUCCESS, length.into())
            }
            _ => (nt_status::STATUS_INVALID_DEVICE_REQUEST, 0),
        };
        complete(packet, status, information, &Caller::of(call))
    }

    /// The dispatch routine of `\FileSystem\Npfs`. Nobody imports it.
    fn IopNamedPipeRequest<call>(body: u64, packet: u64) -> u32
        [max PASSIVE_LEVEL, undocumented "a routine inside this kernel"] {
        let place = irp::location(packet)?;
        let status = match driver_mem::read_u8(place + stack::MAJOR)? {
            major::CREATE => open_pipe(place)?,
            major::CLEANUP | major::CLOSE => nt_status::STATUS_SUCCESS,
            _ => nt_status::STATUS_INVALID_DEVICE_REQUEST,
        };
        complete(packet, status, 0, &Caller::of(call))
    }
}

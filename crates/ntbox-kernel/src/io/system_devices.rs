//! Devices that every system has and this kernel drives itself: `\Device\Null`, which
//! takes everything and gives nothing, and `\Device\NamedPipe`, on which nobody has
//! made a pipe. The file system's driver objects are made here, too.

use nt_layout::{
    DeviceObject, DriverObject, FileObject, IoStackLocation, Irp, ReadWriteParameters,
};
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};

use super::device::DeviceParams;
use super::{device, irp};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout;
use crate::base::io_layout::device::flag as device_flag;
use crate::base::io_layout::major;
use crate::base::utf16::{text, wide};
use crate::base::{export_table, log};
use crate::ob;
use crate::ob::attributes::{CASE_INSENSITIVE, PERMANENT};
use crate::ob::{Attributes, Payload, Type};

/// A device of the kernel and its objects.
struct SystemDevice {
    driver: &'static str,
    dispatch: &'static str,
    device: &'static str,
    /// `FILE_DEVICE_…`.
    kind: u32,
    link: &'static str,
}

/// The devices, `FILE_DEVICE_NULL` and `FILE_DEVICE_NAMED_PIPE`.
const DEVICES: [SystemDevice; 2] = [
    SystemDevice {
        driver: r"\Driver\Null",
        dispatch: "IopNullRequest",
        device: r"\Device\Null",
        kind: 0x15,
        link: r"\GLOBAL??\NUL",
    },
    SystemDevice {
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

fn make(own: &SystemDevice) -> Option<()> {
    let wanted = DeviceParams {
        driver: driver(own.driver, own.dispatch)?,
        extension: 0,
        name: Some(wide(own.device)),
        kind: own.kind,
        characteristics: 0,
        exclusive: false,
    };
    let device =
        DriverPtr::<DeviceObject>::new(device::create(wanted, &CallContext::kernel(0)).ok()?.ok()?);
    let flags = device.get(|device| &device.flags).ok()?;
    let flags = flags & !device_flag::INITIALIZING;
    device.set(|device| &device.flags, flags).ok()?;
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
    let object = ob::create(Type::Driver, DriverPtr::<DriverObject>::SIZE, Payload::None).ok()?;
    let attributes = Attributes::named(wide(path), PERMANENT | CASE_INSENSITIVE);
    ob::insert(object, &attributes).ok()?;
    let routine = export_table::resolve(dispatch)?;
    let fill = || -> Result<(), Fault> {
        let driver = DriverPtr::<DriverObject>::new(object);
        driver.set(|driver| &driver.kind, io_layout::driver::TYPE_NUMBER)?;
        driver.set(|driver| &driver.size, DriverPtr::<DriverObject>::SIZE_FIELD)?;
        for n in 0..=usize::from(major::MAXIMUM) {
            driver.set(|driver| &driver.major_function[n], routine)?;
        }
        Ok(())
    };
    fill().ok().map(|()| object)
}

/// Completes a request.
fn complete(
    irp: u64,
    status: u32,
    information: u64,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    irp.set(|irp| &irp.io_status.status, status)?;
    irp.set(|irp| &irp.io_status.information, information)?;
    irp::complete(irp.address(), caller)?;
    Ok(status)
}

/// A pipe that nobody has made, which is all that can be opened but the device itself.
fn open_pipe(stack_location: u64) -> Result<u32, Fault> {
    let object =
        DriverPtr::<IoStackLocation>::new(stack_location).get(|location| &location.file_object)?;
    let name = UnicodeString::read(
        DriverPtr::<FileObject>::new(object)
            .at(|file| &file.file_name)
            .address(),
    )?
    .units()?;
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
    fn IopNullRequest<call>(device: u64, irp: u64) -> u32
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let stack_location = DriverPtr::<IoStackLocation>::new(irp::location(irp)?);
        let (status, information) = match stack_location.get(|location| &location.major_function)? {
            major::CREATE | major::CLEANUP | major::CLOSE | major::FLUSH_BUFFERS | major::LOCK_CONTROL => {
                (nt_status::STATUS_SUCCESS, 0)
            }
            major::READ => (nt_status::STATUS_END_OF_FILE, 0),
            major::WRITE => {
                let length = stack_location.parameters::<ReadWriteParameters>().get(|parameters| &parameters.length)?;
                (nt_status::STATUS_SUCCESS, length.into())
            }
            _ => (nt_status::STATUS_INVALID_DEVICE_REQUEST, 0),
        };
        complete(irp, status, information, &CallContext::of(call))
    }

    /// The dispatch routine of `\FileSystem\Npfs`. Nobody imports it.
    fn IopNamedPipeRequest<call>(device: u64, irp: u64) -> u32
        [max PASSIVE_LEVEL, undocumented "a routine inside this kernel"] {
        let stack_location = irp::location(irp)?;
        let status = match DriverPtr::<IoStackLocation>::new(stack_location).get(|location| &location.major_function)? {
            major::CREATE => open_pipe(stack_location)?,
            major::CLEANUP | major::CLOSE => nt_status::STATUS_SUCCESS,
            _ => nt_status::STATUS_INVALID_DEVICE_REQUEST,
        };
        complete(irp, status, 0, &CallContext::of(call))
    }
}

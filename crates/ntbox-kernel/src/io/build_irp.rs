//! IRPs that drivers have built for requests of their own.

use nt_layout::Vpb;
use nt_layout::{DeviceObject, FileObject, IoStackLocation, Irp};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{ExportResult, NoReturn};

use super::file::IrpWithLocation;
use super::file::OpenOptions;
use super::transfer::Buffers;
use super::{device as devices, file, file_close, irp, transfer};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout::major;
use crate::base::thread_table;
use crate::ob;
use crate::ob::Type;

/// `FILE_OPEN` as a disposition, `FILE_NON_DIRECTORY_FILE` as an option.
const OPEN_OPTIONS: u32 = 0x0100_0040;

/// `FILE_READ_ATTRIBUTES`.
const READ_ATTRIBUTES: u32 = 0x80;

/// Allocates an IRP for a device, with the function in its first stack location.
fn allocate(device: u64, function: u8, caller: u64) -> Result<Option<IrpWithLocation>, NoReturn> {
    let depth = DriverPtr::<DeviceObject>::new(device).get(|device| &device.stack_size)?;
    let Some(irp) = irp::allocate(depth, irp::IrpOwner::Built, caller)? else {
        return Ok(None);
    };
    let irp = DriverPtr::<Irp>::new(irp);
    irp.set(|irp| &irp.thread, thread_table::current_thread())?;
    let stack_location = DriverPtr::<IoStackLocation>::new(irp::next_location(irp.address())?);
    stack_location.set(|location| &location.major_function, function)?;
    Ok(Some((irp, stack_location)))
}

/// Frees an IRP whose buffers could not be prepared.
fn discard(irp: DriverPtr<Irp>) -> ExportResult {
    transfer::release(irp.address(), 0)?;
    irp::free(irp.address(), 0)?;
    Ok(0)
}

#[expect(clippy::too_many_arguments, reason = "a request has as many parts")]
fn read_or_write(
    function: u32,
    device: u64,
    buffer: u64,
    length: u32,
    start: u64,
    block: u64,
    event: u64,
    caller: u64,
) -> ExportResult {
    let function = u8::try_from(function & 0xff).unwrap_or(0);
    let Some((irp, stack_location)) = allocate(device, function, caller)? else {
        return Ok(0);
    };
    irp.set(|irp| &irp.user_iosb, block)?;
    irp.set(|irp| &irp.user_event, event)?;
    if matches!(function, major::READ | major::WRITE) {
        let method = file::buffering_method(device)?;
        let start = if start == 0 {
            0
        } else {
            driver_mem::read_u64(start)?
        };
        let write = function == major::WRITE;
        if transfer::transfer(
            irp,
            stack_location,
            write,
            (start, 0),
            buffer,
            length,
            method,
            false,
        )?
        .is_err()
        {
            return discard(irp);
        }
    }
    Ok(irp.address())
}

/// Opens the device that has the name at `name`: the device itself, and a file
/// object that keeps it open.
fn open_device(
    name: u64,
    access: u32,
    caller: &CallContext<'_>,
) -> Result<Result<(u64, u64), u32>, NoReturn> {
    let path = UnicodeString::read(name)?.units()?;
    let found = match ob::lookup_path(&path, Some(Type::Device)) {
        Ok(found) => found,
        Err(status) => return Ok(Err(status)),
    };
    if found.kind != Type::Device {
        ob::dereference(found.object, caller);
        return Ok(Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH));
    }
    let opening = OpenOptions {
        access,
        share: 7,
        options: OPEN_OPTIONS,
        ..OpenOptions::default()
    };
    let opened = file::open(found.object, &found.rest, opening, caller);
    ob::dereference(found.object, caller);
    Ok(opened?.map(|(opened, _)| (found.object, opened)))
}

exports! {
    /// `IoQueueThreadIrp`: from now on the request is its thread's, and freed at its end
    /// as one that the I/O manager built.
    fn IoQueueThreadIrp(irp: u64) -> () [max APC_LEVEL, ntifs] {
        irp::set_owner(irp, irp::IrpOwner::Built);
        Ok(())
    }

    /// `IoBuildDeviceIoControlRequest`: NULL without memory.
    fn IoBuildDeviceIoControlRequest<call>(
        code: u32, device: u64, input: u64, input_length: u32, output: u64, output_length: u32, internal: bool, event: u64,
        block: u64,
    ) -> u64 [max PASSIVE_LEVEL, wdm] fails 0 {
        let function = if internal { major::INTERNAL_DEVICE_CONTROL } else { major::DEVICE_CONTROL };
        let Some((irp, stack_location)) = allocate(device, function, call.return_address())? else { return Ok(0) };
        irp.set(|irp| &irp.user_iosb, block)?;
        irp.set(|irp| &irp.user_event, event)?;
        let buffers = Buffers { input, input_length, output, output_length };
        match transfer::control(irp, stack_location, code, &buffers, false)? {
            Ok(()) => Ok(irp.address()),
            Err(_) => discard(irp),
        }
    }

    /// `IoBuildSynchronousFsdRequest`: NULL without memory.
    fn IoBuildSynchronousFsdRequest<call>(
        function: u32, device: u64, buffer: u64, length: u32, start: u64, event: u64, block: u64,
    ) -> u64 [max PASSIVE_LEVEL, wdm] fails 0 {
        read_or_write(function, device, buffer, length, start, block, event, call.return_address())
    }

    /// `IoBuildAsynchronousFsdRequest`: the same without an event. A completion routine
    /// that takes it back frees it; the I/O manager otherwise.
    fn IoBuildAsynchronousFsdRequest<call>(
        function: u32, device: u64, buffer: u64, length: u32, start: u64, block: u64,
    ) -> u64 [max APC_LEVEL, wdm] fails 0 {
        let irp = read_or_write(function, device, buffer, length, start, block, 0, call.return_address())?;
        irp::set_owner(irp, irp::IrpOwner::Asynchronous);
        Ok(irp)
    }

    /// `IoGetDeviceObjectPointer`: the top of the stack behind a name, and the
    /// file object that keeps it open.
    fn IoGetDeviceObjectPointer<call>(name: u64, access: u32, object: u64, device: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let caller = CallContext::of(call);
        match open_device(name, access, &caller)? {
            Ok((target, opened)) => {
                // The handle that Windows opens for this is closed at once, so
                // the driver sees a cleanup, too.
                file_close::handle_closed(&file_close::no_handle(opened), &caller);
                driver_mem::write_u64(object, opened)?;
                driver_mem::write_u64(device, devices::related(target)?)?;
                // The reference is the driver's from now on.
                ob::reference_for(opened, &caller);
                ob::dereference(opened, &caller);
                Ok(0)
            }
            Err(status) => Ok(status),
        }
    }

    /// `IoAttachDevice`: puts a device on top of the stack behind a name. The file
    /// that the name is opened with is closed when the device is attached, so the
    /// new device sees its cleanup and its close.
    fn IoAttachDevice<call>(source: u64, name: u64, below: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let (target, opened) = match open_device(name, READ_ATTRIBUTES, &caller)? {
            Ok(found) => found,
            Err(status) => return Ok(status),
        };
        let attach = || -> Result<u64, NoReturn> {
            let top = devices::related(target)?;
            driver_mem::write_u64(below, top)?;
            devices::attach(source, top)
        };
        let stored = attach();
        file_close::handle_closed(&file_close::no_handle(opened), &caller);
        ob::dereference(opened, &caller);
        stored?;
        Ok(0)
    }

    /// `IoGetRelatedDeviceObject`: the top of the stack that a file is open on.
    fn IoGetRelatedDeviceObject(object: DriverPtr<FileObject>) -> u64 [max DISPATCH_LEVEL, wdm] {
        let device = object.get(|file| &file.device_object)?;
        devices::related(device)
    }

    /// `IoGetBaseFileSystemDeviceObject`: the bottom of that stack.
    fn IoGetBaseFileSystemDeviceObject(object: DriverPtr<FileObject>) -> u64 [max PASSIVE_LEVEL, ntifs] {
        let device = object.get(|file| &file.device_object)?;
        let volume = DriverPtr::<DeviceObject>::new(device).get(|device| &device.vpb)?;
        let mounted = match DriverPtr::<Vpb>::new(volume) {
            none if none.is_null() => 0,
            volume => volume.get(|volume| &volume.device_object)?,
        };
        Ok(if mounted == 0 { device } else { mounted })
    }
}

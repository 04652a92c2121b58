//! Stream file objects: files that a file system opens for itself, without a name and
//! without a request, to have something to cache or to map by.

use nt_layout::{DeviceObject, FileObject};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{ExportResult, NoReturn};

use super::file::OpenOptions;
use super::{device as devices, file, file_close};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout::file::flag as file_flag;
use crate::ob;

/// What a file is made of: another file of the same device, or a device.
#[derive(Debug, Clone, Copy)]
struct Base {
    file: u64,
    device: u64,
}

/// Makes the object; `None` without memory.
fn make(base: Base, caller: &CallContext<'_>) -> Result<Option<u64>, NoReturn> {
    let device = match base.file {
        0 => base.device,
        file => DriverPtr::<FileObject>::new(file).get(|file| &file.device_object)?,
    };
    let Some(object) = file::new_file(device, &[], OpenOptions::default())? else {
        return Ok(None);
    };
    let flags = DriverPtr::<FileObject>::new(object).at(|file| &file.flags);
    flags.update(|flags| flags | file_flag::STREAM_FILE)?;
    let volume = DriverPtr::<DeviceObject>::new(device).get(|device| &device.vpb)?;
    DriverPtr::<FileObject>::new(object).set(|file| &file.vpb, volume)?;
    file_close::count_on_volume(DriverPtr::new(volume), true)?;
    devices::count_reference(device, true, caller)?;
    ob::hand_over(object, caller);
    Ok(Some(object))
}

/// Makes one and says that its last handle is closed, without there having been one.
fn cleaned_up(base: Base, caller: &CallContext<'_>) -> Result<Option<u64>, NoReturn> {
    let made = make(base, caller)?;
    if let Some(object) = made {
        let flags = DriverPtr::<FileObject>::new(object).at(|file| &file.flags);
        flags.update(|flags| flags | file_flag::HANDLE_CREATED)?;
        file_close::handle_closed(&file_close::no_handle(object), caller);
    }
    Ok(made)
}

/// Makes one, with a kernel handle if somebody wants that.
fn with_handle(
    base: Base,
    handle: u64,
    caller: &CallContext<'_>,
) -> Result<Result<u64, u32>, NoReturn> {
    /// `OBJ_KERNEL_HANDLE`, and `FILE_READ_DATA`.
    const KERNEL_HANDLE: u32 = 0x200;
    const READ_DATA: u32 = 1;
    if handle == 0 {
        let made = cleaned_up(base, caller)?;
        return Ok(made.ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    }
    let Some(object) = make(base, caller)? else {
        return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    match ob::handles::insert(object, READ_DATA, KERNEL_HANDLE, caller.address()) {
        Ok(value) => {
            let flags = DriverPtr::<FileObject>::new(object).at(|file| &file.flags);
            flags.update(|flags| flags | file_flag::HANDLE_CREATED)?;
            driver_mem::write_u64(handle, value)?;
            Ok(Ok(object))
        }
        Err(status) => {
            ob::dereference_for(object, caller);
            Ok(Err(status))
        }
    }
}

fn or_raise(made: Option<u64>) -> ExportResult {
    made.ok_or_else(|| NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
}

exports! {
    /// `IoCreateStreamFileObject`: its driver is told of a cleanup at once.
    fn IoCreateStreamFileObject<call>(file: u64, device: u64) -> u64 [max PASSIVE_LEVEL, ntifs] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        or_raise(cleaned_up(Base { file, device }, &CallContext::of(call))?)
    }

    /// `IoCreateStreamFileObjectLite`: without a cleanup.
    fn IoCreateStreamFileObjectLite<call>(file: u64, device: u64) -> u64 [max APC_LEVEL, ntifs] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        or_raise(make(Base { file, device }, &CallContext::of(call))?)
    }

    /// `IoCreateStreamFileObjectEx`: with a handle, if there is a place for it.
    fn IoCreateStreamFileObjectEx<call>(file: u64, device: u64, handle: u64) -> u64 [max PASSIVE_LEVEL, ntifs]
        raises nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        with_handle(Base { file, device }, handle, &CallContext::of(call))?.map_err(NoReturn::raise)
    }
}

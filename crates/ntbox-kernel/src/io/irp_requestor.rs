//! What an IRP says of its origin.

use std::collections::BTreeMap;

use nt_layout::{DeviceIoControlParameters, FileObject, IoStackLocation, Irp};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use super::irp;
use super::transfer::Method;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout::file::flag as file_flag;
use crate::base::io_layout::irp::flag as irp_flag;
use crate::base::io_layout::major;
use crate::base::thread_table;

/// `IRP_PAGING_IO`, and with it `IRP_SYNCHRONOUS_PAGING_IO`.
const PAGING_IO: u32 = 0x2;
const SYNCHRONOUS_PAGING_IO: u32 = 0x40;

/// The top-level IRP of each thread that has one.
static TOP_LEVEL: KernelCell<BTreeMap<u64, u64>> = KernelCell::new(BTreeMap::new());

/// The process that an IRP's thread belongs to.
fn process(irp: u64) -> Result<Option<u64>, Fault> {
    let thread = DriverPtr::<Irp>::new(irp).get(|irp| &irp.thread)?;
    Ok(thread_table::thread(thread).map(|thread| thread.process))
}

fn is_synchronous(irp: u64) -> Result<bool, Fault> {
    let flags = DriverPtr::<Irp>::new(irp).get(|irp| &irp.flags)?;
    if flags & PAGING_IO != 0 {
        return Ok(flags & SYNCHRONOUS_PAGING_IO != 0);
    }
    let stack_location = DriverPtr::<IoStackLocation>::new(irp::location(irp)?);
    let object = stack_location.get(|location| &location.file_object)?;
    let control = matches!(
        stack_location.get(|location| &location.major_function)?,
        major::DEVICE_CONTROL | major::INTERNAL_DEVICE_CONTROL | major::FILE_SYSTEM_CONTROL
    );
    let buffered = control
        && Method::of(
            stack_location
                .parameters::<DeviceIoControlParameters>()
                .get(|parameters| &parameters.io_control_code)?,
        ) == Method::Buffered;
    let by_file = object != 0
        && DriverPtr::<FileObject>::new(object).get(|file| &file.flags)?
            & file_flag::SYNCHRONOUS_IO
            != 0;
    Ok(flags & irp_flag::SYNCHRONOUS_API != 0 || by_file || buffered)
}

exports! {
    /// `IoIs32bitProcess`: there are no 32-bit processes.
    fn IoIs32bitProcess(irp: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(false)
    }

    /// `IoGetRequestorProcess`: NULL if no thread asked.
    fn IoGetRequestorProcess(irp: u64) -> u64 [max DISPATCH_LEVEL, ntifs] {
        Ok(process(irp)?.unwrap_or(0))
    }

    /// `IoGetRequestorProcessId`: 0 if no thread asked.
    fn IoGetRequestorProcessId(irp: u64) -> u32 [max DISPATCH_LEVEL, ntifs] {
        let id = process(irp)?.and_then(thread_table::process).map_or(0, |process| process.id);
        Ok(u32::try_from(id).unwrap_or(0))
    }

    /// `IoGetRequestorSessionId`: -1 if no thread asked. All are in session 0.
    fn IoGetRequestorSessionId(irp: u64, id: u64) -> u32 [max APC_LEVEL, ntifs] {
        let known = process(irp)?.is_some();
        driver_mem::write_u32(id, if known { 0 } else { u32::MAX })?;
        Ok(if known { 0 } else { nt_status::STATUS_UNSUCCESSFUL })
    }

    /// `IoThreadToProcess`: NULL for what is no thread.
    fn IoThreadToProcess(thread: u64) -> u64 [max HIGH_LEVEL, ntifs] {
        Ok(thread_table::thread(thread).map_or(0, |thread| thread.process))
    }

    /// `IoGetTopLevelIrp`.
    fn IoGetTopLevelIrp() -> u64 [max DISPATCH_LEVEL, wdm] {
        let list = TOP_LEVEL.lock();
        Ok(list.get(&thread_table::current_thread()).copied().unwrap_or(0))
    }

    /// `IoSetTopLevelIrp`.
    fn IoSetTopLevelIrp(irp: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let mut list = TOP_LEVEL.lock();
        if irp == 0 {
            list.remove(&thread_table::current_thread());
        } else {
            list.insert(thread_table::current_thread(), irp);
        }
        Ok(())
    }

    /// `IoIsOperationSynchronous`.
    fn IoIsOperationSynchronous(irp: u64) -> bool [max DISPATCH_LEVEL, ntifs] {
        Ok(is_synchronous(irp)?)
    }
}

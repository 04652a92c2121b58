//! Driver object extensions: context areas of a driver by an address that
//! identifies them, and routines to be called once it has been initialised.

use std::collections::VecDeque;

use nt_layout::{DriverExtension, DriverObject};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use ntbox_host::upcall::call_driver;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// `DRVO_REINIT_REGISTERED`.
const REINIT_REGISTERED: u32 = 0x8;
/// `DRVO_BOOTREINIT_REGISTERED`.
const BOOT_REINIT_REGISTERED: u32 = 0x10;
/// Pool tag of the areas.
const TAG: u32 = u32::from_le_bytes(*b"Driv");

/// An area: its driver, what identifies it, and where it is.
#[derive(Debug, Clone, Copy)]
struct Area {
    driver: u64,
    id: u64,
    va: u64,
}

static AREAS: KernelCell<Vec<Area>> = KernelCell::new(Vec::new());

/// Routines to be called: driver, routine, context, and who registered it.
static REINITIALIZE: KernelCell<VecDeque<(u64, u64, u64, u64)>> = KernelCell::new(VecDeque::new());

fn find(driver: u64, id: u64) -> Option<u64> {
    let areas = AREAS.lock();
    areas
        .iter()
        .find(|area| area.driver == driver && area.id == id)
        .map(|area| area.va)
}

fn add_flag(object: u64, flag: u32) -> Result<(), Fault> {
    let flags = DriverPtr::<DriverObject>::new(object).at(|driver| &driver.flags);
    flags.update(|flags| flags | flag)
}

/// Calls what the driver has registered, and what it registers meanwhile.
pub fn reinitialize(stack: u64) -> Result<(), Fault> {
    loop {
        let next = REINITIALIZE.lock().pop_front();
        let Some((object, routine, context, registrar)) = next else {
            return Ok(());
        };
        let driver = DriverPtr::<DriverObject>::new(object);
        let flags = driver.at(|driver| &driver.flags);
        flags.update(|flags| flags & !REINIT_REGISTERED)?;
        let extension = driver.get(|driver| &driver.driver_extension)?;
        let extension = DriverPtr::<DriverExtension>::new(extension);
        let count = extension.get(|extension| &extension.count)?.wrapping_add(1);
        extension.set(|extension| &extension.count, count)?;
        let routine = Routine::new(routine, "reinitialization routine").registered_by(registrar);
        call_driver(routine, &[object, context, u64::from(count)], stack, None);
    }
}

exports! {
    /// `IoAllocateDriverObjectExtension`: zeroed memory, which goes with the driver.
    fn IoAllocateDriverObjectExtension(driver: u64, id: u64, size: u32, out: u64) -> u32
        [max DISPATCH_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        driver_mem::write_u64(out, 0)?;
        if find(driver, id).is_some() {
            return Ok(nt_status::STATUS_OBJECT_NAME_COLLISION);
        }
        let Some(va) = pool::allocate(PoolKind::NonPaged, u64::from(size), TAG) else {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        AREAS.lock().push(Area { driver, id, va });
        driver_mem::write_u64(out, va)?;
        Ok(0)
    }

    /// `IoGetDriverObjectExtension`: NULL if there is none.
    fn IoGetDriverObjectExtension(driver: u64, id: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        Ok(find(driver, id).unwrap_or(0))
    }

    /// `IoRegisterDriverReinitialization`: called once DriverEntry has succeeded.
    fn IoRegisterDriverReinitialization<call>(driver: u64, routine: u64, context: u64) -> () [max PASSIVE_LEVEL, ntddk] {
        add_flag(driver, REINIT_REGISTERED)?;
        REINITIALIZE.lock().push_back((driver, routine, context, call.return_address()));
        Ok(())
    }

    /// `IoRegisterBootDriverReinitialization`: called while the system starts, which
    /// it has when this kernel loads a driver; so it never is.
    fn IoRegisterBootDriverReinitialization<call>(driver: u64, routine: u64, context: u64) -> ()
        [max PASSIVE_LEVEL, ntddk] {
        Ok(add_flag(driver, BOOT_REINIT_REGISTERED)?)
    }
}

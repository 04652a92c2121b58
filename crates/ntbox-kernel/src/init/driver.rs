//! The driver as the kernel knows it: its `DRIVER_OBJECT`, the calls of DriverEntry
//! and DriverUnload, and what it must have given back.

use ntbox_api::config::Config;
use ntbox_api::rules;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::routine::Routine;
use ntbox_host::upcall::call_driver;
use ntbox_host::{cpu, driver_mem};

use crate::base::call_context::CallContext;
use crate::base::{diag, events, export_table, leak_check, thread_table, utf16};
use crate::ke::mutex;
use crate::loader::Image;
use crate::mm::kernel_stack::{STACK_SIZE, new_stack};
use crate::mm::pool::PoolKind;
use crate::mm::{module_list, pool};
use crate::ob::attributes::{CASE_INSENSITIVE, PERMANENT};
use crate::ob::{Attributes, Payload, Type};
use crate::{cm, ex, io, ob, verifier};

/// Offsets in `DRIVER_OBJECT` and `DRIVER_EXTENSION` on x64.
mod offset {
    pub const TYPE: u64 = 0x00;
    pub const SIZE: u64 = 0x02;
    pub const FLAGS: u64 = 0x10;
    pub const DRIVER_START: u64 = 0x18;
    pub const DRIVER_SIZE: u64 = 0x20;
    pub const DRIVER_SECTION: u64 = 0x28;
    pub const DRIVER_EXTENSION: u64 = 0x30;
    pub const DRIVER_NAME: u64 = 0x38;
    pub const HARDWARE_DATABASE: u64 = 0x48;
    pub const DRIVER_INIT: u64 = 0x58;
    pub const DRIVER_UNLOAD: u64 = 0x68;
    pub const MAJOR_FUNCTION: u64 = 0x70;
    pub const EXTENSION_DRIVER_OBJECT: u64 = 0x00;
    pub const EXTENSION_ADD_DEVICE: u64 = 0x08;
    pub const EXTENSION_SERVICE_KEY_NAME: u64 = 0x18;
}

/// Bytes of a `DRIVER_OBJECT`.
const OBJECT_SIZE: u16 = 0x150;
/// Bytes of a `DRIVER_EXTENSION`, with room for what the I/O manager keeps.
const EXTENSION_SIZE: u64 = 0x50;
/// Entries of the dispatch table.
const MAJOR_FUNCTIONS: u64 = 28;
/// `DRVO_…`: flags of a driver object.
mod flag {
    pub const UNLOAD_INVOKED: u32 = 0x01;
    pub const LEGACY_DRIVER: u32 = 0x02;
    pub const INITIALIZED: u32 = 0x10;
}
/// Pool tag of these objects, `Driv`.
const TAG: u32 = u32::from_le_bytes(*b"Driv");

/// A driver that is loaded.
#[derive(Debug)]
pub struct Driver {
    object: u64,
    registry_path: u64,
    entry: u64,
    stack: u64,
}

impl Driver {
    /// Makes the objects that DriverEntry is called with.
    pub fn new(image: &Image, config: &Config) -> Result<Self, String> {
        let path = cm::hive::seed(&config.service, &config.parameters);
        let no_memory = || "no memory for the driver object".to_owned();
        let object = ob::create(Type::Driver, u64::from(OBJECT_SIZE), Payload::None)
            .map_err(|_| no_memory())?;
        let path_of_object = utf16::wide(&format!("\\Driver\\{}", config.service));
        let named = Attributes::named(path_of_object, PERMANENT | CASE_INSENSITIVE);
        ob::insert(object, &named).map_err(|status| {
            format!(
                "the driver object cannot be named: {}",
                nt_status::Named(status)
            )
        })?;
        let extension =
            pool::allocate(PoolKind::NonPaged, EXTENSION_SIZE, TAG).ok_or_else(no_memory)?;
        let driver_name = string(&format!("\\Driver\\{}", config.service)).ok_or_else(no_memory)?;
        let service = string(&config.service).ok_or_else(no_memory)?;
        let hardware =
            string("\\REGISTRY\\MACHINE\\HARDWARE\\DESCRIPTION\\SYSTEM").ok_or_else(no_memory)?;
        let registry_path = string(&path).ok_or_else(no_memory)?;
        let section = module_list::add(module_list::Module {
            folder: r"\SystemRoot\System32\drivers\",
            name: &image.name,
            base: image.base,
            size: image.size,
            entry: image.entry,
            checked: image.checked,
        });
        let section = section.ok_or_else(no_memory)?;
        let invalid = export_table::resolve("IopInvalidDeviceRequest").unwrap_or(0);
        let fill = || -> Result<(), Fault> {
            driver_mem::write_u16(object + offset::TYPE, 4)?;
            driver_mem::write_u16(object + offset::SIZE, OBJECT_SIZE)?;
            driver_mem::write_u32(object + offset::FLAGS, flag::LEGACY_DRIVER)?;
            driver_mem::write_u64(object + offset::DRIVER_START, image.base)?;
            driver_mem::write_u32(object + offset::DRIVER_SIZE, image.size)?;
            driver_mem::write_u64(object + offset::DRIVER_SECTION, section)?;
            driver_mem::write_u64(object + offset::DRIVER_EXTENSION, extension)?;
            UnicodeString::read(driver_name)?.write(object + offset::DRIVER_NAME)?;
            driver_mem::write_u64(object + offset::HARDWARE_DATABASE, hardware)?;
            driver_mem::write_u64(object + offset::DRIVER_INIT, image.entry)?;
            for n in 0..MAJOR_FUNCTIONS {
                driver_mem::write_u64(object + offset::MAJOR_FUNCTION + 8 * n, invalid)?;
            }
            driver_mem::write_u64(extension + offset::EXTENSION_DRIVER_OBJECT, object)?;
            UnicodeString::read(service)?.write(extension + offset::EXTENSION_SERVICE_KEY_NAME)
        };
        fill().map_err(|fault| format!("the driver object cannot be written: {fault:?}"))?;
        verifier::driver_object::initialize(object);
        let stack = new_stack()?;
        thread_table::update(thread_table::current_thread(), |thread| {
            thread.stack = (stack - STACK_SIZE, stack);
        });
        Ok(Self {
            object,
            registry_path,
            entry: image.entry,
            stack,
        })
    }

    /// Calls DriverEntry and returns its status.
    pub fn enter(&self) -> u32 {
        let status = call_driver(
            Routine::new(self.entry, "entry point"),
            &[self.object, self.registry_path],
            self.stack,
            None,
        );
        check_returned("DriverEntry", self.entry);
        events::routine_returned(self.entry);
        // The status is the low half of RAX.
        u32::try_from(status & 0xffff_ffff).unwrap_or(0)
    }

    fn add_flag(&self, flag: u32) -> Result<(), Fault> {
        let flags = driver_mem::read_u32(self.object + offset::FLAGS)?;
        driver_mem::write_u32(self.object + offset::FLAGS, flags | flag)
    }

    /// What the I/O manager does with the object when DriverEntry has succeeded: each
    /// entry of the dispatch table that is NULL gets the routine that refuses the
    /// request. A later NULL is called, as on Windows.
    pub fn make_ready(&self) -> Result<(), Fault> {
        self.add_flag(flag::INITIALIZED)?;
        let invalid = export_table::resolve("IopInvalidDeviceRequest").unwrap_or(0);
        for n in 0..MAJOR_FUNCTIONS {
            let entry = self.object + offset::MAJOR_FUNCTION + 8 * n;
            if driver_mem::read_u64(entry)? == 0 {
                driver_mem::write_u64(entry, invalid)?;
            }
        }
        Ok(())
    }

    /// Calls the routines that the driver has registered for after DriverEntry.
    pub fn reinitialize(&self) {
        self.note_add_device();
        if let Err(fault) = io::driver_extension::reinitialize(self.stack) {
            CallContext::kernel(self.stack).end(fault.into());
        }
    }

    /// Tells of an `AddDevice` routine, which nothing here calls: such a driver does
    /// its work for devices that are not there.
    fn note_add_device(&self) {
        let extension = driver_mem::read_u64(self.object + offset::DRIVER_EXTENSION);
        let routine = extension
            .and_then(|extension| driver_mem::read_u64(extension + offset::EXTENSION_ADD_DEVICE))
            .unwrap_or(0);
        if routine != 0 {
            diag::note(
                "the driver has an AddDevice routine, for Plug and Play; this kernel has no such devices and never calls it, so only what the driver does without them is tested"
                    .to_owned(),
            );
        }
    }

    /// Calls DriverUnload. False if the driver has none, and so cannot be
    /// unloaded.
    pub fn unload(&self) -> bool {
        let unload = driver_mem::read_u64(self.object + offset::DRIVER_UNLOAD).unwrap_or(0);
        if unload == 0 {
            return false;
        }
        // The object is the kernel's own memory, and the driver is about to go.
        let _ = self.add_flag(flag::UNLOAD_INVOKED);
        let routine =
            Routine::new(unload, "DriverUnload entry").held_by(self.object, "DRIVER_OBJECT");
        call_driver(routine, &[self.object], self.stack, None);
        check_returned("DriverUnload", unload);
        events::routine_returned(unload);
        true
    }
}

/// A routine that is called at `PASSIVE_LEVEL` must return there, and in no region
/// without APCs.
fn check_returned(routine: &str, pc: u64) {
    let irql = cpu::set_irql(cpu::PASSIVE_LEVEL);
    if irql != cpu::PASSIVE_LEVEL {
        let held = events::lock_held_text();
        let what = format!("{routine} called at IRQL 0 returned at IRQL {irql}{held}");
        diag::violation_of(pc, rules::IRQL_CHANGED_ON_RETURN.without_stop(), what);
    }
    let regions = thread_table::update(thread_table::current_thread(), |info| {
        (
            std::mem::take(&mut info.critical),
            std::mem::take(&mut info.guarded),
        )
    });
    if let Some((critical, guarded)) = regions
        && (critical, guarded) != (0, 0)
    {
        let thread = thread_table::current_thread();
        let held = mutex::held_text(thread).filter(|_| critical != 0);
        let what = match held {
            Some(held) => {
                format!("{routine} returned and {held}, so its thread is in a critical region")
            }
            None => format!(
                "{routine} returned in {critical} critical and {guarded} guarded regions that it entered"
            ),
        };
        diag::violation_of(pc, rules::APC_DISABLE_IMBALANCE, what);
    }
}

/// A `UNICODE_STRING` with its text behind it, both in nonpaged pool.
fn string(text: &str) -> Option<u64> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let length = u16::try_from(2 * units.len()).ok()?;
    let va = pool::allocate(PoolKind::NonPaged, 16 + u64::from(length) + 2, TAG)?;
    let value = UnicodeString {
        length,
        maximum_length: length.checked_add(2)?,
        buffer: va + 16,
    };
    value.write(va).ok()?;
    for (n, unit) in units.iter().enumerate() {
        driver_mem::write_u16(va + 16 + 2 * n as u64, *unit).ok()?;
    }
    Some(va)
}

/// Reports everything that the driver has not given back.
pub fn report_leaks(when: &str) {
    ex::worker::settle(when);
    leak_check::report_leaks(when);
}

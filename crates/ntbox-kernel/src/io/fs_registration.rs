//! Which file systems there are: those that drivers register by their control devices,
//! and who wants to hear of it when one comes or goes.

use nt_layout::DeviceObject;
use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;

use super::device as devices;
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::ob;

/// `FILE_DEVICE_CD_ROM_FILE_SYSTEM`, `FILE_DEVICE_DISK_FILE_SYSTEM` and
/// `FILE_DEVICE_NETWORK_FILE_SYSTEM`.
const KINDS: [u32; 3] = [0x03, 0x08, 0x14];
/// `DO_LOW_PRIORITY_FILESYSTEM`.
const LOW_PRIORITY: u32 = 0x0001_0000;

/// Who wants to hear.
#[derive(Debug, Clone, Copy)]
struct Listener {
    driver: u64,
    routine: u64,
    caller: u64,
}

#[derive(Debug)]
struct State {
    /// Control devices, in the order in which they are asked to mount.
    file_systems: Vec<u64>,
    listeners: Vec<Listener>,
}

static STATE: KernelCell<State> = KernelCell::new(State {
    file_systems: Vec::new(),
    listeners: Vec::new(),
});

/// Forgets and returns the routines that drivers have left registered.
pub fn leaks() -> Vec<Leak> {
    let listeners = std::mem::take(&mut STATE.lock().listeners);
    let leak = |listener: Listener| {
        let message = format!(
            "the file system notify routine at {:#018x} is not removed",
            listener.routine
        );
        Leak::new(
            rules::NOTIFY_ROUTINE_NOT_UNREGISTERED,
            message,
            listener.caller,
        )
    };
    listeners.into_iter().map(leak).collect()
}

/// Tells everybody of a file system.
fn tell(device: u64, active: bool, caller: &CallContext<'_>) {
    let listeners = STATE.lock().listeners.clone();
    for listener in listeners {
        let routine = Routine::new(listener.routine, "file system notify routine");
        caller.call(
            routine.registered_by(listener.caller),
            &[device, u64::from(active)],
        );
    }
}

/// Registers a routine, and tells it of the file systems that there are.
fn listen(driver: u64, routine: u64, caller: &CallContext<'_>) -> u32 {
    let known = {
        let mut state = STATE.lock();
        let last = state.listeners.last();
        if last.is_some_and(|last| (last.driver, last.routine) == (driver, routine)) {
            return nt_status::STATUS_DEVICE_ALREADY_ATTACHED;
        }
        state.listeners.push(Listener {
            driver,
            routine,
            caller: caller.address(),
        });
        state.file_systems.clone()
    };
    ob::reference(driver);
    for device in known {
        caller.call(routine, &[device, 1]);
    }
    nt_status::STATUS_SUCCESS
}

/// Adds a file system, if its device is one of such.
fn register(device: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let device = DriverPtr::<DeviceObject>::new(device);
    if !KINDS.contains(&device.get(|device| &device.device_type)?) {
        return Ok(());
    }
    let flags = device.get(|device| &device.flags)?;
    devices::count_reference(device.address(), true, caller)?;
    {
        let mut state = STATE.lock();
        if flags & LOW_PRIORITY == 0 {
            state.file_systems.insert(0, device.address());
        } else {
            state.file_systems.push(device.address());
        }
    }
    tell(device.address(), true, caller);
    Ok(())
}

exports! {
    /// `IoRegisterFileSystem`: nothing happens with a device of another type.
    fn IoRegisterFileSystem<call>(device: u64) -> () [max APC_LEVEL, ntifs] {
        register(device, &CallContext::of(call))
    }

    /// `IoUnregisterFileSystem`.
    fn IoUnregisterFileSystem<call>(device: u64) -> () [max APC_LEVEL, ntifs] {
        let caller = CallContext::of(call);
        let known = {
            let mut state = STATE.lock();
            let at = state.file_systems.iter().position(|known| *known == device);
            at.map(|at| state.file_systems.remove(at)).is_some()
        };
        if known {
            tell(device, false, &caller);
            devices::count_reference(device, false, &caller)?;
        }
        Ok(())
    }

    /// `IoRegisterFsRegistrationChange`: the routine hears at once of those that are
    /// registered.
    fn IoRegisterFsRegistrationChange<call>(driver: u64, routine: u64) -> u32 [max APC_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(listen(driver, routine, &CallContext::of(call)))
    }

    /// `IoRegisterFsRegistrationChangeEx`, the same.
    fn IoRegisterFsRegistrationChangeEx<call>(driver: u64, routine: u64) -> u32 [max APC_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(listen(driver, routine, &CallContext::of(call)))
    }

    /// `IoRegisterFsRegistrationChangeMountAware`: nothing is ever being mounted.
    fn IoRegisterFsRegistrationChangeMountAware<call>(driver: u64, routine: u64, wait: bool) -> u32
        [max APC_LEVEL, ntifs, since WINDOWS_7] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        Ok(listen(driver, routine, &CallContext::of(call)))
    }

    /// `IoUnregisterFsRegistrationChange`.
    fn IoUnregisterFsRegistrationChange<call>(driver: u64, routine: u64) -> () [max APC_LEVEL, ntifs] {
        let known = {
            let mut state = STATE.lock();
            let same = |known: &Listener| (known.driver, known.routine) == (driver, routine);
            let at = state.listeners.iter().position(same);
            at.map(|at| state.listeners.remove(at)).is_some()
        };
        if known {
            ob::dereference(driver, &CallContext::of(call));
        }
        Ok(())
    }
}

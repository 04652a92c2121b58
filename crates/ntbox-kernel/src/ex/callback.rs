//! Callback objects: named lists of routines that whoever knows the name has
//! called together, in the order of their registration.

use std::collections::BTreeMap;
use std::sync::Once;

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;

use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::base::{error, utf16};
use crate::ke::sched;
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob;
use crate::ob::{Attributes, NameInsertion, ObjectTypeProcedures, Payload, Type, attributes};

/// Bytes of a callback object and of a registration, both opaque.
const SIZE: u64 = 0x40;
/// Pool tag of registrations.
const TAG: u32 = u32::from_le_bytes(*b"CBRE");

/// Objects that the system itself has, in its directory `\Callback`.
const OF_THE_SYSTEM: [&str; 3] = [
    r"\Callback\SetSystemTime",
    r"\Callback\PowerState",
    r"\Callback\ProcessorAdd",
];

/// A routine that is registered; its address in the pool is the handle.
#[derive(Debug, Clone, Copy)]
struct Registration {
    handle: u64,
    function: u64,
    context: u64,
    /// Address that the call which registered it returns to.
    caller: u64,
    /// Calls of it in progress.
    running: u32,
}

/// What is known of an object.
#[derive(Debug, Default)]
struct Callback {
    multiple: bool,
    routines: Vec<Registration>,
}

static CALLBACKS: KernelCell<BTreeMap<u64, Callback>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, Callback>) -> T) -> T {
    work(&mut CALLBACKS.lock())
}

/// Works on a registration, if it is still there; gives its object, too.
fn on<T>(handle: u64, work: impl FnOnce(&mut Registration) -> T) -> Option<(u64, T)> {
    with(|callbacks| {
        callbacks
            .iter_mut()
            .find_map(|(object, callback)| {
                let mut routines = callback.routines.iter_mut();
                let found = routines.position(|entry| entry.handle == handle)?;
                Some((*object, found))
            })
            .and_then(|(object, at)| {
                let entry = callbacks.get_mut(&object)?.routines.get_mut(at)?;
                Some((object, work(entry)))
            })
    })
}

/// What those are parked on who wait until a routine no longer runs.
fn idle_key(handle: u64) -> u64 {
    0xffff_fa00_0000_0000 ^ handle
}

/// The procedures of callback objects.
pub const OBJECT_TYPE: ObjectTypeProcedures = ObjectTypeProcedures {
    delete: Some(deleted),
    ..ObjectTypeProcedures::NONE
};

/// An object goes away.
pub fn deleted(object: u64, _: &CallContext<'_>) {
    with(|callbacks| callbacks.remove(&object));
}

/// Routines that are still registered. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    with(|callbacks| {
        let routines = callbacks
            .values_mut()
            .flat_map(|callback| std::mem::take(&mut callback.routines));
        routines
            .map(|entry| {
                let message = format!(
                    "the callback routine at {:#018x} is not unregistered",
                    entry.function
                );
                Leak::new(rules::CALLBACK_NOT_UNREGISTERED, message, entry.caller)
            })
            .collect()
    })
}

/// Makes an object and gives it its name, which without `OBJ_PERMANENT` it only
/// has while it is made, for no handle is left open.
fn create(attributes: &Attributes, multiple: bool, caller: &CallContext<'_>) -> Result<u64, u32> {
    let object = ob::create(Type::Callback, SIZE, Payload::None)?;
    match ob::insert(object, attributes) {
        Ok(NameInsertion::New) => {}
        Ok(NameInsertion::Existing(existing)) => {
            ob::dereference(object, caller);
            return Ok(existing);
        }
        Err(status) => {
            ob::dereference(object, caller);
            return Err(status);
        }
    }
    let callback = Callback {
        multiple,
        routines: Vec::new(),
    };
    with(|callbacks| callbacks.insert(object, callback));
    if !attributes.has(attributes::PERMANENT) {
        ob::make_temporary(object, caller);
    }
    Ok(object)
}

/// Makes the objects of the system when the first driver asks for one.
fn initialize(caller: &CallContext<'_>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for path in OF_THE_SYSTEM {
            let flags = attributes::PERMANENT | attributes::CASE_INSENSITIVE;
            // Without memory they are not there, which drivers are told then.
            let _ = create(&Attributes::named(utf16::wide(path), flags), true, caller);
        }
    });
}

fn open_or_create(
    attributes: u64,
    make: bool,
    multiple: bool,
    caller: &CallContext<'_>,
) -> Result<u64, Refusal> {
    let attributes = Attributes::read(attributes)?;
    initialize(caller);
    if attributes.name.as_ref().is_none_or(Vec::is_empty) {
        return Err(nt_status::STATUS_UNSUCCESSFUL.into());
    }
    match ob::lookup(&attributes, Some(Type::Callback)) {
        Ok(found) if found.kind == Type::Callback && found.rest.is_empty() => Ok(found.object),
        Ok(found) => {
            ob::dereference(found.object, caller);
            Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into())
        }
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND) if make => {
            Ok(create(&attributes, multiple, caller)?)
        }
        Err(status) => Err(status.into()),
    }
}

exports! {
    /// `ExCreateCallback`: opens it, or makes it if it is to; referenced.
    fn ExCreateCallback<call>(object: u64, attributes: u64, make: bool, multiple: bool) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let run = || -> Result<(), Refusal> {
            let found = open_or_create(attributes, make, multiple, &CallContext::of(call))?;
            ob::hand_over(found, &CallContext::of(call));
            Ok(driver_mem::write_u64(object, found)?)
        };
        error::status(run())
    }

    /// `ExRegisterCallback`: NULL if the object takes no further routine.
    fn ExRegisterCallback<call>(object: u64, function: u64, context: u64) -> u64 [max APC_LEVEL, wdm] fails 0 {
        let Some(handle) = pool::allocate(PoolKind::NonPaged, SIZE, TAG) else { return Ok(0) };
        let caller = call.return_address();
        let registered = with(|callbacks| {
            let callback = callbacks.get_mut(&object)?;
            if !callback.multiple && !callback.routines.is_empty() {
                return None;
            }
            callback.routines.push(Registration { handle, function, context, caller, running: 0 });
            Some(())
        });
        if registered.is_none() {
            pool::free(handle);
            return Ok(0);
        }
        ob::reference(object);
        Ok(handle)
    }

    /// `ExUnregisterCallback`: waits until the routine no longer runs.
    fn ExUnregisterCallback<call>(handle: u64) -> () [max APC_LEVEL, wdm] {
        while on(handle, |entry| entry.running).is_some_and(|(_, running)| running > 0) {
            sched::park(idle_key(handle), None);
        }
        let Some((object, ())) = on(handle, |_| ()) else {
            // What Windows reads there is no registration.
            driver_mem::read_u64(handle)?;
            return Ok(());
        };
        with(|callbacks| {
            if let Some(callback) = callbacks.get_mut(&object) {
                callback.routines.retain(|entry| entry.handle != handle);
            }
        });
        pool::free(handle);
        ob::dereference(object, &CallContext::of(call));
        Ok(())
    }

    /// `ExNotifyCallback`: calls them all at the present IRQL.
    fn ExNotifyCallback<call>(object: u64, argument1: u64, argument2: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let routines: Vec<Registration> = with(|callbacks| {
            callbacks.get(&object).map_or_else(Vec::new, |callback| callback.routines.clone())
        });
        let caller = CallContext::of(call);
        for Registration { handle, function, context, caller: registrar, .. } in routines {
            // It may have been unregistered by the one before.
            if on(handle, |entry| entry.running += 1).is_none() {
                continue;
            }
            let routine = Routine::new(function, "callback routine").registered_by(registrar);
            caller.call(routine, &[context, argument1, argument2]);
            if let Some((_, 0)) = on(handle, |entry| {
                entry.running -= 1;
                entry.running
            }) {
                sched::wake(idle_key(handle));
            }
        }
        Ok(())
    }
}

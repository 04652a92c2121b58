//! Registering and unregistering filters of handles.

use nt_layout::{ObCallbackRegistration, ObOperationRegistration};
use nt_status::{
    STATUS_ACCESS_DENIED, STATUS_FLT_INSTANCE_ALTITUDE_COLLISION, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use super::{Filter, idle_key, with};
use crate::base::altitude::Altitude;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error::{Refusal, status};
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::ke::sched;
use crate::mm::pool::PoolKind;
use crate::mm::{module_list, pool};
use crate::ob::init;
use crate::ob::types::Type;

/// `OB_FLT_REGISTRATION_VERSION`.
const VERSION: u16 = 0x0100;
/// `OB_OPERATION_HANDLE_CREATE` and `OB_OPERATION_HANDLE_DUPLICATE`.
const OPERATIONS: u32 = 0x3;
/// Bytes of a registration, which is opaque.
const SIZE: u64 = 0x40;
/// Pool tag of registrations.
const TAG: u32 = u32::from_le_bytes(*b"ObFl");

exports! {
    /// `ObRegisterCallbacks`: only routines of images that were linked with
    /// `/INTEGRITYCHECK`.
    fn ObRegisterCallbacks<call>(registration: u64, handle: u64) -> u32 [max APC_LEVEL, wdm] fails STATUS_INSUFFICIENT_RESOURCES {
        status(register(registration, handle, call.return_address()))
    }

    /// `ObUnRegisterCallbacks`: waits until none of the routines runs.
    fn ObUnRegisterCallbacks(handle: u64) -> () [max APC_LEVEL, wdm] {
        let known = with(|state| {
            let before = state.filters.len();
            state.filters.retain(|filter| filter.handle != handle);
            state.filters.len() < before
        });
        if !known {
            // What Windows does with memory that is freed already ends so.
            let what = format!("ObUnRegisterCallbacks was given {handle:#018x}, which is no registration");
            return Err(NoReturn::bug_check(0x7e, [0xffff_ffff_c000_0005, 0, 0, 0], what));
        }
        while with(|state| state.running.contains(&handle)) {
            sched::park(idle_key(handle), None);
        }
        pool::free(handle);
        Ok(())
    }

    /// `ObGetFilterVersion`.
    fn ObGetFilterVersion() -> u16 [max APC_LEVEL, undocumented] {
        Ok(VERSION)
    }
}

fn register(registration: u64, handle: u64, caller: u64) -> Result<(), Refusal> {
    let registration: DriverPtr<ObCallbackRegistration> = DriverPtr::new(registration);
    let version = registration.get(|registration| &registration.version)?;
    let count = registration.get(|registration| &registration.operation_registration_count)?;
    if version & 0xff00 != VERSION || count == 0 {
        return Err(STATUS_INVALID_PARAMETER.into());
    }
    let altitude = registration.at(|registration| &registration.altitude);
    let altitude = Altitude::read(altitude.address())?;
    let context = registration.get(|registration| &registration.registration_context)?;
    let operations = registration.get(|registration| &registration.operation_registration)?;
    let mut filters = Vec::new();
    for n in 0..u64::from(count) {
        let at = operations.wrapping_add(n * DriverPtr::<ObOperationRegistration>::SIZE);
        filters.push(Filter {
            handle: 0,
            altitude: altitude.clone(),
            context,
            caller,
            ..read(DriverPtr::new(at))?
        });
    }
    let collides = |filter: &Filter, others: &[Filter]| {
        let same = |other: &Filter| other.kind == filter.kind && other.altitude == altitude;
        others.iter().any(same)
    };
    let among_themselves = (0..filters.len()).any(|n| collides(&filters[n], &filters[..n]));
    let with_others = |filter| with(|state| collides(filter, &state.filters));
    if among_themselves || filters.iter().any(with_others) {
        return Err(STATUS_FLT_INSTANCE_ALTITUDE_COLLISION.into());
    }
    let block = pool::allocate(PoolKind::NonPaged, SIZE, TAG);
    let block = block.ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    for filter in &mut filters {
        filter.handle = block;
    }
    driver_mem::write_u64(handle, block)?;
    with(|state| state.add(filters));
    Ok(())
}

/// Reads and checks what is registered for one type.
fn read(operation: DriverPtr<ObOperationRegistration>) -> Result<Filter, Refusal> {
    // The address of a variable that points to the type.
    let kind = driver_mem::read_u64(operation.get(|operation| &operation.object_type)?)?;
    let kind = init::type_at(kind).filter(|kind| matches!(kind, Type::Process | Type::Thread));
    let operations = operation.get(|operation| &operation.operations)?;
    let before = operation.get(|operation| &operation.pre_operation)?;
    let after = operation.get(|operation| &operation.post_operation)?;
    let (Some(kind), false) = (kind, operations == 0 || operations & !OPERATIONS != 0) else {
        return Err(STATUS_INVALID_PARAMETER.into());
    };
    let routines = [before, after];
    let mut routines = routines
        .into_iter()
        .filter(|routine| *routine != 0)
        .peekable();
    if routines.peek().is_none() {
        return Err(STATUS_INVALID_PARAMETER.into());
    }
    for routine in routines {
        if !module_list::may_register("ObRegisterCallbacks", routine)? {
            return Err(STATUS_ACCESS_DENIED.into());
        }
    }
    Ok(Filter {
        handle: 0,
        altitude: Altitude::new(&[]),
        kind,
        operations,
        before,
        after,
        context: 0,
        caller: 0,
    })
}

/// Callbacks that are still registered. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let filters = with(|state| std::mem::take(&mut state.filters));
    let mut registrations: Vec<_> = filters
        .into_iter()
        .map(|filter| (filter.handle, filter.caller))
        .collect();
    registrations.sort_unstable();
    registrations.dedup();
    let leak = |(handle, caller)| {
        let message = format!("the object callbacks {handle:#018x} are not unregistered");
        Leak::new(rules::OBJECT_CALLBACKS_NOT_UNREGISTERED, message, caller)
    };
    registrations.into_iter().map(leak).collect()
}

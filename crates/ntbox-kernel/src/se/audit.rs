//! What is told of accesses and of the ends of logon sessions: nothing, for there is no
//! audit policy, and no session ends while a driver is tried.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::export::exports;
use crate::base::leak_check::{Leak, LeakCheck};

/// Routines that wait for the end of a session: routine, context, and who registered it.
static ROUTINES: KernelCell<Vec<(u64, u64, u64)>> = KernelCell::new(Vec::new());

/// Routines that are still registered. All of them are forgotten.
fn leaks() -> Vec<Leak> {
    let routines = std::mem::take(&mut *ROUTINES.lock());
    let leak = |(routine, _, caller)| {
        let message = format!("the logon session notify routine at {routine:#018x} is not removed");
        Leak::new(rules::NOTIFY_ROUTINE_NOT_UNREGISTERED, message, caller)
    };
    routines.into_iter().map(leak).collect()
}

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[leaks];

fn register(routine: u64, context: u64, caller: u64) -> u32 {
    if routine == 0 {
        return nt_status::STATUS_INVALID_PARAMETER;
    }
    ROUTINES.lock().push((routine, context, caller));
    nt_status::STATUS_SUCCESS
}

fn unregister(routine: u64, context: u64) -> u32 {
    if routine == 0 {
        return nt_status::STATUS_INVALID_PARAMETER;
    }
    let mut routines = ROUTINES.lock();
    let at = routines
        .iter()
        .position(|known| (known.0, known.1) == (routine, context));
    match at {
        Some(at) => {
            routines.remove(at);
            nt_status::STATUS_SUCCESS
        }
        None => nt_status::STATUS_NOT_FOUND,
    }
}

exports! {
    /// `SeOpenObjectAuditAlarm`: nobody is told, now or on closing.
    fn SeOpenObjectAuditAlarm(
        kind: u64, object: u64, name: u64, descriptor: u64, state: u64, created: bool, granted: bool, mode: u8, on_close: u64,
    ) -> () [max PASSIVE_LEVEL, ntifs] {
        Ok(driver_mem::write_u8(on_close, 0)?)
    }

    /// `SeOpenObjectForDeleteAuditAlarm`: nobody is told, now or on closing.
    fn SeOpenObjectForDeleteAuditAlarm(
        kind: u64, object: u64, name: u64, descriptor: u64, state: u64, created: bool, granted: bool, mode: u8, on_close: u64,
    ) -> () [max PASSIVE_LEVEL, ntifs] {
        Ok(driver_mem::write_u8(on_close, 0)?)
    }

    /// `SeDeleteObjectAuditAlarm`: nobody is told.
    fn SeDeleteObjectAuditAlarm(object: u64, handle: u64) -> () [max PASSIVE_LEVEL, ntifs] {
        Ok(())
    }

    /// `SeRegisterLogonSessionTerminatedRoutine`.
    fn SeRegisterLogonSessionTerminatedRoutine<call>(routine: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(register(routine, 0, call.return_address()))
    }

    /// `SeRegisterLogonSessionTerminatedRoutineEx`: with a context.
    fn SeRegisterLogonSessionTerminatedRoutineEx<call>(routine: u64, context: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        Ok(register(routine, context, call.return_address()))
    }

    /// `SeUnregisterLogonSessionTerminatedRoutine`.
    fn SeUnregisterLogonSessionTerminatedRoutine(routine: u64) -> u32 [max PASSIVE_LEVEL, ntifs] {
        Ok(unregister(routine, 0))
    }

    /// `SeUnregisterLogonSessionTerminatedRoutineEx`: with a context.
    fn SeUnregisterLogonSessionTerminatedRoutineEx(routine: u64, context: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] {
        Ok(unregister(routine, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{processor, status};

    #[test]
    fn logon_session_routines_unregister_once_per_registration() {
        processor();
        let invalid = nt_status::STATUS_INVALID_PARAMETER;
        assert_eq!(
            status(SeRegisterLogonSessionTerminatedRoutine, &[0]),
            invalid
        );
        assert_eq!(
            status(SeRegisterLogonSessionTerminatedRoutine, &[0x1000]),
            0
        );
        assert_eq!(
            status(SeRegisterLogonSessionTerminatedRoutineEx, &[0x2000, 5]),
            0
        );
        let unknown = nt_status::STATUS_NOT_FOUND;
        assert_eq!(
            status(SeUnregisterLogonSessionTerminatedRoutine, &[0x2000]),
            unknown
        );
        assert_eq!(
            status(SeUnregisterLogonSessionTerminatedRoutine, &[0x1000]),
            0
        );
        assert_eq!(
            status(SeUnregisterLogonSessionTerminatedRoutine, &[0x1000]),
            unknown
        );
        assert_eq!(leaks().len(), 1);
        assert_eq!(
            status(SeUnregisterLogonSessionTerminatedRoutineEx, &[0x2000, 5]),
            unknown
        );
    }
}

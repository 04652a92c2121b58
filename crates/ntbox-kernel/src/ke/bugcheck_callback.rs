//! Routines that drivers have called when the system stops. Each has a record in
//! the driver's memory, which says in which state it is. No crash dump is written,
//! so routines that add to one are registered and never called.

use ntbox_api::rules::{self, Rule};
use ntbox_host::context::Context;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::kernel_cell::Exclusive;
use ntbox_host::memory_map::STACKS;
use ntbox_host::routine::{Routine, note_registrar};
use ntbox_host::upcall::{Purpose, call_driver_for};
use ntbox_host::{cpu, driver_mem};

use crate::base::export::exports;
use crate::mm::resource_ledger;

/// Where the parts of a record are. The two kinds of records differ.
#[derive(Debug)]
struct Layout {
    component: u64,
    checksum: u64,
    state: u64,
}

/// `KBUGCHECK_CALLBACK_RECORD`.
const PLAIN: Layout = Layout {
    component: 0x28,
    checksum: 0x30,
    state: 0x38,
};
/// `KBUGCHECK_REASON_CALLBACK_RECORD`.
const REASON: Layout = Layout {
    component: 0x18,
    checksum: 0x20,
    state: 0x2c,
};
/// Offset of the routine in both.
const ROUTINE: u64 = 0x10;
/// Offset of the buffer, of a plain record.
const BUFFER: u64 = 0x18;
/// Offset of its length.
const LENGTH: u64 = 0x20;
/// Offset of the reason.
const WHY: u64 = 0x28;

/// States of a record: `BufferEmpty`, `BufferInserted`, `BufferStarted`,
/// `BufferFinished`.
mod state {
    pub const EMPTY: u8 = 0;
    pub const INSERTED: u8 = 1;
    pub const STARTED: u8 = 2;
    pub const FINISHED: u8 = 3;
}

/// Plain records, the latest first.
static PLAIN_RECORDS: Exclusive<Vec<u64>> = Exclusive::new(Vec::new());

fn with<T>(work: impl FnOnce(&mut Vec<u64>) -> T) -> T {
    work(&mut PLAIN_RECORDS.lock())
}

/// Fills in a record, unless it is in use. Whether it is registered now.
fn register(
    record: u64,
    layout: &Layout,
    fields: &[(u64, u64)],
    component: u64,
    checksum: u64,
) -> Result<bool, Fault> {
    let at = record.wrapping_add(layout.state);
    if driver_mem::read_u8(at)? != state::EMPTY {
        return Ok(false);
    }
    for (offset, value) in fields {
        driver_mem::write_u64(record.wrapping_add(*offset), *value)?;
    }
    driver_mem::write_u64(record.wrapping_add(layout.component), component)?;
    driver_mem::write_u64(
        record.wrapping_add(layout.checksum),
        checksum.wrapping_add(component),
    )?;
    driver_mem::write_u8(at, state::INSERTED)?;
    Ok(true)
}

/// Empties a record. Whether it was registered.
fn deregister(record: u64, layout: &Layout) -> Result<bool, Fault> {
    let at = record.wrapping_add(layout.state);
    if driver_mem::read_u8(at)? != state::INSERTED {
        return Ok(false);
    }
    driver_mem::write_u8(at, state::EMPTY)?;
    Ok(true)
}

/// The rule that a record which is left behind breaks.
const RULE: &Rule = rules::BUG_CHECK_CALLBACK_NOT_UNREGISTERED;

/// What is said of one.
fn left(kind: &str, routine: u64) -> String {
    format!("the {kind} {routine:#018x} is not deregistered")
}

/// Stack that a routine gets at least, or is not called.
const ROOM: u64 = 0x800;

/// Calls the routines: the system stops.
pub fn run(context: &Context) {
    let stack = context.rsp();
    if !STACKS.contains(stack) || driver_mem::write_u64(stack - ROOM, 0).is_err() {
        return;
    }
    while let Some(record) = with(|records| (!records.is_empty()).then(|| records.remove(0))) {
        let call = || -> Result<(), Fault> {
            let routine = driver_mem::read_u64(record.wrapping_add(ROUTINE))?;
            let buffer = driver_mem::read_u64(record.wrapping_add(BUFFER))?;
            let length = driver_mem::read_u32(record.wrapping_add(LENGTH))?;
            driver_mem::write_u8(record.wrapping_add(PLAIN.state), state::STARTED)?;
            cpu::set_irql(HIGH_LEVEL);
            let arguments = [buffer, length.into()];
            let routine = Routine::new(routine, "bug check callback")
                .held_by(record, "KBUGCHECK_CALLBACK_RECORD");
            call_driver_for(
                Purpose::Interrupt,
                routine,
                &arguments,
                stack,
                Some(*context),
            );
            driver_mem::write_u8(record.wrapping_add(PLAIN.state), state::FINISHED)
        };
        // What is damaged is passed over.
        let _ = call();
    }
}

exports! {
    /// `KeRegisterBugCheckCallback`: FALSE if the record is in use or was not
    /// initialised.
    fn KeRegisterBugCheckCallback<call>(record: u64, routine: u64, buffer: u64, length: u32, component: u64) -> bool
        [max HIGH_LEVEL, wdm] {
        let fields = [(ROUTINE, routine), (BUFFER, buffer), (LENGTH, length.into())];
        let checksum = routine.wrapping_add(buffer).wrapping_add(length.into());
        let registered = register(record, &PLAIN, &fields, component, checksum)?;
        if registered {
            with(|records| records.insert(0, record));
            resource_ledger::take(record, RULE, left("bug check callback", routine), call.return_address());
            note_registrar(record, call.return_address());
        }
        Ok(registered)
    }

    /// `KeDeregisterBugCheckCallback`: FALSE if it is not registered.
    fn KeDeregisterBugCheckCallback(record: u64) -> bool [max HIGH_LEVEL, wdm] {
        let removed = deregister(record, &PLAIN)?;
        with(|records| records.retain(|entry| *entry != record));
        resource_ledger::give(record);
        Ok(removed)
    }

    /// `KeRegisterBugCheckReasonCallback`.
    fn KeRegisterBugCheckReasonCallback<call>(record: u64, routine: u64, reason: u32, component: u64) -> bool
        [max HIGH_LEVEL, wdm] {
        let at = record.wrapping_add(REASON.state);
        let registered = register(record, &REASON, &[(ROUTINE, routine)], component, routine.wrapping_add(reason.into()))?;
        if registered {
            driver_mem::write_u32(record.wrapping_add(WHY), reason)?;
            driver_mem::write_u8(at, state::INSERTED)?;
            resource_ledger::take(record, RULE, left("bug check reason callback", routine), call.return_address());
        }
        Ok(registered)
    }

    /// `KeDeregisterBugCheckReasonCallback`.
    fn KeDeregisterBugCheckReasonCallback(record: u64) -> bool [max HIGH_LEVEL, wdm] {
        resource_ledger::give(record);
        Ok(deregister(record, &REASON)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, value};

    #[test]
    fn records_say_in_which_state_they_are() {
        let mut record = [0_u64; 8];
        let at = address_mut(&mut record);
        let arguments = [at, 0x1000, 0x20, 5, 0x300];
        assert_eq!(value(KeRegisterBugCheckCallback, &arguments), 1);
        assert_eq!(driver_mem::read_u64(at + 0x30), Ok(0x1325), "the checksum");
        assert_eq!(driver_mem::read_u8(at + 0x38), Ok(state::INSERTED));
        assert_eq!(value(KeRegisterBugCheckCallback, &arguments), 0);
        assert_eq!(value(KeDeregisterBugCheckCallback, &[at]), 1);
        assert_eq!(value(KeDeregisterBugCheckCallback, &[at]), 0);
        assert_eq!(driver_mem::read_u8(at + 0x38), Ok(state::EMPTY));
        let mut record = [0_u64; 6];
        let at = address_mut(&mut record);
        assert_eq!(
            value(KeRegisterBugCheckReasonCallback, &[at, 0x1000, 2, 0x300]),
            1
        );
        assert_eq!(driver_mem::read_u64(at + 0x20), Ok(0x1302));
        assert_eq!(
            driver_mem::read_u64(at + 0x28),
            Ok(0x1_0000_0002),
            "reason and state"
        );
        assert_eq!(
            value(KeRegisterBugCheckReasonCallback, &[at, 0x1000, 2, 0x300]),
            0
        );
        assert_eq!(value(KeDeregisterBugCheckReasonCallback, &[at]), 1);
        assert_eq!(value(KeDeregisterBugCheckReasonCallback, &[at]), 0);
    }
}

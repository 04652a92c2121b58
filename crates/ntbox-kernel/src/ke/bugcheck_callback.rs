//! Bug check callbacks. Each has a record in the driver's memory, which holds its
//! state. No crash dump is written, so routines that add to one are registered and
//! never called.

use nt_layout::{KbugcheckCallbackRecord, KbugcheckReasonCallbackRecord};
use ntbox_api::rules::{self, Rule};
use ntbox_host::context::Context;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::STACKS;
use ntbox_host::routine::{Routine, note_registrar};
use ntbox_host::upcall::{Purpose, call_driver_for};
use ntbox_host::{cpu, driver_mem};

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::mm::resource_ledger;

/// The fields of both kinds of records, which have different offsets.
#[derive(Debug)]
struct CommonFields {
    component: DriverPtr<u64>,
    checksum: DriverPtr<u64>,
    state: DriverPtr<u8>,
}

impl CommonFields {
    fn of_plain(record: DriverPtr<KbugcheckCallbackRecord>) -> Self {
        Self {
            component: record.at(|record| &record.component),
            checksum: record.at(|record| &record.checksum),
            state: record.at(|record| &record.state),
        }
    }

    fn of_reason(record: DriverPtr<KbugcheckReasonCallbackRecord>) -> Self {
        Self {
            component: record.at(|record| &record.component),
            checksum: record.at(|record| &record.checksum),
            state: record.at(|record| &record.state),
        }
    }
}

/// States of a record: `BufferEmpty`, `BufferInserted`, `BufferStarted`,
/// `BufferFinished`.
mod state {
    pub const EMPTY: u8 = 0;
    pub const INSERTED: u8 = 1;
    pub const STARTED: u8 = 2;
    pub const FINISHED: u8 = 3;
}

/// Plain records, the latest first.
static PLAIN_RECORDS: KernelCell<Vec<u64>> = KernelCell::new(Vec::new());

fn with<T>(work: impl FnOnce(&mut Vec<u64>) -> T) -> T {
    work(&mut PLAIN_RECORDS.lock())
}

/// Writes a record, unless it is in use: `others` are the addresses and values of the
/// fields that its kind alone has. Returns whether it is registered now.
fn register(
    fields: &CommonFields,
    others: &[(u64, u64)],
    component: u64,
    checksum: u64,
) -> Result<bool, Fault> {
    if fields.state.read()? != state::EMPTY {
        return Ok(false);
    }
    for (address, value) in others {
        driver_mem::write_u64(*address, *value)?;
    }
    fields.component.write(component)?;
    fields.checksum.write(checksum.wrapping_add(component))?;
    fields.state.write(state::INSERTED)?;
    Ok(true)
}

/// Empties a record. Returns whether it was registered.
fn deregister(fields: &CommonFields) -> Result<bool, Fault> {
    if fields.state.read()? != state::INSERTED {
        return Ok(false);
    }
    fields.state.write(state::EMPTY)?;
    Ok(true)
}

/// The rule for a record that is still registered at unload.
const RULE: &Rule = rules::BUG_CHECK_CALLBACK_NOT_UNREGISTERED;

/// The message for one.
fn leak_message(kind: &str, routine: u64) -> String {
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
            let fields: DriverPtr<KbugcheckCallbackRecord> = DriverPtr::new(record);
            let routine = fields.get(|record| &record.callback_routine)?;
            let buffer = fields.get(|record| &record.buffer)?;
            let length = fields.get(|record| &record.length)?;
            fields.set(|record| &record.state, state::STARTED)?;
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
            fields.set(|record| &record.state, state::FINISHED)
        };
        // A damaged record is skipped.
        let _ = call();
    }
}

exports! {
    /// `KeRegisterBugCheckCallback`: FALSE if the record is in use or was not
    /// initialised.
    fn KeRegisterBugCheckCallback<call>(record: u64, routine: u64, buffer: u64, length: u32, component: u64) -> bool
        [max HIGH_LEVEL, wdm] {
        let fields: DriverPtr<KbugcheckCallbackRecord> = DriverPtr::new(record);
        // The length with the bytes behind it.
        let others = [
            (fields.at(|record| &record.callback_routine).address(), routine),
            (fields.at(|record| &record.buffer).address(), buffer),
            (fields.at(|record| &record.length).address(), length.into()),
        ];
        let checksum = routine.wrapping_add(buffer).wrapping_add(length.into());
        let registered = register(&CommonFields::of_plain(fields), &others, component, checksum)?;
        if registered {
            with(|records| records.insert(0, record));
            resource_ledger::take(record, RULE, leak_message("bug check callback", routine), call.return_address());
            note_registrar(record, call.return_address());
        }
        Ok(registered)
    }

    /// `KeDeregisterBugCheckCallback`: FALSE if it is not registered.
    fn KeDeregisterBugCheckCallback(record: u64) -> bool [max HIGH_LEVEL, wdm] {
        let removed = deregister(&CommonFields::of_plain(DriverPtr::new(record)))?;
        with(|records| records.retain(|entry| *entry != record));
        resource_ledger::give(record);
        Ok(removed)
    }

    /// `KeRegisterBugCheckReasonCallback`.
    fn KeRegisterBugCheckReasonCallback<call>(record: u64, routine: u64, reason: u32, component: u64) -> bool
        [max HIGH_LEVEL, wdm] {
        let fields: DriverPtr<KbugcheckReasonCallbackRecord> = DriverPtr::new(record);
        let others = [(fields.at(|record| &record.callback_routine).address(), routine)];
        let checksum = routine.wrapping_add(reason.into());
        let registered = register(&CommonFields::of_reason(fields), &others, component, checksum)?;
        if registered {
            fields.set(|record| &record.reason, reason)?;
            fields.set(|record| &record.state, state::INSERTED)?;
            resource_ledger::take(record, RULE, leak_message("bug check reason callback", routine), call.return_address());
        }
        Ok(registered)
    }

    /// `KeDeregisterBugCheckReasonCallback`.
    fn KeDeregisterBugCheckReasonCallback(record: u64) -> bool [max HIGH_LEVEL, wdm] {
        resource_ledger::give(record);
        Ok(deregister(&CommonFields::of_reason(DriverPtr::new(record)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, value};

    #[test]
    fn callback_record_has_state() {
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

//! Entries for the system's event log. This kernel has no event log that anybody
//! could read: what is written is dropped; what is neither written nor freed is
//! reported.

use std::collections::BTreeMap;

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::ex::pool;
use crate::mm::lent;
use crate::ob;
use crate::ob::Type;

/// Bytes of an `IO_ERROR_LOG_PACKET`.
const PACKET_SIZE: u8 = 0x30;
/// `ERROR_LOG_MAXIMUM_SIZE`.
const MAXIMUM_SIZE: u8 = 0xf0;
/// Pool tag of entries.
const TAG: u32 = u32::from_le_bytes(*b"IoEr");

/// Entries that are neither written nor freed, and who allocated each.
static ENTRIES: KernelCell<BTreeMap<u64, u64>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, u64>) -> T) -> T {
    work(&mut ENTRIES.lock())
}

/// Entries that are neither written nor freed.
pub fn leaks() -> Vec<Leak> {
    let leak = |(entry, caller): (&u64, &u64)| {
        let message = format!("the error log entry at {entry:#018x} is neither written nor freed");
        Leak::new(rules::ERROR_LOG_ENTRY_LEAK, message, *caller)
    };
    with(|entries| entries.iter().map(leak).collect())
}

fn end(entry: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    if with(|entries| entries.remove(&entry)).is_none() {
        return Err(pool::bad_free(entry, TAG, function));
    }
    lent::free(entry, caller)
}

exports! {
    /// `IoAllocateErrorLogEntry`: NULL for what is neither device nor driver, and
    /// for sizes that an entry cannot have.
    fn IoAllocateErrorLogEntry<call>(object: u64, size: u8) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 {
        let kind = ob::inspect(object, |header| header.kind);
        if !matches!(kind, Some(Type::Device | Type::Driver)) || !(PACKET_SIZE..=MAXIMUM_SIZE).contains(&size) {
            return Ok(0);
        }
        let caller = call.return_address();
        let Some(entry) = lent::allocate(u64::from(size), TAG, true, caller) else { return Ok(0) };
        with(|entries| entries.insert(entry, caller));
        Ok(entry)
    }

    /// `IoWriteErrorLogEntry`: the entry is the system's from here on.
    fn IoWriteErrorLogEntry<call>(entry: u64) -> () [max DISPATCH_LEVEL, wdm] {
        end(entry, "IoWriteErrorLogEntry", call.return_address())
    }

    /// `IoFreeErrorLogEntry`.
    fn IoFreeErrorLogEntry<call>(entry: u64) -> () [max DISPATCH_LEVEL, wdm] {
        end(entry, "IoFreeErrorLogEntry", call.return_address())
    }
}

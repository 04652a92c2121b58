//! Device queues: entries wait while a device is busy, in order of arrival or of
//! a key.
//!
//! The first entry makes the queue busy and is not queued: its owner goes on
//! with it. Taking an entry from an empty queue makes it not busy again.

use nt_layout::{KdeviceQueue, KdeviceQueueEntry};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::object;
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::list_walk::ListWalk;

/// `DeviceQueueObject`.
const TYPE: i16 = 20;

/// The fields of the `KDEVICE_QUEUE` at an address.
const fn kdevice_queue(queue: u64) -> DriverPtr<KdeviceQueue> {
    DriverPtr::new(queue)
}

/// The fields of the `KDEVICE_QUEUE_ENTRY` at an address.
const fn queue_entry(entry: u64) -> DriverPtr<KdeviceQueueEntry> {
    DriverPtr::new(entry)
}

/// Writes an empty queue that is not busy.
pub fn initialize(queue: u64) -> Result<(), Fault> {
    kdevice_queue(queue).set(|queue| &queue.kind, TYPE)?;
    kdevice_queue(queue).set(
        |queue| &queue.size,
        DriverPtr::<KdeviceQueue>::SIZE_FIELD.cast_signed(),
    )?;
    object::initialize_list(
        kdevice_queue(queue)
            .at(|queue| &queue.device_list_head)
            .address(),
    )?;
    kdevice_queue(queue).set(|queue| &queue.lock, 0)?;
    // Also the bytes behind the flag.
    let busy = kdevice_queue(queue).at(|queue| &queue.busy);
    driver_mem::write_u64(busy.address(), 0)
}

/// Whether the queue is busy.
fn busy(queue: u64) -> Result<bool, Fault> {
    Ok(kdevice_queue(queue).get(|queue| &queue.busy)? != 0)
}

fn set_busy(queue: u64, busy: bool) -> Result<(), Fault> {
    kdevice_queue(queue).set(|queue| &queue.busy, u8::from(busy))
}

/// Queues an entry behind those with keys not above its own, or behind all
/// without one. False, and the queue is busy, if it was not busy.
pub fn insert(queue: u64, entry: u64, key: Option<u32>) -> Result<bool, NoReturn> {
    if let Some(key) = key {
        queue_entry(entry).set(|entry| &entry.sort_key, key)?;
    }
    let inserted = busy(queue)?;
    queue_entry(entry).set(|entry| &entry.inserted, u8::from(inserted))?;
    if !inserted {
        set_busy(queue, true)?;
        return Ok(false);
    }
    let head = kdevice_queue(queue)
        .at(|queue| &queue.device_list_head)
        .address();
    let next = match key {
        None => head,
        Some(key) => find(head, |other| other > key)?.unwrap_or(head),
    };
    link(entry, next)?;
    Ok(true)
}

/// The first entry whose key matches.
fn find(head: u64, matches: impl Fn(u32) -> bool) -> Result<Option<u64>, NoReturn> {
    let mut walk = ListWalk::from(head);
    let mut at = queue_entry(head).get(|entry| &entry.device_list_entry.flink)?;
    while at != head {
        walk.visit(at)?;
        if matches(queue_entry(at).get(|entry| &entry.sort_key)?) {
            return Ok(Some(at));
        }
        at = queue_entry(at).get(|entry| &entry.device_list_entry.flink)?;
    }
    Ok(None)
}

/// Puts an entry in front of another one, or of the head.
fn link(entry: u64, next: u64) -> Result<(), Fault> {
    let previous = queue_entry(next).get(|entry| &entry.device_list_entry.blink)?;
    queue_entry(entry).set(|entry| &entry.device_list_entry.flink, next)?;
    queue_entry(entry).set(|entry| &entry.device_list_entry.blink, previous)?;
    queue_entry(previous).set(|entry| &entry.device_list_entry.flink, entry)?;
    queue_entry(next).set(|entry| &entry.device_list_entry.blink, entry)
}

fn unlink(entry: u64) -> Result<(), Fault> {
    let next = queue_entry(entry).get(|entry| &entry.device_list_entry.flink)?;
    let previous = queue_entry(entry).get(|entry| &entry.device_list_entry.blink)?;
    queue_entry(previous).set(|entry| &entry.device_list_entry.flink, next)?;
    queue_entry(next).set(|entry| &entry.device_list_entry.blink, previous)?;
    queue_entry(entry).set(|entry| &entry.inserted, 0)
}

/// Takes the first entry, or the first whose key is not below `key`, or the first
/// of all if there is none; `None`, and the queue is not busy, if it is empty.
pub fn remove(queue: u64, key: Option<u32>) -> Result<Option<u64>, NoReturn> {
    let head = kdevice_queue(queue)
        .at(|queue| &queue.device_list_head)
        .address();
    let first = queue_entry(head).get(|entry| &entry.device_list_entry.flink)?;
    if first == head {
        set_busy(queue, false)?;
        return Ok(None);
    }
    let chosen = match key {
        None => first,
        Some(key) => find(head, |other| other >= key)?.unwrap_or(first),
    };
    unlink(chosen)?;
    Ok(Some(chosen))
}

/// Takes one entry out. False if it was not queued.
pub fn remove_entry(entry: u64) -> Result<bool, Fault> {
    let inserted = queue_entry(entry).get(|entry| &entry.inserted)? != 0;
    if inserted {
        unlink(entry)?;
    }
    Ok(inserted)
}

/// Reports that an entry is taken from a queue that is not busy.
fn check_busy(queue: u64, function: &str, caller: u64) -> Result<(), Fault> {
    if !busy(queue)? {
        let what =
            format!("{function} called for the device queue at {queue:#018x}, which is not busy");
        diag::violation(rules::DEVICE_QUEUE_NOT_BUSY, what, caller);
    }
    Ok(())
}

exports! {
    /// `KeInitializeDeviceQueue`.
    fn KeInitializeDeviceQueue(queue: u64) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(initialize(queue)?)
    }

    /// `KeInsertDeviceQueue`: FALSE if the queue was not busy.
    fn KeInsertDeviceQueue(queue: u64, entry: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        insert(queue, entry, None)
    }

    /// `KeInsertByKeyDeviceQueue`.
    fn KeInsertByKeyDeviceQueue(queue: u64, entry: u64, key: u32) -> bool [max DISPATCH_LEVEL, wdm] {
        insert(queue, entry, Some(key))
    }

    /// `KeRemoveDeviceQueue`: NULL from an empty queue.
    fn KeRemoveDeviceQueue<call>(queue: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        check_busy(queue, "KeRemoveDeviceQueue", call.return_address())?;
        Ok(remove(queue, None)?.unwrap_or(0))
    }

    /// `KeRemoveByKeyDeviceQueue`.
    fn KeRemoveByKeyDeviceQueue<call>(queue: u64, key: u32) -> u64 [max DISPATCH_LEVEL, wdm] {
        check_busy(queue, "KeRemoveByKeyDeviceQueue", call.return_address())?;
        Ok(remove(queue, Some(key))?.unwrap_or(0))
    }

    /// `KeRemoveByKeyDeviceQueueIfBusy`: NULL, too, from one that is not busy.
    fn KeRemoveByKeyDeviceQueueIfBusy(queue: u64, key: u32) -> u64 [max DISPATCH_LEVEL, undocumented] {
        if !busy(queue)? {
            return Ok(0);
        }
        Ok(remove(queue, Some(key))?.unwrap_or(0))
    }

    /// `KeRemoveEntryDeviceQueue`: FALSE for an entry that is not queued.
    fn KeRemoveEntryDeviceQueue(queue: u64, entry: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(remove_entry(entry)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, broken_rules, value};

    #[test]
    fn device_queue_removes_by_key() {
        let mut queue = [0xcc_u64; 5];
        let mut memory = [[0xcc_u64; 3]; 5];
        let at = address_mut(&mut queue);
        value(KeInitializeDeviceQueue, &[at]);
        assert_eq!(queue[0] & 0xffff_ffff, 0x0028_0014);
        assert_eq!(queue[1..], [at + 8, at + 8, 0, 0]);
        let entries: Vec<u64> = memory.iter_mut().map(address_mut).collect();
        assert_eq!(value(KeInsertByKeyDeviceQueue, &[at, entries[0], 5]), 0);
        assert_eq!(value(KeInsertByKeyDeviceQueue, &[at, entries[1], 5]), 1);
        assert_eq!(value(KeInsertByKeyDeviceQueue, &[at, entries[2], 3]), 1);
        assert_eq!(value(KeInsertByKeyDeviceQueue, &[at, entries[3], 5]), 1);
        assert_eq!(value(KeInsertDeviceQueue, &[at, entries[4]]), 1);
        assert_eq!(value(KeRemoveByKeyDeviceQueue, &[at, 4]), entries[1]);
        assert_eq!(value(KeRemoveEntryDeviceQueue, &[at, entries[3]]), 1);
        assert_eq!(value(KeRemoveEntryDeviceQueue, &[at, entries[3]]), 0);
        assert_eq!(value(KeRemoveDeviceQueue, &[at]), entries[2]);
        assert_eq!(value(KeRemoveByKeyDeviceQueueIfBusy, &[at, 9]), entries[4]);
        assert_eq!(value(KeRemoveDeviceQueue, &[at]), 0);
        assert_eq!(value(KeRemoveByKeyDeviceQueueIfBusy, &[at, 9]), 0);
        assert_eq!(broken_rules(), [""; 0]);
        assert_eq!(value(KeRemoveDeviceQueue, &[at]), 0);
        assert_eq!(broken_rules(), ["device-queue-not-busy"]);
    }
}

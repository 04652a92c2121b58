//! Remove locks: a device goes away only when nobody uses it any more.
//!
//! The count and the event are in the driver's memory, as Windows has them, in
//! a form without and one with the fields of checked builds. The tags of those
//! who hold a lock are kept here for both.

use std::collections::BTreeMap;

use nt_layout::{IoRemoveLockCommonBlock, IoRemoveLockDbg, Kevent};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::base::{clock, diag};
use crate::ke::object::Kind;
use crate::ke::wait::Timeout;
use crate::ke::{object, wait};

/// Bytes of an `IO_REMOVE_LOCK` without debugging.
const SIZE: u32 = DriverPtr::<IoRemoveLockCommonBlock>::SIZE_FIELD as u32;
/// Bytes with it.
const DEBUG_SIZE: u32 = DriverPtr::<IoRemoveLockDbg>::SIZE_FIELD as u32;
/// The signature of the debugging part.
const SIGNATURE: u32 = u32::from_be_bytes(*b"COLR");
/// Seconds in a minute.
const MINUTE: u64 = 60;

/// Who holds a lock: the tag and the call.
#[derive(Debug, Clone, Copy)]
struct Holder {
    tag: u64,
    caller: u64,
}

static HOLDERS: KernelCell<BTreeMap<u64, Vec<Holder>>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, Vec<Holder>>) -> T) -> T {
    work(&mut HOLDERS.lock())
}

/// Locks that are held.
pub fn leaks() -> Vec<Leak> {
    with(|locks| {
        let holders = locks
            .iter()
            .flat_map(|(lock, holders)| holders.iter().map(move |holder| (lock, holder)));
        holders
            .map(|(lock, holder)| {
                let message = format!(
                    "the remove lock at {lock:#018x} is held with the tag {:#x}",
                    holder.tag
                );
                Leak::new(rules::REMOVE_LOCK_HELD, message, holder.caller)
            })
            .collect()
    })
}

fn check_size(size: u32, function: &str, caller: u64) {
    if size != SIZE && size != DEBUG_SIZE {
        let what = format!(
            "{function} called for a remove lock of {size} bytes; it has {SIZE}, or {DEBUG_SIZE} in a checked build"
        );
        diag::violation(rules::REMOVE_LOCK_SIZE, what, caller);
    }
}

/// Changes the count; returns what it is then.
fn add(lock: u64, more: i32) -> Result<i32, Fault> {
    let io_count = DriverPtr::<IoRemoveLockCommonBlock>::new(lock).at(|lock| &lock.io_count);
    let count = io_count.read()?.wrapping_add(more);
    io_count.write(count)?;
    Ok(count)
}

fn signal(lock: u64) -> Result<(), Fault> {
    let event = DriverPtr::<IoRemoveLockCommonBlock>::new(lock)
        .at(|lock| &lock.remove_event)
        .address();
    object::set_state(event, 1)?;
    wait::signal(event)
}

fn removed(lock: u64) -> Result<bool, Fault> {
    Ok(DriverPtr::<IoRemoveLockCommonBlock>::new(lock).get(|lock| &lock.removed)? != 0)
}

/// Forgets a holder; reports a tag that nobody holds the lock with.
fn forget(lock: u64, tag: u64, function: &str, caller: u64) {
    let known = with(|locks| {
        let holders = locks.get_mut(&lock)?;
        let at = holders.iter().rposition(|holder| holder.tag == tag)?;
        Some(holders.remove(at))
    });
    if known.is_none() {
        let what = format!(
            "{function} called for the remove lock at {lock:#018x} with the tag {tag:#x}, with which it is not held"
        );
        diag::violation(rules::REMOVE_LOCK_NOT_HELD, what, caller);
    }
}

fn release(lock: u64, tag: u64, caller: u64) -> Result<(), NoReturn> {
    forget(lock, tag, "IoReleaseRemoveLockEx", caller);
    if add(lock, -1)? == 0 {
        signal(lock)?;
    }
    Ok(())
}

exports! {
    /// `IoInitializeRemoveLockEx`.
    fn IoInitializeRemoveLockEx<call>(lock: u64, tag: u32, minutes: u32, watermark: u32, size: u32) -> ()
        [max PASSIVE_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-ioinitializeremovelock"]
    {
        check_size(size, "IoInitializeRemoveLockEx", call.return_address());
        driver_mem::fill(lock, 0, if size == DEBUG_SIZE { u64::from(DEBUG_SIZE) } else { u64::from(SIZE) })?;
        let block = DriverPtr::<IoRemoveLockDbg>::new(lock);
        block.set(|block| &block.common.io_count, 1)?;
        let event = block.at(|block| &block.common.remove_event);
        object::initialize(event.address(), Kind::SynchronizationEvent, DriverPtr::<Kevent>::SIZE, 0)?;
        if size == DEBUG_SIZE {
            block.set(|block| &block.signature, SIGNATURE)?;
            block.set(|block| &block.high_watermark, watermark)?;
            let ticks = u64::from(minutes) * MINUTE * clock::SECOND / clock::TICK;
            block.set(|block| &block.max_locked_ticks, ticks)?;
            block.set(|block| &block.allocate_tag, tag)?;
            object::initialize_list(block.at(|block| &block.lock_list).address())?;
        }
        with(|locks| locks.insert(lock, Vec::new()));
        Ok(())
    }

    /// `IoAcquireRemoveLockEx`: `STATUS_DELETE_PENDING` once the device is being
    /// removed. File and line are those of a checked build.
    fn IoAcquireRemoveLockEx<call>(lock: u64, tag: u64, file: u64, line: u32, size: u32) -> u32
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/kernel/ioacquireremovelockex"] fails nt_status::STATUS_DELETE_PENDING
    {
        let caller = call.return_address();
        check_size(size, "IoAcquireRemoveLockEx", caller);
        if with(|locks| !locks.contains_key(&lock)) {
            let what = format!("IoAcquireRemoveLockEx called for {lock:#018x}, where no remove lock was initialized");
            diag::violation(rules::REMOVE_LOCK_NOT_INITIALIZED, what, caller);
        }
        add(lock, 1)?;
        if removed(lock)? {
            if add(lock, -1)? == 0 {
                signal(lock)?;
            }
            return Ok(nt_status::STATUS_DELETE_PENDING);
        }
        with(|locks| locks.entry(lock).or_default().push(Holder { tag, caller }));
        Ok(0)
    }

    /// `IoReleaseRemoveLockEx`.
    fn IoReleaseRemoveLockEx<call>(lock: u64, tag: u64, size: u32) -> ()
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-ioreleaseremovelock"] {
        check_size(size, "IoReleaseRemoveLockEx", call.return_address());
        release(lock, tag, call.return_address())
    }

    /// `IoReleaseRemoveLockAndWaitEx`: nobody acquires it any more, and all have
    /// released it when this returns.
    fn IoReleaseRemoveLockAndWaitEx<call>(lock: DriverPtr<IoRemoveLockCommonBlock>, tag: u64, size: u32) -> ()
        [max PASSIVE_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-ioreleaseremovelockandwait"] {
        let caller = call.return_address();
        check_size(size, "IoReleaseRemoveLockAndWaitEx", caller);
        forget(lock.address(), tag, "IoReleaseRemoveLockAndWaitEx", caller);
        lock.set(|lock| &lock.removed, 1)?;
        // The caller's own use, and the one that the lock began with.
        add(lock.address(), -1)?;
        if add(lock.address(), -1)? > 0 {
            wait::wait(vec![lock.at(|lock| &lock.remove_event).address()], false, Timeout::Forever)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, broken_rules, status, value};

    #[test]
    fn remove_lock_after_removal_is_not_acquired() {
        let mut memory = [0xcc_u8; 0x78];
        let lock = address_mut(&mut memory);
        value(IoInitializeRemoveLockEx, &[lock, 0x1234, 1, 2, 0x20]);
        assert_eq!(memory[..8], [0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(memory[0x20], 0xcc, "what is not there is left alone");
        assert_eq!(status(IoAcquireRemoveLockEx, &[lock, 1, 0, 0, 0x20]), 0);
        assert_eq!(status(IoAcquireRemoveLockEx, &[lock, 2, 0, 0, 0x20]), 0);
        assert_eq!(memory[4], 3);
        value(IoReleaseRemoveLockEx, &[lock, 2, 0x20]);
        value(IoReleaseRemoveLockAndWaitEx, &[lock, 1, 0x20]);
        assert_eq!(memory[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            status(IoAcquireRemoveLockEx, &[lock, 3, 0, 0, 0x20]),
            nt_status::STATUS_DELETE_PENDING
        );
        assert_eq!(broken_rules(), [""; 0]);
        let lock = format!("{lock:#018x}");
        assert!(leaks().iter().all(|leak| !leak.message.contains(&lock)));
    }

    #[test]
    fn remove_lock_checked_build_reports_mistakes() {
        let mut memory = [0xcc_u8; 0x78];
        let lock = address_mut(&mut memory);
        value(IoInitializeRemoveLockEx, &[lock, 0x1234, 1, 2, 0x78]);
        assert_eq!(memory[0x20..0x28], *b"RLOC\x02\0\0\0");
        assert_eq!(memory[0x30..0x34], 0x1234_u32.to_le_bytes());
        assert_eq!(broken_rules(), [""; 0]);
        value(IoReleaseRemoveLockEx, &[lock, 7, 0x78]);
        assert_eq!(broken_rules(), ["remove-lock-not-held"]);
        let mut other = [0_u8; 0x20];
        value(
            IoAcquireRemoveLockEx,
            &[address_mut(&mut other), 7, 0, 0, 0x21],
        );
        assert_eq!(
            broken_rules(),
            ["remove-lock-size", "remove-lock-not-initialized"]
        );
        with(|locks| locks.remove(&address_mut(&mut other)));
    }
}

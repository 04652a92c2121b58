//! In-stack queued spin locks: spin locks whose waiters queue up in handles on
//! their own stacks. The lock word holds the address of the last handle, which is
//! the holder's if no processor waits. A lock goes from hand to hand: it is never
//! free while somebody waits for it.

use std::collections::BTreeMap;

use nt_layout::KlockQueueHandle;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::{cpu, driver_mem};

use super::lock_owner::{HeldSpinLock, Mode};
use super::sched::{Spin, SpinWait};
use super::spinlock::{already_owned, at_dispatch, lower, not_owned, raise, rule};
use super::{ipi, lock_owner};
use crate::base::driver_ptr::DriverPtr;
use crate::base::events;
use crate::base::export::exports;
use crate::base::lock_class::LockClass;

/// `SYNCH_LEVEL` on x64.
const SYNCH_LEVEL: u8 = 12;

/// Set in the lock field of a handle that waits.
const WAITS: u64 = 1;

/// Handles that wait, and what will be known of the lock when it is theirs.
static WAITING: KernelCell<BTreeMap<u64, HeldSpinLock>> = KernelCell::new(BTreeMap::new());

/// The fields of the `KLOCK_QUEUE_HANDLE` at an address.
const fn queue_handle(handle: u64) -> DriverPtr<KlockQueueHandle> {
    DriverPtr::new(handle)
}

fn waiting<T>(work: impl FnOnce(&mut BTreeMap<u64, HeldSpinLock>) -> T) -> T {
    work(&mut WAITING.lock())
}

/// Takes a lock through a handle; `old` is the IRQL that its release restores.
fn acquire(lock: u64, handle: u64, old: u8, function: &str, caller: u64) -> Result<(), NoReturn> {
    queue_handle(handle).set(|handle| &handle.lock_queue.next, 0)?;
    queue_handle(handle).set(|handle| &handle.lock_queue.lock, lock)?;
    queue_handle(handle).set(|handle| &handle.old_irql, old)?;
    events::lock_acquiring(lock, LockClass::SpinLock, caller);
    let last = driver_mem::compare_exchange_u64(lock, 0, handle)?;
    if last == 0 {
        lock_owner::add(lock, Mode::Queued, caller);
        events::lock_acquired(lock, LockClass::SpinLock, caller);
        return Ok(());
    }
    let here = cpu::number();
    let elsewhere = |held: HeldSpinLock| held.mode == Mode::Queued && held.processor != here;
    if !lock_owner::find(lock).is_some_and(elsewhere) {
        return Err(already_owned(lock, last, function));
    }
    // The kernel is not interrupted, so these need not be one step.
    queue_handle(last).set(|handle| &handle.lock_queue.next, handle)?;
    queue_handle(handle).set(|handle| &handle.lock_queue.lock, lock | WAITS)?;
    driver_mem::write_u64(lock, handle)?;
    let held = HeldSpinLock {
        lock,
        mode: Mode::Queued,
        processor: here,
        irql: cpu::irql(),
        caller,
        is_reported: false,
    };
    waiting(|waiting| waiting.insert(handle, held));
    let spinning = SpinWait::on(Spin::Lock { lock, caller });
    while queue_handle(handle).get(|handle| &handle.lock_queue.lock)? & WAITS != 0 {
        spinning.turn().map_err(|why| ipi::locked_up(&why))?;
    }
    events::lock_acquired(lock, LockClass::SpinLock, caller);
    Ok(())
}

/// Gives back the lock of a handle; returns its address and what was known.
fn release(handle: u64, function: &str) -> Result<(u64, Option<HeldSpinLock>), NoReturn> {
    let lock = queue_handle(handle).get(|handle| &handle.lock_queue.lock)?;
    if lock == 0 || lock & WAITS != 0 {
        return Err(mismatch(lock, handle, 0, function));
    }
    match driver_mem::compare_exchange_u64(lock, handle, 0)? {
        word if word == handle => {
            events::lock_released(lock);
            Ok((lock, lock_owner::remove(lock)))
        }
        0 => Err(not_owned(lock, function)),
        word => {
            let next = queue_handle(handle).get(|handle| &handle.lock_queue.next)?;
            let Some(waiter) = waiting(|waiting| waiting.remove(&next)) else {
                return Err(mismatch(lock, handle, word, function));
            };
            let held = lock_owner::remove(lock);
            events::lock_released(lock);
            lock_owner::insert(waiter);
            queue_handle(next).set(|handle| &handle.lock_queue.lock, lock)?;
            Ok((lock, held))
        }
    }
}

fn mismatch(lock: u64, handle: u64, word: u64, function: &str) -> NoReturn {
    NoReturn::bug_check(
        0xc4,
        [0x1009, lock, handle, 0],
        format!(
            "{function} was given the handle {handle:#018x}, with which no lock was acquired; \
             it names the lock {lock:#018x}, which holds {word:#x}"
        ),
    )
}

/// Raises the IRQL and takes the lock.
fn raise_and_acquire(
    level: u8,
    lock: u64,
    handle: u64,
    function: &str,
    caller: u64,
) -> Result<(), NoReturn> {
    let old = raise(level, function, lock, caller);
    acquire(lock, handle, old, function, caller)
}

/// Gives the lock back and goes back to the IRQL before it was taken.
fn release_and_lower(handle: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    let (lock, held) = release(handle, function)?;
    let old = queue_handle(handle).get(|handle| &handle.old_irql)?;
    lower(old, function, held, lock, caller)
}

exports! {
    /// `KeAcquireInStackQueuedSpinLock`.
    fn KeAcquireInStackQueuedSpinLock<call>(lock: u64, handle: u64) -> () [max HIGH_LEVEL, wdm] {
        raise_and_acquire(cpu::DISPATCH_LEVEL, lock, handle, "KeAcquireInStackQueuedSpinLock", call.return_address())
    }

    /// `KeAcquireInStackQueuedSpinLockRaiseToSynch`.
    fn KeAcquireInStackQueuedSpinLockRaiseToSynch<call>(lock: u64, handle: u64) -> () [max HIGH_LEVEL, undocumented] {
        raise_and_acquire(SYNCH_LEVEL, lock, handle, "KeAcquireInStackQueuedSpinLockRaiseToSynch", call.return_address())
    }

    /// `KeReleaseInStackQueuedSpinLock`.
    fn KeReleaseInStackQueuedSpinLock<call>(handle: u64) -> () [max HIGH_LEVEL, wdm] {
        release_and_lower(handle, "KeReleaseInStackQueuedSpinLock", call.return_address())
    }

    /// `KeAcquireInStackQueuedSpinLockAtDpcLevel`.
    fn KeAcquireInStackQueuedSpinLockAtDpcLevel<call>(lock: u64, handle: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("KeAcquireInStackQueuedSpinLockAtDpcLevel", call.return_address());
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, function, lock, caller);
        acquire(lock, handle, cpu::irql(), function, caller)
    }

    /// `KeReleaseInStackQueuedSpinLockFromDpcLevel`.
    fn KeReleaseInStackQueuedSpinLockFromDpcLevel<call>(handle: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("KeReleaseInStackQueuedSpinLockFromDpcLevel", call.return_address());
        at_dispatch(rule::RELEASE_FROM_DPC_LEVEL, function, handle, caller);
        release(handle, function).map(drop)
    }

    /// `KeAcquireInStackQueuedSpinLockForDpc`: for threaded DPCs.
    fn KeAcquireInStackQueuedSpinLockForDpc<call>(lock: u64, handle: u64) -> () [max HIGH_LEVEL, wdm] {
        raise_and_acquire(
            cpu::DISPATCH_LEVEL, lock, handle, "KeAcquireInStackQueuedSpinLockForDpc", call.return_address(),
        )
    }

    /// `KeReleaseInStackQueuedSpinLockForDpc`.
    fn KeReleaseInStackQueuedSpinLockForDpc<call>(handle: u64) -> () [max HIGH_LEVEL, wdm] {
        release_and_lower(handle, "KeReleaseInStackQueuedSpinLockForDpc", call.return_address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, bug_check, call, processor, value};

    #[test]
    fn in_stack_lock_links_handle_and_stores_irql() {
        processor();
        cpu::set_irql(1);
        let (mut word, mut handle) = (0_u64, [u64::MAX; 3]);
        let (lock, at) = (address_mut(&mut word), address_mut(&mut handle));
        value(KeAcquireInStackQueuedSpinLock, &[lock, at]);
        assert_eq!((cpu::irql(), driver_mem::read_u64(lock)), (2, Ok(at)));
        assert_eq!(queue_handle(at).get(|handle| &handle.old_irql), Ok(1));
        value(KeReleaseInStackQueuedSpinLock, &[at]);
        assert_eq!((cpu::irql(), driver_mem::read_u64(lock)), (1, Ok(0)));
        assert_eq!(
            bug_check(call(KeReleaseInStackQueuedSpinLock, &[at])).code,
            0x10
        );
        cpu::set_irql(0);
    }

    #[test]
    fn in_stack_release_with_other_handle_stops() {
        processor();
        let (mut word, mut handle, mut other) = (0_u64, [0_u64; 3], [0_u64; 3]);
        let lock = address_mut(&mut word);
        let (handle, other) = (address_mut(&mut handle), address_mut(&mut other));
        value(KeAcquireInStackQueuedSpinLock, &[lock, handle]);
        let stop = bug_check(call(KeReleaseInStackQueuedSpinLock, &[other]));
        assert_eq!((stop.code, stop.parameters[0]), (0xc4, 0x1009));
        queue_handle(other)
            .set(|handle| &handle.lock_queue.lock, lock)
            .expect("it is ours");
        let stop = bug_check(call(KeReleaseInStackQueuedSpinLock, &[other]));
        assert_eq!((stop.code, stop.parameters[0]), (0xc4, 0x1009));
        assert_eq!(
            bug_check(call(KeAcquireInStackQueuedSpinLock, &[lock, other])).code,
            0x0f
        );
        value(KeReleaseInStackQueuedSpinLock, &[handle]);
        assert_eq!(cpu::irql(), 0);
    }
}

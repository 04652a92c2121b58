//! Interlocked lists and counters under a spin lock of the driver.
//!
//! They may be called at any IRQL, by interrupt routines, too: interrupts are
//! off while the lock is held. Memory that cannot be accessed stops the system
//! then, whatever kind of address it is.

use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::{cpu, driver_mem};

use crate::base::export::exports;
use crate::base::list_entry;
use crate::ke::spinlock;

/// Does `work` under a lock with interrupts off. When it fails, the IRQL stays:
/// whatever happened, happened there.
fn locked<T>(
    lock: u64,
    call: &Call<'_>,
    function: &str,
    work: impl FnOnce() -> Result<T, NoReturn>,
) -> Result<T, NoReturn> {
    let old = cpu::set_irql(HIGH_LEVEL);
    spinlock::acquire(lock, function, call.return_address())?;
    let result = work()?;
    spinlock::release(lock, function)?;
    cpu::set_irql(old);
    Ok(result)
}

/// The first entry of a list, NULL if it is empty.
fn first(head: u64) -> Result<u64, NoReturn> {
    list_entry::forward(head).map(|first| if first == head { 0 } else { first })
}

exports! {
    /// `ExInterlockedInsertHeadList`: the entry that was first, or NULL.
    fn ExInterlockedInsertHeadList<call>(head: u64, entry: u64, lock: u64) -> u64 [max HIGH_LEVEL, wdm] {
        locked(lock, call, "ExInterlockedInsertHeadList", || {
            let before = first(head)?;
            list_entry::insert_after(head, entry)?;
            Ok(before)
        })
    }

    /// `ExInterlockedInsertTailList`: the entry that was last, or NULL.
    fn ExInterlockedInsertTailList<call>(head: u64, entry: u64, lock: u64) -> u64 [max HIGH_LEVEL, wdm] {
        locked(lock, call, "ExInterlockedInsertTailList", || {
            let last = driver_mem::read_u64(head.wrapping_add(8))?;
            list_entry::insert_tail(head, entry)?;
            Ok(if last == head { 0 } else { last })
        })
    }

    /// `ExInterlockedRemoveHeadList`: the entry removed, or NULL.
    fn ExInterlockedRemoveHeadList<call>(head: u64, lock: u64) -> u64 [max HIGH_LEVEL, wdm] {
        locked(lock, call, "ExInterlockedRemoveHeadList", || {
            let entry = first(head)?;
            if entry != 0 {
                list_entry::remove(entry)?;
            }
            Ok(entry)
        })
    }

    /// `ExInterlockedPushEntryList`: the entry that was first, or NULL.
    fn ExInterlockedPushEntryList<call>(head: u64, entry: u64, lock: u64) -> u64 [max HIGH_LEVEL, wdm] {
        locked(lock, call, "ExInterlockedPushEntryList", || {
            let before = driver_mem::read_u64(head)?;
            driver_mem::write_u64(entry, before)?;
            driver_mem::write_u64(head, entry)?;
            Ok(before)
        })
    }

    /// `ExInterlockedPopEntryList`: the entry removed, or NULL.
    fn ExInterlockedPopEntryList<call>(head: u64, lock: u64) -> u64 [max HIGH_LEVEL, wdm] {
        locked(lock, call, "ExInterlockedPopEntryList", || {
            let entry = driver_mem::read_u64(head)?;
            if entry != 0 {
                driver_mem::write_u64(head, driver_mem::read_u64(entry)?)?;
            }
            Ok(entry)
        })
    }

    /// `ExInterlockedAddLargeInteger`: the value before.
    fn ExInterlockedAddLargeInteger<call>(addend: u64, increment: u64, lock: u64) -> u64 [max HIGH_LEVEL, wdm] {
        locked(lock, call, "ExInterlockedAddLargeInteger", || Ok(driver_mem::add_u64(addend, increment)?))
    }

    /// `ExInterlockedAddUlong`: the value before.
    fn ExInterlockedAddUlong<call>(addend: u64, increment: u32, lock: u64) -> u32 [max HIGH_LEVEL, wdm] {
        locked(lock, call, "ExInterlockedAddUlong", || Ok(driver_mem::add_u32(addend, increment)?))
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::ExportResult;

    use super::*;
    use crate::test_support::{NOWHERE, address_mut, bug_check, call, fault, processor, value};

    #[test]
    fn interlocked_list_inserts_at_head_and_tail() {
        processor();
        let mut words = [[0_u64; 2]; 4];
        let [head, a, b, c] = std::array::from_fn(|n| address_mut(&mut words[n]));
        let mut lock = 0_u64;
        let lock = address_mut(&mut lock);
        list_entry::initialize(head).expect("it is ours");
        assert_eq!(value(ExInterlockedRemoveHeadList, &[head, lock]), 0);
        assert_eq!(value(ExInterlockedInsertTailList, &[head, a, lock]), 0);
        assert_eq!(value(ExInterlockedInsertTailList, &[head, b, lock]), a);
        assert_eq!(value(ExInterlockedInsertHeadList, &[head, c, lock]), a);
        for entry in [c, a, b, 0] {
            assert_eq!(value(ExInterlockedRemoveHeadList, &[head, lock]), entry);
        }
        assert_eq!(
            (cpu::irql(), driver_mem::read_u64(lock)),
            (0, Ok(0)),
            "as before"
        );
    }

    #[test]
    fn interlocked_list_corrupt_raises_bug_check() {
        processor();
        let mut words = [[0_u64; 2]; 4];
        let [head, a, b, c] = std::array::from_fn(|n| address_mut(&mut words[n]));
        let mut word = 0_u64;
        let lock = address_mut(&mut word);
        list_entry::initialize(head).expect("it is ours");
        value(ExInterlockedInsertTailList, &[head, a, lock]);
        value(ExInterlockedInsertTailList, &[head, b, lock]);
        driver_mem::write_u64(b + 8, b).expect("it is ours");
        let attempts: [&dyn Fn() -> ExportResult; 2] = [
            &|| call(ExInterlockedRemoveHeadList, &[head, lock]),
            &|| call(ExInterlockedInsertHeadList, &[a, c, lock]),
        ];
        for attempt in attempts {
            let stop = bug_check(attempt());
            assert_eq!((stop.code, stop.parameters[0]), (0x139, 3));
            assert_eq!(cpu::irql(), HIGH_LEVEL, "it happened with interrupts off");
            spinlock::release(lock, "test").expect("it is held");
            cpu::set_irql(0);
        }
        assert_eq!(driver_mem::read_u64(head), Ok(a), "nothing was linked");
    }

    #[test]
    fn interlocked_entry_list_is_lifo() {
        processor();
        let mut words = [[0_u64; 2]; 4];
        let [head, a, b, _] = std::array::from_fn(|n| address_mut(&mut words[n]));
        let mut lock = 0_u64;
        let lock = address_mut(&mut lock);
        assert_eq!(value(ExInterlockedPopEntryList, &[head, lock]), 0);
        assert_eq!(value(ExInterlockedPushEntryList, &[head, a, lock]), 0);
        assert_eq!(value(ExInterlockedPushEntryList, &[head, b, lock]), a);
        for entry in [b, a, 0] {
            assert_eq!(value(ExInterlockedPopEntryList, &[head, lock]), entry);
        }
    }

    #[test]
    fn interlocked_counters_return_previous_value() {
        processor();
        let (mut large, mut small, mut lock) = (1_u64 << 40, u32::MAX, 0_u64);
        let (large_at, small_at, lock) = (
            address_mut(&mut large),
            address_mut(&mut small),
            address_mut(&mut lock),
        );
        let minus_one = u64::MAX;
        assert_eq!(
            value(ExInterlockedAddLargeInteger, &[large_at, minus_one, lock]),
            1 << 40
        );
        assert_eq!(driver_mem::read_u64(large_at), Ok((1 << 40) - 1));
        assert_eq!(
            value(ExInterlockedAddUlong, &[small_at, 2, lock]),
            u64::from(u32::MAX)
        );
        assert_eq!(driver_mem::read_u32(small_at), Ok(1));
    }

    #[test]
    fn interlocked_fault_keeps_lock_and_irql() {
        processor();
        let mut word = 0_u64;
        let lock = address_mut(&mut word);
        assert_eq!(fault(ExInterlockedAddUlong, &[NOWHERE, 1, lock]), NOWHERE);
        assert_eq!(cpu::irql(), HIGH_LEVEL);
        spinlock::release(lock, "test").expect("it is held");
        cpu::set_irql(0);
    }
}

//! Fast mutexes (`FAST_MUTEX`), which since Windows 8 guarded mutexes are too.
//!
//! The structure is the driver's: a count whose lowest bit says that the mutex
//! is free and whose upper bits count the threads that wait, the owner, and the
//! IRQL that releasing it restores. Inline code of the WDK initialises it.

use nt_layout::{FastMutex, Kevent};
use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::{cpu, driver_mem};

use super::lock_wait;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::lock_class::LockClass;
use crate::base::{diag, events, thread_table};
use crate::ke::object::Kind;
use crate::ke::{critical_region, irql, object, sched};

/// `FM_LOCK_BIT`: set while the mutex is free.
const FREE: u32 = 1;
/// `FM_LOCK_WAITER_INC`: one waiting thread in the count.
const WAITER: u32 = 4;

/// What Driver Verifier calls it.
mod rule {
    /// Taken "unsafe" with APCs enabled.
    pub const ACQUIRE_UNSAFE: u64 = 0x39;
    /// Released "unsafe" with APCs enabled.
    pub const RELEASE_UNSAFE: u64 = 0x3a;
    /// A deadlock.
    pub const DEADLOCK: u64 = 0x1001;
    /// Never initialised.
    pub const UNINITIALIZED: u64 = 0x1002;
}

/// The fields of the `FAST_MUTEX` at an address.
const fn fast_mutex(mutex: u64) -> DriverPtr<FastMutex> {
    DriverPtr::new(mutex)
}

/// Writes a mutex that is free.
pub fn initialize(mutex: u64) -> Result<(), NoReturn> {
    events::memory_freed(mutex, DriverPtr::<FastMutex>::SIZE);
    fast_mutex(mutex).set(|mutex| &mutex.count, FREE)?;
    fast_mutex(mutex).set(|mutex| &mutex.owner, 0)?;
    fast_mutex(mutex).set(|mutex| &mutex.contention, 0)?;
    object::initialize(
        fast_mutex(mutex).at(|mutex| &mutex.event).address(),
        Kind::SynchronizationEvent,
        DriverPtr::<Kevent>::SIZE,
        0,
    )?;
    Ok(())
}

/// Whether the structure looks as initialising it leaves it.
fn is_initialized(mutex: u64) -> Result<bool, NoReturn> {
    let event = fast_mutex(mutex).at(|mutex| &mutex.event).address();
    Ok(Kind::of(event)? == Some(Kind::SynchronizationEvent)
        && driver_mem::read_u64(object::wait_list(event))? != 0)
}

/// Acquires the mutex if it is free.
fn try_lock(mutex: u64, thread: u64) -> Result<bool, NoReturn> {
    let taken =
        driver_mem::update_u32(mutex, |count| (count & FREE != 0).then_some(count & !FREE))?;
    if taken.is_ok() {
        fast_mutex(mutex).set(|mutex| &mutex.owner, thread)?;
    }
    Ok(taken.is_ok())
}

/// Acquires the mutex, and waits until it is free.
fn lock(mutex: u64, thread: u64, function: &str) -> Result<(), NoReturn> {
    while !try_lock(mutex, thread)? {
        if fast_mutex(mutex).get(|mutex| &mutex.owner)? == thread {
            let why = "this thread owns it; fast and guarded mutexes cannot be acquired again by their owner";
            return Err(lock_wait::self_deadlock(
                rule::DEADLOCK,
                mutex,
                function,
                why,
            ));
        }
        if !is_initialized(mutex)? {
            let why = "it is not free, and it was never initialised";
            return Err(lock_wait::self_deadlock(
                rule::UNINITIALIZED,
                mutex,
                function,
                why,
            ));
        }
        driver_mem::add_u32(fast_mutex(mutex).at(|mutex| &mutex.contention).address(), 1)?;
        driver_mem::add_u32(mutex, WAITER)?;
        let blocked = lock_wait::block(mutex, function);
        driver_mem::add_u32(mutex, WAITER.wrapping_neg())?;
        blocked?;
    }
    Ok(())
}

/// Releases the mutex and wakes waiting threads, which try again.
fn unlock(mutex: u64, thread: u64, function: &str) -> Result<(), NoReturn> {
    let owner = fast_mutex(mutex).get(|mutex| &mutex.owner)?;
    if owner != thread || driver_mem::read_u32(mutex)? & FREE != 0 {
        let found = if owner == 0 {
            "nobody owns it".to_owned()
        } else {
            format!("its owner is {owner:#018x}")
        };
        return Err(lock_wait::not_owned(mutex, function, &found));
    }
    fast_mutex(mutex).set(|mutex| &mutex.owner, 0)?;
    events::lock_released(mutex);
    if driver_mem::add_u32(mutex, FREE)? >= WAITER {
        sched::wake(mutex);
    }
    Ok(())
}

/// Checks what every acquisition needs.
fn check(mutex: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    lock_wait::check_irql(mutex, function)?;
    if !is_initialized(mutex)? {
        let what =
            format!("{function} called for {mutex:#018x}, which was never initialized as a mutex");
        diag::violation(rules::MUTEX_NOT_INITIALIZED, what, caller);
    }
    Ok(())
}

/// Acquires the mutex at `APC_LEVEL`.
pub fn acquire(mutex: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    check(mutex, function, caller)?;
    events::lock_acquiring(mutex, LockClass::FastMutex, caller);
    let old = cpu::set_irql(cpu::APC_LEVEL);
    lock(mutex, thread_table::current_thread(), function)?;
    events::lock_acquired(mutex, LockClass::FastMutex, caller);
    fast_mutex(mutex).set(|mutex| &mutex.old_irql, u32::from(old))?;
    Ok(())
}

/// Acquires the mutex at `APC_LEVEL` if it is free.
pub fn try_acquire(mutex: u64, function: &str, caller: u64) -> Result<bool, NoReturn> {
    check(mutex, function, caller)?;
    if !try_lock(mutex, thread_table::current_thread())? {
        return Ok(false);
    }
    events::lock_acquired(mutex, LockClass::FastMutex, caller);
    let old = cpu::set_irql(cpu::APC_LEVEL);
    fast_mutex(mutex).set(|mutex| &mutex.old_irql, u32::from(old))?;
    Ok(true)
}

/// Releases the mutex and goes back to the IRQL before.
pub fn release(mutex: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    let current = cpu::irql();
    if current != cpu::APC_LEVEL {
        let what = format!("{function} called for {mutex:#018x} at IRQL {current}, must be 1");
        diag::violation(rules::MUTEX_IRQL, what, caller);
    }
    let old = fast_mutex(mutex).at(|mutex| &mutex.old_irql).address();
    let old = driver_mem::read_u8(old)?;
    unlock(mutex, thread_table::current_thread(), function)?;
    if old <= current {
        irql::lower(old, function, caller)
    } else {
        Ok(())
    }
}

/// Acquires the mutex where APCs are disabled already.
pub fn acquire_unsafe(mutex: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    check(mutex, function, caller)?;
    lock_wait::check_apcs(rule::ACQUIRE_UNSAFE, mutex, function, caller, false);
    events::lock_acquiring(mutex, LockClass::FastMutex, caller);
    lock(mutex, thread_table::current_thread(), function)?;
    events::lock_acquired(mutex, LockClass::FastMutex, caller);
    Ok(())
}

/// Releases a mutex that was acquired so.
pub fn release_unsafe(mutex: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    lock_wait::check_apcs(rule::RELEASE_UNSAFE, mutex, function, caller, true);
    unlock(mutex, thread_table::current_thread(), function)
}

exports! {
    /// `ExAcquireFastMutex`.
    fn ExAcquireFastMutex<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        acquire(mutex, "ExAcquireFastMutex", call.return_address())
    }

    /// `ExTryToAcquireFastMutex`.
    fn ExTryToAcquireFastMutex<call>(mutex: u64) -> bool [max HIGH_LEVEL, wdm] {
        try_acquire(mutex, "ExTryToAcquireFastMutex", call.return_address())
    }

    /// `ExReleaseFastMutex`.
    fn ExReleaseFastMutex<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        release(mutex, "ExReleaseFastMutex", call.return_address())
    }

    /// `ExAcquireFastMutexUnsafe`.
    fn ExAcquireFastMutexUnsafe<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        acquire_unsafe(mutex, "ExAcquireFastMutexUnsafe", call.return_address())
    }

    /// `ExReleaseFastMutexUnsafe`.
    fn ExReleaseFastMutexUnsafe<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        release_unsafe(mutex, "ExReleaseFastMutexUnsafe", call.return_address())
    }

    /// `ExEnterCriticalRegionAndAcquireFastMutexUnsafe`.
    fn ExEnterCriticalRegionAndAcquireFastMutexUnsafe<call>(mutex: u64) -> () [max HIGH_LEVEL, undocumented] {
        critical_region::enter_critical_region();
        acquire_unsafe(mutex, "ExEnterCriticalRegionAndAcquireFastMutexUnsafe", call.return_address())
    }

    /// `ExReleaseFastMutexUnsafeAndLeaveCriticalRegion`.
    fn ExReleaseFastMutexUnsafeAndLeaveCriticalRegion<call>(mutex: u64) -> () [max HIGH_LEVEL, undocumented] {
        let function = "ExReleaseFastMutexUnsafeAndLeaveCriticalRegion";
        release_unsafe(mutex, function, call.return_address())?;
        critical_region::leave_critical_region();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, broken_rules, bug_check, processor};

    /// Two threads, which to a mutex are only numbers.
    const ONE: u64 = 0x1000;
    const OTHER: u64 = 0x2000;

    #[test]
    fn fast_mutex_has_one_owner() {
        processor();
        let mut memory = [u64::MAX; 7];
        let mutex = address_mut(&mut memory);
        initialize(mutex).expect("it is ours");
        assert!(is_initialized(mutex).expect("it is ours"));
        assert!(try_lock(mutex, ONE).expect("it is ours"));
        assert_eq!(
            (driver_mem::read_u32(mutex), driver_mem::read_u64(mutex + 8)),
            (Ok(0), Ok(ONE))
        );
        assert!(!try_lock(mutex, OTHER).expect("it is ours"));
        assert_eq!(
            bug_check(unlock(mutex, OTHER, "test").map(|()| 0)).code,
            0x162
        );
        unlock(mutex, ONE, "test").expect("it is the owner");
        assert_eq!(
            (driver_mem::read_u32(mutex), driver_mem::read_u64(mutex + 8)),
            (Ok(1), Ok(0))
        );
        assert_eq!(
            bug_check(unlock(mutex, ONE, "test").map(|()| 0)).code,
            0x162
        );
    }

    #[test]
    fn fast_mutex_recursive_or_uninitialized_reports_deadlock() {
        processor();
        let mut memory = [0_u64; 7];
        let mutex = address_mut(&mut memory);
        let stop = bug_check(lock(mutex, ONE, "test").map(|()| 0));
        assert_eq!((stop.code, stop.parameters[0]), (0xc4, rule::UNINITIALIZED));
        initialize(mutex).expect("it is ours");
        lock(mutex, ONE, "test").expect("it is free");
        let stop = bug_check(lock(mutex, ONE, "test").map(|()| 0));
        assert_eq!((stop.code, stop.parameters[0]), (0xc4, rule::DEADLOCK));
    }

    #[test]
    fn fast_mutex_release_restores_irql() {
        processor();
        let mut memory = [0_u64; 7];
        let mutex = address_mut(&mut memory);
        initialize(mutex).expect("it is ours");
        acquire(mutex, "test", 0).expect("it is free");
        assert_eq!(cpu::irql(), cpu::APC_LEVEL);
        release(mutex, "test", 0).expect("it is the owner");
        assert_eq!((cpu::irql(), broken_rules().len()), (0, 0));
        assert!(try_acquire(mutex, "test", 0).expect("it is free"));
        assert!(!try_acquire(mutex, "test", 0).expect("it is ours"));
        cpu::set_irql(0);
        release(mutex, "test", 0).expect("it is the owner");
        assert_eq!(broken_rules(), ["mutex-irql"]);
    }

    #[test]
    fn fast_mutex_at_dispatch_level_stops() {
        processor();
        let mut memory = [0_u64; 7];
        let mutex = address_mut(&mut memory);
        initialize(mutex).expect("it is ours");
        cpu::set_irql(cpu::DISPATCH_LEVEL);
        let stop = bug_check(acquire(mutex, "test", 0).map(|()| 0));
        assert_eq!((stop.code, stop.parameters[2]), (0x192, 2));
        cpu::set_irql(0);
    }
}

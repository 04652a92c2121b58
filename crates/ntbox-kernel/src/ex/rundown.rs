//! Run-down protection: references to something that its owner wants to delete.
//!
//! `EX_RUNDOWN_REF` is one word: bit 0 says that the run down has begun, and no
//! more references are given; the references are counted above it. When the run
//! down is over the word is 1.

use nt_layout::ExRundownRefCacheAware;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};

use super::{lock_wait, pool};
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::ke::sched;

/// `EX_RUNDOWN_ACTIVE`.
const ACTIVE: u64 = 1;
/// One reference.
const REFERENCE: u64 = 2;

/// Bytes of an `EX_RUNDOWN_REF_CACHE_AWARE` for one processor.
const CACHE_AWARE_SIZE: u64 = DriverPtr::<ExRundownRefCacheAware>::SIZE;

/// The fields of the `EX_RUNDOWN_REF_CACHE_AWARE` at an address.
const fn cache_aware(at: u64) -> DriverPtr<ExRundownRefCacheAware> {
    DriverPtr::new(at)
}

/// Acquires `count` references. False once the run down has begun.
fn acquire(at: u64, count: u32) -> Result<bool, NoReturn> {
    let more = REFERENCE * u64::from(count);
    let taken = driver_mem::update_u64(at, |word| {
        (word & ACTIVE == 0).then_some(word.wrapping_add(more))
    })?;
    Ok(taken.is_ok())
}

/// Releases `count` references. The last one wakes the thread that waits.
fn release(at: u64, count: u32, function: &str, caller: u64) -> Result<(), NoReturn> {
    let fewer = REFERENCE * u64::from(count);
    match driver_mem::update_u64(at, |word| word.checked_sub(fewer))? {
        Ok(before) => {
            if before - fewer == ACTIVE {
                sched::wake(at);
            }
        }
        Err(word) => {
            let what = format!(
                "{function} called for {count} references to {at:#018x}, of which there are {}",
                word / REFERENCE
            );
            diag::violation(rules::RUNDOWN_NOT_ACQUIRED, what, caller);
        }
    }
    Ok(())
}

/// Begins the run down and waits until all references are released.
fn wait(at: u64, function: &str) -> Result<(), NoReturn> {
    driver_mem::update_u64(at, |word| Some(word | ACTIVE))?.ok();
    while driver_mem::read_u64(at)? != ACTIVE {
        lock_wait::block(at, function)?;
    }
    Ok(())
}

/// Makes a reference usable again after its run down.
fn reinitialize(at: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    let word = driver_mem::read_u64(at)?;
    if word != ACTIVE {
        let what = format!(
            "{function} called for {at:#018x}, which was not run down (it holds {word:#x})"
        );
        diag::violation(rules::RUNDOWN_NOT_COMPLETED, what, caller);
    }
    driver_mem::write_u64(at, 0)?;
    Ok(())
}

/// The references of a cache-aware structure: there is one processor.
fn shared(at: u64) -> Result<u64, NoReturn> {
    Ok(cache_aware(at).get(|rundown| &rundown.run_refs)?)
}

fn initialize_cache_aware(at: u64, block: u64) -> Result<(), NoReturn> {
    cache_aware(at).set(
        |rundown| &rundown.run_refs,
        cache_aware(at).at(|rundown| &rundown.first).address(),
    )?;
    cache_aware(at).set(|rundown| &rundown.pool_to_free, block)?;
    cache_aware(at).set(|rundown| &rundown.run_ref_size, 8)?;
    cache_aware(at).set(|rundown| &rundown.number, 1)?;
    cache_aware(at).set(|rundown| &rundown.first, 0)?;
    Ok(())
}

exports! {
    /// `ExInitializeRundownProtection`.
    fn ExInitializeRundownProtection(at: u64) -> () [max APC_LEVEL, wdm] {
        driver_mem::write_u64(at, 0)?;
        Ok(())
    }

    /// `ExReInitializeRundownProtection`.
    fn ExReInitializeRundownProtection<call>(at: u64) -> () [max APC_LEVEL, wdm] {
        reinitialize(at, "ExReInitializeRundownProtection", call.return_address())
    }

    /// `ExAcquireRundownProtection`.
    fn ExAcquireRundownProtection(at: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        acquire(at, 1)
    }

    /// `ExAcquireRundownProtectionEx`.
    fn ExAcquireRundownProtectionEx(at: u64, count: u32) -> bool [max DISPATCH_LEVEL, wdm] {
        acquire(at, count)
    }

    /// `ExReleaseRundownProtection`.
    fn ExReleaseRundownProtection<call>(at: u64) -> () [max DISPATCH_LEVEL, wdm] {
        release(at, 1, "ExReleaseRundownProtection", call.return_address())
    }

    /// `ExReleaseRundownProtectionEx`.
    fn ExReleaseRundownProtectionEx<call>(at: u64, count: u32) -> () [max DISPATCH_LEVEL, wdm] {
        release(at, count, "ExReleaseRundownProtectionEx", call.return_address())
    }

    /// `ExWaitForRundownProtectionRelease`.
    fn ExWaitForRundownProtectionRelease(at: u64) -> () [max APC_LEVEL, wdm] {
        wait(at, "ExWaitForRundownProtectionRelease")
    }

    /// `ExRundownCompleted`.
    fn ExRundownCompleted(at: u64) -> () [max APC_LEVEL, wdm] {
        driver_mem::write_u64(at, ACTIVE)?;
        Ok(())
    }

    /// `ExSizeOfRundownProtectionCacheAware`.
    fn ExSizeOfRundownProtectionCacheAware() -> u64 [max APC_LEVEL, wdm] {
        Ok(CACHE_AWARE_SIZE)
    }

    /// `ExInitializeRundownProtectionCacheAware`.
    fn ExInitializeRundownProtectionCacheAware<call>(at: u64, size: u64) -> () [max APC_LEVEL, wdm] {
        if size < CACHE_AWARE_SIZE {
            let what = format!(
                "ExInitializeRundownProtectionCacheAware called for {size} bytes at {at:#018x}, minimum is {CACHE_AWARE_SIZE} (ExSizeOfRundownProtectionCacheAware)"
            );
            diag::violation(rules::RUNDOWN_TOO_SMALL, what, call.return_address());
        }
        initialize_cache_aware(at, 0)
    }

    /// `ExAllocateCacheAwareRundownProtection`: fails with NULL.
    fn ExAllocateCacheAwareRundownProtection<call>(pool_type: u32, tag: u32) -> u64 [max APC_LEVEL, wdm] fails 0 {
        let function = "ExAllocateCacheAwareRundownProtection";
        let at = pool::by_type(pool_type, CACHE_AWARE_SIZE, tag, false, call.return_address(), function)?;
        if at != 0 {
            initialize_cache_aware(at, at)?;
        }
        Ok(at)
    }

    /// `ExFreeCacheAwareRundownProtection`.
    fn ExFreeCacheAwareRundownProtection<call>(at: u64) -> () [max APC_LEVEL, wdm] {
        let block = cache_aware(at).get(|rundown| &rundown.pool_to_free)?;
        pool::free(block, None, call.return_address(), "ExFreeCacheAwareRundownProtection")
    }

    /// `ExReInitializeRundownProtectionCacheAware`.
    fn ExReInitializeRundownProtectionCacheAware<call>(at: u64) -> () [max APC_LEVEL, wdm] {
        reinitialize(shared(at)?, "ExReInitializeRundownProtectionCacheAware", call.return_address())
    }

    /// `ExAcquireRundownProtectionCacheAware`.
    fn ExAcquireRundownProtectionCacheAware(at: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        acquire(shared(at)?, 1)
    }

    /// `ExAcquireRundownProtectionCacheAwareEx`.
    fn ExAcquireRundownProtectionCacheAwareEx(at: u64, count: u32) -> bool [max DISPATCH_LEVEL, wdm] {
        acquire(shared(at)?, count)
    }

    /// `ExReleaseRundownProtectionCacheAware`.
    fn ExReleaseRundownProtectionCacheAware<call>(at: u64) -> () [max DISPATCH_LEVEL, wdm] {
        release(shared(at)?, 1, "ExReleaseRundownProtectionCacheAware", call.return_address())
    }

    /// `ExReleaseRundownProtectionCacheAwareEx`.
    fn ExReleaseRundownProtectionCacheAwareEx<call>(at: u64, count: u32) -> () [max DISPATCH_LEVEL, wdm] {
        release(shared(at)?, count, "ExReleaseRundownProtectionCacheAwareEx", call.return_address())
    }

    /// `ExWaitForRundownProtectionReleaseCacheAware`.
    fn ExWaitForRundownProtectionReleaseCacheAware(at: u64) -> () [max APC_LEVEL, wdm] {
        wait(shared(at)?, "ExWaitForRundownProtectionReleaseCacheAware")
    }

    /// `ExRundownCompletedCacheAware`.
    fn ExRundownCompletedCacheAware(at: u64) -> () [max APC_LEVEL, wdm] {
        driver_mem::write_u64(shared(at)?, ACTIVE)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, broken_rules, value};

    #[test]
    fn rundown_acquire_after_wait_fails() {
        let mut word = u64::MAX;
        let at = address_mut(&mut word);
        value(ExInitializeRundownProtection, &[at]);
        assert_eq!(value(ExAcquireRundownProtection, &[at]), 1);
        assert_eq!(value(ExAcquireRundownProtectionEx, &[at, 3]), 1);
        assert_eq!(driver_mem::read_u64(at), Ok(8));
        value(ExReleaseRundownProtectionEx, &[at, 4]);
        value(ExWaitForRundownProtectionRelease, &[at]);
        assert_eq!(value(ExAcquireRundownProtection, &[at]), 0);
        value(ExWaitForRundownProtectionRelease, &[at]);
        value(ExRundownCompleted, &[at]);
        assert_eq!(value(ExAcquireRundownProtection, &[at]), 0);
        value(ExReInitializeRundownProtection, &[at]);
        assert_eq!(value(ExAcquireRundownProtection, &[at]), 1);
        assert_eq!(broken_rules(), [""; 0]);
    }

    #[test]
    fn rundown_extra_release_and_early_reuse_are_reported() {
        let mut word = 0_u64;
        let at = address_mut(&mut word);
        value(ExAcquireRundownProtection, &[at]);
        value(ExReleaseRundownProtectionEx, &[at, 2]);
        assert_eq!(broken_rules(), ["rundown-not-acquired"]);
        assert_eq!(
            driver_mem::read_u64(at),
            Ok(REFERENCE),
            "the reference is still there"
        );
        value(ExReInitializeRundownProtection, &[at]);
        assert_eq!(broken_rules(), ["rundown-not-completed"]);
    }

    #[test]
    fn rundown_cache_aware_fits_reported_size() {
        let size = value(ExSizeOfRundownProtectionCacheAware, &[]);
        let mut memory = vec![0xbd_u8; usize::try_from(size).expect("small") + 1];
        let at = memory.as_mut_ptr() as u64;
        value(ExInitializeRundownProtectionCacheAware, &[at, size]);
        assert_eq!(value(ExAcquireRundownProtectionCacheAware, &[at]), 1);
        value(ExReleaseRundownProtectionCacheAware, &[at]);
        value(ExWaitForRundownProtectionReleaseCacheAware, &[at]);
        assert_eq!(value(ExAcquireRundownProtectionCacheAwareEx, &[at, 2]), 0);
        value(ExRundownCompletedCacheAware, &[at]);
        value(ExReInitializeRundownProtectionCacheAware, &[at]);
        assert_eq!(value(ExAcquireRundownProtectionCacheAwareEx, &[at, 2]), 1);
        assert_eq!(
            memory.last(),
            Some(&0xbd),
            "nothing was written past the end"
        );
        assert_eq!(broken_rules(), [""; 0]);
        value(ExInitializeRundownProtectionCacheAware, &[at, size - 1]);
        assert_eq!(broken_rules(), ["rundown-too-small"]);
    }
}

//! Executive resources (`ERESOURCE`): one exclusive owner or several shared
//! ones, each as often as it likes.

mod owners;
mod queue;

use std::collections::BTreeSet;

use nt_layout::Eresource;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use super::resource::owners::Resource;
use super::resource::queue::Access;
use super::tracked_structs::Kind;
use super::{lock_wait, tracked_structs};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::lock_class::LockClass;
use crate::base::{diag, events, list_entry, thread_table};
use crate::ke::critical_region;

/// Bytes of an ERESOURCE.
const SIZE: u64 = DriverPtr::<Eresource>::SIZE;
/// The offset of the counts and owners; before them are links and the table.
const STATE: u64 = core::mem::offset_of!(Eresource, active_count) as u64;
/// The low bits of an owner pointer, which no thread has.
const OWNER_POINTER: u64 = 3;

/// What Driver Verifier calls it.
mod rule {
    /// Acquired with APCs enabled.
    pub const ACQUIRE: u64 = 0x37;
    /// Released with APCs enabled.
    pub const RELEASE: u64 = 0x38;
    /// A shared owner wants exclusive access.
    pub const SELF_DEADLOCK: u64 = 0x1000;
    /// Never initialised.
    pub const UNINITIALIZED: u64 = 0x1002;
}

/// Addresses for which a missing initialization was reported.
static REPORTED: KernelCell<BTreeSet<u64>> = KernelCell::new(BTreeSet::new());

/// Reports a resource that was not initialised, or not at an address for one.
fn check(resource: Resource, function: &str, caller: u64) {
    if resource.0 & 7 != 0 {
        let what = format!(
            "{function} called for {:#018x}; resources must be 8-byte aligned",
            resource.0
        );
        diag::violation(rules::RESOURCE_MISALIGNED, what, caller);
    }
    if !tracked_structs::is(Kind::Resource, resource.0) && REPORTED.lock().insert(resource.0) {
        let what = format!(
            "{function} called for {:#018x}, where no resource is initialized",
            resource.0
        );
        diag::violation(
            rules::RESOURCE_NOT_INITIALIZED.with_stop(0xc4, rule::UNINITIALIZED),
            what,
            caller,
        );
    }
}

/// Acquires the resource for the current thread, waiting if `wait`.
fn acquire(
    at: u64,
    access: Access,
    wait: bool,
    function: &str,
    caller: u64,
) -> Result<bool, NoReturn> {
    let (resource, owner) = (Resource(at), thread_table::current_thread());
    check(resource, function, caller);
    lock_wait::check_apcs(rule::ACQUIRE, at, function, caller, false);
    let class = if access == Access::Exclusive {
        LockClass::Resource
    } else {
        LockClass::SharedResource
    };
    if wait {
        events::lock_acquiring(at, class, caller);
    }
    if resource.try_acquire(access, owner)? {
        events::lock_acquired(at, class, caller);
        return Ok(true);
    }
    if !wait {
        return Ok(false);
    }
    if access == Access::Exclusive && resource.count_of(owner)? > 0 {
        let why = "this thread owns it shared, and would have to release it first";
        return Err(lock_wait::self_deadlock(
            rule::SELF_DEADLOCK,
            at,
            function,
            why,
        ));
    }
    resource.wait(access, owner, function)?;
    events::lock_acquired(at, class, caller);
    Ok(true)
}

/// The stop for a release by somebody who does not own the resource.
fn not_owned(resource: Resource, owner: u64, function: &str) -> NoReturn {
    let table = resource.table().unwrap_or(0);
    NoReturn::bug_check(
        0xe3,
        [resource.0, owner, table, 0],
        format!(
            "{function} was called for the resource {:#018x}, which {owner:#018x} does not own",
            resource.0
        ),
    )
}

fn release(at: u64, owner: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    let resource = Resource(at);
    check(resource, function, caller);
    if resource.release(owner)? {
        events::lock_released(at);
        Ok(())
    } else {
        Err(not_owned(resource, owner, function))
    }
}

/// Makes what the current thread has acquired that of an owner pointer.
fn set_owner(at: u64, pointer: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    let (resource, thread) = (Resource(at), thread_table::current_thread());
    check(resource, function, caller);
    if pointer & OWNER_POINTER != OWNER_POINTER {
        let what = format!(
            "{function} called with the owner pointer {pointer:#018x}; its two lowest bits must be set"
        );
        diag::violation(rules::RESOURCE_OWNER_POINTER, what, caller);
    }
    if resource.transfer(thread, pointer)? {
        // It is no longer this thread that holds it.
        events::lock_released(at);
        Ok(())
    } else {
        Err(not_owned(resource, thread, function))
    }
}

/// Acquires the resource in a critical region, which it enters.
fn enter_and_acquire(at: u64, access: Access, function: &str, caller: u64) -> Result<(), NoReturn> {
    critical_region::enter_critical_region();
    acquire(at, access, true, function, caller).map(drop)
}

exports! {
    /// `ExInitializeResourceLite`.
    fn ExInitializeResourceLite<call>(at: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        driver_mem::fill(at, 0, SIZE)?;
        events::memory_freed(at, SIZE);
        // The system's list of all resources is kept elsewhere; an entry that
        // points at itself can be checked.
        list_entry::initialize(at)?;
        tracked_structs::begin(Kind::Resource, at, call.return_address());
        Ok(0)
    }

    /// `ExReinitializeResourceLite`.
    fn ExReinitializeResourceLite<call>(at: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        let resource = Resource(at);
        check(resource, "ExReinitializeResourceLite", call.return_address());
        resource.free_table()?;
        events::memory_freed(at, SIZE);
        driver_mem::fill(at.wrapping_add(STATE), 0, SIZE - STATE)?;
        Ok(0)
    }

    /// `ExDeleteResourceLite`.
    fn ExDeleteResourceLite<call>(at: u64) -> u32 [max APC_LEVEL, wdm] {
        let (resource, caller) = (Resource(at), call.return_address());
        if !tracked_structs::end(Kind::Resource, at, caller) {
            return Ok(0);
        }
        list_entry::remove(at)?;
        events::memory_freed(at, SIZE);
        if resource.is_owned()? {
            let what = format!("the resource at {at:#018x} deleted while it is owned");
            diag::violation(rules::RESOURCE_DELETED_WHILE_OWNED, what, caller);
        }
        resource.free_table()?;
        Ok(0)
    }

    /// `ExAcquireResourceExclusiveLite`.
    fn ExAcquireResourceExclusiveLite<call>(at: u64, wait: bool) -> bool [max APC_LEVEL, wdm] {
        acquire(at, Access::Exclusive, wait, "ExAcquireResourceExclusiveLite", call.return_address())
    }

    /// `ExTryToAcquireResourceExclusiveLite`.
    fn ExTryToAcquireResourceExclusiveLite<call>(at: u64) -> bool [max APC_LEVEL, undocumented] {
        acquire(at, Access::Exclusive, false, "ExTryToAcquireResourceExclusiveLite", call.return_address())
    }

    /// `ExAcquireResourceSharedLite`.
    fn ExAcquireResourceSharedLite<call>(at: u64, wait: bool) -> bool [max APC_LEVEL, wdm] {
        acquire(at, Access::Shared, wait, "ExAcquireResourceSharedLite", call.return_address())
    }

    /// `ExAcquireSharedStarveExclusive`.
    fn ExAcquireSharedStarveExclusive<call>(at: u64, wait: bool) -> bool [max APC_LEVEL, wdm] {
        acquire(at, Access::StarveExclusive, wait, "ExAcquireSharedStarveExclusive", call.return_address())
    }

    /// `ExAcquireSharedWaitForExclusive`.
    fn ExAcquireSharedWaitForExclusive<call>(at: u64, wait: bool) -> bool [max APC_LEVEL, wdm] {
        acquire(at, Access::WaitForExclusive, wait, "ExAcquireSharedWaitForExclusive", call.return_address())
    }

    /// `ExReleaseResourceLite`.
    fn ExReleaseResourceLite<call>(at: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let (function, caller) = ("ExReleaseResourceLite", call.return_address());
        lock_wait::check_apcs(rule::RELEASE, at, function, caller, true);
        release(at, thread_table::current_thread(), function, caller)
    }

    /// `ExReleaseResourceForThreadLite`: for another thread only what was handed
    /// to an owner pointer.
    fn ExReleaseResourceForThreadLite<call>(at: u64, owner: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let (function, caller) = ("ExReleaseResourceForThreadLite", call.return_address());
        let current = thread_table::current_thread();
        if !thread_table::current().is_some_and(|thread| thread.system) {
            lock_wait::check_apcs(rule::RELEASE, at, function, caller, true);
        }
        if owner != current && owner & OWNER_POINTER != OWNER_POINTER {
            // ERESOURCE_INVALID_RELEASE.
            return Err(NoReturn::bug_check(
                0x16e,
                [at, current, owner, 0],
                format!(
                    "{function} was called for the resource {at:#018x} and the thread {owner:#018x}, which is neither the current one nor an owner pointer"
                ),
            ));
        }
        release(at, owner, function, caller)
    }

    /// `ExConvertExclusiveToSharedLite`.
    fn ExConvertExclusiveToSharedLite<call>(at: u64) -> () [max APC_LEVEL, wdm] {
        let (resource, function) = (Resource(at), "ExConvertExclusiveToSharedLite");
        let owner = thread_table::current_thread();
        check(resource, function, call.return_address());
        if !resource.is_exclusive()? || resource.count_of(owner)? == 0 {
            return Err(not_owned(resource, owner, function));
        }
        resource.set_exclusive(false)?;
        resource.grant_shared().map(drop)
    }

    /// `ExIsResourceAcquiredExclusiveLite`: by the current thread.
    fn ExIsResourceAcquiredExclusiveLite(at: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        let resource = Resource(at);
        Ok(resource.is_exclusive()? && resource.count_of(thread_table::current_thread())? > 0)
    }

    /// `ExIsResourceAcquiredSharedLite`, which `ExIsResourceAcquiredLite` is:
    /// how often the current thread has acquired it, either way.
    fn ExIsResourceAcquiredSharedLite(at: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        Resource(at).count_of(thread_table::current_thread())
    }

    /// `ExGetExclusiveWaiterCount`.
    fn ExGetExclusiveWaiterCount(at: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        Resource(at).exclusive_waiters()
    }

    /// `ExGetSharedWaiterCount`.
    fn ExGetSharedWaiterCount(at: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        Resource(at).shared_waiters()
    }

    /// `ExSetResourceOwnerPointer`.
    fn ExSetResourceOwnerPointer<call>(at: u64, pointer: u64) -> () [max DISPATCH_LEVEL, wdm] {
        set_owner(at, pointer, "ExSetResourceOwnerPointer", call.return_address())
    }

    /// `ExSetResourceOwnerPointerEx`: the flag that the pointer is a thread only
    /// tells whose priority to boost.
    fn ExSetResourceOwnerPointerEx<call>(at: u64, pointer: u64, flags: u32) -> ()
        [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        set_owner(at, pointer, "ExSetResourceOwnerPointerEx", call.return_address())
    }

    /// `ExDisableResourceBoostLite`: owners are not boosted here.
    fn ExDisableResourceBoostLite<call>(at: u64) -> () [max DISPATCH_LEVEL, ntifs] {
        check(Resource(at), "ExDisableResourceBoostLite", call.return_address());
        Ok(())
    }

    /// `ExEnterCriticalRegionAndAcquireResourceExclusive`.
    fn ExEnterCriticalRegionAndAcquireResourceExclusive<call>(at: u64) -> u64 [max APC_LEVEL, wdm] {
        let function = "ExEnterCriticalRegionAndAcquireResourceExclusive";
        enter_and_acquire(at, Access::Exclusive, function, call.return_address())?;
        Ok(0)
    }

    /// `ExEnterCriticalRegionAndAcquireResourceShared`.
    fn ExEnterCriticalRegionAndAcquireResourceShared<call>(at: u64) -> u64 [max APC_LEVEL, undocumented] {
        let function = "ExEnterCriticalRegionAndAcquireResourceShared";
        enter_and_acquire(at, Access::Shared, function, call.return_address())?;
        Ok(0)
    }

    /// `ExEnterCriticalRegionAndAcquireSharedWaitForExclusive`.
    fn ExEnterCriticalRegionAndAcquireSharedWaitForExclusive<call>(at: u64) -> u64 [max APC_LEVEL, undocumented] {
        let function = "ExEnterCriticalRegionAndAcquireSharedWaitForExclusive";
        enter_and_acquire(at, Access::WaitForExclusive, function, call.return_address())?;
        Ok(0)
    }

    /// `ExReleaseResourceAndLeaveCriticalRegion`.
    fn ExReleaseResourceAndLeaveCriticalRegion<call>(at: u64) -> () [max APC_LEVEL, wdm] {
        let function = "ExReleaseResourceAndLeaveCriticalRegion";
        release(at, thread_table::current_thread(), function, call.return_address())?;
        critical_region::leave_critical_region();
        Ok(())
    }
}

//! Objects that threads wait for, in memory that may be paged out. The kernel looks
//! at them whenever one is signaled, at `DISPATCH_LEVEL`, where no page can be
//! fetched: the driver works until the page is on disk for the first time.

use std::collections::BTreeSet;

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::Call;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::PAGED_POOL;

use crate::base::{diag, stack_trace_db};
use crate::mm::{force_irql, force_irql_image};

/// The objects that have been reported: one finding for each.
static TOLD: KernelCell<BTreeSet<u64>> = KernelCell::new(BTreeSet::new());

/// What an object is, by the first export that is called for it.
fn object_of(export: &str) -> Option<&'static str> {
    Some(match export {
        "KeInitializeEvent" | "KeSetEvent" | "KeResetEvent" | "KeClearEvent" | "KePulseEvent"
        | "KeReadStateEvent" => "event",
        "KeInitializeMutex" | "KeInitializeMutant" | "KeReleaseMutex" | "KeReleaseMutant"
        | "KeReadStateMutex" => "mutex",
        "KeInitializeSemaphore" | "KeReleaseSemaphore" | "KeReadStateSemaphore" => "semaphore",
        "KeInitializeTimer"
        | "KeInitializeTimerEx"
        | "KeSetTimer"
        | "KeSetTimerEx"
        | "KeSetCoalescableTimer"
        | "KeCancelTimer"
        | "KeReadStateTimer" => "timer",
        "KeInitializeQueue" | "KeInsertQueue" | "KeInsertHeadQueue" | "KeRemoveQueue" => "queue",
        "KeInitializeGuardedMutex" | "KeAcquireGuardedMutex" => "guarded mutex",
        "ExAcquireFastMutex" | "ExAcquireFastMutexUnsafe" | "ExTryToAcquireFastMutex" => {
            "fast mutex"
        }
        "ExInitializeResourceLite" => "resource",
        "IoInitializeRemoveLockEx" => "remove lock",
        "KeWaitForSingleObject" => "object",
        _ => return None,
    })
}

/// Looks at the objects that a call is about.
pub fn look(call: &Call<'_>, export: &'static str) {
    if !stack_trace_db::is_on() {
        return;
    }
    if export == "KeWaitForMultipleObjects" {
        let (Ok(count), Ok(array)) = (call.argument(0), call.argument(1)) else {
            return;
        };
        // More are refused by the export itself.
        for index in 0..(count & 0xffff_ffff).min(64) {
            if let Ok(object) = driver_mem::read_u64(array.wrapping_add(index * 8)) {
                check(call, export, "object", object);
            }
        }
    } else if let Some(what) = object_of(export)
        && let Ok(object) = call.argument(0)
    {
        check(call, export, what, object);
    }
}

fn check(call: &Call<'_>, export: &str, what: &str, object: u64) {
    let kind = if PAGED_POOL.contains(object) && !force_irql::is_locked(object) {
        "paged pool"
    } else if force_irql_image::is_pageable(object) {
        "a pageable section of the driver"
    } else {
        return;
    };
    if TOLD.lock().insert(object) {
        let text = format!(
            "{export} called for the {what} at {object:#018x} in {kind}; the kernel uses it at DISPATCH_LEVEL, where an absent page cannot be fetched"
        );
        diag::violation(rules::OBJECT_PAGEABLE, text, call.return_address());
    }
}

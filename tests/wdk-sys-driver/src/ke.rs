//! The kernel proper: what threads wait for, interrupt levels, timers and DPCs.

use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
};

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _EVENT_TYPE::SynchronizationEvent,
    _KWAIT_REASON::Executive,
    _TIMER_TYPE::SynchronizationTimer,
    _WAIT_TYPE::WaitAll,
    _WAIT_TYPE::WaitAny,
    DISPATCH_LEVEL, KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY, KDPC, KEVENT, KLOCK_QUEUE_HANDLE, KMUTEX,
    KSEMAPHORE, KSPIN_LOCK, KTIMER, LARGE_INTEGER, NTSTATUS, PKDPC, PVOID, STATUS_SUCCESS,
    STATUS_TIMEOUT, STATUS_WAIT_1,
    ntddk::{
        KeAcquireInStackQueuedSpinLock, KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc,
        KeAreAllApcsDisabled, KeAreApcsDisabled, KeCancelTimer, KeClearEvent,
        KeDelayExecutionThread, KeEnterCriticalRegion, KeEnterGuardedRegion, KeFlushQueuedDpcs,
        KeInitializeDeviceQueue, KeInitializeDpc, KeInitializeEvent, KeInitializeMutex,
        KeInitializeSemaphore, KeInitializeTimerEx, KeInsertByKeyDeviceQueue, KeInsertDeviceQueue,
        KeInsertQueueDpc, KeLeaveCriticalRegion, KeLeaveGuardedRegion, KeQueryTimeIncrement,
        KeReadStateEvent, KeReadStateMutex, KeReadStateSemaphore, KeReadStateTimer,
        KeReleaseInStackQueuedSpinLock, KeReleaseMutex, KeReleaseSemaphore, KeReleaseSpinLock,
        KeReleaseSpinLockFromDpcLevel, KeRemoveDeviceQueue, KeRemoveQueueDpc, KeResetEvent,
        KeSetEvent, KeSetTimer, KeSetTimerEx, KeTestSpinLock, KeTryToAcquireSpinLockAtDpcLevel,
        KeWaitForMultipleObjects, KeWaitForSingleObject,
    },
};

use crate::{
    check::{Case, Checks, Outcome},
    irql,
    kernel::{FALSE, TRUE},
};

pub const CASES: &[Case] = &[
    (c"Events", events),
    (c"Semaphores", semaphores),
    (c"Mutexes", mutexes),
    (c"ManyObjects", many_objects),
    (c"Timers", timers),
    (c"Dpcs", dpcs),
    (c"SpinLocks", spin_locks),
    (c"Regions", regions),
    (c"DeviceQueues", device_queues),
    (c"Delays", delays),
];

/// A time from now, in milliseconds.
pub fn from_now(milliseconds: i64) -> LARGE_INTEGER {
    LARGE_INTEGER {
        QuadPart: -10_000 * milliseconds,
    }
}

/// Waits for an object for that long.
///
/// # Safety
///
/// It is a dispatcher object, and with no time the IRQL is at most `APC_LEVEL`.
pub unsafe fn wait(object: PVOID, milliseconds: i64) -> NTSTATUS {
    let mut timeout = from_now(milliseconds);
    // SAFETY: the caller sees to it.
    unsafe { KeWaitForSingleObject(object, Executive, 0, FALSE, &raw mut timeout) }
}

fn events(checks: &mut Checks) -> Outcome {
    object!(event: KEVENT);
    // SAFETY: the event lives in this frame, and nobody waits for it elsewhere.
    unsafe {
        KeInitializeEvent(event, NotificationEvent, FALSE);
        check!(checks, KeReadStateEvent(event) == 0);
        returns!(checks, wait(event.cast(), 0), STATUS_TIMEOUT);
        check!(checks, KeSetEvent(event, 0, FALSE) == 0);
        check!(checks, KeSetEvent(event, 0, FALSE) != 0);
        // One that notifies stays set.
        returns!(checks, wait(event.cast(), 0), STATUS_SUCCESS);
        returns!(checks, wait(event.cast(), 0), STATUS_SUCCESS);
        check!(checks, KeResetEvent(event) != 0);
        check!(checks, KeResetEvent(event) == 0);

        KeInitializeEvent(event, SynchronizationEvent, TRUE);
        // One that synchronizes lets one waiter through.
        returns!(checks, wait(event.cast(), 0), STATUS_SUCCESS);
        check!(checks, KeReadStateEvent(event) == 0);
        returns!(checks, wait(event.cast(), 0), STATUS_TIMEOUT);
        KeSetEvent(event, 0, FALSE);
        KeClearEvent(event);
        check!(checks, KeReadStateEvent(event) == 0);
    }
    Ok(())
}

fn semaphores(checks: &mut Checks) -> Outcome {
    object!(semaphore: KSEMAPHORE);
    // SAFETY: as for events; the limit is never passed.
    unsafe {
        KeInitializeSemaphore(semaphore, 1, 3);
        check!(checks, KeReadStateSemaphore(semaphore) == 1);
        check!(checks, KeReleaseSemaphore(semaphore, 0, 2, FALSE) == 1);
        for _ in 0..3 {
            returns!(checks, wait(semaphore.cast(), 0), STATUS_SUCCESS);
        }
        check!(checks, KeReadStateSemaphore(semaphore) == 0);
        returns!(checks, wait(semaphore.cast(), 0), STATUS_TIMEOUT);
    }
    Ok(())
}

fn mutexes(checks: &mut Checks) -> Outcome {
    object!(mutex: KMUTEX);
    // SAFETY: as for events; this thread releases as often as it waits.
    unsafe {
        KeInitializeMutex(mutex, 0);
        check!(checks, KeReadStateMutex(mutex) == 1);
        returns!(checks, wait(mutex.cast(), 0), STATUS_SUCCESS);
        // Owning it keeps normal kernel APCs away.
        check!(checks, KeAreApcsDisabled() != 0);
        returns!(checks, wait(mutex.cast(), 0), STATUS_SUCCESS);
        check!(checks, KeReadStateMutex(mutex) == -1);
        check!(checks, KeReleaseMutex(mutex, FALSE) == -1);
        check!(checks, KeReleaseMutex(mutex, FALSE) == 0);
        check!(checks, KeReadStateMutex(mutex) == 1);
        check!(checks, KeAreApcsDisabled() == 0);
    }
    Ok(())
}

fn many_objects(checks: &mut Checks) -> Outcome {
    object!(first: KEVENT);
    object!(second: KEVENT);
    let mut objects: [PVOID; 2] = [first.cast(), second.cast()];
    let mut wait_for = |how| {
        let mut timeout = from_now(0);
        // SAFETY: two objects need no wait blocks of the caller's.
        unsafe {
            KeWaitForMultipleObjects(
                2,
                objects.as_mut_ptr(),
                how,
                Executive,
                0,
                FALSE,
                &raw mut timeout,
                ptr::null_mut(),
            )
        }
    };
    // SAFETY: as for events.
    unsafe {
        KeInitializeEvent(first, SynchronizationEvent, FALSE);
        KeInitializeEvent(second, SynchronizationEvent, TRUE);
        returns!(checks, wait_for(WaitAll), STATUS_TIMEOUT);
        // A wait for all takes nothing until it gets all.
        check!(checks, KeReadStateEvent(second) != 0);
        returns!(checks, wait_for(WaitAny), STATUS_WAIT_1);
        check!(checks, KeReadStateEvent(second) == 0);
        KeSetEvent(first, 0, FALSE);
        KeSetEvent(second, 0, FALSE);
        returns!(checks, wait_for(WaitAll), STATUS_SUCCESS);
        check!(
            checks,
            KeReadStateEvent(first) == 0 && KeReadStateEvent(second) == 0
        );
    }
    Ok(())
}

fn timers(checks: &mut Checks) -> Outcome {
    object!(timer: KTIMER);
    // SAFETY: the timer lives in this frame, which cancels it before it ends.
    unsafe {
        KeInitializeTimerEx(timer, SynchronizationTimer);
        check!(checks, KeReadStateTimer(timer) == 0);
        check!(
            checks,
            KeSetTimer(timer, from_now(60_000), ptr::null_mut()) == 0
        );
        check!(
            checks,
            KeSetTimer(timer, from_now(60_000), ptr::null_mut()) != 0
        );
        returns!(checks, wait(timer.cast(), 0), STATUS_TIMEOUT);
        check!(checks, KeCancelTimer(timer) != 0);
        check!(checks, KeCancelTimer(timer) == 0);
        // Every other millisecond, until it is cancelled.
        check!(
            checks,
            KeSetTimerEx(timer, from_now(1), 2, ptr::null_mut()) == 0
        );
        for _ in 0..3 {
            returns!(checks, wait(timer.cast(), 10_000), STATUS_SUCCESS);
        }
        check!(checks, KeCancelTimer(timer) != 0);
    }
    Ok(())
}

/// What a DPC was given.
static GIVEN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
static LEVEL: AtomicU32 = AtomicU32::new(0);
static CALLS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn deferred(_: PKDPC, context: PVOID, first: PVOID, second: PVOID) {
    for (given, value) in GIVEN.iter().zip([context, first, second]) {
        given.store(value.addr() as u64, SeqCst);
    }
    LEVEL.store(irql::current().into(), SeqCst);
    CALLS.fetch_add(1, SeqCst);
}

fn dpcs(checks: &mut Checks) -> Outcome {
    object!(dpc: KDPC);
    let argument = ptr::without_provenance_mut::<c_void>;
    CALLS.store(0, SeqCst);
    // SAFETY: the DPC lives in this frame, which waits until none is queued; the
    // arguments are numbers.
    unsafe {
        KeInitializeDpc(dpc, Some(deferred), argument(7));
        let before = irql::raise(DISPATCH_LEVEL);
        check!(checks, KeInsertQueueDpc(dpc, argument(8), argument(9)) != 0);
        check!(checks, KeInsertQueueDpc(dpc, argument(1), argument(1)) == 0);
        check!(checks, CALLS.load(SeqCst) == 0);
        check!(checks, KeRemoveQueueDpc(dpc) != 0);
        check!(checks, KeRemoveQueueDpc(dpc) == 0);
        check!(checks, KeInsertQueueDpc(dpc, argument(8), argument(9)) != 0);
        irql::lower(before);
        KeFlushQueuedDpcs();
    }
    check!(checks, CALLS.load(SeqCst) == 1);
    check!(checks, LEVEL.load(SeqCst) == DISPATCH_LEVEL);
    check!(
        checks,
        [7, 8, 9] == GIVEN.each_ref().map(|given| given.load(SeqCst))
    );
    Ok(())
}

fn spin_locks(checks: &mut Checks) -> Outcome {
    let mut lock: KSPIN_LOCK = 0;
    let lock = &raw mut lock;
    object!(handle: KLOCK_QUEUE_HANDLE);
    // SAFETY: the lock lives in this frame, and each way of taking it is followed
    // by its own way of releasing it.
    unsafe {
        let before = KeAcquireSpinLockRaiseToDpc(lock);
        check!(checks, before == 0);
        check!(checks, u32::from(irql::current()) == DISPATCH_LEVEL);
        check!(checks, KeTestSpinLock(lock) == 0);
        check!(checks, KeTryToAcquireSpinLockAtDpcLevel(lock) == 0);
        KeReleaseSpinLock(lock, before);
        check!(checks, irql::current() == 0);
        check!(checks, KeTestSpinLock(lock) != 0);

        let before = irql::raise(DISPATCH_LEVEL);
        KeAcquireSpinLockAtDpcLevel(lock);
        KeReleaseSpinLockFromDpcLevel(lock);
        check!(checks, KeTryToAcquireSpinLockAtDpcLevel(lock) != 0);
        KeReleaseSpinLockFromDpcLevel(lock);
        check!(checks, u32::from(irql::current()) == DISPATCH_LEVEL);
        irql::lower(before);

        KeAcquireInStackQueuedSpinLock(lock, handle);
        check!(checks, u32::from(irql::current()) == DISPATCH_LEVEL);
        KeReleaseInStackQueuedSpinLock(handle);
        check!(checks, irql::current() == 0);
    }
    Ok(())
}

fn regions(checks: &mut Checks) -> Outcome {
    // SAFETY: every region that is entered is left.
    unsafe {
        check!(checks, KeAreApcsDisabled() == 0);
        KeEnterCriticalRegion();
        KeEnterCriticalRegion();
        check!(checks, KeAreApcsDisabled() != 0);
        check!(checks, KeAreAllApcsDisabled() == 0);
        KeLeaveCriticalRegion();
        check!(checks, KeAreApcsDisabled() != 0);
        KeLeaveCriticalRegion();
        check!(checks, KeAreApcsDisabled() == 0);
        KeEnterGuardedRegion();
        check!(checks, KeAreApcsDisabled() != 0);
        check!(checks, KeAreAllApcsDisabled() != 0);
        KeLeaveGuardedRegion();
        let before = irql::raise(1);
        check!(checks, KeAreAllApcsDisabled() != 0);
        irql::lower(before);
        check!(checks, KeAreAllApcsDisabled() == 0);
    }
    Ok(())
}

fn device_queues(checks: &mut Checks) -> Outcome {
    object!(queue: KDEVICE_QUEUE);
    object!(entries: [KDEVICE_QUEUE_ENTRY; 4]);
    let entry = |index: usize| entries.cast::<KDEVICE_QUEUE_ENTRY>().wrapping_add(index);
    // SAFETY: queue and entries live in this frame; the level is what these
    // functions ask for.
    unsafe {
        KeInitializeDeviceQueue(queue);
        let before = irql::raise(DISPATCH_LEVEL);
        // The first one finds the device idle: it is not queued.
        check!(checks, KeInsertDeviceQueue(queue, entry(0)) == 0);
        check!(checks, KeInsertDeviceQueue(queue, entry(1)) != 0);
        check!(checks, KeInsertByKeyDeviceQueue(queue, entry(2), 5) != 0);
        check!(checks, KeInsertByKeyDeviceQueue(queue, entry(3), 3) != 0);
        check!(checks, KeRemoveDeviceQueue(queue) == entry(1));
        check!(checks, KeRemoveDeviceQueue(queue) == entry(3));
        check!(checks, KeRemoveDeviceQueue(queue) == entry(2));
        check!(checks, KeRemoveDeviceQueue(queue).is_null());
        check!(checks, KeInsertDeviceQueue(queue, entry(0)) == 0);
        irql::lower(before);
    }
    Ok(())
}

fn delays(checks: &mut Checks) -> Outcome {
    // SAFETY: the delay is a number, and the level PASSIVE_LEVEL.
    unsafe {
        check!(checks, KeQueryTimeIncrement() > 0);
        let mut delay = from_now(5);
        returns!(
            checks,
            KeDelayExecutionThread(0, FALSE, &raw mut delay),
            STATUS_SUCCESS
        );
    }
    Ok(())
}

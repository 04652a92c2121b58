//! The executive: pool, lists, locks and queues of work.

use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _EVENT_TYPE::SynchronizationEvent,
    _POOL_TYPE::NonPagedPoolNx,
    _WORK_QUEUE_TYPE::DelayedWorkQueue,
    ERESOURCE, EX_RUNDOWN_REF, FAST_MUTEX, KEVENT, KSPIN_LOCK, LIST_ENTRY, LOOKASIDE_LIST_EX,
    OBJ_CASE_INSENSITIVE, PCALLBACK_OBJECT, PEX_TIMER, POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED,
    POOL_FLAG_UNINITIALIZED, PVOID, SLIST_ENTRY, SLIST_HEADER, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS, STATUS_TIMEOUT, ULONG, WORK_QUEUE_ITEM,
    ntddk::{
        ExAcquireFastMutex, ExAcquireResourceExclusiveLite, ExAcquireResourceSharedLite,
        ExAcquireRundownProtection, ExCreateCallback, ExDeleteLookasideListEx,
        ExDeleteResourceLite, ExFlushLookasideListEx, ExFreePoolWithTag, ExGetExclusiveWaiterCount,
        ExGetSharedWaiterCount, ExInitializeLookasideListEx, ExInitializeResourceLite,
        ExInitializeRundownProtection, ExInterlockedAddUlong, ExInterlockedInsertHeadList,
        ExInterlockedInsertTailList, ExInterlockedRemoveHeadList,
        ExIsResourceAcquiredExclusiveLite, ExIsResourceAcquiredSharedLite, ExNotifyCallback,
        ExQueryDepthSList, ExQueueWorkItem, ExReInitializeRundownProtection, ExRegisterCallback,
        ExReleaseFastMutex, ExReleaseResourceLite, ExReleaseRundownProtection, ExRundownCompleted,
        ExTryToAcquireFastMutex, ExUnregisterCallback, ExWaitForRundownProtectionRelease,
        ExpInterlockedFlushSList, ExpInterlockedPopEntrySList, ExpInterlockedPushEntrySList,
        InitializeSListHead, KeEnterCriticalRegion, KeInitializeEvent, KeLeaveCriticalRegion,
        KeSetEvent, ObfDereferenceObject,
    },
};

use crate::{
    check::{Case, Checks, Outcome, ok},
    imports::{ExAllocateTimer, ExCancelTimer, ExDeleteTimer, ExSetTimer},
    irql,
    ke::wait,
    kernel::{FALSE, TRUE},
    owned::{Block, Finally, TAG, attributes},
};

pub const CASES: &[Case] = &[
    (c"Pool", pool),
    (c"Lookaside", lookaside),
    (c"Sequenced", sequenced),
    (c"Interlocked", interlocked),
    (c"FastMutexes", fast_mutexes),
    (c"Resources", resources),
    (c"Rundown", rundown),
    (c"WorkItems", work_items),
    (c"Timers", timers),
    (c"Callbacks", callbacks),
];

fn pool(checks: &mut Checks) -> Outcome {
    let small = Block::new(POOL_FLAG_NON_PAGED, 100)?;
    let page = Block::new(POOL_FLAG_NON_PAGED, 4096)?;
    let large = Block::new(POOL_FLAG_PAGED, 10_000)?;
    let raw = Block::new(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, 100)?;
    check!(checks, small.get::<u8>().addr() % 16 == 0);
    check!(checks, page.get::<u8>().addr() % 4096 == 0);
    check!(checks, large.get::<u8>().addr() % 4096 == 0);
    // SAFETY: the blocks are that long, and the first three were zeroed.
    unsafe {
        check!(
            checks,
            (0..100).all(|index| small.get::<u8>().add(index).read() == 0)
        );
        check!(
            checks,
            (0..4096).all(|index| page.get::<u8>().add(index).read() == 0)
        );
        check!(
            checks,
            (0..10_000).all(|index| large.get::<u8>().add(index).read() == 0)
        );
        raw.get::<u8>().write_bytes(0x5A, 100);
        check!(checks, raw.get::<u8>().add(99).read() == 0x5A);
    }
    Ok(())
}

/// `ExAllocateFromLookasideListEx`, which the headers have inline.
unsafe fn take(list: *mut LOOKASIDE_LIST_EX) -> PVOID {
    // SAFETY: the caller's list is initialized; the union is of one thing.
    unsafe {
        let general = &raw mut (*list).L;
        (*general).TotalAllocates += 1;
        let entry =
            ExpInterlockedPopEntrySList((&raw mut (*general).__bindgen_anon_1.ListHead).cast());
        if !entry.is_null() {
            return entry.cast();
        }
        (*general).__bindgen_anon_2.AllocateMisses += 1;
        match (*general).__bindgen_anon_4.AllocateEx {
            Some(allocate) => allocate(
                (*general).Type,
                u64::from((*general).Size),
                (*general).Tag,
                list,
            ),
            None => ptr::null_mut(),
        }
    }
}

/// `ExFreeToLookasideListEx`, for a list that is not full.
unsafe fn give(list: *mut LOOKASIDE_LIST_EX, entry: PVOID) {
    // SAFETY: the caller has the list initialised, and gives away an entry that came
    // from it.
    unsafe {
        (*list).L.TotalFrees += 1;
        ExpInterlockedPushEntrySList(
            (&raw mut (*list).L.__bindgen_anon_1.ListHead).cast(),
            entry.cast(),
        );
    }
}

fn lookaside(checks: &mut Checks) -> Outcome {
    object!(list: LOOKASIDE_LIST_EX);
    // SAFETY: the list lives in this frame and is deleted before it ends.
    ok(unsafe { ExInitializeLookasideListEx(list, None, None, NonPagedPoolNx, 0, 200, TAG, 0) })?;
    // SAFETY: the list is initialised and deleted once, when this function ends.
    let _delete = Finally(move || unsafe { ExDeleteLookasideListEx(list) });
    // SAFETY: every entry goes back once, and is not used afterwards.
    unsafe {
        let first = take(list);
        if first.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        first.cast::<u8>().write_bytes(0xA5, 200);
        give(list, first);
        // What was freed last is taken first.
        let again = take(list);
        check!(checks, again == first);
        check!(
            checks,
            (*list).L.TotalAllocates == 2 && (*list).L.TotalFrees == 1
        );
        give(list, again);
        ExFlushLookasideListEx(list);
        let head = &raw mut (*list).L.__bindgen_anon_1.ListHead;
        check!(checks, ExQueryDepthSList(head.cast()) == 0);
    }
    Ok(())
}

fn sequenced(checks: &mut Checks) -> Outcome {
    object!(head: SLIST_HEADER);
    let block = Block::new(POOL_FLAG_NON_PAGED, 3 * size_of::<SLIST_ENTRY>())?;
    let entry = |index: usize| block.get::<SLIST_ENTRY>().wrapping_add(index);
    // SAFETY: list and entries live until the end of this function.
    unsafe {
        InitializeSListHead(head);
        check!(checks, ExpInterlockedPopEntrySList(head).is_null());
        check!(
            checks,
            ExpInterlockedPushEntrySList(head, entry(0)).is_null()
        );
        check!(
            checks,
            ExpInterlockedPushEntrySList(head, entry(1)) == entry(0)
        );
        check!(
            checks,
            ExpInterlockedPushEntrySList(head, entry(2)) == entry(1)
        );
        check!(checks, ExQueryDepthSList(head) == 3);
        check!(checks, ExpInterlockedPopEntrySList(head) == entry(2));
        check!(checks, ExpInterlockedFlushSList(head) == entry(1));
        check!(
            checks,
            (*entry(1)).Next == entry(0) && (*entry(0)).Next.is_null()
        );
        check!(checks, ExQueryDepthSList(head) == 0);
    }
    Ok(())
}

fn interlocked(checks: &mut Checks) -> Outcome {
    let mut lock: KSPIN_LOCK = 0;
    let lock = &raw mut lock;
    object!(head: LIST_ENTRY);
    object!(first: LIST_ENTRY);
    object!(second: LIST_ENTRY);
    let mut sum: ULONG = 40;
    // SAFETY: all of it lives in this frame; the list is only used through these.
    unsafe {
        (*head).Flink = head;
        (*head).Blink = head;
        check!(
            checks,
            ExInterlockedInsertTailList(head, first, lock).is_null()
        );
        check!(
            checks,
            ExInterlockedInsertHeadList(head, second, lock) == first
        );
        check!(checks, ExInterlockedRemoveHeadList(head, lock) == second);
        check!(checks, ExInterlockedRemoveHeadList(head, lock) == first);
        check!(checks, ExInterlockedRemoveHeadList(head, lock).is_null());
        check!(checks, ExInterlockedAddUlong(&raw mut sum, 2, lock) == 40);
    }
    check!(checks, sum == 42);
    Ok(())
}

fn fast_mutexes(checks: &mut Checks) -> Outcome {
    object!(mutex: FAST_MUTEX);
    // SAFETY: the mutex lives in this frame and is initialized as the headers do it.
    unsafe {
        (*mutex).Count = 1;
        KeInitializeEvent(&raw mut (*mutex).Event, SynchronizationEvent, FALSE);
        ExAcquireFastMutex(mutex);
        check!(checks, irql::current() == 1);
        check!(checks, !(*mutex).Owner.is_null());
        ExReleaseFastMutex(mutex);
        check!(checks, irql::current() == 0);
        check!(checks, ExTryToAcquireFastMutex(mutex) != 0);
        check!(checks, irql::current() == 1);
        ExReleaseFastMutex(mutex);
        check!(checks, (*mutex).Count == 1);
    }
    Ok(())
}

fn resources(checks: &mut Checks) -> Outcome {
    let block = Block::new(POOL_FLAG_NON_PAGED, size_of::<ERESOURCE>())?;
    let resource = block.get::<ERESOURCE>();
    // SAFETY: the block is that large, and the resource is deleted before it is freed.
    ok(unsafe { ExInitializeResourceLite(resource) })?;
    // SAFETY: nobody holds it then.
    let _delete = Finally(move || unsafe {
        let _ = ExDeleteResourceLite(resource);
    });
    // SAFETY: normal kernel APCs are off while it is held; it is released as often
    // as it is acquired.
    unsafe {
        KeEnterCriticalRegion();
        check!(checks, ExAcquireResourceExclusiveLite(resource, FALSE) != 0);
        check!(checks, ExIsResourceAcquiredExclusiveLite(resource) != 0);
        // The owner may have it shared too.
        check!(checks, ExAcquireResourceSharedLite(resource, FALSE) != 0);
        check!(checks, ExIsResourceAcquiredSharedLite(resource) == 2);
        ExReleaseResourceLite(resource);
        ExReleaseResourceLite(resource);
        check!(checks, ExIsResourceAcquiredExclusiveLite(resource) == 0);
        check!(checks, ExAcquireResourceSharedLite(resource, FALSE) != 0);
        // Who shares it must not wait for having it alone, and is told so.
        check!(checks, ExAcquireResourceExclusiveLite(resource, FALSE) == 0);
        check!(checks, ExGetExclusiveWaiterCount(resource) == 0);
        check!(checks, ExGetSharedWaiterCount(resource) == 0);
        ExReleaseResourceLite(resource);
        KeLeaveCriticalRegion();
    }
    Ok(())
}

fn rundown(checks: &mut Checks) -> Outcome {
    object!(protection: EX_RUNDOWN_REF);
    // SAFETY: the protection lives in this frame; what is acquired is released
    // before the wait.
    unsafe {
        ExInitializeRundownProtection(protection);
        check!(checks, ExAcquireRundownProtection(protection) != 0);
        ExReleaseRundownProtection(protection);
        ExWaitForRundownProtectionRelease(protection);
        check!(checks, ExAcquireRundownProtection(protection) == 0);
        ExRundownCompleted(protection);
        check!(checks, ExAcquireRundownProtection(protection) == 0);
        ExReInitializeRundownProtection(protection);
        check!(checks, ExAcquireRundownProtection(protection) != 0);
        ExReleaseRundownProtection(protection);
    }
    Ok(())
}

unsafe extern "C" fn worker(event: PVOID) {
    // SAFETY: the parameter is an event that its owner waits for.
    unsafe { KeSetEvent(event.cast(), 0, FALSE) };
}

fn work_items(checks: &mut Checks) -> Outcome {
    object!(event: KEVENT);
    object!(item: WORK_QUEUE_ITEM);
    // SAFETY: item and event live in this frame, which waits for the routine's end.
    unsafe {
        KeInitializeEvent(event, NotificationEvent, FALSE);
        (*item).WorkerRoutine = Some(worker);
        (*item).Parameter = event.cast();
        ExQueueWorkItem(item, DelayedWorkQueue);
        returns!(checks, wait(event.cast(), 10_000), STATUS_SUCCESS);
    }
    Ok(())
}

unsafe extern "C" fn expired(_: PEX_TIMER, event: PVOID) {
    // SAFETY: the kernel passes the parameter of the timer, an event that outlives
    // it.
    unsafe { KeSetEvent(event.cast(), 0, FALSE) };
}

fn timers(checks: &mut Checks) -> Outcome {
    object!(event: KEVENT);
    // SAFETY: the event outlives the timer, which is deleted with waiting.
    let timer = unsafe {
        KeInitializeEvent(event, SynchronizationEvent, FALSE);
        ExAllocateTimer(Some(expired), event.cast(), 0)
    };
    if timer.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: event and timer are there, and the timer is not used after it was
    // deleted.
    unsafe {
        check!(
            checks,
            ExSetTimer(timer, -600_000_000, 0, ptr::null_mut()) == 0
        );
        returns!(checks, wait(event.cast(), 0), STATUS_TIMEOUT);
        check!(checks, ExCancelTimer(timer, ptr::null_mut()) != 0);
        check!(checks, ExCancelTimer(timer, ptr::null_mut()) == 0);
        check!(checks, ExSetTimer(timer, -10_000, 0, ptr::null_mut()) == 0);
        returns!(checks, wait(event.cast(), 10_000), STATUS_SUCCESS);
        check!(
            checks,
            ExDeleteTimer(timer, TRUE, TRUE, ptr::null_mut()) == 0
        );
    }
    Ok(())
}

/// What a callback was given, added up.
static HEARD: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn heard(context: PVOID, first: PVOID, second: PVOID) {
    let sum = context.addr() + first.addr() + second.addr();
    HEARD.fetch_add(sum as u64, SeqCst);
}

fn callbacks(checks: &mut Checks) -> Outcome {
    let mut name = unicode!("\\Callback\\WdkSysDriver");
    let mut attributes = attributes(&raw mut name, ptr::null_mut(), OBJ_CASE_INSENSITIVE);
    let argument = ptr::without_provenance_mut::<c_void>;
    let mut object: PCALLBACK_OBJECT = ptr::null_mut();
    HEARD.store(0, SeqCst);
    // SAFETY: the attributes live as long as the call.
    ok(unsafe { ExCreateCallback(&raw mut object, &raw mut attributes, TRUE, TRUE) })?;
    // SAFETY: the call above took the reference.
    let _release = Finally(move || unsafe {
        ObfDereferenceObject(object.cast());
    });
    // SAFETY: the routine is this driver's and is unregistered again.
    unsafe {
        let registration = ExRegisterCallback(object, Some(heard), argument(100));
        if registration.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        ExNotifyCallback(object, argument(20), argument(3));
        ExUnregisterCallback(registration);
        ExNotifyCallback(object, argument(20), argument(3));
    }
    check!(checks, HEARD.load(SeqCst) == 123);
    Ok(())
}

/// Frees the same block twice.
pub fn free_twice() {
    if let Ok(block) = Block::new(POOL_FLAG_NON_PAGED, 64) {
        // SAFETY: it is not; that is the mistake.
        unsafe { ExFreePoolWithTag(block.get(), TAG) };
    }
}

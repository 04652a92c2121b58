//! The functions by which drivers use a `FILE_LOCK`.

use nt_layout::Irp;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};

use super::file_lock::{
    FileLockPtr, LockParams, PAGED, TAG, WAITING, end_waiting, ensure_block, initialize, may,
    may_transfer, private_lock, process, uninitialize, unlock_all, unlock_single, with, write_info,
};
use super::lock::{Owner, Range};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::ex::pool;
use crate::ke::irp_cancel_lock;
use crate::mm;

/// The range whose start and length the driver points to.
fn range(file: u64, start: u64, length: u64, process: u64, key: u32) -> Result<Range, Fault> {
    Ok(Range {
        owner: Owner { file, process, key },
        start: driver_mem::read_u64(start)?,
        length: driver_mem::read_u64(length)?,
        exclusive: false,
    })
}

exports! {
    /// `FsRtlInitializeFileLock`.
    fn FsRtlInitializeFileLock(lock: FileLockPtr, complete: u64, unlock: u64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(initialize(lock, complete, unlock)?)
    }

    /// `FsRtlUninitializeFileLock`.
    fn FsRtlUninitializeFileLock<call>(lock: FileLockPtr) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        uninitialize(lock, &CallContext::of(call))
    }

    /// `FsRtlAllocateFileLock`: NULL without memory.
    fn FsRtlAllocateFileLock<call>(complete: u64, unlock: u64) -> u64
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] fails 0 {
        let Ok(lock) = pool::allocate_or_raise(PAGED, FileLockPtr::SIZE, TAG, call.return_address()) else { return Ok(0) };
        initialize(FileLockPtr::new(lock), complete, unlock)?;
        Ok(lock)
    }

    /// `FsRtlFreeFileLock`: of one that was allocated.
    fn FsRtlFreeFileLock<call>(lock: FileLockPtr) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        uninitialize(lock, &CallContext::of(call))?;
        mm::pool::free_by(lock.address(), call.return_address());
        Ok(())
    }

    /// `FsRtlProcessFileLock`: the request is completed here, now or later.
    fn FsRtlProcessFileLock<call>(lock: FileLockPtr, irp: u64, context: u64) -> u32
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let caller = CallContext::of(call);
        ensure_block(lock, caller.address())?;
        // The status block of a fast lock's caller.
        let block = pool::allocate_or_raise(PAGED, 0x10, TAG, caller.address())?;
        let status = process(lock, irp, context, block, &caller);
        mm::pool::free_by(block, caller.address());
        status
    }

    /// `FsRtlPrivateLock`, which `FsRtlFastLock` is: false if nobody can wait for the
    /// lock.
    fn FsRtlPrivateLock<call>(
        lock: FileLockPtr, file: u64, start: u64, length: u64, process: u64, key: u32, fail: bool, exclusive: bool, block: u64,
        irp: u64, context: u64, synchronized: bool,
    ) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let range = Range { exclusive, ..range(file, start, length, process, key)? };
        private_lock(lock, &LockParams { range, wait: !fail, block, irp, context }, &CallContext::of(call))
    }

    /// `FsRtlFastUnlockSingle`.
    fn FsRtlFastUnlockSingle<call>(
        lock: FileLockPtr, file: u64, start: u64, length: u64, process: u64, key: u32, context: u64, synchronized: bool,
    ) -> u32 [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        unlock_single(lock, &range(file, start, length, process, key)?, context, &CallContext::of(call))
    }

    /// `FsRtlFastUnlockAll`: of a process.
    fn FsRtlFastUnlockAll<call>(lock: FileLockPtr, file: u64, process: u64, context: u64) -> u32
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        unlock_all(lock, Owner { file, process, key: 0 }, false, context, &CallContext::of(call))
    }

    /// `FsRtlFastUnlockAllByKey`: of a process, with a key.
    fn FsRtlFastUnlockAllByKey<call>(lock: FileLockPtr, file: u64, process: u64, key: u32, context: u64) -> u32
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        unlock_all(lock, Owner { file, process, key }, true, context, &CallContext::of(call))
    }

    /// `FsRtlCheckLockForReadAccess`.
    fn FsRtlCheckLockForReadAccess(lock: FileLockPtr, irp: u64) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(may_transfer(lock, irp, false)?)
    }

    /// `FsRtlCheckLockForWriteAccess`.
    fn FsRtlCheckLockForWriteAccess(lock: FileLockPtr, irp: u64) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(may_transfer(lock, irp, true)?)
    }

    /// `FsRtlFastCheckLockForRead`.
    fn FsRtlFastCheckLockForRead(lock: FileLockPtr, start: u64, length: u64, key: u32, file: u64, process: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)]
    {
        let range = range(file, start, length, process, key)?;
        Ok(may(lock, range.owner, range.start, range.length, false))
    }

    /// `FsRtlFastCheckLockForWrite`.
    fn FsRtlFastCheckLockForWrite(lock: FileLockPtr, start: u64, length: u64, key: u32, file: u64, process: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)]
    {
        let range = range(file, start, length, process, key)?;
        Ok(may(lock, range.owner, range.start, range.length, true))
    }

    /// `FsRtlGetNextFileLock`: a copy in the structure itself, or NULL.
    fn FsRtlGetNextFileLock(lock: FileLockPtr, restart: bool) -> u64 [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let n = if restart { 0 } else { lock.get(|lock| &lock.last_returned_lock)? };
        let held = with(lock, |locks| usize::try_from(n).ok().and_then(|n| locks.held.get(n).copied()));
        let Some(range) = held else { return Ok(0) };
        let info = lock.at(|lock| &lock.last_returned_lock_info);
        write_info(info, &range)?;
        lock.set(|lock| &lock.last_returned_lock, n + 1)?;
        Ok(info.address())
    }

    /// `FsRtlAreThereCurrentOrInProgressFileLocks`.
    fn FsRtlAreThereCurrentOrInProgressFileLocks(lock: FileLockPtr) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header), since WINDOWS_7] {
        let progress = lock.get(|lock| &lock.lock_requests_in_progress)? != 0;
        Ok(progress || with(lock, |locks| !locks.held.is_empty() || !locks.waiting.is_empty()))
    }

    /// `FsRtlAreThereWaitingFileLocks`.
    fn FsRtlAreThereWaitingFileLocks(lock: FileLockPtr) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(with(lock, |locks| !locks.waiting.is_empty()))
    }

    /// `FsRtlCheckLockForOplockRequest`: locks behind the end of the file do not count,
    /// requests that wait do.
    fn FsRtlCheckLockForOplockRequest(lock: FileLockPtr, size: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header), since WINDOWS_8] {
        let size = driver_mem::read_u64(size)?;
        let inside = |range: &Range| range.length != 0 && range.start < size;
        Ok(size == 0 || with(lock, |locks| locks.waiting.is_empty() && !locks.held.iter().any(inside)))
    }

    /// The cancel routine of a request that waits. No driver imports it.
    fn IopCancelFileLockRequest<call>(device: u64, irp: DriverPtr<Irp>) -> ()
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = CallContext::of(call);
        let irql = irp.get(|irp| &irp.cancel_irql)?;
        let waits = WAITING.lock().get(&irp.address()).copied();
        if let Some((lock, _)) = waits {
            with(FileLockPtr::new(lock), |locks| locks.waiting.retain(|(waiting, _)| *waiting != irp.address()));
        }
        irp_cancel_lock::release(irql, caller.address())?;
        match waits {
            Some((lock, _)) => end_waiting(FileLockPtr::new(lock), irp.address(), nt_status::STATUS_CANCELLED, &caller).map(drop),
            None => Ok(()),
        }
    }
}

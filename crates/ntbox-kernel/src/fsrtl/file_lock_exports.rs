//! The functions by which drivers use a `FILE_LOCK`.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};

use super::file_lock::{
    LockParams, PAGED, SIZE, TAG, WAITING, end_waiting, ensure_block, initialize, may,
    may_transfer, offset, private_lock, process, uninitialize, unlock_all, unlock_single, with,
    write_info,
};
use super::lock::{Owner, Range};
use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::io_layout::irp;
use crate::ex::pool;
use crate::ke::irp_cancel_lock;
use crate::mm;

/// The range between two numbers that the driver points to.
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
    fn FsRtlInitializeFileLock(at: u64, complete: u64, unlock: u64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(initialize(at, complete, unlock)?)
    }

    /// `FsRtlUninitializeFileLock`.
    fn FsRtlUninitializeFileLock<call>(at: u64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        uninitialize(at, &Caller::of(call))
    }

    /// `FsRtlAllocateFileLock`: NULL without memory.
    fn FsRtlAllocateFileLock<call>(complete: u64, unlock: u64) -> u64
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] fails 0 {
        let Ok(at) = pool::allocate_or_raise(PAGED, SIZE, TAG, call.return_address()) else { return Ok(0) };
        initialize(at, complete, unlock)?;
        Ok(at)
    }

    /// `FsRtlFreeFileLock`: of one that was allocated.
    fn FsRtlFreeFileLock<call>(at: u64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        uninitialize(at, &Caller::of(call))?;
        mm::pool::free_by(at, call.return_address());
        Ok(())
    }

    /// `FsRtlProcessFileLock`: the request is completed here, now or later.
    fn FsRtlProcessFileLock<call>(at: u64, packet: u64, context: u64) -> u32
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let caller = Caller::of(call);
        ensure_block(at, caller.address())?;
        // Where the status goes that a fast lock would give to its caller.
        let block = pool::allocate_or_raise(PAGED, 0x10, TAG, caller.address())?;
        let status = process(at, packet, context, block, &caller);
        mm::pool::free_by(block, caller.address());
        status
    }

    /// `FsRtlPrivateLock`, which `FsRtlFastLock` is: false if nobody can wait for the
    /// lock.
    fn FsRtlPrivateLock<call>(
        at: u64, file: u64, start: u64, length: u64, process: u64, key: u32, fail: bool, exclusive: bool, block: u64,
        packet: u64, context: u64, synchronized: bool,
    ) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let range = Range { exclusive, ..range(file, start, length, process, key)? };
        private_lock(at, &LockParams { range, wait: !fail, block, packet, context }, &Caller::of(call))
    }

    /// `FsRtlFastUnlockSingle`.
    fn FsRtlFastUnlockSingle<call>(
        at: u64, file: u64, start: u64, length: u64, process: u64, key: u32, context: u64, synchronized: bool,
    ) -> u32 [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        unlock_single(at, &range(file, start, length, process, key)?, context, &Caller::of(call))
    }

    /// `FsRtlFastUnlockAll`: of a process.
    fn FsRtlFastUnlockAll<call>(at: u64, file: u64, process: u64, context: u64) -> u32
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        unlock_all(at, Owner { file, process, key: 0 }, false, context, &Caller::of(call))
    }

    /// `FsRtlFastUnlockAllByKey`: of a process, with a key.
    fn FsRtlFastUnlockAllByKey<call>(at: u64, file: u64, process: u64, key: u32, context: u64) -> u32
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        unlock_all(at, Owner { file, process, key }, true, context, &Caller::of(call))
    }

    /// `FsRtlCheckLockForReadAccess`.
    fn FsRtlCheckLockForReadAccess(at: u64, packet: u64) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(may_transfer(at, packet, false)?)
    }

    /// `FsRtlCheckLockForWriteAccess`.
    fn FsRtlCheckLockForWriteAccess(at: u64, packet: u64) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(may_transfer(at, packet, true)?)
    }

    /// `FsRtlFastCheckLockForRead`.
    fn FsRtlFastCheckLockForRead(at: u64, start: u64, length: u64, key: u32, file: u64, process: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)]
    {
        let range = range(file, start, length, process, key)?;
        Ok(may(at, range.owner, range.start, range.length, false))
    }

    /// `FsRtlFastCheckLockForWrite`.
    fn FsRtlFastCheckLockForWrite(at: u64, start: u64, length: u64, key: u32, file: u64, process: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)]
    {
        let range = range(file, start, length, process, key)?;
        Ok(may(at, range.owner, range.start, range.length, true))
    }

    /// `FsRtlGetNextFileLock`: a copy in the structure itself, or NULL.
    fn FsRtlGetNextFileLock(at: u64, restart: bool) -> u64 [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let n = if restart { 0 } else { driver_mem::read_u64(at + offset::LAST)? };
        let held = with(at, |locks| usize::try_from(n).ok().and_then(|n| locks.held.get(n).copied()));
        let Some(range) = held else { return Ok(0) };
        write_info(at + offset::LAST_INFO, &range)?;
        driver_mem::write_u64(at + offset::LAST, n + 1)?;
        Ok(at + offset::LAST_INFO)
    }

    /// `FsRtlAreThereCurrentOrInProgressFileLocks`.
    fn FsRtlAreThereCurrentOrInProgressFileLocks(at: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header), since WINDOWS_7] {
        let progress = driver_mem::read_u32(at + offset::IN_PROGRESS)? != 0;
        Ok(progress || with(at, |locks| !locks.held.is_empty() || !locks.waiting.is_empty()))
    }

    /// `FsRtlAreThereWaitingFileLocks`.
    fn FsRtlAreThereWaitingFileLocks(at: u64) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(with(at, |locks| !locks.waiting.is_empty()))
    }

    /// `FsRtlCheckLockForOplockRequest`: locks behind the end of the file do not count,
    /// requests that wait do.
    fn FsRtlCheckLockForOplockRequest(at: u64, size: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header), since WINDOWS_8] {
        let size = driver_mem::read_u64(size)?;
        let inside = |range: &Range| range.length != 0 && range.start < size;
        Ok(size == 0 || with(at, |locks| locks.waiting.is_empty() && !locks.held.iter().any(inside)))
    }

    /// The cancel routine of a request that waits. No driver imports it.
    fn IopCancelFileLockRequest<call>(body: u64, packet: u64) -> ()
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = Caller::of(call);
        let irql = driver_mem::read_u8(packet + irp::CANCEL_IRQL)?;
        let waits = WAITING.lock().get(&packet).copied();
        if let Some((at, _)) = waits {
            with(at, |locks| locks.waiting.retain(|(known, _)| *known != packet));
        }
        irp_cancel_lock::release(irql, caller.address())?;
        match waits {
            Some((at, _)) => end_waiting(at, packet, nt_status::STATUS_CANCELLED, &caller).map(drop),
            None => Ok(()),
        }
    }
}

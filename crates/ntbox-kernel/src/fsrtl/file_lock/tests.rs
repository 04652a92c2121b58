use ntbox_host::driver_mem;

use super::*;
use crate::fsrtl::file_lock_exports::*;
use crate::mm;
use crate::test_support::{address, address_mut, processor, status, value};

/// A lock of a file, without routines.
fn file_lock(memory: &mut [u64; 12]) -> u64 {
    processor();
    let at = address_mut(memory);
    value(FsRtlInitializeFileLock, &[at, 0, 0]);
    at
}

/// Locks a range of file 7 without waiting; the status, `None` where there is none.
fn take(
    at: u64,
    (start, length): (u64, u64),
    process: u64,
    exclusive: bool,
    fail: bool,
) -> Option<u32> {
    let mut block = [u64::MAX; 2];
    let (start, length) = (address(&start), address(&length));
    let (fail, exclusive) = (fail.into(), exclusive.into());
    let told = address_mut(&mut block);
    let arguments = [
        at, 7, start, length, process, 1, fail, exclusive, told, 0, 0, 0,
    ];
    let answered = value(FsRtlPrivateLock, &arguments) != 0;
    answered.then(|| driver_mem::read_u32(told).unwrap())
}

fn may(at: u64, write: bool, (start, length): (u64, u64), process: u64) -> bool {
    let ask = if write {
        FsRtlFastCheckLockForWrite
    } else {
        FsRtlFastCheckLockForRead
    };
    value(ask, &[at, address(&start), address(&length), 1, 7, process]) != 0
}

#[test]
fn lock_of_range_held_by_other_process_is_refused() {
    let mut memory = [u64::MAX; 12];
    let at = file_lock(&mut memory);
    assert_eq!(
        FileLockPtr::new(at).get(|lock| &lock.fast_io_is_questionable),
        Ok(0)
    );
    assert_eq!(value(FsRtlGetNextFileLock, &[at, 1]), 0);
    assert_eq!(take(at, (10, 10), 1, true, true), Some(0));
    assert_eq!(
        FileLockPtr::new(at).get(|lock| &lock.fast_io_is_questionable),
        Ok(1)
    );
    assert_eq!(
        take(at, (19, 1), 2, false, true),
        Some(nt_status::STATUS_LOCK_NOT_GRANTED)
    );
    assert_eq!(take(at, (19, 1), 2, false, false), None, "nobody can wait");
    assert_eq!(
        take(at, (2, u64::MAX), 2, false, true),
        Some(nt_status::STATUS_INVALID_LOCK_RANGE)
    );
    assert!(may(at, true, (10, 10), 1) && !may(at, false, (10, 1), 2));
    assert!(may(at, false, (20, 1), 2) && may(at, false, (10, 0), 2));
    assert_eq!(take(at, (20, 4), 2, false, true), Some(0));
    assert!(
        !may(at, true, (20, 1), 2),
        "a shared lock is no right to write"
    );

    let found = value(FsRtlGetNextFileLock, &[at, 1]);
    assert_eq!(
        found,
        FileLockPtr::new(at)
            .at(|lock| &lock.last_returned_lock_info)
            .address()
    );
    let info = DriverPtr::<FileLockInfo>::new(found).read().unwrap();
    assert_eq!(
        (info.starting_byte, info.length, info.ending_byte),
        (10, 10, 19)
    );
    assert_eq!((info.file_object, info.process_id), (7, 1));
    assert_eq!((info.exclusive_lock, info.key), (1, 1));
    assert_eq!(value(FsRtlGetNextFileLock, &[at, 0]), found);
    assert_eq!(value(FsRtlGetNextFileLock, &[at, 0]), 0);
    value(FsRtlUninitializeFileLock, &[at]);
    assert_eq!(
        FileLockPtr::new(at).get(|lock| &lock.lock_information),
        Ok(0)
    );
}

#[test]
fn unlock_removes_locks() {
    let mut memory = [0; 12];
    let at = file_lock(&mut memory);
    let not_locked = nt_status::STATUS_RANGE_NOT_LOCKED;
    let single = |start: u64, process: u64, key: u64| {
        let arguments = [at, 7, address(&start), address(&4_u64), process, key, 0, 1];
        status(FsRtlFastUnlockSingle, &arguments)
    };
    assert_eq!(status(FsRtlFastUnlockAll, &[at, 7, 1, 0]), not_locked);
    for start in [0, 8, 16] {
        assert_eq!(take(at, (start, 4), 1, true, true), Some(0));
    }
    assert_eq!(
        (single(0, 2, 1), single(0, 1, 2), single(1, 1, 1)),
        (not_locked, not_locked, not_locked)
    );
    assert_eq!((single(0, 1, 1), single(0, 1, 1)), (0, not_locked));
    assert_eq!(
        status(FsRtlFastUnlockAllByKey, &[at, 7, 1, 2, 0]),
        not_locked
    );
    assert_eq!(status(FsRtlFastUnlockAll, &[at, 8, 1, 0]), not_locked);
    let oplock = |size: u64| value(FsRtlCheckLockForOplockRequest, &[at, address(&size)]);
    assert_eq!((oplock(0), oplock(8), oplock(9)), (1, 1, 0));
    assert_eq!(value(FsRtlAreThereCurrentOrInProgressFileLocks, &[at]), 1);
    assert_eq!(status(FsRtlFastUnlockAllByKey, &[at, 7, 1, 1, 0]), 0);
    assert_eq!(value(FsRtlAreThereCurrentOrInProgressFileLocks, &[at]), 0);
    assert_eq!(value(FsRtlAreThereWaitingFileLocks, &[at]), 0);
    value(FsRtlUninitializeFileLock, &[at]);
}

#[test]
fn file_lock_allocates_and_frees() {
    processor();
    let at = value(FsRtlAllocateFileLock, &[0, 0]);
    assert_eq!(take(at, (0, 1), 1, true, true), Some(0));
    value(FsRtlFreeFileLock, &[at]);
    assert!(mm::with(|memory| memory.pools.block(at).is_none()));
}

//! The self-tests of `ntmem.sys`, which exercise the kernel's memory routines: their
//! results match the reference, nothing leaks, and each failed allocation is a status.

use integration_tests::ntmem::{Open, config};
use ntbox::{Machine, OsVersion};
use ntmem_ioctl::{
    Command, ContextReply, HeldReply, ListReply, LookasideReply, MemoryReply, PoolReply,
    ProbeReply, ProbeRequest, SyncReply, TimeReply,
};
use zerocopy::{FromBytes, IntoBytes};

const NOT_SUPPORTED: u64 = 0xC000_00BB;
const INVALID_PARAMETER: u64 = 0xC000_000D;
const INSUFFICIENT_RESOURCES: u32 = 0xC000_009A;
const ACCESS_VIOLATION: u64 = 0xC000_0005;
const MISALIGNMENT: u64 = 0x8000_0002;
const DELETE_PENDING: u64 = 0xC000_0056;

/// What the command of the pool has to measure, but for what the memory manager
/// is free to choose.
fn check_pool(pool: &PoolReply) {
    assert!(pool.value_alignment >= 16, "{pool:?}");
    assert!(pool.cache_alignment >= 64, "{pool:?}");
    assert!(pool.paged_alignment >= 64, "{pool:?}");
    assert!(pool.wide_alignment >= 256, "{pool:?}");
    let expected = PoolReply {
        page_alignment: 4096,
        zeroed: 777,
        filled: 777,
        paged_value: 0x1234,
        charged: 500,
        vec_len: 1000,
        vec_capacity: 1024,
        // 4, 8, 16 and so on to 1024.
        vec_moves: 9,
        vec_sum: (0..1000).sum(),
        vec_left: 998,
        paged_sum: (0..100).sum(),
        slice_sum: (0..10).map(|number| number * number).sum(),
        text_units: r"\Device\Nummer-\u{e4} 42".len() as u64,
        text_equal: 1,
        // The two arrays and the slice.
        held_more: 4,
        legacy: 100,
        legacy_tagged: 200,
        legacy_charged: 300,
        legacy_charged_tagged: 400,
        empty_status: INVALID_PARAMETER,
        too_wide_status: NOT_SUPPORTED,
        held_after: pool.held_before,
        ..*pool
    };
    assert_eq!(*pool, expected);
}

#[test]
fn pool_selftest_covers_each_type() {
    let mut open = Open::new();
    check_pool(&open.ask(Command::Pool, &[]));
    check_pool(&open.ask(Command::Pool, &[]));
    open.finish();
}

/// Without `ExAllocatePool2`, which kernels before Windows 10 2004 lack.
#[test]
fn pool_selftest_on_windows_7_passes() {
    let mut config = config();
    config.version = OsVersion {
        major: 6,
        minor: 1,
        build: 7601,
    };
    let mut open = Open::with(&config);
    check_pool(&open.ask(Command::Pool, &[]));
    open.finish();
}

#[test]
fn list_selftest_covers_each_list() {
    let mut open = Open::new();
    let list: ListReply = open.ask(Command::List, &[]);
    let expected = ListReply {
        held_before: list.held_before,
        links_offset: list.links_offset,
        len: 60,
        forward: 60,
        backward: 60,
        taken: 20,
        left: 40,
        inserted: 1,
        last: 59,
        locked: 60,
        locked_was_empty: 1,
        single: 60,
        locked_single: 60,
        atomic_depth: 60,
        atomic_taken: 10,
        atomic_flushed: 50,
        atomic_left: 0,
        // Four times sixty, and the one that was inserted.
        dropped: 241,
        held_after: list.held_before,
    };
    assert_eq!(list, expected);
    assert_eq!(list.links_offset % 8, 0);
    open.finish();
}

fn check_lookaside(reply: &LookasideReply) {
    let expected = LookasideReply {
        held_before: reply.held_before,
        sum: (0..8).sum(),
        taken: 10,
        // Eight at first; then there were some.
        take_misses: 8,
        freed: 10,
        // The list keeps as many as its depth, 4 at first.
        free_misses: 4,
        depth: 4,
        last_first: 1,
        flushed_depth: 0,
        paged_sum: (0..8).sum(),
        paged_taken: 8,
        paged_take_misses: 1,
        supplied: 2,
        refused: 1,
        refused_status: INSUFFICIENT_RESOURCES.into(),
        reclaimed: 2,
        too_wide_status: NOT_SUPPORTED,
        held_after: reply.held_before,
    };
    assert_eq!(*reply, expected);
}

/// The depth is the embedded kernel's, which never changes it.
#[test]
fn lookaside_selftest_covers_each_list() {
    let mut open = Open::new();
    check_lookaside(&open.ask(Command::Lookaside, &[]));
    open.finish();
}

/// Kernels before Windows 11 22H2 do not export what takes and frees: then the
/// driver does what the header's inline functions do.
#[test]
fn lookaside_selftest_without_exports_uses_inline_functions() {
    // The first lookup is the pool's; each of the four lists has four, the fourth of
    // which is that of `ExAllocateFromLookasideListEx`.
    let config = [5, 9, 13, 17].into_iter().fold(config(), |config, nth| {
        config.fault("MmGetSystemRoutineAddress", nth)
    });
    let mut open = Open::with(&config);
    check_lookaside(&open.ask(Command::Lookaside, &[]));
    open.finish();
}

/// Kernels before Windows Vista have no lists of that kind at all.
#[test]
fn lookaside_selftest_on_kernel_without_lists_is_not_supported() {
    let config = config().fault("MmGetSystemRoutineAddress", 2);
    let mut open = Open::with(&config);
    let status = open.control(Command::Lookaside, &[], 4096).status;
    assert_eq!(u64::from(status), NOT_SUPPORTED);
    open.finish();
}

#[test]
fn memory_selftest_returns_expected_counts() {
    let mut open = Open::new();
    let memory: MemoryReply = open.ask(Command::Memory, &[]);
    let expected = MemoryReply {
        copied: 300,
        copied_equal: 300,
        moved_up: 400,
        moved_down: 400,
        refused: 3,
        filled: 512,
        zeroed: 512,
        secure_zeroed: 512,
        compared: 122,
        equal: 1,
        unequal: 0,
        other_length: 0,
    };
    assert_eq!(memory, expected);
    open.finish();
}

#[test]
fn sync_selftest_returns_expected_counts() {
    let mut open = Open::new();
    let sync: SyncReply = open.ask(Command::Sync, &[]);
    let expected = SyncReply {
        fast_irql: 1,
        // As a fast mutex, from Windows 8 on.
        guarded_irql: 1,
        after_irql: 0,
        count: 1500,
        event_set: 1,
        event_was_set: 1,
        synchronization_left: 0,
        notification_left: 1,
        timed_out: 1,
        acquired: 2,
        removed_status: DELETE_PENDING,
        paged_code: 1,
    };
    assert_eq!(sync, expected);
    open.finish();
}

#[test]
fn time_selftest_returns_consistent_clocks() {
    let mut open = Open::new();
    let time: TimeReply = open.ask(Command::Time, &[]);
    assert_eq!(time.quad, u64::MAX - 1);
    assert_eq!((time.low, time.high), (0xFFFF_FFFE, 0xFFFF_FFFF));
    assert_eq!(time.whole, 1);
    assert!(
        time.frequency > 0 && time.ticks <= time.ticks_later,
        "{time:?}"
    );
    // The parts of the date make the time again, but for the part of a second.
    let days = days_since_1601(time.year, time.month, time.day);
    let seconds = ((days * 24 + time.hour) * 60 + time.minute) * 60 + time.second;
    assert_eq!(time.system_time / 10_000_000, seconds, "{time:?}");
    let later: TimeReply = open.ask(Command::Time, &[]);
    assert!(later.system_time >= time.system_time);
    open.finish();
}

/// Days of the Gregorian calendar from the beginning of 1601 to a date.
fn days_since_1601(year: u64, month: u64, day: u64) -> u64 {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let in_years: u64 = (1601..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let february = 28 + u64::from(is_leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month - 1).expect("a month");
    in_years + months[..before].iter().sum::<u64>() + day - 1
}

#[test]
fn probe_of_invalid_range_returns_raised_status() {
    let mut open = Open::new();
    let limits: ContextReply = open.ask(Command::Context, &[]);
    let mut probe = |address, len, alignment, for_writing| {
        let request = ProbeRequest {
            address,
            len,
            alignment,
            for_writing,
        };
        open.ask::<ProbeReply>(Command::Probe, request.as_bytes())
            .status
    };
    let end = limits.user_probe;
    for for_writing in [0, 1] {
        // Nothing is looked at for nothing.
        assert_eq!(probe(u64::MAX, 0, 1, for_writing), 0);
        // Alignment comes before the range.
        for alignment in [2, 4, 8, 16] {
            let address = u64::MAX - u64::from(alignment);
            assert_eq!(probe(address, 8, alignment, for_writing), MISALIGNMENT);
        }
        for (address, len) in [
            (end, 1),
            (end - 1, 2),
            (limits.system_range_start, 8),
            (u64::MAX, 1),
            (0x1000, u64::MAX),
        ] {
            let status = probe(address, len, 1, for_writing);
            assert_eq!(status, ACCESS_VIOLATION, "{len} bytes at {address:#x}");
        }
    }
    // Reading is not tried, so what is not there passes; writing is.
    assert_eq!(probe(0x1000, 8, 8, 0), 0);
    assert_eq!(probe(0x1000, 8, 8, 1), ACCESS_VIOLATION);
    for alignment in [0, 3, 32] {
        let request = ProbeRequest {
            address: 0x1000,
            len: 1,
            alignment,
            for_writing: 0,
        };
        let reply = open.control(Command::Probe, request.as_bytes(), size_of::<ProbeReply>());
        assert_eq!(reply.status, nt_status::STATUS_INVALID_PARAMETER);
    }
    open.finish();
}

#[test]
fn held_reply_counts_pool_files_and_requests() {
    let mut open = Open::new();
    let before: HeldReply = open.ask(Command::Held, &[]);
    assert_eq!(before.held, before.taken - before.freed);
    assert_eq!((before.files, before.waiting), (1, 0));
    let ticket = open.wait();
    let _: PoolReply = open.ask(Command::Pool, &[]);
    let after: HeldReply = open.ask(Command::Held, &[]);
    assert!(after.taken > before.taken, "{after:?}");
    assert_eq!((after.held, after.waiting), (before.held, 1));
    assert!(open.machine.cancel(ticket).expect("the kernel runs"));
    open.machine.wait_for(ticket).expect("the kernel runs");
    open.finish();
}

/// The commands that allocate, with the size of what they answer.
const ALLOCATING: [(Command, usize); 5] = [
    (Command::Pool, size_of::<PoolReply>()),
    (Command::List, size_of::<ListReply>()),
    (Command::Lookaside, size_of::<LookasideReply>()),
    (Command::Memory, size_of::<MemoryReply>()),
    (Command::Sync, size_of::<SyncReply>()),
];

/// Calls of an export so far.
fn calls(machine: Machine, export: &str) -> u32 {
    let report = machine.finish().expect("the kernel runs");
    integration_tests::ntmem::assert_clean(&report);
    let calls = report.calls.iter().find(|calls| calls.export == export);
    calls.map_or(0, |calls| calls.count)
}

/// Makes each allocation of each command fail, one at a time: the answer is a
/// status, nothing stays behind, and the command succeeds when asked again.
fn sweep(old_kernel: bool, exports: &[&str]) {
    let config = || {
        if old_kernel {
            config().fault("MmGetSystemRoutineAddress", 1)
        } else {
            config()
        }
    };
    for (command, size) in ALLOCATING {
        for export in exports {
            let mut idle = Open::with(&config());
            idle.close();
            let first = calls(idle.machine, export) + 1;
            let mut busy = Open::with(&config());
            assert_eq!(busy.control(command, &[], size).status, 0);
            busy.close();
            let last = calls(busy.machine, export);
            let mut went_on = 0;
            for nth in first..=last {
                let mut open = Open::with(&config().fault(*export, nth));
                let before: HeldReply = open.ask(Command::Held, &[]);
                let reply = open.control(command, &[], size);
                let case = format!("{command:?}, call {nth} of {export}");
                match reply.status {
                    0 => went_on += 1,
                    status => assert_eq!(status, INSUFFICIENT_RESOURCES, "{case}"),
                }
                let after: HeldReply = open.ask(Command::Held, &[]);
                assert_eq!(after.held, before.held, "{case}");
                assert_eq!(open.control(command, &[], size).status, 0, "{case}");
                open.finish();
            }
            // One lookaside list is asked for more than it is supposed to give.
            let expected = match (command, *export) {
                (Command::Lookaside, "ExAllocateFromLookasideListEx") => 1,
                _ => 0,
            };
            assert_eq!(went_on, expected, "{command:?}, {export}");
        }
    }
}

#[test]
fn selftests_survive_each_allocation_fault() {
    sweep(
        false,
        &[
            "ExAllocatePool2",
            "ExAllocatePool",
            "ExAllocatePoolWithTag",
            "ExAllocatePoolWithQuota",
            "ExAllocatePoolWithQuotaTag",
            "ExAllocateFromLookasideListEx",
        ],
    );
}

#[test]
fn selftests_on_windows_7_survive_each_allocation_fault() {
    sweep(
        true,
        &["ExAllocatePoolWithTag", "ExAllocatePoolWithQuotaTag"],
    );
}

/// A reply of numbers has as many as it has names.
#[test]
fn replies_have_as_many_names_as_numbers() {
    assert_eq!(size_of::<PoolReply>(), 8 * PoolReply::NAMES.len());
    assert_eq!(size_of::<ListReply>(), 8 * ListReply::NAMES.len());
    let reply = ListReply::read_from_bytes(&[0; size_of::<ListReply>()]).expect("zeros");
    assert_eq!(reply, ListReply::default());
}

//! Pages of the driver mapped into client processes: they share the memory, access is
//! limited to what was granted, and they are unmapped at the last close or process exit.

use integration_tests::ntmem::{self, Open, READ_WRITE, assert_clean};
use ntbox::{Handle, Operation, Process, Reply};
use ntmem_ioctl::{
    Command, ExchangeReply, ExchangeRequest, MapReply, MapRequest, StatisticsReply, UnmapRequest,
    VIEW_LIMIT, VIEW_SIZE_LIMIT,
};
use zerocopy::{FromBytes, IntoBytes};

fn map(open: &mut Open, size: u32, read_only: u32) -> u64 {
    let request = MapRequest { size, read_only };
    open.ask::<MapReply>(Command::Map, request.as_bytes())
        .address
}

fn unmap(open: &mut Open, address: u64) -> u32 {
    open.control(Command::Unmap, UnmapRequest { address }.as_bytes(), 0)
        .status
}

fn exchange(open: &mut Open, address: u64, offset: u64, value: u64) -> Reply {
    let request = ExchangeRequest {
        address,
        offset,
        value,
    };
    open.control(
        Command::Exchange,
        request.as_bytes(),
        size_of::<ExchangeReply>(),
    )
}

/// What the program finds at an address; `None` if nothing is there.
fn load(open: &mut Open, address: u64) -> Option<u64> {
    let reply = open.call(Operation::Load { address, length: 8 });
    (reply.status == 0).then(|| u64::read_from_bytes(&reply.output).expect("eight bytes"))
}

fn store(open: &mut Open, address: u64, value: u64) -> u32 {
    let data = value.to_le_bytes().to_vec();
    open.call(Operation::Store { address, data }).status
}

fn views(open: &mut Open) -> (u64, u64) {
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    (statistics.views, statistics.view_bytes)
}

#[test]
fn user_mapping_shares_driver_memory() {
    let mut open = Open::new();
    let address = map(&mut open, 0x3000, 0);
    assert_eq!(address % 0x1000, 0);
    for offset in [0, 8, 0xFF8, 0x1000, 0x2FF8] {
        assert_eq!(load(&mut open, address + offset), Some(0), "not zeroed");
        // What the program writes the driver reads, and the other way round.
        assert_eq!(store(&mut open, address + offset, 1000 + offset), 0);
        let reply = exchange(&mut open, address, offset, 7000 + offset);
        assert_eq!(reply.status, 0);
        assert_eq!(reply.output, (1000 + offset).to_le_bytes());
        assert_eq!(load(&mut open, address + offset), Some(7000 + offset));
    }
    assert_eq!(load(&mut open, address + 0x3000), None, "a page too many");
    assert_eq!(unmap(&mut open, address), 0);
    assert_eq!(load(&mut open, address), None);
    open.finish();
}

#[test]
fn user_mapping_read_only_refuses_write() {
    let mut open = Open::new();
    let address = map(&mut open, 0x1000, 1);
    assert_eq!(
        store(&mut open, address, 1),
        nt_status::STATUS_ACCESS_VIOLATION
    );
    assert_eq!(exchange(&mut open, address, 0, 5).status, 0);
    assert_eq!(load(&mut open, address), Some(5));
    open.finish();
}

#[test]
fn user_mappings_over_limit_are_refused() {
    let mut open = Open::new();
    let addresses: Vec<u64> = (0..VIEW_LIMIT).map(|_| map(&mut open, 0x1000, 0)).collect();
    assert_eq!(views(&mut open), (16, 0x1_0000));
    let one_more = MapRequest {
        size: 0x1000,
        read_only: 0,
    };
    let reply = open.control(Command::Map, one_more.as_bytes(), 8);
    assert_eq!(reply.status, nt_status::STATUS_INSUFFICIENT_RESOURCES);
    assert_eq!(unmap(&mut open, addresses[3]), 0);
    assert_eq!(
        unmap(&mut open, addresses[3]),
        nt_status::STATUS_NOT_FOUND,
        "twice"
    );
    assert_eq!(views(&mut open), (15, 0xF000));
    map(&mut open, VIEW_SIZE_LIMIT, 1);
    assert_eq!(views(&mut open), (16, 0xF000 + u64::from(VIEW_SIZE_LIMIT)));
    open.finish();
}

#[test]
fn map_request_invalid_is_refused() {
    let mut open = Open::new();
    for (size, read_only) in [
        (0, 0),
        (1, 0),
        (0xFFF, 0),
        (0x1001, 0),
        (VIEW_SIZE_LIMIT + 0x1000, 0),
        (u32::MAX, 0),
        (0x1000, 2),
        (0x1000, u32::MAX),
    ] {
        let request = MapRequest { size, read_only };
        let reply = open.control(Command::Map, request.as_bytes(), 8);
        assert_eq!(
            reply.status,
            nt_status::STATUS_INVALID_PARAMETER,
            "{request:?}"
        );
    }
    let good = MapRequest {
        size: 0x1000,
        read_only: 0,
    };
    let reply = open.control(Command::Map, good.as_bytes(), 7);
    assert_eq!(reply.status, nt_status::STATUS_BUFFER_TOO_SMALL);
    assert_eq!(views(&mut open), (0, 0), "a view that nobody was told of");
    let address = map(&mut open, 0x1000, 0);
    for wrong in [0, address + 1, address + 0x1000, u64::MAX] {
        assert_eq!(unmap(&mut open, wrong), nt_status::STATUS_NOT_FOUND);
        assert_eq!(
            exchange(&mut open, wrong, 0, 1).status,
            nt_status::STATUS_NOT_FOUND
        );
    }
    for offset in [0xFF9, 0x1000, u64::MAX, u64::MAX - 7] {
        assert_eq!(
            exchange(&mut open, address, offset, 1).status,
            nt_status::STATUS_INVALID_PARAMETER
        );
    }
    open.finish();
}

/// The other process of a test, with a duplicate of the handle.
fn other(open: &mut Open) -> (Process, Handle) {
    let to = open.machine.process("other.exe").expect("a process");
    let handle = open.handle;
    let reply = open.call(Operation::Duplicate { handle, to });
    (to, reply.handle.expect("a handle"))
}

fn call(open: &mut Open, process: Process, operation: Operation) -> Reply {
    open.machine
        .call(process, operation)
        .expect("the kernel runs")
}

#[test]
fn user_mapping_is_unmapped_at_last_close() {
    let mut open = Open::new();
    let second = ntmem::open(&mut open.machine, open.process, READ_WRITE)
        .handle
        .expect("a handle");
    let mine = map(&mut open, 0x1000, 0);
    // To another file of the same process it is none.
    let owner = std::mem::replace(&mut open.handle, second);
    assert_eq!(unmap(&mut open, mine), nt_status::STATUS_NOT_FOUND);
    let theirs = map(&mut open, 0x2000, 0);
    assert_eq!(views(&mut open), (2, 0x3000));
    assert_eq!(open.call(Operation::Close { handle: owner }).status, 0);
    assert_eq!(load(&mut open, mine), None);
    assert_eq!(load(&mut open, theirs), Some(0));
    assert_eq!(views(&mut open), (1, 0x2000));
    open.finish();
}

/// The last handle is closed by another process: the view is undone where it is,
/// and nothing in the other process is touched.
#[test]
fn user_mapping_closed_by_other_process_is_unmapped_in_its_own() {
    let mut open = Open::new();
    let address = map(&mut open, 0x1000, 0);
    let (to, duplicate) = other(&mut open);
    // Memory of the other process at the same address.
    let allocate = Operation::Allocate { bytes: 0x1000 };
    let own = (0..16)
        .map(|_| call(&mut open, to, allocate.clone()).information)
        .find(|own| *own == address);
    let own = own.expect("memory of both processes at one address");
    let data = vec![9; 8];
    let store = Operation::Store { address: own, data };
    assert_eq!(call(&mut open, to, store).status, 0);
    open.close();
    assert_eq!(load(&mut open, address), Some(0), "a handle is left");
    let close = Operation::Close { handle: duplicate };
    assert_eq!(call(&mut open, to, close).status, 0);
    assert_eq!(load(&mut open, address), None, "the view is still there");
    let kept = Operation::Load {
        address: own,
        length: 8,
    };
    assert_eq!(call(&mut open, to, kept).output, [9; 8]);
    assert_clean(&open.machine.finish().expect("the kernel runs"));
}

/// The process of a view ends while another one still has the file open.
#[test]
fn user_mapping_is_unmapped_at_process_exit() {
    let mut open = Open::new();
    map(&mut open, 0x1000, 0);
    map(&mut open, 0x2000, 1);
    let (to, duplicate) = other(&mut open);
    assert!(open.machine.exit(open.process).expect("the kernel runs"));
    open.process = to;
    open.handle = duplicate;
    assert_eq!(views(&mut open), (0, 0));
    map(&mut open, 0x1000, 0);
    assert_eq!(views(&mut open), (1, 0x1000));
    open.finish();
}

/// A program that has views and requests that wait is killed.
#[test]
fn process_exit_with_mappings_and_requests_leaks_nothing() {
    let mut open = Open::new();
    for _ in 0..5 {
        map(&mut open, 0x4000, 0);
    }
    open.wait();
    assert!(open.machine.exit(open.process).expect("the kernel runs"));
    assert_clean(&open.machine.finish().expect("the kernel runs"));
}

/// A handle that another process got a duplicate of leads to the same file, but not
/// to views in another process.
#[test]
fn user_mapping_of_other_process_is_not_found() {
    let mut open = Open::new();
    let address = map(&mut open, 0x1000, 0);
    let (to, duplicate) = other(&mut open);
    let mine = (open.process, open.handle);
    (open.process, open.handle) = (to, duplicate);
    assert_eq!(unmap(&mut open, address), nt_status::STATUS_NOT_FOUND);
    assert_eq!(
        exchange(&mut open, address, 0, 1).status,
        nt_status::STATUS_NOT_FOUND
    );
    assert_eq!(load(&mut open, address), None);
    open.close();
    (open.process, open.handle) = mine;
    assert_eq!(load(&mut open, address), Some(0));
    open.finish();
}

/// A mapping that the kernel refuses leaves nothing, and the driver goes on.
#[test]
fn map_with_failed_call_returns_insufficient_resources() {
    for (export, nth) in [
        ("MmMapLockedPagesSpecifyCache", 1),
        ("IoAllocateMdl", 1),
        // Two keys, the device, its list, its file and so on come first.
        ("ExAllocatePool2", 10),
    ] {
        let mut open = Open::with(&ntmem::config().fault(export, nth));
        let request = MapRequest {
            size: 0x1000,
            read_only: 0,
        };
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(open.control(Command::Map, request.as_bytes(), 8).status);
        }
        let refused = statuses.iter().filter(|status| **status != 0).count();
        assert_eq!(refused, 1, "{export}: {statuses:x?}");
        assert!(statuses.contains(&nt_status::STATUS_INSUFFICIENT_RESOURCES));
        assert_eq!(views(&mut open), (2, 0x2000));
        open.finish();
    }
}

#[test]
fn driver_entry_without_process_notify_fails() {
    let config = ntmem::config().fault("PsSetCreateProcessNotifyRoutine", 1);
    let report = ntbox::run(&config).expect("the kernel runs");
    assert_ne!(report.entry_status, Some(0));
    assert_eq!((report.bug_check, report.violations), (None, vec![]));
}

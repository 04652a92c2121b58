//! Data by each of the I/O manager's methods: direct, neither, read and write requests; and
//! the process and IRQL in which each entry point runs.

use integration_tests::ntmem::{self, Open, READ_WRITE};
use ntbox::{Operation, Reply};
use ntmem_ioctl::{
    COPY_LIMIT, Checksum, Command, ContextsReply, ENTRY_POINTS, EntryContext, STORE_LIMIT,
    SendRequest, StatisticsReply, SumReply,
};
use zerocopy::{FromBytes, IntoBytes};

fn bytes(len: usize) -> Vec<u8> {
    (0..len)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
        .collect()
}

fn sum(data: &[u8]) -> u64 {
    Checksum::EMPTY.then(data).number()
}

fn send(open: &mut Open, data: &[u8], sum: u64) -> Reply {
    let operation = Operation::Control {
        handle: open.handle,
        code: Command::Send.code(),
        input: SendRequest { sum }.as_bytes().to_vec(),
        output: data.to_vec(),
    };
    open.call(operation)
}

fn stored(open: &mut Open) -> u64 {
    open.ask::<StatisticsReply>(Command::Statistics, &[]).stored
}

fn read(open: &mut Open, offset: u64, length: u32) -> Reply {
    let handle = open.handle;
    open.call(Operation::Read {
        handle,
        offset,
        length,
    })
}

fn write(open: &mut Open, offset: u64, data: &[u8]) -> Reply {
    let handle = open.handle;
    open.call(Operation::Write {
        handle,
        offset,
        data: data.to_vec(),
    })
}

#[test]
fn direct_io_reads_and_writes_locked_pages() {
    let mut open = Open::new();
    for len in [0, 1, 255, 256, 257, 4095, 4096, 4097, STORE_LIMIT] {
        let data = bytes(len);
        let reply = send(&mut open, &data, sum(&data));
        assert_eq!((reply.status, reply.information), (0, len as u64), "{len}");
        assert_eq!(
            reply.output, data,
            "the driver wrote to what it was to read"
        );
        assert_eq!(stored(&mut open), len as u64);
        let reply = open.control(Command::Receive, &[], len + 3);
        assert_eq!((reply.status, reply.information), (0, len as u64), "{len}");
        assert_eq!(reply.output[..len], data);
        assert_eq!(reply.output[len..], [0xEE; 3]);
    }
    open.finish();
}

#[test]
fn send_with_wrong_checksum_keeps_stored_data() {
    let mut open = Open::new();
    let data = bytes(5000);
    assert_eq!(send(&mut open, &data, sum(&data)).status, 0);
    let other = bytes(77);
    let reply = send(&mut open, &other, sum(&other) ^ 1);
    assert_eq!(
        (reply.status, reply.information),
        (nt_status::STATUS_DATA_ERROR, 0)
    );
    let large = bytes(STORE_LIMIT + 1);
    let reply = send(&mut open, &large, sum(&large));
    assert_eq!(reply.status, nt_status::STATUS_INVALID_PARAMETER);
    let reply = open.control(Command::Receive, &[], 4999);
    assert_eq!(
        (reply.status, reply.information),
        (nt_status::STATUS_BUFFER_TOO_SMALL, 0)
    );
    assert_eq!(reply.output, [0xEE; 4999], "part of it was written");
    let reply = open.control(Command::Receive, &[], 5000);
    assert_eq!((reply.status, reply.output), (0, data));
    open.finish();
}

#[test]
fn read_returns_written_bytes() {
    let mut open = Open::new();
    assert_eq!(read(&mut open, 0, 10).status, nt_status::STATUS_END_OF_FILE);
    let reply = write(&mut open, 0, b"0123456789");
    assert_eq!((reply.status, reply.information), (0, 10));
    let reply = write(&mut open, 3, b"abc");
    assert_eq!((reply.status, reply.information), (0, 3));
    let reply = read(&mut open, 0, 100);
    assert_eq!(
        (reply.status, reply.output.as_slice()),
        (0, &b"012abc6789"[..])
    );
    let reply = read(&mut open, 8, 100);
    assert_eq!((reply.status, reply.output.as_slice()), (0, &b"89"[..]));
    assert_eq!(read(&mut open, 10, 1).status, nt_status::STATUS_END_OF_FILE);
    // A gap is zero.
    assert_eq!(write(&mut open, 12, b"z").status, 0);
    assert_eq!(read(&mut open, 9, 9).output, b"9\0\0z");
    assert_eq!(stored(&mut open), 13);
    // What came by writing goes by receiving.
    let reply = open.control(Command::Receive, &[], 13);
    assert_eq!(reply.output, b"012abc6789\0\0z");
    open.finish();
}

#[test]
fn read_and_write_past_the_limit_are_refused() {
    let mut open = Open::new();
    let limit = STORE_LIMIT as u64;
    assert_eq!(write(&mut open, limit - 1, b"x").status, 0);
    assert_eq!(stored(&mut open), limit);
    for (offset, data) in [
        (limit - 1, &b"xy"[..]),
        (limit, b"x"),
        (u64::MAX, b"x"),
        (u64::MAX - 1, b"x"),
        (1 << 63, b"x"),
        (i64::MAX as u64, b"x"),
    ] {
        let reply = write(&mut open, offset, data);
        assert_eq!(
            (reply.status, reply.information),
            (nt_status::STATUS_INVALID_PARAMETER, 0),
            "{offset:#x}"
        );
    }
    assert_eq!(
        read(&mut open, 1 << 63, 1).status,
        nt_status::STATUS_INVALID_PARAMETER
    );
    for length in [0, 1, 4096] {
        let reply = read(&mut open, 0, length);
        assert_eq!((reply.status, reply.information), (0, length.into()));
    }
    assert_eq!(stored(&mut open), limit);
    open.finish();
}

#[test]
fn files_store_their_own_data() {
    let mut open = Open::new();
    let other = ntmem::open(&mut open.machine, open.process, READ_WRITE)
        .handle
        .expect("a handle");
    assert_eq!(write(&mut open, 0, b"first").status, 0);
    let first = std::mem::replace(&mut open.handle, other);
    assert_eq!(read(&mut open, 0, 5).status, nt_status::STATUS_END_OF_FILE);
    assert_eq!(write(&mut open, 0, b"second!").status, 0);
    assert_eq!(stored(&mut open), 12);
    open.close();
    open.handle = first;
    assert_eq!(stored(&mut open), 5, "what a closed file kept is freed");
    assert_eq!(read(&mut open, 0, 9).output, b"first");
    open.finish();
}

#[test]
fn sum_reads_caller_memory() {
    let mut open = Open::new();
    for len in [0, 1, 256, 257, 10_000, COPY_LIMIT] {
        let data = bytes(len);
        let reply: SumReply = open.ask(Command::Sum, &data);
        assert_eq!((reply.bytes, reply.sum), (len as u64, sum(&data)), "{len}");
    }
    let reply = open.control(Command::Sum, &[1], size_of::<SumReply>() - 1);
    assert_eq!(reply.status, nt_status::STATUS_BUFFER_TOO_SMALL);
    open.finish();
}

/// Each way in, with addresses that are no good: a status, from whoever looks first.
#[test]
fn io_methods_with_invalid_address_return_error_status() {
    let mut open = Open::new();
    let nothing = 0x6666_0000_0000;
    let system = 0xFFFF_8000_0000_0000;
    let request = SendRequest { sum: 0 };
    let good = open.call(Operation::Allocate { bytes: 0x1000 }).information;
    let data = request.as_bytes().to_vec();
    assert_eq!(
        open.call(Operation::Store {
            address: good,
            data
        })
        .status,
        0
    );
    for bad in [nothing, system, u64::MAX - 2, 8, 0x7FFF_FFFF_0000] {
        for (command, input, output) in [
            (Command::Send, (good, 8), (bad, 16)),
            (Command::Send, (bad, 8), (good, 16)),
            (Command::Receive, (0, 0), (bad, 16)),
            (Command::Sum, (bad, 16), (good, 16)),
            (Command::Sum, (good, 16), (bad, 16)),
            (Command::Version, (0, 0), (bad, 64)),
        ] {
            let operation = Operation::RawControl {
                handle: open.handle,
                code: command.code(),
                input,
                output,
            };
            let reply = open.call(operation);
            assert_eq!(
                reply.status,
                nt_status::STATUS_ACCESS_VIOLATION,
                "{command:?} at {bad:#x}"
            );
        }
    }
    open.finish();
}

#[test]
fn contexts_report_irql_and_process_of_each_entry_point() {
    let mut open = Open::new();
    let none: ContextsReply = open.ask(Command::Contexts, &[]);
    let at = |reply: &ContextsReply, name: &str| -> EntryContext {
        let place = ENTRY_POINTS.iter().position(|entry| *entry == name);
        reply.entries[place.expect("an entry point")]
    };
    // The driver starts in the System process, and nobody asked from outside.
    let entry = at(&none, "driver-entry");
    assert_eq!((entry.count, entry.process, entry.irql), (1, 4, 0));
    assert_eq!(entry.from_user, 0);
    for name in ["read", "write", "cleanup", "close"] {
        assert_eq!(at(&none, name), EntryContext::default(), "{name}");
    }
    let create = at(&none, "create");
    assert_eq!((create.count, create.irql, create.from_user), (1, 0, 1));
    assert_ne!(create.process, 4);
    // Another process opens, reads, writes and goes.
    let other = open.machine.process("other.exe").expect("a process");
    let handle = ntmem::open(&mut open.machine, other, READ_WRITE)
        .handle
        .expect("a handle");
    let mut call = |operation| {
        let reply = open.machine.call(other, operation);
        reply.expect("the kernel runs")
    };
    call(Operation::Write {
        handle,
        offset: 0,
        data: vec![1],
    });
    call(Operation::Read {
        handle,
        offset: 0,
        length: 1,
    });
    call(Operation::Close { handle });
    let all: ContextsReply = open.ask(Command::Contexts, &[]);
    let create = at(&all, "create");
    assert_eq!(create.count, 2);
    for name in ["read", "write", "cleanup", "close"] {
        let entry = at(&all, name);
        assert_eq!(
            (entry.count, entry.process, entry.irql),
            (1, create.process, 0),
            "{name}"
        );
    }
    let from_user = |name| at(&all, name).from_user;
    assert_eq!((from_user("read"), from_user("write")), (1, 1));
    // The I/O manager makes these two.
    assert_eq!((from_user("cleanup"), from_user("close")), (0, 0));
    let control = at(&all, "device-control");
    assert_eq!(control.count, 2);
    assert_ne!(control.process, create.process);
    open.finish();
}

/// Requests on the handle of a file may be under way in two processes at a time.
#[test]
fn file_shared_by_two_processes_serves_both() {
    let mut open = Open::new();
    let to = open.machine.process("other.exe").expect("a process");
    let handle = open.handle;
    let duplicate = open.call(Operation::Duplicate { handle, to });
    let theirs = duplicate.handle.expect("a handle");
    assert_eq!(write(&mut open, 0, b"shared").status, 0);
    let mine = (open.process, open.handle);
    (open.process, open.handle) = (to, theirs);
    assert_eq!(read(&mut open, 0, 6).output, b"shared");
    let waiting = open.wait();
    (open.process, open.handle) = mine;
    assert_eq!(open.signal(4), 1);
    let reply = open.machine.wait_for(waiting).expect("the kernel runs");
    assert_eq!(u64::read_from_bytes(&reply.output).expect("a number"), 4);
    assert!(open.machine.exit(to).expect("the kernel runs"));
    open.finish();
}

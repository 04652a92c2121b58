//! Random and malicious requests: each returns a status, and nothing of it stays in the
//! kernel.

use integration_tests::ioctl_fuzz::{self, Caller};
use integration_tests::ntmem::{self, Open, READ_WRITE, assert_clean};
use ntbox::{Handle, Operation, Progress, Reply, Ticket};
use ntmem_ioctl::{Command, StatisticsReply, SumReply};
use zerocopy::FromBytes;

/// Seed of the random requests; `NTMEM_SEED` chooses another.
const SEED: u64 = 0x6E74_6D65_6D00_0002;

/// A number from the environment, decimal or hexadecimal.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Requests that a generator makes up: codes near the right ones and far from them,
/// lengths and addresses of every kind. `NTMEM_REQUESTS` says how many.
#[test]
fn random_requests_leak_nothing() {
    let seed = setting("NTMEM_SEED").unwrap_or(SEED);
    let count = setting("NTMEM_REQUESTS").unwrap_or(100_000);
    println!("NTMEM_SEED={seed:#x} NTMEM_REQUESTS={count}");
    let generate = move |caller: &Caller, n: u64| caller.request(seed, n);
    let all: Vec<u64> = (0..count).collect();
    let report = ioctl_fuzz::run(&all, &generate);
    if !ioctl_fuzz::is_clean(&report) {
        let few = ioctl_fuzz::smallest(all, &generate);
        let report = ioctl_fuzz::run(&few, &generate);
        panic!(
            "NTMEM_SEED={seed:#x}: these requests do harm: {few:?}\n{}",
            report.text()
        );
    }
    let calls = |export: &str| {
        let found = report.calls.iter().find(|calls| calls.export == export);
        found.map_or(0, |calls| u64::from(calls.count))
    };
    // The requests were not all turned away at the door.
    assert!(calls("MmMapLockedPagesSpecifyCache") > count / 1000);
    assert!(calls("MmProbeAndLockPages") > count / 2000);
}

/// Among requests that do no harm is one that does; it is found.
#[test]
fn reduction_finds_the_harmful_request() {
    const BAD: u64 = 137;
    let generate = |caller: &Caller, n: u64| {
        if n == BAD {
            caller.forbidden_walk()
        } else {
            caller.request(SEED, n)
        }
    };
    let all: Vec<u64> = (0..300).collect();
    let report = ioctl_fuzz::run(&all, &generate);
    assert!(!ioctl_fuzz::is_clean(&report));
    assert_eq!(ioctl_fuzz::smallest(all, &generate), [BAD]);
}

fn raw(handle: Handle, command: Command, input: (u64, u32), output: (u64, u32)) -> Operation {
    Operation::RawControl {
        handle,
        code: command.code(),
        input,
        output,
    }
}

fn pending(open: &mut Open, operation: Operation) -> Ticket {
    match open.machine.begin(open.process, operation) {
        Ok(Progress::Pending(ticket)) => ticket,
        other => panic!("the request does not wait: {other:?}"),
    }
}

fn end(open: &mut Open, ticket: Ticket) -> Reply {
    open.machine.wait_for(ticket).expect("the kernel runs")
}

/// The memory for the answer is gone by the time that there is one.
#[test]
fn output_buffer_freed_during_wait_is_not_written() {
    let mut open = Open::new();
    let bytes = 0x1000;
    let address = open.call(Operation::Allocate { bytes }).information;
    // What comes next must not get the same memory.
    let other = open.call(Operation::Allocate { bytes }).information;
    let wait = raw(open.handle, Command::Wait, (0, 0), (address, 64));
    let ticket = pending(&mut open, wait);
    assert_eq!(open.call(Operation::Free { address }).status, 0);
    let signal = raw(open.handle, Command::Signal, (other, 8), (other, 8));
    assert_eq!(open.call(signal).status, 0);
    let reply = end(&mut open, ticket);
    assert_eq!(reply.status, nt_status::STATUS_ACCESS_VIOLATION);
    assert_eq!(
        open.ask::<StatisticsReply>(Command::Statistics, &[])
            .waiting,
        0
    );
    open.finish();
}

/// Input and output overlap, so the input changes while it is read.
#[test]
fn sum_of_overlapping_buffers_reads_input_once() {
    let mut open = Open::new();
    let bytes = 0x2000;
    let address = open.call(Operation::Allocate { bytes }).information;
    let data: Vec<u8> = (0..=255).cycle().take(0x1000).collect();
    assert_eq!(open.call(Operation::Store { address, data }).status, 0);
    for (from, to) in [(0, 1), (0, 0x100), (7, 0), (0, 0)] {
        let copy = raw(
            open.handle,
            Command::Copy,
            (address + from, 0x1000),
            (address + to, 0x1000),
        );
        let reply = open.call(copy);
        assert_eq!((reply.status, reply.information), (0, 0x1000));
    }
    let sum = raw(
        open.handle,
        Command::Sum,
        (address, 0x1000),
        (address + 8, 16),
    );
    let before = open.call(Operation::Load {
        address,
        length: 0x1000,
    });
    assert_eq!(open.call(sum).status, 0);
    let reply = open.call(Operation::Load {
        address: address + 8,
        length: 16,
    });
    let reply = SumReply::read_from_bytes(&reply.output).expect("a reply");
    let expected = ntmem_ioctl::Checksum::EMPTY.then(&before.output).number();
    assert_eq!(reply.sum, expected, "the answer is part of what was summed");
    open.finish();
}

/// The last handle of a file is closed while a request on it waits; another file's
/// requests go on waiting.
#[test]
fn handle_closed_with_pending_requests_cancels_them() {
    let mut open = Open::new();
    let theirs = open.wait();
    let own = ntmem::open(&mut open.machine, open.process, READ_WRITE)
        .handle
        .expect("a handle");
    let kept = std::mem::replace(&mut open.handle, own);
    let tickets = [open.wait(), open.wait()];
    open.close();
    for ticket in tickets {
        assert_eq!(
            end(&mut open, ticket).status,
            nt_status::STATUS_CANCELLED,
            "nobody else will end it"
        );
    }
    open.handle = kept;
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!((statistics.waiting, statistics.open), (1, 1));
    assert_eq!(open.signal(1), 1);
    assert_eq!(end(&mut open, theirs).status, 0);
    open.finish();
}

#[test]
fn ioctl_on_closed_handle_returns_invalid_handle() {
    let mut open = Open::new();
    let handle = open.handle;
    let own = ntmem::open(&mut open.machine, open.process, READ_WRITE).handle;
    open.close();
    for command in Command::ALL {
        let reply = open.call(raw(handle, *command, (0, 0), (0, 0)));
        assert_eq!(
            reply.status,
            nt_status::STATUS_INVALID_HANDLE,
            "{command:?}"
        );
    }
    assert_eq!(
        open.call(Operation::Close { handle }).status,
        nt_status::STATUS_INVALID_HANDLE
    );
    open.handle = own.expect("a handle");
    open.finish();
}

/// Every command, with buffers that begin at every offset and end at a page that is
/// not there.
#[test]
fn commands_with_unaligned_buffers_at_page_end_stay_in_bounds() {
    let mut open = Open::new();
    let bytes = 0x1000;
    let address = open.call(Operation::Allocate { bytes }).information;
    let end_of_page = address + bytes;
    for &command in Command::ALL.iter().filter(|one| **one != Command::Wait) {
        for length in [1, 3, 7, 8, 16, 24] {
            for beyond in [0, 1, 4096] {
                let start = end_of_page + beyond - u64::from(length);
                let request = raw(open.handle, command, (start, length), (start, length));
                let reply = open.call(request);
                if beyond != 0 {
                    assert_ne!(reply.status, 0, "{command:?}, {length} bytes");
                }
                assert!(reply.information <= u64::from(length));
            }
        }
    }
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!(statistics.waiting, 0);
    open.finish();
}

/// Two processes that take turns, each with requests of all kinds, and neither closes
/// anything.
#[test]
fn two_processes_without_close_leak_nothing() {
    let mut open = Open::new();
    let other = open.machine.process("other.exe").expect("a process");
    let theirs = ntmem::open(&mut open.machine, other, READ_WRITE)
        .handle
        .expect("a handle");
    let map = [0_u8, 0x10, 0, 0, 0, 0, 0, 0];
    let mut tickets = Vec::new();
    for _ in 0..6 {
        for (process, handle) in [(open.process, open.handle), (other, theirs)] {
            let operations = [
                (Command::Wait, Vec::new(), 8),
                (Command::Map, map.to_vec(), 8),
                (Command::Signal, vec![1; 8], 4),
                (Command::Wait, Vec::new(), 8),
                (Command::Statistics, Vec::new(), 256),
            ];
            for (command, input, room) in operations {
                let operation = Operation::Control {
                    handle,
                    code: command.code(),
                    input,
                    output: vec![0; room],
                };
                match open.machine.begin(process, operation) {
                    Ok(Progress::Pending(ticket)) => tickets.push(ticket),
                    Ok(Progress::Done(reply)) => assert_eq!(reply.status, 0, "{command:?}"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!((statistics.views, statistics.waiting), (12, 12));
    assert!(open.machine.exit(other).expect("the kernel runs"));
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!(statistics.views, 6);
    assert!(open.machine.exit(open.process).expect("the kernel runs"));
    for ticket in tickets {
        let reply = end(&mut open, ticket);
        assert!(
            [0, nt_status::STATUS_CANCELLED].contains(&reply.status),
            "{reply:?}"
        );
    }
    assert_clean(&open.machine.finish().expect("the kernel runs"));
}

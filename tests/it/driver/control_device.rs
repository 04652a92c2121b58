//! The control device of `ntmem.sys`: who may open it, the reply of each command,
//! pending requests, and requests with invalid lengths or addresses.

use integration_tests::ntmem::{self, Open, READ_WRITE, assert_clean};
use ntbox::{Account, Operation};
use ntmem_ioctl::{
    COPY_LIMIT, Command, ContextReply, DEVICE_LINK, IrqlReply, SignalRequest, StatisticsReply,
    VersionReply,
};
use zerocopy::{FromBytes, IntoBytes};

/// `GENERIC_READ`.
const READ: u32 = 0x8000_0000;

#[test]
fn version_returns_protocol_build_and_system() {
    let mut open = Open::new();
    let version: VersionReply = open.ask(Command::Version, &[]);
    assert_eq!(version.protocol, ntmem_ioctl::VERSION);
    let own: Vec<u16> = env!("CARGO_PKG_VERSION")
        .split('.')
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert_eq!(version.driver.as_slice(), own);
    assert_eq!((version.is_debug, version.system), (0, [10, 0, 19045]));
    open.finish();
}

#[test]
fn context_is_that_of_requesting_process() {
    let mut open = Open::new();
    let first: ContextReply = open.ask(Command::Context, &[]);
    assert_eq!((first.irql, first.from_user), (0, 1));
    assert_ne!(
        first.process, 4,
        "the System process is where the driver started"
    );
    assert!(first.highest_user < first.user_probe);
    assert!(first.user_probe <= first.system_range_start);
    let other = open.machine.process("other.exe").expect("a process");
    let handle = ntmem::open(&mut open.machine, other, READ_WRITE)
        .handle
        .expect("a handle");
    let operation = Operation::Control {
        handle,
        code: Command::Context.code(),
        input: Vec::new(),
        output: vec![0; size_of::<ContextReply>()],
    };
    let reply = open
        .machine
        .call(other, operation)
        .expect("the kernel runs");
    let second = ContextReply::read_from_bytes(&reply.output).expect("a reply");
    assert_ne!(second.process, first.process);
    assert!(open.machine.exit(other).expect("the kernel runs"));
    open.finish();
}

#[test]
fn irql_command_reports_each_level() {
    let mut open = Open::new();
    let irql: IrqlReply = open.ask(Command::Irql, &[]);
    let expected = IrqlReply {
        before: 0,
        apc: 1,
        dispatch: 2,
        locked: 2,
        after: 0,
    };
    assert_eq!(irql, expected);
    open.finish();
}

#[test]
fn open_by_ordinary_account_is_denied() {
    let mut open = Open::new();
    let ordinary = open
        .machine
        .process_of("user.exe", Account::Ordinary)
        .expect("a process");
    for access in [READ, READ_WRITE, 0] {
        let reply = ntmem::open(&mut open.machine, ordinary, access);
        assert_eq!(
            (reply.status, reply.handle),
            (nt_status::STATUS_ACCESS_DENIED, None),
            "{access:#x}"
        );
    }
    let below = Operation::Open {
        path: format!(r"{DEVICE_LINK}\below"),
        access: READ,
    };
    let reply = open.machine.call(ordinary, below).expect("the kernel runs");
    assert_eq!(reply.status, nt_status::STATUS_ACCESS_DENIED);
    open.finish();
}

/// The codes ask for both rights; the I/O manager compares them with the handle's.
#[test]
fn ioctl_on_read_only_handle_is_denied() {
    let mut open = Open::new();
    let handle = ntmem::open(&mut open.machine, open.process, READ)
        .handle
        .expect("a handle");
    let operation = Operation::Control {
        handle,
        code: Command::Version.code(),
        input: Vec::new(),
        output: vec![0; 64],
    };
    assert_eq!(open.call(operation).status, nt_status::STATUS_ACCESS_DENIED);
    assert_eq!(open.call(Operation::Close { handle }).status, 0);
    open.finish();
}

#[test]
fn signal_completes_longest_waiting_request() {
    let mut open = Open::new();
    assert_eq!(open.signal(1), 0, "nobody waits");
    let first = open.wait();
    let second = open.wait();
    assert_eq!(
        open.ask::<StatisticsReply>(Command::Statistics, &[])
            .waiting,
        2
    );
    assert_eq!(open.signal(7), 1);
    assert_eq!(open.signal(8), 1);
    for (ticket, number) in [(first, 7), (second, 8)] {
        let reply = open.machine.wait_for(ticket).expect("the kernel runs");
        assert_eq!((reply.status, reply.information), (0, 8));
        assert_eq!(reply.output, SignalRequest { number }.as_bytes());
    }
    assert_eq!(open.signal(9), 0);
    open.finish();
}

#[test]
fn wait_cancelled_completes_as_cancelled() {
    let mut open = Open::new();
    let tickets = [open.wait(), open.wait(), open.wait()];
    // The one in the middle first, then what is around it.
    assert!(open.machine.cancel(tickets[1]).expect("the kernel runs"));
    assert_eq!(open.signal(5), 1);
    assert!(open.machine.cancel(tickets[2]).expect("the kernel runs"));
    let ends = tickets.map(|ticket| open.machine.wait_for(ticket).expect("the kernel runs"));
    let cancelled = nt_status::STATUS_CANCELLED;
    assert_eq!(ends.map(|reply| reply.status), [0, cancelled, cancelled]);
    assert_eq!(
        open.ask::<StatisticsReply>(Command::Statistics, &[])
            .waiting,
        0
    );
    open.finish();
}

#[test]
fn process_exit_cancels_its_requests() {
    let mut open = Open::new();
    let tickets = [open.wait(), open.wait()];
    assert!(open.machine.exit(open.process).expect("the kernel runs"));
    for ticket in tickets {
        let reply = open.machine.wait_for(ticket).expect("the kernel runs");
        assert_eq!(reply.status, nt_status::STATUS_CANCELLED);
    }
    assert_clean(&open.machine.finish().expect("the kernel runs"));
}

#[test]
fn statistics_count_open_files_and_requests() {
    let mut open = Open::new();
    let handles: Vec<_> = (0..3)
        .map(|_| {
            let reply = ntmem::open(&mut open.machine, open.process, READ_WRITE);
            reply.handle.expect("a handle")
        })
        .collect();
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!((statistics.opened, statistics.open), (4, 4));
    for handle in handles {
        assert_eq!(open.call(Operation::Close { handle }).status, 0);
    }
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!((statistics.opened, statistics.open), (4, 1));
    assert_eq!((statistics.requests, statistics.refused), (2, 0));
    open.finish();
}

/// Lengths that are not those of a command, and codes that are none.
#[test]
fn ioctl_with_wrong_length_or_code_is_refused() {
    let mut open = Open::new();
    let mut refused = 0;
    for &command in Command::ALL {
        let wrong: &[usize] = match command {
            Command::Copy | Command::Sum => &[COPY_LIMIT + 1],
            Command::Signal | Command::Map | Command::Unmap | Command::Send => &[0, 1, 7, 9, 4096],
            _ => &[1, 7, 8, 9, 4096],
        };
        for &length in wrong {
            let reply = open.control(command, &vec![0; length], 4096);
            assert_eq!(
                (reply.status, reply.information),
                (nt_status::STATUS_INFO_LENGTH_MISMATCH, 0),
                "{command:?} with {length} bytes"
            );
            refused += 1;
        }
        // Another method, and a function that is none.
        for code in [
            command.code() ^ 1,
            command.code() ^ 2,
            command.code() ^ 3,
            command.code() + 0x400,
        ] {
            let operation = open.operation(code, &[], 64);
            let reply = open.call(operation);
            assert_eq!(
                reply.status,
                nt_status::STATUS_INVALID_DEVICE_REQUEST,
                "{code:#x}"
            );
            refused += 1;
        }
    }
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!(statistics.refused, refused);
    open.finish();
}

/// A reply comes whole or not at all, and no byte behind it is touched.
#[test]
fn ioctl_with_short_output_buffer_writes_nothing() {
    let mut open = Open::new();
    for (command, size) in [
        (Command::Version, size_of::<VersionReply>()),
        (Command::Context, size_of::<ContextReply>()),
        (Command::Statistics, size_of::<StatisticsReply>()),
        (Command::Irql, size_of::<IrqlReply>()),
        (Command::Wait, size_of::<SignalRequest>()),
    ] {
        for room in [0, 1, size - 1] {
            let reply = open.control(command, &[], room);
            assert_eq!(
                (reply.status, reply.information),
                (nt_status::STATUS_BUFFER_TOO_SMALL, 0),
                "{command:?} into {room} bytes"
            );
            assert!(reply.output.iter().all(|byte| *byte == 0xEE), "{command:?}");
        }
        if command != Command::Wait {
            let reply = open.control(command, &[], size + 5);
            assert_eq!((reply.status, reply.information), (0, size as u64));
            assert_eq!(reply.output[size..], [0xEE; 5], "{command:?}");
        }
    }
    // A signal that could not be confirmed wakes nobody.
    let ticket = open.wait();
    let signal = SignalRequest { number: 3 };
    let reply = open.control(Command::Signal, signal.as_bytes(), 3);
    assert_eq!(reply.status, nt_status::STATUS_BUFFER_TOO_SMALL);
    assert_eq!(open.signal(4), 1);
    let reply = open.machine.wait_for(ticket).expect("the kernel runs");
    assert_eq!(reply.output, SignalRequest { number: 4 }.as_bytes());
    open.finish();
}

/// While somebody has the device open the driver stays; it goes with the handle.
#[test]
fn process_exit_closes_its_handle() {
    let mut open = Open::new();
    let waiting = open.wait();
    let other = open.machine.process("other.exe").expect("a process");
    ntmem::open(&mut open.machine, other, READ_WRITE)
        .handle
        .expect("a handle");
    assert!(open.machine.exit(other).expect("the kernel runs"));
    let statistics: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!((statistics.open, statistics.waiting), (1, 1));
    assert!(open.machine.cancel(waiting).expect("the kernel runs"));
    let reply = open.machine.wait_for(waiting).expect("the kernel runs");
    assert_eq!(reply.status, nt_status::STATUS_CANCELLED);
    open.finish();
}

#[test]
fn copy_returns_the_input() {
    let mut open = Open::new();
    for length in [0, 1, 255, 256, 257, 5000, COPY_LIMIT] {
        let input: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0] ^ 0x5A).collect();
        let reply = open.control(Command::Copy, &input, length + 3);
        assert_eq!((reply.status, reply.information), (0, length as u64));
        assert_eq!(reply.output[..length], input);
        assert_eq!(reply.output[length..], [0xEE; 3], "{length}");
    }
    let reply = open.control(Command::Copy, &[1, 2, 3], 2);
    assert_eq!(
        (reply.status, reply.output.as_slice()),
        (nt_status::STATUS_BUFFER_TOO_SMALL, &[0xEE, 0xEE][..])
    );
    open.finish();
}

/// Addresses that are nobody's, the kernel's, or wrap: each is a status, and the
/// driver goes on.
#[test]
fn copy_with_invalid_address_returns_error_status() {
    let mut open = Open::new();
    let limits: ContextReply = open.ask(Command::Context, &[]);
    let bad = [
        0,
        1,
        0x1001,
        limits.user_probe - 4,
        limits.user_probe,
        limits.system_range_start,
        0x0000_4400_4800_0000,
        0xFFFF_8000_0000_0000,
        u64::MAX - 3,
        u64::MAX,
    ];
    for input in bad {
        for output in bad {
            for length in [1, 8, 4096] {
                let operation = Operation::RawControl {
                    handle: open.handle,
                    code: Command::Copy.code(),
                    input: (input, length),
                    output: (output, length),
                };
                let reply = open.call(operation);
                assert_eq!(
                    (reply.status, reply.information),
                    (nt_status::STATUS_ACCESS_VIOLATION, 0),
                    "{length} bytes from {input:#x} to {output:#x}"
                );
            }
        }
        // Nothing is read from nowhere.
        let operation = Operation::RawControl {
            handle: open.handle,
            code: Command::Copy.code(),
            input: (input, 0),
            output: (0, 0),
        };
        assert_eq!(open.call(operation).status, 0, "{input:#x}");
    }
    open.finish();
}

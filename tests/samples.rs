//! Drivers of the kinds that every driver writer begins with, from load to unload
//! while several processes use them at once: the four ways in which data moves,
//! notification by events and by pended requests, and a cancel-safe queue.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use ntbox::{Handle, Operation, Progress, Reply, Report, Ticket};
use suites::device::{Client, Device};

const BUFFERED: u32 = 0x8000_2000;
const IN_DIRECT: u32 = 0x8000_2005;
const OUT_DIRECT: u32 = 0x8000_200a;
const NEITHER: u32 = 0x8000_200f;
const GUARDED: u32 = 0x8000_2013;
const REGISTER: u32 = 0x8000_2000;
/// An address of the system.
const SYSTEM: u64 = 0xffff_8000_0000_1000;

fn control(client: Client, code: u32, input: &[u8], output: &[u8]) -> Operation {
    Operation::Control {
        handle: client.handle,
        code,
        input: input.to_vec(),
        output: output.to_vec(),
    }
}

fn raw(client: Client, code: u32, input: (u64, u32), output: (u64, u32)) -> Operation {
    let handle = client.handle;
    Operation::RawControl {
        handle,
        code,
        input,
        output,
    }
}

/// What one process asks.
struct Caller<'a> {
    device: &'a mut Device,
    client: Client,
}

impl Caller<'_> {
    fn now(&mut self, operation: Operation) -> Reply {
        self.device.call(self.client.process, operation)
    }

    /// Begins a request that cannot end at once.
    #[track_caller]
    fn pend(&mut self, operation: Operation) -> Ticket {
        let machine = &mut self.device.machine;
        match machine.begin(self.client.process, operation) {
            Ok(Progress::Pending(ticket)) => ticket,
            other => panic!("the request does not wait: {other:?}"),
        }
    }
}

fn of(device: &mut Device, client: Client) -> Caller<'_> {
    Caller { device, client }
}

#[track_caller]
fn end_of(device: &mut Device, ticket: Ticket) -> Reply {
    device.machine.wait_for(ticket).expect("the kernel runs")
}

/// Ends the processes, for as long as one has a handle Windows unloads no driver,
/// and unloads.
#[track_caller]
fn finish(mut device: Device, clients: &[Client]) -> Report {
    for client in clients {
        let ended = device.machine.exit(client.process);
        assert!(ended.expect("the kernel runs"), "a process ends once");
    }
    let report = device.finish();
    assert_eq!(report.bug_check, None);
    assert_eq!(report.violations, []);
    assert!(report.unloaded);
    report
}

/// Bytes that tell one caller's data from another's.
fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| seed.wrapping_mul(31) ^ n.to_le_bytes()[0])
        .collect()
}

fn reversed(data: &[u8]) -> Vec<u8> {
    data.iter().rev().copied().collect()
}

fn ioctl_clients(device: &mut Device) -> Vec<Client> {
    ["one.exe", "two.exe", "three.exe"]
        .map(|name| device.client(name))
        .to_vec()
}

#[test]
fn data_of_several_callers_moves_in_four_ways() {
    let mut device = Device::start("sample_ioctl_seh", r"\\.\SampleIoctl");
    let clients = ioctl_clients(&mut device);
    for (seed, client) in (1..).zip(&clients) {
        let filled = of(&mut device, *client).now(control(
            *client,
            IN_DIRECT,
            &[],
            &pattern(seed, 1000 * usize::from(seed)),
        ));
        assert_eq!(
            (filled.status, filled.information),
            (0, 1000 * u64::from(seed))
        );
    }
    for (seed, client) in (1..).zip(&clients) {
        let data = pattern(seed, 1000 * usize::from(seed));
        let mut one = of(&mut device, *client);
        let fetched = one.now(control(*client, OUT_DIRECT, &[], &[0; 4096]));
        assert_eq!(
            (fetched.status, fetched.information),
            (0, data.len() as u64)
        );
        assert_eq!(fetched.output[..data.len()], data);
        assert!(fetched.output[data.len()..].iter().all(|byte| *byte == 0));
        let short = one.now(control(*client, OUT_DIRECT, &[], &vec![0; data.len() - 1]));
        assert_eq!(short.status, ntstatus::STATUS_BUFFER_TOO_SMALL);
        for code in [BUFFERED, NEITHER, GUARDED] {
            let reply = one.now(control(*client, code, &data, &vec![0xee; data.len() + 8]));
            assert_eq!((reply.status, reply.information), (0, data.len() as u64));
            let expected = if code == GUARDED {
                data.clone()
            } else {
                reversed(&data)
            };
            assert_eq!(reply.output[..data.len()], expected, "{code:#x}");
            assert_eq!(reply.output[data.len()..], [0xee; 8], "not a byte more");
        }
    }
    finish(device, &clients);
}

/// Requests of several processes are in the driver at once, each with memory of
/// its own process locked and mapped.
#[test]
fn requests_with_locked_memory_overlap() {
    let mut device = Device::start("sample_ioctl_seh", r"\\.\SampleIoctl");
    let clients = ioctl_clients(&mut device);
    let mut tickets = Vec::new();
    for round in 0..2_u8 {
        for (seed, client) in (1_u8..).zip(&clients) {
            let data = pattern(seed + 8 * round, 6000 + 4 * usize::from(seed));
            let operation = control(*client, NEITHER, &data, &vec![0; data.len()]);
            tickets.push((data, of(&mut device, *client).pend(operation)));
        }
    }
    // Shorter requests overtake them.
    let quick = of(&mut device, clients[0]).now(control(clients[0], BUFFERED, b"abcd", &[0; 4]));
    assert_eq!(quick.output, b"dcba");
    for (data, ticket) in tickets.into_iter().rev() {
        let reply = end_of(&mut device, ticket);
        assert_eq!((reply.status, reply.information), (0, data.len() as u64));
        assert_eq!(reply.output, reversed(&data));
    }
    finish(device, &clients);
}

/// A process whose request is in the driver ends when the driver is done, and not
/// while its pages are locked.
#[test]
fn a_process_ends_after_its_requests() {
    let mut device = Device::start("sample_ioctl_seh", r"\\.\SampleIoctl");
    let clients = ioctl_clients(&mut device);
    let data = pattern(3, 8000);
    let operation = |client| control(client, NEITHER, &data, &[0; 8000]);
    let left = of(&mut device, clients[0]).pend(operation(clients[0]));
    let kept = of(&mut device, clients[1]).pend(operation(clients[1]));
    assert!(device.machine.exit(clients[0].process).expect("it runs"));
    assert_eq!(end_of(&mut device, left).status, 0);
    assert_eq!(end_of(&mut device, kept).output, reversed(&data));
    finish(device, &clients[1..]);
}

#[test]
fn callers_that_mean_no_good_get_a_status() {
    let mut device = Device::start("sample_ioctl_seh", r"\\.\SampleIoctl");
    let clients = ioctl_clients(&mut device);
    let client = clients[0];
    let foreign = device.memory(clients[1].process, &[1; 64]);
    let page = device.memory(client.process, &pattern(1, 4096));
    let freed = device.memory(client.process, &[1; 64]);
    let mut one = of(&mut device, client);
    assert_eq!(one.now(Operation::Free { address: freed }).status, 0);
    assert_eq!(
        one.now(Operation::Load {
            address: page,
            length: 4
        })
        .status,
        0
    );
    for code in [BUFFERED, NEITHER, GUARDED] {
        let empty = one.now(control(client, code, &[], &[0; 8])).status;
        assert_eq!(empty, ntstatus::STATUS_INVALID_BUFFER_SIZE, "{code:#x}");
    }
    for code in [IN_DIRECT, OUT_DIRECT] {
        let empty = one.now(control(client, code, b"in", &[])).status;
        assert_eq!(empty, ntstatus::STATUS_INVALID_BUFFER_SIZE, "{code:#x}");
    }
    let odd = one.now(control(client, BUFFERED, &[1; 7], &[0; 8])).status;
    assert_eq!(odd, ntstatus::STATUS_INVALID_BUFFER_SIZE);
    let small = one.now(control(client, BUFFERED, &[1; 8], &[0; 7])).status;
    assert_eq!(small, ntstatus::STATUS_BUFFER_TOO_SMALL);
    let bad = [
        0,
        0x1000,
        freed,
        foreign + 0x10_0000_0000,
        SYSTEM,
        u64::MAX - 3,
    ];
    for address in bad {
        for code in [BUFFERED, NEITHER, GUARDED] {
            let reply = one.now(raw(client, code, (address, 8), (page, 8)));
            assert_eq!(
                reply.status,
                ntstatus::STATUS_ACCESS_VIOLATION,
                "{code:#x} from {address:#x}"
            );
        }
        for code in [NEITHER, GUARDED, OUT_DIRECT] {
            let reply = one.now(raw(client, code, (page, 8), (address, 8)));
            assert_eq!(
                reply.status,
                ntstatus::STATUS_ACCESS_VIOLATION,
                "{code:#x} to {address:#x}"
            );
        }
    }
    // The last bytes of the page are there, those behind it are not.
    let over = one.now(raw(client, NEITHER, (page + 4092, 8), (page, 8)));
    assert_eq!(over.status, ntstatus::STATUS_ACCESS_VIOLATION);
    let over = one.now(raw(client, GUARDED, (page, 8), (page + 4092, 8)));
    assert_eq!(over.status, ntstatus::STATUS_ACCESS_VIOLATION);
    let crooked = one.now(raw(client, NEITHER, (page + 2, 8), (page, 8)));
    assert_eq!(crooked.status, ntstatus::STATUS_DATATYPE_MISALIGNMENT);
    let unknown = one.now(control(client, 0x8000_3000, &[], &[]));
    assert_eq!(unknown.status, ntstatus::STATUS_INVALID_DEVICE_REQUEST);
    finish(device, &clients);
}

/// What [`REGISTER`] takes: by which way, the handle, and a time in milliseconds.
fn wanted(event: Option<Handle>, milliseconds: i64) -> Vec<u8> {
    let mut input = u64::from(event.is_some()).to_le_bytes().to_vec();
    input.extend(event.map_or(0, |event| event.0).to_le_bytes());
    input.extend((-10_000 * milliseconds).to_le_bytes());
    input
}

fn notify(client: Client, event: Option<Handle>, milliseconds: i64) -> Operation {
    control(client, REGISTER, &wanted(event, milliseconds), &[])
}

fn new_event(device: &mut Device, client: Client, manual_reset: bool) -> Handle {
    let operation = Operation::CreateEvent {
        manual_reset,
        signaled: false,
    };
    let reply = device.call(client.process, operation);
    assert_eq!(reply.status, 0);
    reply.handle.expect("an event")
}

fn wait(handle: Handle, milliseconds: Option<u32>) -> Operation {
    Operation::Wait {
        handle,
        milliseconds,
    }
}

#[test]
fn events_of_several_processes_are_signaled() {
    let mut device = Device::start("sample_event", r"\\.\SampleEvent");
    let clients = [device.client("one.exe"), device.client("two.exe")];
    let events = clients.map(|client| new_event(&mut device, client, false));
    let mut waits = Vec::new();
    for (client, event) in clients.into_iter().zip(events) {
        let mut one = of(&mut device, client);
        assert_eq!(one.now(notify(client, Some(event), 500)).status, 0);
        let early = one.now(wait(event, Some(0))).status;
        assert_eq!(early, ntstatus::STATUS_TIMEOUT);
        waits.push(one.pend(wait(event, None)));
    }
    for ticket in waits {
        assert_eq!(end_of(&mut device, ticket).status, 0);
    }
    for (client, event) in clients.into_iter().zip(events) {
        // One signal, one wait.
        let again = of(&mut device, client).now(wait(event, Some(1000))).status;
        assert_eq!(again, ntstatus::STATUS_TIMEOUT);
    }
    finish(device, &clients);
}

#[test]
fn a_manual_event_stays_signaled_until_it_is_reset() {
    let mut device = Device::start("sample_event", r"\\.\SampleEvent");
    let client = device.client("app.exe");
    let handle = new_event(&mut device, client, true);
    let mut one = of(&mut device, client);
    assert_eq!(one.now(notify(client, Some(handle), 50)).status, 0);
    for _ in 0..2 {
        assert_eq!(one.now(wait(handle, Some(5000))).status, 0);
    }
    assert_eq!(one.now(Operation::ResetEvent { handle }).status, 0);
    let reset = one.now(wait(handle, Some(10))).status;
    assert_eq!(reset, ntstatus::STATUS_TIMEOUT);
    assert_eq!(one.now(Operation::SetEvent { handle }).status, 0);
    assert_eq!(one.now(wait(handle, Some(0))).status, 0);
    finish(device, &[client]);
}

/// Requests that wait end in the order of their times, or when they are
/// cancelled, and their neighbours do not notice.
#[test]
fn pended_notifications_end_or_are_cancelled() {
    let mut device = Device::start("sample_event", r"\\.\SampleEvent");
    let clients = [device.client("one.exe"), device.client("two.exe")];
    let mut tickets = Vec::new();
    for n in 0..6 {
        let client = clients[n % 2];
        let time = 600 - 100 * i64::try_from(n).expect("small");
        tickets.push(of(&mut device, client).pend(notify(client, None, time)));
    }
    for n in [1, 4] {
        let cancelled = device.machine.cancel(tickets[n]).expect("it runs");
        assert!(cancelled);
        let twice = device.machine.cancel(tickets[n]).expect("it runs");
        assert!(!twice, "it is cancelled once");
    }
    for (n, ticket) in tickets.into_iter().enumerate() {
        let expected = if n == 1 || n == 4 {
            ntstatus::STATUS_CANCELLED
        } else {
            0
        };
        assert_eq!(end_of(&mut device, ticket).status, expected, "request {n}");
    }
    finish(device, &clients);
}

#[test]
fn a_process_that_ends_takes_its_notifications_along() {
    let mut device = Device::start("sample_event", r"\\.\SampleEvent");
    let (gone, stays) = (device.client("gone.exe"), device.client("stays.exe"));
    let event = new_event(&mut device, gone, false);
    let mut one = of(&mut device, gone);
    assert_eq!(one.now(notify(gone, Some(event), 10_000)).status, 0);
    let pended = one.pend(notify(gone, None, 10_000));
    let waiting = one.pend(wait(event, None));
    let kept = of(&mut device, stays).pend(notify(stays, None, 1000));
    assert!(device.machine.exit(gone.process).expect("it runs"));
    assert_eq!(
        end_of(&mut device, pended).status,
        ntstatus::STATUS_CANCELLED
    );
    // A wait that its process's end cuts short was not satisfied.
    let status = end_of(&mut device, waiting).status;
    assert_eq!(status, 0xc0, "STATUS_USER_APC");
    assert_eq!(end_of(&mut device, kept).status, 0);
    let report = finish(device, &[stays]);
    let log: Vec<&str> = report.shown().collect();
    assert_eq!(log, ["event: cleanup of 1", "event: cleanup of 0"]);
}

#[test]
fn only_events_of_the_caller_are_taken() {
    let mut device = Device::start("sample_event", r"\\.\SampleEvent");
    let (client, other) = (device.client("app.exe"), device.client("other.exe"));
    // The third handle of the one process is none of the other.
    new_event(&mut device, other, false);
    let foreign = new_event(&mut device, other, false);
    let own = new_event(&mut device, client, false);
    let mut one = of(&mut device, client);
    for (event, status) in [
        (Handle(0x4440), ntstatus::STATUS_INVALID_HANDLE),
        (foreign, ntstatus::STATUS_INVALID_HANDLE),
        (client.handle, ntstatus::STATUS_OBJECT_TYPE_MISMATCH),
    ] {
        let reply = one.now(notify(client, Some(event), 10));
        assert_eq!(reply.status, status, "{event:?}");
    }
    let input = wanted(Some(own), 10);
    for wrong in [&input[..23], &[&input[..], &[0]].concat(), &[]] {
        let reply = one.now(control(client, REGISTER, wrong, &[]));
        assert_eq!(reply.status, ntstatus::STATUS_INVALID_PARAMETER);
    }
    let absolute = one.now(notify(client, Some(own), -10)).status;
    assert_eq!(absolute, ntstatus::STATUS_INVALID_PARAMETER);
    let never = one.now(wait(own, Some(100))).status;
    assert_eq!(never, ntstatus::STATUS_TIMEOUT);
    let none = one.now(wait(Handle(0x4440), Some(100))).status;
    assert_eq!(none, ntstatus::STATUS_INVALID_HANDLE);
    finish(device, &[client, other]);
}

fn read(client: Client, length: u32) -> Operation {
    Operation::Read {
        handle: client.handle,
        offset: 0,
        length,
    }
}

fn value(reply: &Reply) -> u32 {
    assert_eq!((reply.status, reply.information), (0, 4));
    u32::from_le_bytes(reply.output[..].try_into().expect("four bytes"))
}

/// Reads of several processes wait in one queue and leave it in order.
#[test]
fn queued_reads_are_served_in_order() {
    let mut device = Device::start("sample_cancel", r"\\.\SampleCancel");
    let clients = [device.client("one.exe"), device.client("two.exe")];
    let tickets: Vec<Ticket> = (0..8)
        .map(|n| {
            let client = clients[n % 2];
            of(&mut device, client).pend(read(client, 4))
        })
        .collect();
    let wrong = of(&mut device, clients[0]).now(read(clients[0], 3)).status;
    assert_eq!(wrong, ntstatus::STATUS_INVALID_BUFFER_SIZE);
    assert_eq!(
        of(&mut device, clients[0]).now(read(clients[0], 0)).status,
        0
    );
    for (n, ticket) in (1..).zip(tickets) {
        assert_eq!(value(&end_of(&mut device, ticket)), n);
    }
    let report = finish(device, &clients);
    assert_eq!(report.shown().last(), Some("cancel: 8 values read"));
}

/// Each of several queued reads is cancelled in its turn, wherever it is in the
/// queue; the others are served.
#[test]
fn each_queued_read_can_be_cancelled() {
    const COUNT: usize = 5;
    for cancelled in 0..COUNT {
        let mut device = Device::start("sample_cancel", r"\\.\SampleCancel");
        let clients = [device.client("one.exe"), device.client("two.exe")];
        let tickets: Vec<Ticket> = (0..COUNT)
            .map(|n| {
                let client = clients[n % 2];
                of(&mut device, client).pend(read(client, 4))
            })
            .collect();
        assert!(device.machine.cancel(tickets[cancelled]).expect("it runs"));
        let mut served = 0;
        for (n, ticket) in tickets.into_iter().enumerate() {
            let reply = end_of(&mut device, ticket);
            if n == cancelled {
                assert_eq!(reply.status, ntstatus::STATUS_CANCELLED);
            } else {
                served += 1;
                assert_eq!(value(&reply), served, "read {n}, cancelled {cancelled}");
            }
        }
        finish(device, &clients);
    }
}

#[test]
fn all_queued_reads_can_be_cancelled() {
    let mut device = Device::start("sample_cancel", r"\\.\SampleCancel");
    let client = device.client("app.exe");
    let tickets: Vec<Ticket> = (0..10)
        .map(|_| of(&mut device, client).pend(read(client, 4)))
        .collect();
    for ticket in tickets.iter().rev() {
        assert!(device.machine.cancel(*ticket).expect("it runs"));
    }
    for ticket in tickets {
        let status = end_of(&mut device, ticket).status;
        assert_eq!(status, ntstatus::STATUS_CANCELLED);
    }
    // The thread has ten counts without an IRP to pass before this one.
    let reply = of(&mut device, client).now(read(client, 4));
    assert_eq!(value(&reply), 1);
    finish(device, &[client]);
}

/// A handle that is closed takes the requests that were made with it along, and
/// leaves those of other handles where they are.
#[test]
fn a_handle_takes_its_reads_along() {
    let mut device = Device::start("sample_cancel", r"\\.\SampleCancel");
    let (gone, stays) = (device.client("gone.exe"), device.client("stays.exe"));
    let open = Operation::Open {
        path: r"\\.\SampleCancel".to_owned(),
        access: 0x8000_0000,
    };
    let second = device.call(gone.process, open).handle.expect("it opens");
    let second = Client {
        handle: second,
        ..gone
    };
    let first = of(&mut device, gone).pend(read(gone, 4));
    let closed = of(&mut device, second).pend(read(second, 4));
    let kept = of(&mut device, stays).pend(read(stays, 4));
    let handle = second.handle;
    of(&mut device, second).now(Operation::Close { handle });
    let status = end_of(&mut device, closed).status;
    assert_eq!(status, ntstatus::STATUS_CANCELLED);
    assert!(device.machine.exit(gone.process).expect("it runs"));
    let status = end_of(&mut device, first).status;
    assert_eq!(status, ntstatus::STATUS_CANCELLED);
    assert_eq!(value(&end_of(&mut device, kept)), 1);
    let report = finish(device, &[stays]);
    let log: Vec<&str> = report.shown().collect();
    assert_eq!(
        log,
        [
            "cancel: cleanup of 1",
            "cancel: cleanup of 0",
            "cancel: cleanup of 0",
            "cancel: 1 values read",
        ]
    );
}

//! Drivers of the common kinds, from load to unload with several client processes: the
//! four methods of data transfer, notification by events and pending requests, and a
//! cancel-safe queue.

mod events;
mod queues;

use integration_tests::device::{Client, Device};
use ntbox::{Operation, Progress, Reply, Report, Ticket};

const BUFFERED: u32 = 0x8000_2000;
const IN_DIRECT: u32 = 0x8000_2005;
const OUT_DIRECT: u32 = 0x8000_200a;
const NEITHER: u32 = 0x8000_200f;
const GUARDED: u32 = 0x8000_2013;
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
fn sample_ioctl_moves_data_by_four_methods() {
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
        assert_eq!(short.status, nt_status::STATUS_BUFFER_TOO_SMALL);
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
fn sample_ioctl_requests_with_locked_memory_overlap() {
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
fn process_exit_waits_for_its_requests() {
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
fn malicious_ioctl_returns_error_status() {
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
        assert_eq!(empty, nt_status::STATUS_INVALID_BUFFER_SIZE, "{code:#x}");
    }
    for code in [IN_DIRECT, OUT_DIRECT] {
        let empty = one.now(control(client, code, b"in", &[])).status;
        assert_eq!(empty, nt_status::STATUS_INVALID_BUFFER_SIZE, "{code:#x}");
    }
    let odd = one.now(control(client, BUFFERED, &[1; 7], &[0; 8])).status;
    assert_eq!(odd, nt_status::STATUS_INVALID_BUFFER_SIZE);
    let small = one.now(control(client, BUFFERED, &[1; 8], &[0; 7])).status;
    assert_eq!(small, nt_status::STATUS_BUFFER_TOO_SMALL);
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
                nt_status::STATUS_ACCESS_VIOLATION,
                "{code:#x} from {address:#x}"
            );
        }
        for code in [NEITHER, GUARDED, OUT_DIRECT] {
            let reply = one.now(raw(client, code, (page, 8), (address, 8)));
            assert_eq!(
                reply.status,
                nt_status::STATUS_ACCESS_VIOLATION,
                "{code:#x} to {address:#x}"
            );
        }
    }
    // The last bytes of the page are there, those behind it are not.
    let over = one.now(raw(client, NEITHER, (page + 4092, 8), (page, 8)));
    assert_eq!(over.status, nt_status::STATUS_ACCESS_VIOLATION);
    let over = one.now(raw(client, GUARDED, (page, 8), (page + 4092, 8)));
    assert_eq!(over.status, nt_status::STATUS_ACCESS_VIOLATION);
    let crooked = one.now(raw(client, NEITHER, (page + 2, 8), (page, 8)));
    assert_eq!(crooked.status, nt_status::STATUS_DATATYPE_MISALIGNMENT);
    let unknown = one.now(control(client, 0x8000_3000, &[], &[]));
    assert_eq!(unknown.status, nt_status::STATUS_INVALID_DEVICE_REQUEST);
    finish(device, &clients);
}

//! The sample of notifications: a program gives events, or waits for its request.

use integration_tests::device::{Client, Device};
use ntbox::{Handle, Operation};

use super::{control, end_of, finish, of};

const REGISTER: u32 = 0x8000_2000;

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
fn sample_event_signals_event_of_each_process() {
    let mut device = Device::start("sample_event", r"\\.\SampleEvent");
    let clients = [device.client("one.exe"), device.client("two.exe")];
    let events = clients.map(|client| new_event(&mut device, client, false));
    let mut waits = Vec::new();
    for (client, event) in clients.into_iter().zip(events) {
        let mut one = of(&mut device, client);
        assert_eq!(one.now(notify(client, Some(event), 500)).status, 0);
        let early = one.now(wait(event, Some(0))).status;
        assert_eq!(early, nt_status::STATUS_TIMEOUT);
        waits.push(one.pend(wait(event, None)));
    }
    for ticket in waits {
        assert_eq!(end_of(&mut device, ticket).status, 0);
    }
    for (client, event) in clients.into_iter().zip(events) {
        // One signal, one wait.
        let again = of(&mut device, client).now(wait(event, Some(1000))).status;
        assert_eq!(again, nt_status::STATUS_TIMEOUT);
    }
    finish(device, &clients);
}

#[test]
fn manual_event_stays_signaled_until_reset() {
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
    assert_eq!(reset, nt_status::STATUS_TIMEOUT);
    assert_eq!(one.now(Operation::SetEvent { handle }).status, 0);
    assert_eq!(one.now(wait(handle, Some(0))).status, 0);
    finish(device, &[client]);
}

/// Requests that wait end in the order of their times, or when they are
/// cancelled, and their neighbours do not notice.
#[test]
fn pending_notifications_complete_in_order_or_are_cancelled() {
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
            nt_status::STATUS_CANCELLED
        } else {
            0
        };
        assert_eq!(end_of(&mut device, ticket).status, expected, "request {n}");
    }
    finish(device, &clients);
}

#[test]
fn process_exit_cancels_its_notifications() {
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
        nt_status::STATUS_CANCELLED
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
fn event_handle_of_other_process_is_refused() {
    let mut device = Device::start("sample_event", r"\\.\SampleEvent");
    let (client, other) = (device.client("app.exe"), device.client("other.exe"));
    // The third handle of the one process is none of the other.
    new_event(&mut device, other, false);
    let foreign = new_event(&mut device, other, false);
    let own = new_event(&mut device, client, false);
    let mut one = of(&mut device, client);
    for (event, status) in [
        (Handle(0x4440), nt_status::STATUS_INVALID_HANDLE),
        (foreign, nt_status::STATUS_INVALID_HANDLE),
        (client.handle, nt_status::STATUS_OBJECT_TYPE_MISMATCH),
    ] {
        let reply = one.now(notify(client, Some(event), 10));
        assert_eq!(reply.status, status, "{event:?}");
    }
    let input = wanted(Some(own), 10);
    for wrong in [&input[..23], &[&input[..], &[0]].concat(), &[]] {
        let reply = one.now(control(client, REGISTER, wrong, &[]));
        assert_eq!(reply.status, nt_status::STATUS_INVALID_PARAMETER);
    }
    let absolute = one.now(notify(client, Some(own), -10)).status;
    assert_eq!(absolute, nt_status::STATUS_INVALID_PARAMETER);
    let never = one.now(wait(own, Some(100))).status;
    assert_eq!(never, nt_status::STATUS_TIMEOUT);
    let none = one.now(wait(Handle(0x4440), Some(100))).status;
    assert_eq!(none, nt_status::STATUS_INVALID_HANDLE);
    finish(device, &[client, other]);
}

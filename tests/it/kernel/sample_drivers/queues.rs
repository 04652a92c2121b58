//! The sample of cancel-safe queues: reads that wait, and are cancelled.

use integration_tests::device::{Client, Device};
use ntbox::{Operation, Reply, Ticket};

use super::{end_of, finish, of};

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
fn queued_reads_complete_in_order() {
    let mut device = Device::start("sample_cancel", r"\\.\SampleCancel");
    let clients = [device.client("one.exe"), device.client("two.exe")];
    let tickets: Vec<Ticket> = (0..8)
        .map(|n| {
            let client = clients[n % 2];
            of(&mut device, client).pend(read(client, 4))
        })
        .collect();
    let wrong = of(&mut device, clients[0]).now(read(clients[0], 3)).status;
    assert_eq!(wrong, nt_status::STATUS_INVALID_BUFFER_SIZE);
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
                assert_eq!(reply.status, nt_status::STATUS_CANCELLED);
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
        assert_eq!(status, nt_status::STATUS_CANCELLED);
    }
    // The thread has ten counts without an IRP to pass before this one.
    let reply = of(&mut device, client).now(read(client, 4));
    assert_eq!(value(&reply), 1);
    finish(device, &[client]);
}

/// A handle that is closed takes the requests that were made with it along, and
/// leaves those of other handles where they are.
#[test]
fn handle_closed_cancels_its_queued_reads() {
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
    assert_eq!(status, nt_status::STATUS_CANCELLED);
    assert!(device.machine.exit(gone.process).expect("it runs"));
    let status = end_of(&mut device, first).status;
    assert_eq!(status, nt_status::STATUS_CANCELLED);
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

//! The status that the sender of a request receives: a driver that built the IRP, and a
//! client process, which gets the return value and the status block.

use integration_tests::device::{Client, Device, assert_clean};
use integration_tests::self_check::{all_well, lines};
use ntbox::{Operation, Reply};

/// The name that programs know the driver's device by.
const LINK: &str = r"\\.\NtboxSenders";
/// The driver's cases.
const CASES: [&str; 5] = [
    "AsynchronousAlone",
    "AsynchronousObserved",
    "AsynchronousTaken",
    "Synchronous",
    "Objects",
];

#[test]
fn driver_built_irp_cases_pass() {
    all_well("irp_status", &CASES);
}

fn control(device: &mut Device, client: Client, function: u32) -> Reply {
    let operation = Operation::Control {
        handle: client.handle,
        code: 0x8000 << 16 | (0x800 + function) << 2,
        input: Vec::new(),
        output: vec![0; 4],
    };
    device.call(client.process, operation)
}

#[test]
fn client_gets_status_of_dispatch_routine() {
    const FAILURE: u32 = nt_status::STATUS_DEVICE_NOT_READY;
    let mut device = Device::start("irp_status", LINK);
    let client = device.client("app.exe");
    // What is completed, returned, and seen: status, information, first byte.
    let seen = [
        (0, 0, 4, b'o'),
        (1, FAILURE, 0, 0),
        (2, FAILURE, 4, 0),
        (3, 0, 4, b'o'),
        (4, 0, 0, 0),
        (5, FAILURE, 4, b'o'),
        (6, nt_status::STATUS_BUFFER_OVERFLOW, 4, b'o'),
    ];
    for (function, status, information, first) in seen {
        let reply = control(&mut device, client, function);
        assert_eq!(
            (reply.status, reply.information, reply.output[0]),
            (status, information, first),
            "code {function}"
        );
    }
}

#[test]
fn null_dispatch_entry_refuses_requests() {
    let mut device = Device::start("irp_status", LINK);
    let client = device.client("app.exe");
    let write = Operation::Write {
        handle: client.handle,
        offset: 0,
        data: vec![1],
    };
    let reply = device.call(client.process, write);
    assert_eq!(reply.status, nt_status::STATUS_INVALID_DEVICE_REQUEST);
    device.call(
        client.process,
        Operation::Close {
            handle: client.handle,
        },
    );
    assert_clean(&device.finish());
}

#[test]
fn finish_closes_handles_before_unload() {
    let mut device = Device::start("irp_status", LINK);
    device.client("one.exe");
    device.client("two.exe");
    let report = device.finish();
    assert_eq!(report.shown().collect::<Vec<_>>(), lines(&CASES));
    assert_clean(&report);
}

//! `KeStackAttachProcess` and its pair: a driver reads the memory of the process that it is
//! attached to, attachments nest, and a missing detach stops the kernel.

use integration_tests::device::{Client, Device};
use ntbox::{Error, Operation, Reply};

const LINK: &str = r"\\.\NtboxAttach";
const NUMBER: u32 = 0x600d_cafe;
const MINE: u32 = 0x0bad_f00d;

/// A driver, a process whose number it remembers, and another one.
fn two() -> (Device, Client, Client) {
    let mut device = Device::start("attach_process", LINK);
    let (owner, other) = (device.client("owner.exe"), device.client("other.exe"));
    let address = device.memory(owner.process, &NUMBER.to_le_bytes());
    let remembered = ask(&mut device, owner, 0, (address, 4), (0, 0)).expect("the kernel runs");
    assert_eq!(remembered.status, 0);
    (device, owner, other)
}

fn ask(
    device: &mut Device,
    client: Client,
    function: u32,
    input: (u64, u32),
    output: (u64, u32),
) -> Result<Reply, Error> {
    let operation = Operation::RawControl {
        handle: client.handle,
        code: 0x8000_0000 | (0x800 + function) << 2 | 3,
        input,
        output,
    };
    device.machine.call(client.process, operation)
}

/// What the other process gets from a request that looks into the first one.
fn look(function: u32) -> (u32, Vec<u8>, Vec<String>) {
    let (mut device, _, other) = two();
    // At the same address as the first one's number.
    let address = device.memory(other.process, &MINE.to_le_bytes());
    let reply = match ask(&mut device, other, function, (0, 0), (address, 4)) {
        Ok(reply) => reply,
        Err(error) => panic!("{error}: {}", device.finish().text()),
    };
    let read = device.call(other.process, Operation::Load { address, length: 4 });
    assert_eq!(read.status, 0);
    let report = device.finish();
    assert!(report.clean(), "{}", report.text());
    let log = report.log.iter().map(|line| line.text.clone()).collect();
    (reply.status, read.output, log)
}

#[test]
fn stack_attach_process_switches_address_space() {
    let (status, number, log) = look(1);
    assert_eq!((status, number), (0, NUMBER.to_le_bytes().to_vec()));
    // Own memory before, and again in the own process on top of the other.
    let expected = format!("attach: before 0 {MINE:x} attached 0 {NUMBER:x} back 0 {MINE:x}");
    assert_eq!(log, [expected]);
}

#[test]
fn attach_process_switches_address_space() {
    let (status, number, _) = look(2);
    assert_eq!((status, number), (0, NUMBER.to_le_bytes().to_vec()));
}

#[test]
fn process_memory_is_not_visible_to_other_process() {
    let (mut device, owner, other) = two();
    let address = device.memory(owner.process, &[1, 2, 3, 4]);
    let load = Operation::Load { address, length: 4 };
    let read = device.call(owner.process, load.clone());
    assert_eq!((read.status, read.output), (0, vec![1, 2, 3, 4]));
    let foreign = device.call(other.process, load.clone());
    assert_eq!(foreign.status, nt_status::STATUS_ACCESS_VIOLATION);
    let free = Operation::Free { address };
    assert_eq!(
        device.call(other.process, free.clone()).status,
        nt_status::STATUS_MEMORY_NOT_ALLOCATED
    );
    assert_eq!(device.call(owner.process, free).status, 0);
    let gone = device.call(owner.process, load);
    assert_eq!(gone.status, nt_status::STATUS_ACCESS_VIOLATION);
    assert!(device.finish().clean());
}

/// The bug check that a request of the other process ends in.
fn stopped(function: u32) -> (u32, String) {
    let (mut device, _, other) = two();
    let asked = ask(&mut device, other, function, (0, 0), (0, 0));
    assert!(matches!(asked, Err(Error::Stopped)), "{asked:?}");
    let report = device.finish();
    let stop = report.bug_check.expect("the kernel stopped");
    (stop.code, stop.message)
}

#[test]
fn attach_without_detach_stops_with_0x01() {
    let (code, what) = stopped(3);
    assert_eq!(code, 0x01, "{what}");
    assert!(what.contains("still attached"), "{what}");
    let (code, what) = stopped(4);
    assert_eq!(code, 0x01, "{what}");
    assert!(what.contains("1 critical region"), "{what}");
}

#[test]
fn attach_imbalance_stops() {
    assert_eq!(stopped(5).0, 0x06);
    assert_eq!(stopped(6).0, 0x05);
}

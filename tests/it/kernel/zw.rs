//! System services as drivers call them, checked from inside by drivers.

use driver_harness::host::Service;
use driver_harness::record::StartResult;
use integration_tests::device::{Device, assert_clean};
use integration_tests::embedded::run;
use integration_tests::images;
use integration_tests::self_check::{all_well, lines};
use ntbox::{Account, Config, Machine, Operation, Process};

#[test]
fn object_handle_cases_pass() {
    all_well(
        "zw_objects",
        &[
            "Links",
            "Events",
            "Waits",
            "Timers",
            "TimerApcs",
            "System",
            "KeyChanges",
        ],
    );
}

#[test]
fn virtual_memory_cases_pass() {
    let cases = [
        "Parameters",
        "Blocks",
        "Guards",
        "Secured",
        "Locking",
        "Sections",
        "Views",
        "Reserved",
        "InSystemSpace",
        "UserMappings",
    ];
    all_well("mm_virtual_seh", &cases);
}

#[test]
fn kernel_memory_cases_pass() {
    let cases = [
        "Contiguous",
        "Reserved",
        "Sections",
        "Devices",
        "Copies",
        "Advancing",
        "Selected",
    ];
    let run = run(&Service::new(images::driver("mm_kernel")));
    let texts: Vec<_> = run.texts().collect();
    let explained = texts
        .iter()
        .filter(|text| text.contains("this machine has no devices"));
    assert_eq!(explained.count(), 1);
    let expected = lines(&cases);
    assert!(
        expected.iter().all(|case| texts.contains(&case.as_str())),
        "{texts:?}"
    );
    assert_eq!(run.start, StartResult::Running(0));
    assert_eq!(run.findings.violations, []);
}

#[test]
fn security_cases_pass() {
    let cases = [
        "Sids",
        "Lists",
        "Descriptors",
        "Tokens",
        "Devices",
        "Given",
        "Assigned",
        "Filtered",
    ];
    all_well("se_security", &cases);
}

#[test]
fn impersonation_cases_pass() {
    all_well("se_clients", &["Contexts", "Impersonating", "Levels"]);
}

#[test]
fn access_state_cases_pass() {
    all_well("se_states", &["AccessStates", "TokenHandles", "Defaults"]);
}

/// Status of opening a device to read.
fn opening(machine: &mut Machine, process: Process, path: &str) -> u32 {
    let operation = Operation::Open {
        path: path.to_owned(),
        access: 0x8000_0000,
    };
    let reply = machine.call(process, operation).expect("the kernel runs");
    reply.status
}

#[test]
fn device_open_follows_security_descriptor() {
    let config = Config::new(images::driver("se_security"));
    let mut machine = Machine::boot(&config).expect("it boots");
    machine.start().expect("it starts");
    let administrator = machine.process("admin.exe").expect("a process");
    let user = machine
        .process_of("user.exe", Account::Ordinary)
        .expect("a process");
    let guarded = r"\Device\SeGuarded";
    let open = r"\Device\SeOpen";
    assert_eq!(opening(&mut machine, administrator, guarded), 0);
    assert_eq!(opening(&mut machine, administrator, open), 0);
    assert_eq!(opening(&mut machine, user, open), 0);
    assert_eq!(
        opening(&mut machine, user, guarded),
        nt_status::STATUS_ACCESS_DENIED
    );
    // It guards everything behind the device's name, too.
    assert_eq!(
        opening(&mut machine, user, &format!("{guarded}\\file")),
        nt_status::STATUS_ACCESS_DENIED
    );
    for process in [administrator, user] {
        machine.exit(process).expect("it ends");
    }
    let report = machine.finish().expect("a report");
    assert_eq!(report.violations, []);
}

/// Who is notified of the end of a process, or waits for it, finds what it ended
/// with; a driver can end one.
#[test]
fn process_exit_notifies_routines_and_waiters() {
    const LINK: &str = r"\Device\ProcessEnd";
    let mut device = Device::start("process_end", LINK);
    let victim = device.client("victim.exe");
    let other = device.client("other.exe");
    let operation = Operation::Control {
        handle: other.handle,
        code: 0x8000_2000,
        input: Vec::new(),
        output: Vec::new(),
    };
    let Ok(reply) = device.machine.call(other.process, operation) else {
        panic!("{}", device.finish().text())
    };
    assert_eq!(reply.status, 0);
    let gone = device.open(victim.process, LINK);
    assert_eq!(gone.status, nt_status::STATUS_INVALID_CID);
    assert!(!device.machine.exit(victim.process).expect("it runs"));
    assert!(device.machine.exit(other.process).expect("it runs"));
    let report = device.finish();
    assert_clean(&report);
    assert_eq!(
        report.shown().collect::<Vec<_>>(),
        [
            "end: thread c0000999",
            "end: process c0000999",
            "end: closed",
            "check: Terminate ok",
        ]
    );
}

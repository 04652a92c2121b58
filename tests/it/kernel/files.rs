//! Files on the embedded kernel's volume and their sections, checked by drivers and by
//! client processes.

use integration_tests::images;
use integration_tests::self_check::all_well;
use ntbox::{Config, Machine, Operation};

#[test]
fn file_cases_pass() {
    let cases = [
        "Dispositions",
        "Names",
        "Sharing",
        "Transfers",
        "Apcs",
        "Information",
        "Renames",
        "Deletion",
        "Listing",
        "Locks",
        "Volume",
        "Image",
    ];
    all_well("fs_files", &cases);
}

#[test]
fn section_cases_pass() {
    all_well("fs_sections", &["Sizes", "Views", "Outliving", "Images"]);
}

#[test]
fn fsrtl_cases_pass() {
    let cases = [
        "Runs",
        "BaseRuns",
        "Tunnels",
        "Legal",
        "Expressions",
        "Paths",
    ];
    all_well("fsrtl", &cases);
}

#[test]
fn file_system_driver_cases_pass() {
    let cases = [
        "Registration",
        "Streams",
        "Leftovers",
        "Locks",
        "Contexts",
        "CreateParameters",
        "Watches",
        "Cancellable",
    ];
    all_well("fs_driver", &cases);
}

#[test]
fn client_reads_added_file() {
    let source = std::env::temp_dir().join(format!("ntbox-file-{}", std::process::id()));
    std::fs::write(&source, b"from the host").expect("a temporary file");
    let config = Config::new(images::driver("dbg_print")).file(r"C:\data\x.bin", &source);
    let booted = Machine::boot(&config);
    std::fs::remove_file(&source).expect("it is there");
    let mut machine = booted.expect("it boots");
    machine.start().expect("it starts");
    let process = machine.process("reader.exe").expect("a process");
    let open = Operation::Open {
        path: r"C:\DATA\x.bin".to_owned(),
        access: 0x8000_0000,
    };
    let opened = machine.call(process, open).expect("the kernel runs");
    assert_eq!(opened.status, 0);
    let handle = opened.handle.expect("a handle");
    let read = Operation::Read {
        handle,
        offset: 5,
        length: 100,
    };
    let reply = machine.call(process, read).expect("the kernel runs");
    assert_eq!((reply.status, &reply.output[..]), (0, &b"the host"[..]));
    let write = Operation::Write {
        handle,
        offset: 0,
        data: vec![1],
    };
    let reply = machine.call(process, write).expect("the kernel runs");
    assert_eq!(reply.status, nt_status::STATUS_ACCESS_DENIED);
    machine.exit(process).expect("it ends");
}

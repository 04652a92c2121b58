//! The program `ntmemctl`, run as a person or a script runs it: what it prints,
//! where, and with which exit status it ends.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::path::Path;
use std::process::Output;

use common::{fails, labelled, ntmemctl, run, stdout};
use serde_json::Value;
use suites::build;
use suites::pe::{Plan, at};
use suites::scratch::Scratch;

#[test]
fn a_run_that_is_as_promised() {
    let output = run(&build::ntmem(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(labelled(&output, "driver").contains("ntmem.sys on ntbox, service ntmem"));
    assert!(labelled(&output, "start").contains("STATUS_SUCCESS"));
    assert!(labelled(&output, "stop").contains("unloaded"));
    assert!(labelled(&output, "check").contains("as promised"));
    assert!(labelled(&output, "verdict").ends_with("passed"));
    let text = stdout(&output);
    let first = text
        .lines()
        .find(|line| line.starts_with("00000001\t"))
        .expect("the first line");
    assert!(
        first.starts_with("00000001\t0.00000000\tntmem: driver: start "),
        "{first}"
    );
    assert!(!text.contains('\u{1b}'), "colours outside of a terminal");
}

#[test]
fn parameters_reach_the_driver() {
    let output = run(
        &build::ntmem(),
        &[
            "--param",
            "Scenario=sz:lock",
            "--param",
            "Size=dword:0x3000",
        ],
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout(&output)
            .contains("parameters size=12288 cache-type=cached log-level=0 scenario=lock")
    );
    assert!(stdout(&output).contains(r#"Parameters\Scenario = REG_SZ "lock""#));
}

#[test]
fn a_start_that_is_refused() {
    let output = run(&build::ntmem(), &["--param", "Scenario=sz:run"]);
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(
        labelled(&output, "start")
            .contains("DriverEntry failed: STATUS_INVALID_PARAMETER (0xC000000D)")
    );
    assert!(labelled(&output, "check").contains("as promised"));
    let output = run(&build::ntmem(), &["--fault", "IoAllocateMdl:2"]);
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(labelled(&output, "start").contains("STATUS_INSUFFICIENT_RESOURCES (0xC000009A)"));
}

#[test]
fn a_log_that_is_not_as_promised_is_shown_where() {
    // Another driver under the name of ours.
    let folder = std::env::temp_dir().join(format!("ntmemctl-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("ntmem.sys");
    std::fs::copy(build::driver("walk"), &file).expect("a copy");
    let output = run(&file, &[]);
    let unchecked = run(&file, &["--no-check"]);
    std::fs::remove_dir_all(&folder).expect("the folder just made");
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stdout(&output).contains("--> log:1:1"),
        "{}",
        stdout(&output)
    );
    assert!(stdout(&output).contains("expected: ntmem: driver: start version="));
    assert_eq!(unchecked.status.code(), Some(0));
    assert!(labelled(&unchecked, "check").contains("none: --no-check"));
}

#[test]
fn a_kernel_that_stops() {
    let output = run(&build::driver("crash"), &["--param", "How=dword:0"]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    let text = stdout(&output);
    assert!(labelled(&output, "start").contains("DriverEntry never returned"));
    assert!(
        text.contains("at crash.sys+0x") && text.contains("ReadNull") && text.contains("crash.c:"),
        "{text}"
    );
}

#[test]
fn rules_that_are_broken() {
    let output = run(&build::driver("leak"), &[]);
    assert_eq!(output.status.code(), Some(5), "{}", stdout(&output));
    assert!(stdout(&output).contains("pool-leak"));
    assert!(
        stdout(&output)
            .contains("Driver Verifier: DRIVER_VERIFIER_DETECTED_VIOLATION (0xC4), 0x62")
    );
}

#[test]
fn files_that_are_no_drivers() {
    fails(
        &ntmemctl(&["run", "/no/such/file.sys"]),
        6,
        &["there is no file /no/such/file.sys"],
    );
    fails(&ntmemctl(&["run", "/"]), 6, &["is not a file"]);
    let text = Scratch::new(
        "text.sys",
        b"just text, long enough for the headers of an image, but no image at all",
    );
    fails(&run(text.path(), &[]), 6, &["is not a PE image", "MZ"]);
    let mut image = Plan::returning(0).build();
    image.set_u16(at::MACHINE, 0xAA64);
    fails(
        &run(Scratch::new("arm.sys", &image.bytes).path(), &[]),
        6,
        &["is for ARM64"],
    );
    image.set_u16(at::MACHINE, 0x8664);
    image.set_u16(at::SUBSYSTEM, 3);
    fails(
        &run(Scratch::new("program.sys", &image.bytes).path(), &[]),
        6,
        &["a console program", "not a driver"],
    );
    image.set_u16(at::SUBSYSTEM, 1);
    image.set_u32(at::ENTRY, 0);
    fails(
        &run(Scratch::new("entry.sys", &image.bytes).path(), &[]),
        6,
        &["entry point"],
    );
}

#[test]
fn wrong_usage() {
    let file = Scratch::new("good.sys", &Plan::returning(0).build().bytes);
    fails(&ntmemctl(&[]), 2, &["Usage"]);
    fails(&ntmemctl(&["run"]), 2, &["<FILE>"]);
    fails(&run(file.path(), &["--host", "windows"]), 2, &["ntbox"]);
    fails(
        &run(file.path(), &["--param", "Size=4096"]),
        2,
        &["dword:4096"],
    );
    fails(
        &run(file.path(), &["--fault", "X:0"]),
        2,
        &["counts from 1"],
    );
    fails(
        &run(file.path(), &["--fault", "NobodyHasThis"]),
        2,
        &["NobodyHasThis"],
    );
    fails(
        &run(file.path(), &["--service", "a\\b"]),
        2,
        &["cannot be the name of a service"],
    );
    fails(
        &run(
            file.path(),
            &["--filter", "77=1", "--filter", "IHVDRIVER=2"],
        ),
        2,
        &["two masks"],
    );
}

#[test]
fn a_driver_that_nobody_knows_is_run_unchecked() {
    let file = Scratch::new("good.sys", &Plan::returning(0).build().bytes);
    let output = run(file.path(), &["--service", "other"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(labelled(&output, "check").contains("none"));
    assert!(labelled(&output, "stop").contains("no DriverUnload"));
}

#[test]
fn the_filter_hides_lines() {
    let hidden = run(
        &build::ntmem(),
        &["--filter", "default", "--param", "LogLevel=dword:3"],
    );
    assert_eq!(
        hidden.status.code(),
        Some(0),
        "what is hidden is still checked"
    );
    assert!(!stdout(&hidden).contains("00000001\t"));
    assert!(stdout(&hidden).contains("hidden by the debug print filter"));
}

#[test]
fn help_tells_the_exit_statuses() {
    let output = ntmemctl(&["run", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    for line in [
        "Exit status:",
        "1  the log is not what was promised",
        "6  the file is not a driver",
    ] {
        assert!(stdout(&output).contains(line), "{line}");
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn json_for_programs() {
    let output = run(&build::ntmem(), &["--json", "--param", "Scenario=sz:lock"]);
    let value = json(&output);
    assert_eq!(value["verdict"], "passed");
    assert_eq!(value["exit_status"], 0);
    assert_eq!(value["service"]["parameters"][0][1]["sz"], "lock");
    assert_eq!(
        (&value["run"]["start"], &value["run"]["status"]),
        (&"running".into(), &0.into())
    );
    assert_eq!(value["check"]["result"], "passed");
    let log = value["run"]["log"].as_array().expect("a log");
    assert_eq!(value["check"]["lines"], log.len());
    assert_eq!(log[0]["level"], "error");
    assert_eq!(log[0]["component"], 77);
    let failure = ntmemctl(&["run", "--json", "/no/such/file.sys"]);
    assert_eq!(failure.status.code(), Some(6));
    assert_eq!(json(&failure)["exit_status"], 6);
    assert!(
        json(&failure)["error"]
            .as_str()
            .expect("text")
            .contains("there is no file")
    );
}

/// The value of a field in a table of `ntmemctl`.
#[track_caller]
fn field(output: &Output, name: &str) -> String {
    let line = labelled(output, name);
    line.split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

fn ask(command: &str, file: &Path, arguments: &[&str]) -> Output {
    let file = file.to_str().expect("a path in UTF-8");
    ntmemctl(&[&[command, file], arguments].concat())
}

#[test]
fn the_driver_is_asked_through_its_device() {
    let output = ask("version", &build::ntmem(), &["--windows", "6.1.7601"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(field(&output, "driver"), env!("CARGO_PKG_VERSION"));
    assert_eq!(field(&output, "build"), "release");
    assert_eq!(field(&output, "windows"), "6.1.7601");
    let output = ask("context", &build::ntmem(), &[]);
    assert_eq!(field(&output, "previous-mode"), "user");
    assert_eq!(field(&output, "irql"), "0");
    let output = ask("statistics", &build::ntmem(), &[]);
    assert_eq!(field(&output, "open"), "1");
}

#[test]
fn replies_in_json() {
    let output = ask("irql", &build::ntmem(), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["command"], "irql");
    assert_eq!(value["exit_status"], 0);
    let reply = &value["reply"];
    assert_eq!(
        ["before", "apc", "dispatch", "locked", "after"].map(|name| reply[name].as_u64()),
        [0, 1, 2, 2, 0].map(Some)
    );
}

#[test]
fn a_driver_without_the_device_cannot_be_asked() {
    let output = ask("version", &build::driver("device"), &[]);
    fails(&output, 8, &["NtMem", "STATUS_OBJECT_NAME_NOT_FOUND"]);
    let output = ask("version", &build::ntmem(), &["--fault", "IoCreateDevice"]);
    fails(&output, 3, &["DriverEntry failed"]);
}

/// Asks the driver something and reads the JSON object that comes back.
fn answer(command: &str, arguments: &[&str]) -> (i32, Value) {
    let file = build::ntmem();
    let file = file.to_str().expect("a path in UTF-8");
    let output = ntmemctl(&[&[command, file, "--json"], arguments].concat());
    let value = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code().expect("an exit status"), value)
}

#[test]
fn scenario_reports_each_step() {
    let arguments = ["--kind", "nonpaged", "--target", "user", "--size", "8192"];
    let (exit, value) = answer("scenario", &arguments);
    assert_eq!(exit, 0, "{value}");
    let reply = &value["reply"];
    assert_eq!(reply["status"], "STATUS_SUCCESS (0x00000000)");
    assert_eq!(reply["verdict"], "same-memory");
    assert_eq!(reply["pages"], 2);
    let steps = reply["steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().map(|step| &step["step"]).collect();
    assert_eq!(
        names,
        [
            "allocate-pool",
            "allocate-mdl",
            "fill",
            "build",
            "map-user",
            "verdict",
            "unmap-user",
            "free-mdl",
            "free-pool"
        ]
    );
    assert_eq!(reply["checks"][0]["compared"], 8192);
}

#[test]
fn scenario_prints_a_table() {
    let file = build::ntmem();
    let output = ntmemctl(&["scenario", file.to_str().expect("a path in UTF-8")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(labelled(&output, "verdict").ends_with("same-memory"));
    let text = stdout(&output);
    assert!(text.contains("step=unlock"), "{text}");
    assert!(text.contains("check=physical"), "{text}");
}

#[test]
fn scenario_failure_sets_exit_status() {
    let (exit, value) = answer("scenario", &["--fault", "MmProbeAndLockPages:3"]);
    assert_eq!(exit, 0, "no third call: {value}");
    let (exit, value) = answer("scenario", &["--fault", "MmProbeAndLockPages:2"]);
    assert_eq!(exit, 1, "{value}");
    assert_eq!(value["reply"]["verdict"], "none");
    let (exit, value) = answer("scenario", &["--size", "0"]);
    assert_eq!((exit, &value["reply"]), (8, &Value::Null));
    for (command, kind) in [("scenario", "double-map"), ("walk", "textbook")] {
        let (exit, _) = answer(command, &["--kind", kind]);
        assert_eq!(exit, 5, "{command} {kind}: a violation");
    }
}

#[test]
fn who_waits_gets_what_another_one_sends() {
    let (exit, value) = answer("wait", &["--number", "77"]);
    assert_eq!(exit, 0, "{value}");
    assert_eq!(value["reply"]["number"], 77);
    assert_eq!(value["reply"]["woken"], 1);
    let (exit, value) = answer("signal", &[]);
    assert_eq!((exit, &value["reply"]["woken"]), (0, &Value::from(0)));
}

#[test]
fn a_text_is_copied_through_the_kernel() {
    let (exit, value) = answer("copy", &["--text", "käse"]);
    assert_eq!(exit, 0, "{value}");
    assert_eq!(value["reply"]["text"], "käse");
    assert_eq!(value["reply"]["bytes"], 5);
}

#[test]
fn exercises_are_tables_and_objects() {
    let output = ask("pool", &build::ntmem(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(field(&output, "vec-sum"), "499500");
    assert_eq!(field(&output, "too-wide-status"), "STATUS_NOT_SUPPORTED");
    for (command, name, number) in [
        ("list", "forward", 60),
        ("lookaside", "supplied", 2),
        ("memory", "compared", 122),
        ("sync", "fast-irql", 1),
        ("time", "low", 0xFFFF_FFFE_u64),
        ("held", "files", 1),
    ] {
        let (exit, value) = answer(command, &[]);
        assert_eq!(exit, 0, "{command}: {value}");
        assert_eq!(value["reply"][name], number, "{command}: {value}");
    }
}

#[test]
fn a_probe_says_what_was_raised() {
    let (exit, value) = answer("probe", &["--address", "0xffff800000000000"]);
    assert_eq!(exit, 0, "{value}");
    let status = &value["reply"]["status"];
    assert_eq!(status, "STATUS_ACCESS_VIOLATION (0xC0000005)");
    let (exit, value) = answer("probe", &["--address", "0x1001", "--alignment", "4"]);
    assert_eq!(exit, 0, "{value}");
    let status = &value["reply"]["status"];
    assert_eq!(status, "STATUS_DATATYPE_MISALIGNMENT (0x80000002)");
    let (exit, _) = answer("probe", &["--alignment", "3"]);
    assert_eq!(exit, 8, "the driver refuses an alignment that there is not");
}

#[test]
fn the_filter_of_windows_is_not_here() {
    let parts = ["registry of Windows", "--filter"];
    fails(&ntmemctl(&["filter"]), 2, &parts);
    fails(&ntmemctl(&["filter", "--set", "0xf"]), 2, &parts);
}

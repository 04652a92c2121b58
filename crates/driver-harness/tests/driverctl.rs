//! Tests of the program `driverctl`: its output and its exit statuses.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::path::Path;
use std::process::Output;

use common::{driverctl, fails, labelled, run, stdout};
use integration_tests::images;
use integration_tests::pe::{Plan, at};
use integration_tests::temp_file;
use ntbox_api::ExitStatus;
use serde_json::Value;

#[test]
fn run_with_expected_log_is_clean() {
    let output = run(&images::ntmem(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(labelled(&output, "driver").contains("ntmem.sys on ntbox, service ntmem"));
    assert!(labelled(&output, "start").contains("STATUS_SUCCESS"));
    assert!(labelled(&output, "stop").contains("unloaded"));
    assert!(labelled(&output, "check").contains("as expected"));
    assert!(labelled(&output, "verdict").contains("clean: "));
    let text = stdout(&output);
    let first = text
        .lines()
        .find(|line| line.starts_with("00000001\t"))
        .expect("the first line");
    assert!(
        first.starts_with("00000001\t0.00000000\tntmem: driver: start "),
        "{first}"
    );
    assert!(!text.contains('\u{1b}'), "no colours without a terminal");
}

#[test]
fn run_passes_parameters() {
    let output = run(
        &images::ntmem(),
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
fn run_with_failed_entry_has_status_3() {
    let output = run(&images::ntmem(), &["--param", "Scenario=sz:run"]);
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(
        labelled(&output, "start")
            .contains("DriverEntry failed: STATUS_INVALID_PARAMETER (0xC000000D)")
    );
    assert!(labelled(&output, "check").contains("as expected"));
    let output = run(&images::ntmem(), &["--fail", "IoAllocateMdl:2"]);
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(labelled(&output, "start").contains("STATUS_INSUFFICIENT_RESOURCES (0xC000009A)"));
}

#[test]
fn run_with_other_log_reports_the_line() {
    // Another driver with the name of `ntmem`.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ntmem.sys");
    std::fs::copy(images::driver("double_map"), &file).expect("a copy");
    let output = run(&file, &[]);
    let unchecked = run(&file, &["--no-check"]);
    assert_eq!(output.status.code(), Some(9), "{}", stdout(&output));
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
fn run_with_bug_check_has_status_4() {
    let output = run(&images::driver("crash"), &["--param", "How=dword:0"]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
    let text = stdout(&output);
    assert!(labelled(&output, "start").contains("DriverEntry did not return"));
    assert!(
        text.contains("at crash.sys+0x") && text.contains("ReadNull") && text.contains("crash.c:"),
        "{text}"
    );
}

#[test]
fn run_with_violation_has_status_5() {
    let output = run(&images::driver("leak"), &[]);
    assert_eq!(output.status.code(), Some(5), "{}", stdout(&output));
    assert!(stdout(&output).contains("pool-leak"));
    assert!(stdout(&output).contains("see `ntbox explain pool-leak`"));
    assert!(
        stdout(&output)
            .contains("Driver Verifier: DRIVER_VERIFIER_DETECTED_VIOLATION (0xC4), 0x62")
    );
}

#[test]
fn run_with_other_file_has_status_6() {
    fails(
        &driverctl(&["run", "/no/such/file.sys"]),
        6,
        &["/no/such/file.sys does not exist"],
    );
    fails(&driverctl(&["run", "/"]), 6, &["is not a file"]);
    let text = temp_file(
        "text.sys",
        b"just text, long enough for the headers of an image, but no image at all",
    );
    fails(&run(&text, &[]), 6, &["is not a PE image", "MZ"]);
    let mut image = Plan::returning(0).build();
    image.set_u16(at::MACHINE, 0xAA64);
    fails(
        &run(&temp_file("arm.sys", &image.bytes), &[]),
        6,
        &["is for ARM64"],
    );
    image.set_u16(at::MACHINE, 0x8664);
    image.set_u16(at::SUBSYSTEM, 3);
    fails(
        &run(&temp_file("program.sys", &image.bytes), &[]),
        6,
        &["a console program", "not a driver"],
    );
    image.set_u16(at::SUBSYSTEM, 1);
    image.set_u32(at::ENTRY, 0);
    fails(
        &run(&temp_file("entry.sys", &image.bytes), &[]),
        6,
        &["entry point"],
    );
}

#[test]
fn wrong_usage_has_status_2() {
    let file = temp_file("good.sys", &Plan::returning(0).build().bytes);
    fails(&driverctl(&[]), 2, &["Usage"]);
    fails(&driverctl(&["run"]), 2, &["<FILE>"]);
    fails(&run(&file, &["--host", "windows"]), 2, &["ntbox"]);
    fails(&run(&file, &["--param", "Size=4096"]), 2, &["dword:4096"]);
    fails(&run(&file, &["--fail", "X:0"]), 2, &["counts from 1"]);
    fails(
        &run(&file, &["--fail", "NobodyHasThis"]),
        2,
        &["NobodyHasThis"],
    );
    fails(
        &run(&file, &["--service", "a\\b"]),
        2,
        &["service name `a\\b` is invalid"],
    );
    fails(
        &run(&file, &["--filter", "77=1", "--filter", "IHVDRIVER=2"]),
        2,
        &["component 77 twice"],
    );
}

#[test]
fn run_without_unload_routine_has_status_1() {
    let file = temp_file("good.sys", &Plan::returning(0).build().bytes);
    let output = run(&file, &["--service", "other"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(labelled(&output, "check").contains("no expected log"));
    assert!(labelled(&output, "verdict").contains("no-unload-routine: "));
    assert!(labelled(&output, "stop").contains("no DriverUnload"));
}

#[test]
fn run_with_default_filter_hides_lines() {
    let hidden = run(
        &images::ntmem(),
        &["--filter", "default", "--param", "LogLevel=dword:3"],
    );
    assert_eq!(hidden.status.code(), Some(0), "hidden lines are checked");
    assert!(!stdout(&hidden).contains("00000001\t"));
    assert!(stdout(&hidden).contains("hidden by the debug print filter"));
}

#[test]
fn help_has_the_exit_statuses() {
    let output = driverctl(&["run", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    // The help is wrapped to the width of the terminal.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = words(&stdout(&output));
    assert!(help.contains(&words(ExitStatus::HELP)), "{help}");
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn run_prints_json() {
    let output = run(&images::ntmem(), &["--json", "--param", "Scenario=sz:lock"]);
    let value = json(&output);
    assert_eq!(value["verdict"], "clean");
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
    let failure = driverctl(&["run", "--json", "/no/such/file.sys"]);
    assert_eq!(failure.status.code(), Some(6));
    assert_eq!(json(&failure)["exit_status"], 6);
    assert!(
        json(&failure)["error"]
            .as_str()
            .expect("text")
            .contains("does not exist")
    );
}

/// The value of a field in a table.
#[track_caller]
fn field(output: &Output, name: &str) -> String {
    let line = labelled(output, name);
    line.split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

fn request(command: &str, file: &Path, arguments: &[&str]) -> Output {
    let file = file.to_str().expect("a path in UTF-8");
    driverctl(&[&[command, file], arguments].concat())
}

#[test]
fn request_prints_a_table() {
    let output = request("version", &images::ntmem(), &["--os-version", "6.1.7601"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(field(&output, "driver"), env!("CARGO_PKG_VERSION"));
    assert_eq!(field(&output, "build"), "release");
    assert_eq!(field(&output, "windows"), "6.1.7601");
    let output = request("context", &images::ntmem(), &[]);
    assert_eq!(field(&output, "previous-mode"), "user");
    assert_eq!(field(&output, "irql"), "0");
    let output = request("statistics", &images::ntmem(), &[]);
    assert_eq!(field(&output, "open"), "1");
}

#[test]
fn request_prints_json() {
    let output = request("irql", &images::ntmem(), &["--json"]);
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
fn request_without_device_has_status_8() {
    let output = request("version", &images::driver("control_device"), &[]);
    fails(&output, 8, &["NtMem", "STATUS_OBJECT_NAME_NOT_FOUND"]);
    let output = request("version", &images::ntmem(), &["--fail", "IoCreateDevice"]);
    fails(&output, 3, &["DriverEntry failed"]);
}

/// Sends a request and returns the exit status and the JSON object.
fn request_json(command: &str, arguments: &[&str]) -> (i32, Value) {
    let file = images::ntmem();
    let file = file.to_str().expect("a path in UTF-8");
    let output = driverctl(&[&[command, file, "--json"], arguments].concat());
    let value = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code().expect("an exit status"), value)
}

#[test]
fn scenario_reports_each_step() {
    let arguments = ["--kind", "nonpaged", "--target", "user", "--size", "8192"];
    let (exit, value) = request_json("scenario", &arguments);
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
    let file = images::ntmem();
    let output = driverctl(&["scenario", file.to_str().expect("a path in UTF-8")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(labelled(&output, "verdict").ends_with("same-memory"));
    let text = stdout(&output);
    assert!(text.contains("step=unlock"), "{text}");
    assert!(text.contains("check=physical"), "{text}");
}

#[test]
fn scenario_failure_sets_exit_status() {
    let (exit, value) = request_json("scenario", &["--fail", "MmProbeAndLockPages:3"]);
    assert_eq!(exit, 0, "no third call: {value}");
    let (exit, value) = request_json("scenario", &["--fail", "MmProbeAndLockPages:2"]);
    assert_eq!(exit, 8, "{value}");
    assert_eq!(value["reply"]["verdict"], "none");
    let (exit, value) = request_json("scenario", &["--size", "0"]);
    assert_eq!((exit, &value["reply"]), (8, &Value::Null));
    for (command, kind) in [("scenario", "double-map"), ("walk", "textbook")] {
        let (exit, _) = request_json(command, &["--kind", kind]);
        assert_eq!(exit, 5, "{command} {kind}: a violation");
    }
}

#[test]
fn wait_receives_the_signalled_number() {
    let (exit, value) = request_json("wait", &["--number", "77"]);
    assert_eq!(exit, 0, "{value}");
    assert_eq!(value["reply"]["number"], 77);
    assert_eq!(value["reply"]["woken"], 1);
    let (exit, value) = request_json("signal", &[]);
    assert_eq!((exit, &value["reply"]["woken"]), (0, &Value::from(0)));
}

#[test]
fn copy_returns_the_text() {
    let (exit, value) = request_json("copy", &["--text", "käse"]);
    assert_eq!(exit, 0, "{value}");
    assert_eq!(value["reply"]["text"], "käse");
    assert_eq!(value["reply"]["bytes"], 5);
}

#[test]
fn selftests_print_tables_and_json() {
    let output = request("pool", &images::ntmem(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(field(&output, "vec-sum"), "499500");
    assert_eq!(field(&output, "too-wide-status"), "STATUS_NOT_SUPPORTED");
    for (command, name, number) in [
        ("list", "forward", 60),
        ("lookaside", "supplied", 2),
        ("memory", "compared", 122),
        ("sync", "fast-irql", 1),
        ("time", "low", 0xFFFF_FFFE_u64),
        ("pool-usage", "files", 1),
    ] {
        let (exit, value) = request_json(command, &[]);
        assert_eq!(exit, 0, "{command}: {value}");
        assert_eq!(value["reply"][name], number, "{command}: {value}");
    }
}

#[test]
fn probe_returns_the_raised_status() {
    let (exit, value) = request_json("probe", &["--address", "0xffff800000000000"]);
    assert_eq!(exit, 0, "{value}");
    let status = &value["reply"]["status"];
    assert_eq!(status, "STATUS_ACCESS_VIOLATION (0xC0000005)");
    let (exit, value) = request_json("probe", &["--address", "0x1001", "--alignment", "4"]);
    assert_eq!(exit, 0, "{value}");
    let status = &value["reply"]["status"];
    assert_eq!(status, "STATUS_DATATYPE_MISALIGNMENT (0x80000002)");
    let (exit, _) = request_json("probe", &["--alignment", "3"]);
    assert_eq!(exit, 8, "the driver refuses an invalid alignment");
}

#[test]
fn filter_needs_windows() {
    let parts = ["registry of Windows", "--filter"];
    fails(&driverctl(&["filter"]), 2, &parts);
    fails(&driverctl(&["filter", "--set", "0xf"]), 2, &parts);
}

//! The program: what it prints, and the exit statuses that it promises.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{ntbox, status, text};
use serde_json::Value;

#[test]
fn run_has_exit_status_of_verdict() {
    for (variant, code, verdict) in [
        ("CLEAN", 0, "clean"),
        ("STAY", 1, "no-unload-routine"),
        ("REFUSE", 3, "entry-failed"),
        ("FAULT", 4, "bugcheck"),
        ("STOP", 4, "bugcheck"),
        ("HANG", 4, "bugcheck"),
        ("LEAK", 5, "violations"),
    ] {
        let Some(driver) = common::with_gcc(variant) else {
            return;
        };
        let output = ntbox(&[
            "run",
            &driver.image.display().to_string(),
            "--timeout",
            "0.5",
        ]);
        let said = text(&output.stdout);
        assert_eq!(status(&output), code, "{variant}: {said}");
        let last = said.lines().last().expect("a verdict");
        assert!(
            last.starts_with(&format!("verdict  {verdict}")),
            "{variant}: {said}"
        );
        assert!(
            said.starts_with("00000001\t0.00000000\tdriver: begin\n"),
            "{variant}: {said}"
        );
        assert_eq!(output.stderr, b"", "{variant}");
    }
}

#[test]
fn run_of_hanging_driver_reports_location() {
    for (variant, arguments, function) in [
        ("HANG", &[][..], "Hang"),
        ("CALLS", &["-DTIMES=~0u"], "Call"),
        ("FLOOD", &[], "Flood"),
    ] {
        let Some(driver) = common::with_gcc_and(variant, arguments) else {
            return;
        };
        let output = ntbox(&[
            "run",
            &driver.image.display().to_string(),
            "--timeout",
            "0.3",
        ]);
        let said = text(&output.stdout);
        assert_eq!(status(&output), 4, "{said}");
        assert!(
            said.contains("stopped  DPC_WATCHDOG_VIOLATION (0x133)"),
            "{said}"
        );
        assert!(
            said.contains("the driver did not return within 300ms"),
            "{said}"
        );
        assert!(
            said.contains(&format!(" {function} (")) && said.contains(" DriverEntry ("),
            "{said}"
        );
    }
}

#[test]
fn run_waits_in_real_time_only_with_option() {
    // An hour, which nobody has; and as long as one can wait for.
    for (milliseconds, options, least) in
        [("3600000", &[][..], 0.0), ("150", &["--real-time"], 0.15)]
    {
        let times = format!("-DTIMES={milliseconds}");
        let Some(driver) = common::with_gcc_and("DELAY", &[&times]) else {
            return;
        };
        let started = std::time::Instant::now();
        let image = driver.image.display().to_string();
        let output = ntbox(&[&["run", &image, "--json"], options].concat());
        let elapsed = started.elapsed().as_secs_f64();
        assert_eq!(status(&output), 0, "{}", text(&output.stdout));
        assert!((least..600.0).contains(&elapsed), "{elapsed}");
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let log = json["report"]["log"].as_array().expect("lines");
        let times = [0, log.len() - 1].map(|n| log[n]["time"].as_u64().expect("a time"));
        let wanted: u64 = milliseconds.parse().expect("a number");
        assert!(times[1] - times[0] >= 10_000 * wanted, "{times:?}");
    }
}

#[test]
fn wrong_usage_has_status_2() {
    let Some(driver) = common::with_gcc("CLEAN") else {
        return;
    };
    let image = driver.image.display().to_string();
    for (arguments, part) in [
        (&["run"][..], "<FILE>"),
        (
            &["run", &image, "--param", "Size=4096"],
            "write dword:4096 or sz:4096",
        ),
        (
            &["run", &image, "--fault", "IoAllocateMdl:0"],
            "N counts from 1",
        ),
        (
            &["run", &image, "--filter", "NOBODY=1"],
            "`NOBODY` is no component",
        ),
        (&["run", &image, "--timeout", "0"], "more than 0"),
        (&["run", &image, "--os", "11"], "MAJOR.MINOR.BUILD"),
        (
            &["run", &image, "--service", r"a\b"],
            "no slash or backslash",
        ),
        (
            &["run", &image, "--fault", "NoSuchExport"],
            "`NoSuchExport` is no export",
        ),
        (
            &["run", &image, "--fault", "IoFreeMdl"],
            "`IoFreeMdl` cannot fail",
        ),
        (&["walk"], "unrecognized subcommand"),
    ] {
        let output = ntbox(arguments);
        assert_eq!(status(&output), 2, "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

#[test]
fn run_of_invalid_file_is_refused() {
    for (file, part) in [
        ("/no/such/file.sys", "cannot read /no/such/file.sys"),
        ("/", "not a regular file"),
        ("/dev/null", "not a regular file"),
        (
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "not a PE image",
        ),
    ] {
        for command in ["run", "imports"] {
            let output = ntbox(&[command, file]);
            assert_eq!(status(&output), 6, "{command} {file}");
            let said = text(&output.stderr);
            assert!(
                said.starts_with("error: ") && said.contains(part),
                "{command}: {said}"
            );
            assert_eq!(output.stdout, b"");
        }
    }
}

#[test]
fn output_to_full_device_is_an_error() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let mut ntbox = Command::new(env!("CARGO_BIN_EXE_ntbox"));
    let output = ntbox
        .arg("exports")
        .stdout(Stdio::from(full))
        .output()
        .expect("ntbox is run");
    assert_eq!(status(&output), 7);
    assert!(
        text(&output.stderr).contains("the result cannot be written"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn run_json_has_report() {
    let Some(driver) = common::with_gcc("LEAK") else {
        return;
    };
    let output = ntbox(&["run", &driver.image.display().to_string(), "--json"]);
    assert_eq!(status(&output), 5);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["format"], 1);
    assert_eq!(object["exit_status"], 5);
    assert_eq!(object["verdict"], "violations");
    let report: ntbox::Report = serde_json::from_value(object["report"].clone()).expect("a report");
    assert_eq!(report.entry_status, Some(0));
    assert_eq!(object["report"]["entry_status"], "0x0");
    let violation = &object["report"]["violations"][0];
    assert_eq!(violation["rule"], "pool-leak");
    assert_eq!(violation["driver_verifier_code"][0], "0xc4");
    assert_eq!(
        violation["location"]["source"]["line"],
        common::line_of("take", 0)
    );
}

#[test]
fn run_json_has_error() {
    let output = ntbox(&["run", "/no/such.sys", "--json"]);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["exit_status"], 6);
    assert!(
        object["error"]
            .as_str()
            .expect("a message")
            .contains("/no/such.sys")
    );
    assert!(object.get("report").is_none());
}

#[test]
fn run_shows_filtered_lines_unless_hidden() {
    let Some(driver) = common::with_gcc("CLEAN") else {
        return;
    };
    let image = driver.image.display().to_string();
    let marked = "\t(filtered, IHVDRIVER INFO) driver: hidden\n";
    for options in [&[][..], &["--all"], &["--all", "--hide-filtered"]] {
        let shown = ntbox(&[&["run", &image], options].concat());
        let shown = text(&shown.stdout);
        assert!(
            shown.contains(marked) && shown.contains("`ed nt!Kd_IHVDRIVER_Mask 0x8`"),
            "{shown}"
        );
    }
    let plain = ntbox(&["run", &image, "--hide-filtered"]);
    let plain = text(&plain.stdout);
    assert!(
        !plain.contains("driver: hidden") && plain.contains("hides 1 line"),
        "{plain}"
    );
    let filtered = ntbox(&["run", &image, "--filter", "IHVDRIVER=0xf"]);
    let filtered = text(&filtered.stdout);
    assert!(
        filtered.contains("\tdriver: hidden\n") && !filtered.contains("filtered"),
        "{filtered}"
    );
}

#[test]
fn imports_lists_functions() {
    let Some(driver) = common::with_gcc("LEAK") else {
        return;
    };
    let output = ntbox(&["imports", &driver.image.display().to_string()]);
    assert_eq!(status(&output), 0);
    let said = text(&output.stdout);
    assert!(
        said.contains("provided ntoskrnl.exe!ExAllocatePoolWithTag\n"),
        "{said}"
    );
    assert!(said.ends_with("imports, 0 missing\n"), "{said}");
}

#[test]
fn exports_lists_names() {
    let output = ntbox(&["exports", "--json"]);
    assert_eq!(status(&output), 0);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let exports = object["exports"].as_array().expect("a list");
    let find = |name: &str| {
        exports
            .iter()
            .find(|export| export["name"] == name)
            .expect(name)
    };
    assert_eq!(find("IoAllocateMdl")["can_fail"], true);
    assert_eq!(find("MmSystemRangeStart")["kind"], "variable");
    assert_eq!(
        find("ExAllocatePool2")["page"],
        "https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepool2"
    );
    assert_eq!(find("KeGenericCallDpc")["page"], Value::Null);

    let output = ntbox(&["exports"]);
    let said = text(&output.stdout);
    assert!(
        said.contains("function MmMapIoSpaceEx, IRQL <= DISPATCH_LEVEL, can be made to fail, since Windows 10.0.10240; partial: always fails: there are no devices; https://"),
        "{said}"
    );
}

#[test]
fn exports_with_name_shows_details() {
    let output = ntbox(&["exports", "ExAllocatePool2"]);
    assert_eq!(status(&output), 0);
    assert_eq!(
        text(&output.stdout),
        "function ExAllocatePool2\n  highest IRQL  DISPATCH_LEVEL\n  can fail      yes\n  since         Windows 10.0.19041\n  page          https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepool2\n  source        crates/ntbox-kernel/src/ex/pool.rs\n"
    );
    let output = ntbox(&["exports", "ExAllocatePool2", "--json"]);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["exports"].as_array().map(Vec::len), Some(1));

    let output = ntbox(&["exports", "CcCopyRead"]);
    assert_eq!(status(&output), 2);
    let said = text(&output.stderr);
    assert!(
        said.contains("`CcCopyRead` is not an export of this kernel: the cache manager"),
        "{said}"
    );
}

#[test]
fn exports_missing_lists_reasons() {
    let output = ntbox(&["exports", "--missing", "--json"]);
    assert_eq!(status(&output), 0);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let missing = object["missing"].as_array().expect("a list");
    let copy = missing.iter().find(|entry| entry["name"] == "CcCopyRead");
    assert_eq!(
        copy.expect("the cache manager is missing")["reason"],
        "the cache manager is not built"
    );
    assert_eq!(object.get("exports"), None);

    let output = ntbox(&["exports", "--missing"]);
    let said = text(&output.stdout);
    assert!(
        said.contains("missing CcCopyRead: the cache manager is not built\n"),
        "{said}"
    );
    assert!(said.ends_with(&format!("{} names\n", missing.len())));
}

#[test]
fn output_to_pipe_has_no_colors() {
    let output = ntbox(&["run", "/no/such.sys"]);
    assert!(!output.stderr.contains(&0x1b), "{}", text(&output.stderr));
}

/// A driver of the integration tests, which has a device.
const DEVICE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/drivers/control_device.c"
);

/// What MinGW's headers of the kernel need beside them.
const HEADERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../cross/include");
/// Where they are; `<ddk/ntddk.h>` would find itself, but not what it includes.
const DDK: &str = "/usr/share/mingw-w64/include/ddk";

#[test]
fn ioctl_sends_requests() {
    if !std::path::Path::new(DDK).is_dir() {
        // Not by a macro: what those print is kept back for tests that pass.
        let _ = writeln!(std::io::stderr(), "skipped: there is no {DDK}");
        return;
    }
    let headers = ["-isystem", HEADERS, "-isystem", DDK];
    let Some(driver) = common::with_gcc_from(DEVICE, &headers) else {
        return;
    };
    let image = driver.image.to_str().expect("UTF-8");
    let device = r"\\.\NtboxTest";
    let output = ntbox(&[
        "ioctl",
        image,
        device,
        "control=0x80002000,in=hex:000fff,out=8",
    ]);
    assert_eq!(status(&output), 0, "{}", text(&output.stdout));
    let shown = text(&output.stdout);
    assert!(
        shown.contains(
            "control 0x80002000: STATUS_SUCCESS (0x00000000), information 3\n  00000000  55 5a aa "
        ),
        "{shown}"
    );
    let output = ntbox(&["ioctl", image, device, "control=0x80002fff", "--json"]);
    assert_eq!(status(&output), 8);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["verdict"], "clean");
    assert_eq!(object["answers"][1]["status"], "0xc0000010");
    // The first waits until it is cancelled; the last takes five seconds.
    let requests = ["control=0x8000200c", "wait=100", "control=0x80002010,out=4"];
    let mut line = vec!["ioctl", image, device];
    line.extend(requests);
    let output = ntbox(&line);
    let shown = text(&output.stdout);
    assert_eq!(status(&output), 0, "{shown}");
    for part in [
        "control 0x8000200c, pending until it was cancelled: STATUS_CANCELLED",
        "control 0x80002010: STATUS_SUCCESS (0x00000000), information 4\n",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let output = ntbox(&["ioctl", image, r"\\.\Nothing"]);
    assert_eq!(status(&output), 8);
    let output = ntbox(&["ioctl", image, device, "open=1"]);
    assert_eq!(status(&output), 2);
    assert!(text(&output.stderr).contains("is no request"));
}

/// Takes out of a report when its lines were logged.
fn forget_times(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            fields.remove("time");
            fields.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        _ => {}
    }
}

/// Three calls: the first failure is borne, the second leaves the first block, and
/// the third, which only follows the second, is a fault.
#[test]
fn fault_sweep_fails_each_call_stack_once() {
    let Some(driver) = common::with_gcc("CARELESS") else {
        return;
    };
    let image = driver.image.display().to_string();
    let junit = driver.folder.file("sweep.xml");
    let output = ntbox(&["sweep", &image, "--json"]);
    assert_eq!(status(&output), 4, "{}", text(&output.stdout));
    assert_eq!(output.stderr, b"", "no progress where nobody watches");
    let again = ntbox(&["sweep", &image, "--json"]);
    let [json, again] = [output, again].map(|output| {
        let mut json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        forget_times(&mut json);
        json
    });
    assert_eq!(json, again, "the outcome is always the same");
    assert_eq!(json["verdict"], "clean", "without faults");
    let runs = json["sweep"]["runs"].as_array().expect("runs");
    let seen: Vec<_> = runs
        .iter()
        .map(|run| (&run["faults"], run["verdict"].as_str().expect("a text")))
        .collect();
    let call = |nth: u32| serde_json::json!({"export": "ExAllocatePoolWithTag", "nth": nth});
    assert_eq!(
        seen,
        [
            (&Value::from(vec![call(1)]), "entry-failed"),
            (&Value::from(vec![call(2)]), "violations"),
            (&Value::from(vec![call(2), call(3)]), "bugcheck"),
        ]
    );
    assert_eq!(runs[1]["stack"][0]["symbol"], "Careless");

    let output = ntbox(&["sweep", &image, "--junit", &junit.display().to_string()]);
    let said = text(&output.stdout);
    assert!(
        said.ends_with(
            "sweep    3 call stacks were made to fail, each in a run of its own: 1 went well, 2 did not\n"
        ),
        "{said}"
    );
    let xml = std::fs::read_to_string(&junit).expect("the JUnit file");
    assert!(
        xml.contains(
            "<testsuite name=\"ntbox\" tests=\"4\" skipped=\"0\" errors=\"0\" failures=\"2\">"
        ),
        "{xml}"
    );
}

#[test]
fn verify_reports_allocation_stack_of_leak() {
    let Some(driver) = common::with_gcc("LEAK") else {
        return;
    };
    let image = driver.image.display().to_string();
    for (verify, frames) in [
        (None, 0),
        (Some("--verify"), 2),
        (Some("--verify=underruns"), 2),
        (Some("--verify=strict"), 2),
    ] {
        let arguments = ["run", &image, "--json"].into_iter().chain(verify);
        let output = ntbox(&arguments.collect::<Vec<_>>());
        assert_eq!(status(&output), 5);
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let stack = json["report"]["violations"][0]["history"][0]["stack"].as_array();
        assert_eq!(stack.map_or(0, Vec::len), frames, "{verify:?}: {json}");
    }
}

#[test]
fn explain_prints_the_page_of_a_rule_in_the_report() {
    let Some(driver) = common::with_gcc("LEAK") else {
        return;
    };
    let output = ntbox(&["run", &driver.image.display().to_string()]);
    let report = text(&output.stdout);
    assert!(report.contains("see `ntbox explain pool-leak`"), "{report}");
    let output = ntbox(&["explain", "pool-leak"]);
    assert_eq!(status(&output), 0);
    assert!(text(&output.stdout).starts_with("# pool-leak\n"));
    let output = ntbox(&["explain", "pool-leek"]);
    assert_eq!(status(&output), 2);
    assert!(text(&output.stderr).contains("did you mean pool-leak?"));
}

#[test]
fn rules_json_has_former_identifiers_and_bug_checks() {
    let output = ntbox(&["rules", "--json"]);
    assert_eq!(status(&output), 0);
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rules = object["rules"].as_array().expect("an array");
    let timer = rules
        .iter()
        .find(|rule| rule["id"] == "timer-active-at-unload")
        .expect("the rule");
    assert_eq!(timer["former_ids"][0], "timer-left");
    assert_eq!(timer["set"], "always");
    assert_eq!(timer["stop_codes"][0]["code"], "0xc7");
}

#[test]
fn ignore_leaves_out_known_rule() {
    let Some(driver) = common::with_gcc("LEAK") else {
        return;
    };
    let image = driver.image.display().to_string();
    let options = ["--verify", "--guard", "before", "--ignore", "pool-leak"];
    let output = ntbox(&[&["run", &image, "--json"][..], &options].concat());
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let report = &json["report"];
    assert_eq!(report["verify"], "standard");
    assert_eq!(report["guard"], "before");
    assert_eq!(report["ignored_rules"][0], "pool-leak");
    let violations = report["violations"].as_array().expect("an array");
    assert!(violations.iter().all(|one| one["rule"] != "pool-leak"));
    let output = ntbox(&["run", &image, "--ignore", "pool-leek"]);
    assert_eq!(status(&output), 2);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("did you mean pool-leak?"), "{text}");
}

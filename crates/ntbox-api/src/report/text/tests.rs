use std::path::Path;

use crate::report::{
    BugCheck, CallCount, ImageInfo, Inlined, Location, LogLine, Report, Violation,
};
use crate::{Guard, Verify};

fn report() -> Report {
    Report {
        image: ImageInfo {
            name: "walk.sys".to_owned(),
            base: 0x1000,
            size: 0x2000,
        },
        entry_status: Some(0),
        unloaded: true,
        log: Vec::new(),
        bug_check: None,
        violations: Vec::new(),
        verify: Verify::Off,
        guard: Guard::After,
        ignored_rules: Vec::new(),
        schedule: None,
        calls: Vec::new(),
        fault_points: Vec::new(),
        notes: Vec::new(),
    }
}

fn line(time: u64, shown: bool, text: &str) -> LogLine {
    LogLine {
        time,
        component: 77,
        level: 3,
        irql: 0,
        shown,
        text: text.to_owned(),
    }
}

fn place() -> Location {
    Location {
        symbol: Some("Take".to_owned()),
        source: Some(("/src/walk/take.c".to_owned(), 12)),
        inlined_into: vec![Inlined {
            symbol: Some("Walk".to_owned()),
            source: None,
        }],
        ..Location::new("walk.sys", 0x1044)
    }
}

#[test]
fn text_of_clean_run() {
    let report = Report {
        log: vec![line(7, true, "one"), line(7 + 12_345_678, true, "two")],
        ..report()
    };
    let expected = "\
00000001\t0.00000000\tone
00000002\t1.23456780\ttwo

entry    DriverEntry returned STATUS_SUCCESS (0x00000000)
unload   DriverUnload returned
verdict  clean: started, unloaded, broke no rule and left nothing behind
";
    assert_eq!(report.text().to_string(), expected);
}

#[test]
fn text_marks_or_omits_filtered_lines() {
    let printed = LogLine {
        component: 101,
        ..line(5, false, "quiet")
    };
    let report = Report {
        log: vec![printed, line(9, true, "loud"), line(9, false, "low")],
        ..report()
    };
    let without = report.text().hide_filtered(true).to_string();
    assert!(
        without.starts_with("00000001\t0.00000000\tloud\n(the debug print filter hides 2 lines)\n"),
        "{without}"
    );
    let with = report.text().to_string();
    let expected = "        \t0.00000000\t(filtered, DEFAULT INFO) quiet
00000001\t0.00000040\tloud
        \t0.00000040\t(filtered, IHVDRIVER INFO) low
";
    assert!(with.starts_with(expected), "{with}");
    for part in [
        r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Debug Print Filter",
        "DEFAULT = 0x8, or `ed nt!Kd_DEFAULT_Mask 0x8`; here `--filter DEFAULT=0x8`",
        "IHVDRIVER = 0x8, or `ed nt!Kd_IHVDRIVER_Mask 0x8`; here `--filter IHVDRIVER=0x8`)",
    ] {
        assert_eq!(with.matches(part).count(), 1, "{part}: {with}");
    }
}

#[test]
fn text_explains_failed_entry() {
    let report = Report {
        entry_status: Some(nt_status::STATUS_INSUFFICIENT_RESOURCES),
        unloaded: false,
        ..report()
    };
    let text = report.text().to_string();
    assert!(
        text.contains("DriverEntry returned STATUS_INSUFFICIENT_RESOURCES (0xC000009A): "),
        "{text}"
    );
    assert!(
        text.ends_with(
            "verdict  entry-failed: DriverEntry failed, and the driver left nothing behind\n"
        ),
        "{text}"
    );
    assert!(!text.contains("unload"), "{text}");
}

#[test]
fn text_has_missing_unload_routine() {
    let text = Report {
        unloaded: false,
        ..report()
    }
    .text()
    .to_string();
    assert!(text.contains("unload   there is no DriverUnload"), "{text}");
    assert!(text.contains("verdict  no-unload-routine"), "{text}");
}

#[test]
fn text_of_violation_has_rule_code_and_location() {
    let violation = Violation {
        rule: "pool-leak".to_owned(),
        former_ids: Vec::new(),
        driver_verifier_code: Some((0xc4, 0x62)),
        message: "64 bytes are not freed".to_owned(),
        location: Some(place()),
        history: Vec::new(),
    };
    let report = Report {
        violations: vec![violation],
        ..report()
    };
    let expected = "\
rule     pool-leak: 64 bytes are not freed
         Driver Verifier stops with DRIVER_VERIFIER_DETECTED_VIOLATION (0xC4), first parameter 0x62
         at walk.sys+0x1044 Take (walk/take.c:12)
            inlined into Walk
         see `ntbox explain pool-leak`
verdict  violations: the driver broke a rule or left something behind, 1 violation
";
    let text = report.text().folder(Some(Path::new("/src"))).to_string();
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn text_of_bug_check_has_stack_once() {
    let stop = BugCheck {
        code: 0x50,
        parameters: [1, 0, 2, 0xff],
        message: "invalid memory was read".to_owned(),
        location: Some(place()),
        stack: vec![
            place(),
            Location::new("walk.sys", 0x2000),
            Location::new("walk.sys", 0x2000),
        ],
        history: Vec::new(),
    };
    let report = Report {
        bug_check: Some(stop),
        entry_status: None,
        unloaded: false,
        ..report()
    };
    let expected = "\
entry    DriverEntry did not return
stopped  PAGE_FAULT_IN_NONPAGED_AREA (0x50) (0x1, 0x0, 0x2, 0xff)
         invalid memory was read
         at walk.sys+0x1044 Take (/src/walk/take.c:12)
            inlined into Walk
         at walk.sys+0x2000, in no known function
            2 times in a row
verdict  bugcheck: the kernel stopped with PAGE_FAULT_IN_NONPAGED_AREA (0x50)
";
    assert_eq!(report.text().to_string(), expected);
}

#[test]
fn text_lists_calls_and_notes() {
    let call = CallCount {
        export: "IoAllocateMdl".to_owned(),
        count: 2,
        can_fail: true,
    };
    let report = Report {
        calls: vec![call],
        notes: vec!["no PDB".to_owned()],
        ..report()
    };
    assert!(!report.text().to_string().contains("IoAllocateMdl"));
    let text = report.text().calls(true).to_string();
    assert!(
        text.contains("called        2 IoAllocateMdl, can be made to fail\nnote     no PDB\n"),
        "{text}"
    );
}

#[test]
fn text_escapes_control_characters() {
    let place = Location {
        symbol: Some("\u{1b}[2J".to_owned()),
        ..Location::new("a\u{202e}.sys", 1)
    };
    let violation = Violation {
        rule: "r".to_owned(),
        former_ids: Vec::new(),
        driver_verifier_code: None,
        message: "\u{9b}1m".to_owned(),
        location: Some(place),
        history: Vec::new(),
    };
    let report = Report {
        log: vec![line(0, true, "a\tb\u{1b}]0;x\u{7}\rc")],
        violations: vec![violation],
        ..report()
    };
    let text = report.text().to_string();
    assert!(text.contains("a\tb\\u{1b}]0;x\\u{7}\\u{d}c"), "{text}");
    assert!(
        text.chars()
            .all(|c| !c.is_control() || matches!(c, '\n' | '\t')),
        "{text:?}"
    );
    assert!(!text.contains('\u{202e}'), "{text}");
}

#[test]
fn text_with_colors_adds_escape_codes_only() {
    let report = Report {
        log: vec![line(0, false, "quiet")],
        unloaded: false,
        ..report()
    };
    let coloured = report.text().colours().to_string();
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert_eq!(
        anstream::adapter::strip_str(&coloured).to_string(),
        report.text().to_string()
    );
}

#[test]
fn text_explains_each_rule_once() {
    let violation = |rule: &str| Violation {
        rule: rule.to_owned(),
        former_ids: Vec::new(),
        driver_verifier_code: None,
        message: "m".to_owned(),
        location: None,
        history: Vec::new(),
    };
    let report = Report {
        violations: vec![
            violation("handle-leak"),
            violation("handle-leak"),
            violation("device-leak"),
        ],
        ..report()
    };
    let text = report.text().to_string();
    let expected = "\
rule     handle-leak: m
         see `ntbox explain handle-leak`
rule     handle-leak: m
rule     device-leak: m
         see `ntbox explain device-leak`
";
    assert!(text.contains(expected), "{text}");
}

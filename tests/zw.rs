//! System services as drivers call them, checked from inside by drivers.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use harness::host::Service;
use harness::record::Start;
use suites::build;
use suites::embedded::run;

/// Runs a driver that checks the kernel, whose cases must all go well.
#[track_caller]
fn all_is_well(name: &str, cases: &[&str]) {
    let run = run(&Service::new(build::driver(name)));
    let expected: Vec<String> = cases
        .iter()
        .map(|case| format!("check: {case} ok"))
        .collect();
    assert_eq!(run.texts().collect::<Vec<_>>(), expected);
    assert_eq!(
        (run.start, &run.findings.bug_check),
        (Start::Running(0), &None)
    );
    assert!(run.findings.unloaded);
    assert_eq!(run.findings.violations, []);
}

#[test]
fn objects_with_handles() {
    all_is_well("zw_objects", &["Events", "Waits", "Timers", "System"]);
}

#[test]
fn memory_of_processes_and_sections() {
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
    ];
    all_is_well("mm_virtual_seh", &cases);
}

#[test]
fn memory_of_the_kernel() {
    let cases = [
        "Contiguous",
        "Reserved",
        "Sections",
        "Devices",
        "Copies",
        "Advancing",
        "Selected",
    ];
    let run = run(&Service::new(build::driver("mm_kernel")));
    let texts: Vec<_> = run.texts().collect();
    let explained = texts
        .iter()
        .filter(|text| text.contains("this machine has no devices"));
    assert_eq!(explained.count(), 1);
    let expected = cases.map(|case| format!("check: {case} ok"));
    assert!(
        expected.iter().all(|case| texts.contains(&case.as_str())),
        "{texts:?}"
    );
    assert_eq!(run.start, Start::Running(0));
    assert_eq!(run.findings.violations, []);
}

//! The kernel's functions, called by a Rust driver on Microsoft's raw bindings: they match
//! the reference, each call that can fail fails once and nothing leaks, and each mistake
//! has its bug check.

use driver_harness::host::Service;
use driver_harness::host::ntbox::Options;
use driver_harness::record::StartResult;
use driver_harness::service_run::ServiceRun;
use integration_tests::embedded::{options, run_with};
use integration_tests::images;
use integration_tests::mistakes::seen;
use integration_tests::self_check::{lines, went_on};
use ntbox::{Config, RegValue, Verify};

/// The components with their cases, in the order of their numbers.
const COMPONENTS: [(&str, &[&str]); 10] = [
    (
        "ex",
        &[
            "Pool",
            "Lookaside",
            "Sequenced",
            "Interlocked",
            "FastMutexes",
            "Resources",
            "Rundown",
            "WorkItems",
            "Timers",
            "Callbacks",
        ],
    ),
    (
        "io",
        &[
            "Devices",
            "Links",
            "Stacks",
            "Pointers",
            "RemoveLocks",
            "WorkItems",
            "Extensions",
            "Shutdown",
            "NamedEvents",
            "StackLimits",
        ],
    ),
    (
        "ke",
        &[
            "Events",
            "Semaphores",
            "Mutexes",
            "ManyObjects",
            "Timers",
            "Dpcs",
            "SpinLocks",
            "Regions",
            "DeviceQueues",
            "Delays",
        ],
    ),
    (
        "mm",
        &[
            "Describe",
            "Map",
            "Partial",
            "Lock",
            "Pages",
            "Contiguous",
            "Reserved",
            "Routines",
        ],
    ),
    (
        "ob",
        &[
            "Directories",
            "Links",
            "BadNames",
            "Handles",
            "References",
            "Names",
        ],
    ),
    (
        "ps",
        &[
            "Here",
            "Lookups",
            "Threads",
            "ThreadRoutines",
            "ProcessRoutines",
            "Attached",
        ],
    ),
    (
        "requests",
        &[
            "Unhandled",
            "Buffered",
            "Direct",
            "Neither",
            "Reading",
            "Completion",
            "Cancelling",
        ],
    ),
    (
        "rtl",
        &[
            "Strings",
            "Conversions",
            "Numbers",
            "Utf8",
            "Guids",
            "Bitmaps",
            "Tables",
            "Times",
            "Memory",
            "Version",
        ],
    ),
    (
        "se",
        &[
            "Identifiers",
            "Descriptors",
            "Masks",
            "Access",
            "Privileges",
        ],
    ),
    (
        "zw",
        &[
            "Keys",
            "Values",
            "Events",
            "Sections",
            "Files",
            "MissingFiles",
        ],
    ),
];

/// Runs the cases of the component of that number.
fn run_component(number: usize, options: Options) -> ServiceRun {
    let number = u32::try_from(number).expect("ten components");
    let service =
        Service::new(images::wdk_sys_driver()).parameter("Component", RegValue::Dword(number));
    run_with(options, &service)
}

#[test]
fn component_cases_pass() {
    for (number, (name, cases)) in COMPONENTS.iter().enumerate() {
        let run = run_component(number, options());
        let texts: Vec<_> = run.texts().collect();
        assert_eq!(texts, lines(cases), "{name}: {:?}", run.findings);
        went_on(&run, name);
        assert!(run.findings.unloaded, "{name}");
        assert_eq!(run.findings.violations, [], "{name}");
    }
}

/// What Rust has no way to go on from: this call raises an exception, and only the
/// C compilers have handlers for those.
const RAISES: &str = "MmProbeAndLockPages";

/// Calls that are to fail anyway, in the same way, or that only clean up.
const UNNOTICED: [(&str, u32); 13] = [
    ("IoAcquireRemoveLockEx", 3),
    ("MmGetSystemRoutineAddress", 2),
    ("ObReferenceObjectByHandle", 4),
    ("PsLookupProcessByProcessId", 2),
    ("PsLookupThreadByThreadId", 2),
    ("PsLookupThreadByThreadId", 3),
    ("PsSetCreateProcessNotifyRoutine", 2),
    ("PsSetCreateProcessNotifyRoutine", 3),
    ("PsSetCreateProcessNotifyRoutine", 4),
    ("ZwDeleteKey", 2),
    ("ZwDeleteKey", 3),
    ("ZwDeleteKey", 4),
    ("ZwDeleteKey", 5),
];

/// A run in which the `nth` call of an export fails.
fn failing(number: usize, export: &str, nth: u32) -> ServiceRun {
    let options = Options {
        faults: vec![(export.to_owned(), nth)],
        ..options()
    };
    run_component(number, options)
}

#[test]
fn each_call_failed_once_is_handled() {
    for (number, (name, _)) in COMPONENTS.iter().enumerate() {
        let run = run_component(number, options());
        let calls = run.findings.calls.iter().filter(|calls| calls.can_fail);
        let mut swept = 0;
        for (export, nth) in
            calls.flat_map(|calls| (1..=calls.count).map(|nth| (calls.export.as_str(), nth)))
        {
            let run = failing(number, export, nth);
            let what = format!("{name}: {export}, call {nth}");
            swept += 1;
            if export == RAISES {
                assert_eq!(run.start, StartResult::KernelStopped, "{what}");
                continue;
            }
            let findings = &run.findings;
            assert_eq!(findings.bug_check, None, "{what}");
            assert_eq!(findings.violations, [], "{what}");
            // No case is content with a call that fails and should not.
            let unnoticed = UNNOTICED.contains(&(export, nth));
            assert_eq!(
                run.start == StartResult::Running(0),
                unnoticed,
                "{what}: {:?}",
                run.texts().collect::<Vec<_>>()
            );
        }
        println!("{name}: {swept} calls failed");
        assert!(swept > 4, "{name}: {swept} calls can fail");
    }
}

/// The mistakes in the order of their numbers from 1: the function that makes it, and
/// what the kernel says under `--verify`.
const MISTAKES: [(&str, &str); 11] = [
    ("wdk_sys_driver::mistakes::make", "0xC4 (0x13)"),
    ("wdk_sys_driver::ke::wait", "0xB8"),
    ("wdk_sys_driver::mistakes::lock_twice", "0xF"),
    (
        "wdk_sys_driver::mm::unmap_nothing",
        "unmap-not-mapped: 0xC4 (0xb6)",
    ),
    ("wdk_sys_driver::requests::complete", "0xD5"),
    ("wdk_sys_driver::mistakes::touch_freed", "0xD5"),
    (
        "wdk_sys_driver::zw::impl$0::new::closure$1",
        "irql-too-high: 0xC4 (0xe6); irql-too-high: 0xC4 (0xe6); irql-too-high: 0xC4 (0xe6)",
    ),
    ("wdk_sys_driver::mistakes::release_strange_mutex", "0x162"),
    (
        "wdk_sys_driver::mistakes::dereference_nothing",
        "object-over-dereferenced; object-over-dereferenced",
    ),
    ("wdk_sys_driver::driver_entry", "irql-changed-on-return"),
    (
        "wdk_sys_driver::io::Device::new",
        "irql-too-high; irql-too-high",
    ),
];

#[test]
fn mistake_in_each_component_is_reported() {
    for (number, (function, said)) in (1..).zip(MISTAKES) {
        let config = Config::new(images::wdk_sys_driver())
            .parameter("Mistake", RegValue::Dword(number))
            .verify(Verify::Strict);
        let report = ntbox::run(&config).expect("the driver boots");
        assert_eq!(seen(&report), said, "{function}:\n{}", report.text());
        let text = report.text().to_string();
        assert!(text.contains(function), "{function}:\n{text}");
    }
}

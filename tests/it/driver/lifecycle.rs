//! The service of `ntmem.sys` from install to remove: it starts, logs the expected lines,
//! unloads and leaks nothing, in each build and on each version of Windows.

use driver_harness::expectations;
use driver_harness::host::ntbox::{Ntbox, Options};
use driver_harness::host::{Host, HostError, RegValue, Service};
use driver_harness::record::{Level, StartResult};
use driver_harness::service_run::ServiceRun;
use integration_tests::embedded::{options, run, run_with};
use integration_tests::images;
use ntbox::OsVersion;

fn service() -> Service {
    Service::new(images::ntmem())
}

fn walk(name: &str) -> Service {
    service().parameter("Scenario", RegValue::Sz(name.to_owned()))
}

/// Started, as promised, unloaded, nothing wrong.
#[track_caller]
fn assert_good(service: &Service, run: &ServiceRun) {
    assert_eq!(run.findings.bug_check, None);
    assert_eq!(
        run.start,
        StartResult::Running(0),
        "{:#?}",
        run.texts().collect::<Vec<_>>()
    );
    assert!(run.findings.unloaded);
    assert_eq!(run.findings.violations, []);
    expectations::expected_log(service, run)
        .expect("a promise")
        .check(&run.log)
        .unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn release_build_logs_expected_lines() {
    let run = run(&service());
    assert_good(&service(), &run);
    assert!(run.texts().any(|text| text.contains("build=release")));
}

#[test]
fn debug_build_logs_expected_lines() {
    let service = Service::new(images::ntmem_debug());
    let run = run(&service);
    assert_good(&service, &run);
    assert!(run.texts().any(|text| text.contains("build=debug")));
}

#[test]
fn legal_scenario_alone_logs_expected_lines() {
    for name in ["lock", "nonpaged", "none"] {
        assert_good(&walk(name), &run(&walk(name)));
    }
}

#[test]
fn scenario_double_map_reports_a_violation_under_either_name() {
    for name in ["double-map", "textbook"] {
        let service = walk(name);
        let run = run(&service);
        assert_eq!(
            (run.start, run.findings.unloaded),
            (StartResult::Running(0), true)
        );
        expectations::expected_log(&service, &run)
            .expect("a promise")
            .check(&run.log)
            .unwrap_or_else(|found| panic!("{found}"));
        let rules: Vec<_> = run
            .findings
            .violations
            .iter()
            .map(|violation| violation.rule.as_str())
            .collect();
        assert!(!rules.is_empty(), "the verifier says nothing");
        for violation in &run.findings.violations {
            let place = violation.location.as_ref().expect("a place in the driver");
            assert_eq!(place.module, "ntmem.sys", "{violation:?}");
            assert!(
                violation.message.to_lowercase().contains("nonpaged"),
                "{violation:?}"
            );
        }
    }
}

/// What the flags of an MDL go through, as seen on an NT-compatible kernel.
#[test]
fn scenario_mdl_flags_match_windows() {
    let flags = |name: &str| -> Vec<String> {
        let run = run(&walk(name));
        let field = |text: &str| {
            text.split(' ')
                .find_map(|field| field.strip_prefix("flags=").map(str::to_owned))
        };
        run.texts().filter_map(field).collect()
    };
    assert_eq!(
        flags("lock"),
        ["0x0008", "0x008a", "0x008b", "0x008a", "0x0088"]
    );
    assert_eq!(flags("nonpaged"), ["0x0008", "0x000c", "0x000c"]);
    assert_eq!(
        flags("double-map"),
        ["0x0008", "0x000c", "0x000d", "0x000c"]
    );
}

#[test]
fn pool_on_kernel_without_ex_allocate_pool2_uses_old_allocator() {
    let options = Options {
        faults: vec![("MmGetSystemRoutineAddress".to_owned(), 1)],
        ..options()
    };
    let run = run_with(options, &service());
    assert_good(&service(), &run);
    assert!(
        run.texts()
            .any(|text| text.contains("allocator=ExAllocatePoolWithTag"))
    );
    assert!(
        run.findings
            .calls
            .iter()
            .all(|calls| calls.export != "ExAllocatePool2")
    );
}

#[test]
fn log_has_os_version_of_kernel() {
    for (major, minor, build) in [(6, 1, 7601), (6, 2, 9200), (10, 0, 26100)] {
        let run = run_with(
            Options {
                version: Some(OsVersion {
                    major,
                    minor,
                    build,
                }),
                ..options()
            },
            &service(),
        );
        assert_good(&service(), &run);
        let told = format!(" windows={major}.{minor}.{build} ");
        assert!(run.texts().any(|text| text.contains(&told)), "{told}");
    }
}

/// A fresh Windows shows level ERROR only; the driver's transcript is visible
/// there, unless its level is chosen otherwise.
#[test]
fn debug_print_filter_hides_lines_by_level() {
    let shown = |options: Options, level: u32| {
        let service = service().parameter("LogLevel", RegValue::Dword(level));
        let run = run_with(options, &service);
        assert_good(&service, &run);
        assert!(
            run.log
                .iter()
                .all(|line| line.level == Some(Level::from(level)))
        );
        let shown = run.log.iter().filter(|line| line.shown).count();
        (shown, run.log.len())
    };
    let (some, all) = shown(Options::default(), 0);
    assert_eq!(some, all);
    assert_eq!(shown(Options::default(), 3).0, 0);
    let (some, all) = shown(
        Options {
            filter: vec![(77, 1 << 3)],
            ..Options::default()
        },
        3,
    );
    assert_eq!(some, all);
    let (some, all) = shown(
        Options {
            win2000: Some(0xF),
            ..Options::default()
        },
        2,
    );
    assert_eq!(some, all);
}

#[test]
fn service_stopped_starts_again() {
    let mut host = Ntbox::new(options());
    host.install(&service()).expect("install");
    for round in 1..=3 {
        assert_eq!(host.start().expect("start"), StartResult::Running(0));
        assert!(host.stop().expect("stop").unloaded);
        let starts = host
            .output()
            .expect("output")
            .iter()
            .filter(|line| line.text.contains(" start version="))
            .count();
        assert_eq!(starts, round);
    }
    host.remove().expect("remove");
}

#[test]
fn host_calls_out_of_order_are_refused() {
    #[track_caller]
    fn refused<T>(result: Result<T, HostError>, why: &str) {
        match result {
            Err(error @ HostError::State { .. }) => {
                assert!(error.to_string().contains(why), "{error}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("this was not refused"),
        }
    }
    let mut host = Ntbox::new(options());
    refused(host.start(), "no service is installed");
    refused(host.stop(), "not started");
    refused(host.remove(), "no service is installed");
    host.install(&service()).expect("install");
    refused(host.install(&service()), "installed already");
    refused(host.stop(), "not started");
    host.start().expect("start");
    refused(host.start(), "started already");
    refused(host.remove(), "stop it first");
    host.stop().expect("stop");
    host.remove().expect("remove");
    refused(host.start(), "no service is installed");
}

/// Two kernels at once do not know of each other.
#[test]
fn runs_side_by_side_are_independent() {
    let runs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| run(&service()))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a run"))
            .collect()
    });
    for run in &runs {
        assert_good(&service(), run);
    }
}

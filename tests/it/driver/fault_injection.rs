//! Fails each call of each scenario of `ntmem.sys` that can fail, one at a time: the driver
//! logs the failed step, releases its resources and returns the status.

use std::collections::BTreeMap;

use driver_harness::expectations;
use driver_harness::host::ntbox::Options;
use driver_harness::host::{RegValue, Service};
use driver_harness::record::{ExportCalls, StartResult};
use driver_harness::service_run::ServiceRun;
use integration_tests::embedded::{options, run, run_with};
use integration_tests::images;

const STATUS_INSUFFICIENT_RESOURCES: u32 = 0xC000_009A;

/// What the driver makes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It goes on without.
    GoesOn,
    /// It does not start, and says that one of these steps failed.
    Fails {
        steps: &'static [&'static str],
        status: Option<u32>,
    },
}

/// What the failure of the `nth` call of this export does; `None` if nobody has thought
/// about it, which fails the test.
fn effect(export: &str, nth: u32) -> Option<Effect> {
    let out_of_memory = Some(STATUS_INSUFFICIENT_RESOURCES);
    Some(match export {
        "ExAllocatePool2" | "ExAllocatePoolWithTag" => Effect::Fails {
            steps: &["parameters", "allocate-pool", "device"],
            status: out_of_memory,
        },
        "IoAllocateMdl" => Effect::Fails {
            steps: &["allocate-mdl"],
            status: out_of_memory,
        },
        "MmMapLockedPagesSpecifyCache" => Effect::Fails {
            steps: &["map"],
            status: out_of_memory,
        },
        "MmProbeAndLockPages" => Effect::Fails {
            steps: &["lock"],
            status: None,
        },
        "RtlGetVersion" => Effect::Fails {
            steps: &["version"],
            status: None,
        },
        "ZwOpenKey" | "ZwQueryValueKey" => Effect::Fails {
            steps: &["parameters"],
            status: None,
        },
        // The second call removes the routine, which cannot fail.
        "PsSetCreateProcessNotifyRoutine" if nth > 1 => Effect::GoesOn,
        "IoCreateDevice"
        | "ObOpenObjectByPointer"
        | "PsSetCreateProcessNotifyRoutine"
        | "ZwSetSecurityObject"
        | "IoCreateSymbolicLink" => Effect::Fails {
            steps: &["device"],
            status: None,
        },
        "MmGetSystemRoutineAddress" | "IoDeleteSymbolicLink" => Effect::GoesOn,
        _ => return None,
    })
}

fn failing(export: &str, nth: u32) -> Options {
    Options {
        faults: vec![(export.to_owned(), nth)],
        ..options()
    }
}

/// What may go wrong in a run of this service, with how often.
fn can_fail(service: &Service) -> Vec<ExportCalls> {
    let calls = run(service).findings.calls;
    calls
        .into_iter()
        .filter(|calls| calls.can_fail && calls.count > 0)
        .collect()
}

/// Only the scenario `double-map` breaks a rule, and only its own.
fn unexpected_violations(service: &Service, run: &ServiceRun) -> Vec<String> {
    let is_double_map = matches!(service.find("Scenario"), Some(RegValue::Sz(walks)) if walks.contains("double-map"));
    let allowed: Vec<String> = if is_double_map {
        let plain = integration_tests::embedded::run(service);
        plain
            .findings
            .violations
            .into_iter()
            .map(|violation| violation.rule)
            .collect()
    } else {
        Vec::new()
    };
    let seen = run.findings.violations.iter();
    seen.filter(|violation| !allowed.contains(&violation.rule))
        .map(|violation| violation.message.clone())
        .collect()
}

fn one_failure(service: &Service, export: &str, nth: u32) {
    let case = format!("{export}, call {nth}, {:?}", service.parameters);
    let expected = effect(export, nth)
        .unwrap_or_else(|| panic!("{case}: what should happen? put it into `effect`"));
    let run = run_with(failing(export, nth), service);
    let log: Vec<_> = run.texts().collect();
    assert_eq!(run.findings.bug_check, None, "{case}\n{log:#?}");
    assert_eq!(
        unexpected_violations(service, &run),
        Vec::<String>::new(),
        "{case}\n{log:#?}"
    );
    let script = expectations::expected_log(service, &run).expect("a promise");
    script
        .check(&run.log)
        .unwrap_or_else(|found| panic!("{case}\n{found}"));
    match (expected, run.start) {
        (Effect::GoesOn, StartResult::Running(0)) => assert!(run.findings.unloaded, "{case}"),
        (Effect::Fails { steps, status }, StartResult::EntryFailed(seen)) => {
            assert!(
                status.is_none_or(|status| status == seen),
                "{case}: {}",
                nt_status::Named(seen)
            );
            let failed = |step: &&str| {
                let failed = format!(": failed step={step} call={export} ");
                log.iter().any(|text| text.contains(&failed))
            };
            assert!(
                steps.iter().any(failed),
                "{case}: none of {steps:?} failed in\n{log:#?}"
            );
            assert!(
                !run.findings.unloaded,
                "{case}: a driver that did not start has nothing to unload"
            );
        }
        (_, start) => panic!("{case}: {start:?}\n{log:#?}"),
    }
}

/// Makes every call fail that can, each of its calls on its own.
fn sweep(walks: Option<&str>) {
    let mut service = Service::new(images::ntmem()).parameter("LogLevel", RegValue::Dword(0));
    if let Some(walks) = walks {
        service = service.parameter("Scenario", RegValue::Sz(walks.to_owned()));
    }
    let calls = can_fail(&service);
    let names: Vec<_> = calls.iter().map(|calls| calls.export.as_str()).collect();
    for needed in ["IoAllocateMdl", "ZwOpenKey", "ZwQueryValueKey"] {
        assert!(
            names.contains(&needed),
            "{needed} is not among what can fail: {names:?}"
        );
    }
    for ExportCalls { export, count, .. } in &calls {
        for nth in 1..=*count {
            one_failure(&service, export, nth);
        }
    }
}

#[test]
fn scenario_lock_survives_each_fault() {
    sweep(Some("lock"));
}

#[test]
fn scenario_nonpaged_survives_each_fault() {
    sweep(Some("nonpaged"));
}

#[test]
fn scenario_double_map_survives_each_fault() {
    sweep(Some("double-map"));
}

#[test]
fn default_scenarios_survive_each_fault() {
    sweep(None);
}

#[test]
fn sweep_of_scenario_lock_covers_each_call() {
    let service =
        Service::new(images::ntmem()).parameter("Scenario", RegValue::Sz("lock".to_owned()));
    let counts: BTreeMap<_, _> = can_fail(&service)
        .into_iter()
        .map(|calls| (calls.export, calls.count))
        .collect();
    for (export, count) in [
        // A record for each key; the block; what the device holds: its state, its
        // queue, its users' mappings, the watch of their processes, and a record for
        // each of the two that are registered.
        ("ExAllocatePool2", 8),
        ("PsSetCreateProcessNotifyRoutine", 2),
        ("IoCreateDevice", 1),
        ("ObOpenObjectByPointer", 1),
        ("ZwSetSecurityObject", 1),
        ("IoCreateSymbolicLink", 1),
        ("IoAllocateMdl", 1),
        ("MmProbeAndLockPages", 1),
        ("MmMapLockedPagesSpecifyCache", 1),
        ("MmGetSystemRoutineAddress", 1),
        ("ZwOpenKey", 2),
        ("ZwQueryValueKey", 4),
    ] {
        assert_eq!(counts.get(export), Some(&count), "{export} in {counts:?}");
    }
}

/// The allocator of older kernels can fail as well.
#[test]
fn pool_fault_in_old_allocator_fails_the_scenario() {
    let service = Service::new(images::ntmem());
    let faults = vec![
        ("MmGetSystemRoutineAddress".to_owned(), 1),
        // The record of the service's key and the block of the walk `lock` come first.
        ("ExAllocatePoolWithTag".to_owned(), 3),
    ];
    let run = run_with(
        Options {
            faults,
            ..options()
        },
        &service,
    );
    assert_eq!(
        run.start,
        StartResult::EntryFailed(STATUS_INSUFFICIENT_RESOURCES)
    );
    assert_eq!(run.findings.violations, []);
    assert!(run.texts().any(|text| {
        text.contains("nonpaged: failed step=allocate-pool call=ExAllocatePoolWithTag ")
    }));
    expectations::expected_log(&service, &run)
        .expect("a promise")
        .check(&run.log)
        .unwrap_or_else(|found| panic!("{found}"));
}

/// A fault in a call that is never made changes nothing.
#[test]
fn fault_in_call_never_made_changes_nothing() {
    let service = Service::new(images::ntmem());
    let run = run_with(failing("IoAllocateMdl", 1000), &service);
    assert_eq!(run.start, StartResult::Running(0));
}

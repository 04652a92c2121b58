//! Scenarios requested through the device: each kind, target, cache type and size, the
//! steps in the report, and scenarios that fail.

use integration_tests::ntmem::{self, Open, assert_clean};
use ntbox::Report;
use ntmem_ioctl::{
    Command, SCENARIO_SIZE_LIMIT, ScenarioCache, ScenarioCheck, ScenarioKind, ScenarioReply,
    ScenarioRequest, ScenarioStep, ScenarioStepResult, ScenarioTarget, ScenarioVerdict,
};
use zerocopy::{FromBytes, IntoBytes};

/// `MDL_MAPPED_TO_SYSTEM_VA`, `MDL_PAGES_LOCKED`, `MDL_SOURCE_IS_NONPAGED_POOL`.
const MAPPED: u32 = 1;
const LOCKED: u32 = 2;
const NONPAGED: u32 = 4;

fn request(
    kind: ScenarioKind,
    target: ScenarioTarget,
    cache: ScenarioCache,
    size: u32,
) -> ScenarioRequest {
    ScenarioRequest {
        kind: kind.number(),
        target: target.number(),
        cache: cache.number(),
        size,
    }
}

fn walk(open: &mut Open, request: &ScenarioRequest) -> ScenarioReply {
    open.ask(Command::Scenario, request.as_bytes())
}

/// The stages of a report.
fn stages(report: &ScenarioReply) -> Vec<ScenarioStep> {
    let steps = report.steps.iter().take_while(|step| step.step != 0);
    steps
        .map(|step| ScenarioStep::from_number(step.step).expect("a stage"))
        .collect()
}

fn step(report: &ScenarioReply, stage: ScenarioStep) -> &ScenarioStepResult {
    let mut steps = report.steps.iter();
    steps
        .find(|step| step.step == stage.number())
        .unwrap_or_else(|| panic!("no step {stage:?} in {report:?}"))
}

/// What the comparisons of a walk of so many bytes have to be, on so many pages.
#[track_caller]
fn assert_proved(
    report: &ScenarioReply,
    verdict: ScenarioVerdict,
    target: ScenarioTarget,
    size: u32,
) {
    assert_eq!((report.status, report.verdict), (0, verdict.number()));
    let pages = report.pages;
    let third = if target == ScenarioTarget::UserRead {
        (ScenarioCheck::ReadOnly, 1)
    } else {
        (ScenarioCheck::Backward, size)
    };
    let expected = [
        (ScenarioCheck::Filled, size),
        (ScenarioCheck::Forward, size),
        third,
        (ScenarioCheck::Physical, pages),
    ];
    for (check, (probe, count)) in report.checks.iter().zip(expected) {
        assert_eq!(
            (check.check, check.compared, check.equal),
            (probe.number(), count, count)
        );
    }
    assert_eq!(report.checks[4].check, 0, "a check too many");
    assert!(
        report.steps.iter().all(|step| step.status == 0),
        "{report:?}"
    );
}

#[test]
fn legal_scenarios_report_same_memory() {
    let mut open = Open::new();
    let targets = [
        ScenarioTarget::System,
        ScenarioTarget::User,
        ScenarioTarget::UserRead,
    ];
    for kind in [ScenarioKind::Lock, ScenarioKind::Nonpaged] {
        for target in targets {
            for &cache in ScenarioCache::ALL {
                let sizes: &[u32] = match target {
                    ScenarioTarget::System => &[1, 15, 4095, 4096, 4097, 0x1_0001],
                    _ => &[0x1000, 0x2000, 0x1_0000],
                };
                for &size in sizes {
                    let report = walk(&mut open, &request(kind, target, cache, size));
                    let verdict = match (kind, target) {
                        (ScenarioKind::Nonpaged, ScenarioTarget::System) => {
                            ScenarioVerdict::SameAddress
                        }
                        _ => ScenarioVerdict::SameMemory,
                    };
                    assert_proved(&report, verdict, target, size);
                    assert_eq!(report.byte_count, size);
                    assert_eq!(
                        report.pages,
                        (report.byte_offset + size).div_ceil(0x1000),
                        "{report:?}"
                    );
                    assert_eq!(report.mdl_size, 48 + 8 * report.pages);
                }
            }
        }
    }
    open.finish();
}

#[test]
fn scenario_report_has_steps_in_order_with_flags() {
    use ScenarioStep::{
        AllocateMdl, AllocatePool, Build, Fill, FreeMdl, FreePool, Lock, Map, MapUser,
        SystemAddress, Unlock, Unmap, UnmapUser, Verdict,
    };
    let mut open = Open::new();
    let mut run = |kind, target| {
        walk(
            &mut open,
            &request(kind, target, ScenarioCache::Cached, 0x1000),
        )
    };
    let lock = run(ScenarioKind::Lock, ScenarioTarget::System);
    assert_eq!(
        stages(&lock),
        [
            AllocatePool,
            AllocateMdl,
            Fill,
            Lock,
            Map,
            Verdict,
            Unmap,
            Unlock,
            FreeMdl,
            FreePool
        ]
    );
    let mapped = step(&lock, Map).flags;
    assert_eq!(mapped & (MAPPED | LOCKED | NONPAGED), MAPPED | LOCKED);
    assert_eq!(step(&lock, Unmap).flags & (MAPPED | LOCKED), LOCKED);
    assert_eq!(step(&lock, Unlock).flags & (MAPPED | LOCKED), 0);

    let user = run(ScenarioKind::Lock, ScenarioTarget::User);
    assert_eq!(
        stages(&user),
        [
            AllocatePool,
            AllocateMdl,
            Fill,
            Lock,
            MapUser,
            Verdict,
            UnmapUser,
            Unlock,
            FreeMdl,
            FreePool
        ]
    );
    // A user mapping is none of the MDL's own.
    assert_eq!(step(&user, MapUser).flags & MAPPED, 0);

    let nonpaged = run(ScenarioKind::Nonpaged, ScenarioTarget::System);
    assert_eq!(
        stages(&nonpaged),
        [
            AllocatePool,
            AllocateMdl,
            Fill,
            Build,
            SystemAddress,
            Verdict,
            FreeMdl,
            FreePool
        ]
    );
    assert_eq!(step(&nonpaged, Build).flags & (LOCKED | NONPAGED), NONPAGED);

    let read = run(ScenarioKind::Nonpaged, ScenarioTarget::UserRead);
    assert_eq!(
        stages(&read),
        [
            AllocatePool,
            AllocateMdl,
            Fill,
            Build,
            MapUser,
            Verdict,
            UnmapUser,
            FreeMdl,
            FreePool
        ]
    );
    open.finish();
}

#[test]
fn scenario_of_largest_size_succeeds() {
    let mut open = Open::new();
    for (kind, target) in [
        (ScenarioKind::Lock, ScenarioTarget::System),
        (ScenarioKind::Nonpaged, ScenarioTarget::User),
    ] {
        let asked = request(kind, target, ScenarioCache::Cached, SCENARIO_SIZE_LIMIT);
        let report = walk(&mut open, &asked);
        assert_proved(
            &report,
            ScenarioVerdict::SameMemory,
            target,
            SCENARIO_SIZE_LIMIT,
        );
        assert_eq!(report.pages, SCENARIO_SIZE_LIMIT >> 12);
    }
    open.finish();
}

/// The forbidden walk runs if it is named, and the kernel's verifier tells on it.
#[test]
fn scenario_double_map_reports_mdl_map_nonpaged() {
    let mut open = Open::new();
    let asked = request(
        ScenarioKind::DoubleMap,
        ScenarioTarget::System,
        ScenarioCache::Cached,
        0x1000,
    );
    let report = walk(&mut open, &asked);
    assert_proved(
        &report,
        ScenarioVerdict::SameMemory,
        ScenarioTarget::System,
        0x1000,
    );
    open.close();
    let report = open.machine.finish().expect("the kernel runs");
    let rules: Vec<_> = report.violations.iter().map(|found| &*found.rule).collect();
    assert_eq!(rules, ["mdl-map-nonpaged"]);
    assert!(report.unloaded && report.bug_check.is_none());
}

#[test]
fn scenario_request_invalid_is_refused() {
    let mut open = Open::new();
    let good = request(
        ScenarioKind::Nonpaged,
        ScenarioTarget::User,
        ScenarioCache::Cached,
        0x1000,
    );
    let wrong = [
        ScenarioRequest { kind: 3, ..good },
        ScenarioRequest { target: 3, ..good },
        ScenarioRequest { cache: 3, ..good },
        ScenarioRequest {
            kind: u32::MAX,
            ..good
        },
        ScenarioRequest { size: 0, ..good },
        // Others' data would be in the same page.
        ScenarioRequest { size: 1, ..good },
        ScenarioRequest {
            size: 0x1001,
            ..good
        },
        ScenarioRequest {
            size: SCENARIO_SIZE_LIMIT + 1,
            target: 0,
            ..good
        },
        ScenarioRequest {
            size: u32::MAX,
            target: 0,
            ..good
        },
        // Whoever wants the forbidden walk gets it in system space only.
        ScenarioRequest { kind: 2, ..good },
    ];
    for asked in wrong {
        let reply = open.control(
            Command::Scenario,
            asked.as_bytes(),
            size_of::<ScenarioReply>(),
        );
        assert_eq!(
            (reply.status, reply.information),
            (nt_status::STATUS_INVALID_PARAMETER, 0),
            "{asked:?}"
        );
    }
    let reply = open.control(
        Command::Scenario,
        good.as_bytes(),
        size_of::<ScenarioReply>() - 1,
    );
    assert_eq!(reply.status, nt_status::STATUS_BUFFER_TOO_SMALL);
    assert_eq!(
        walk(&mut open, &good).verdict,
        ScenarioVerdict::SameMemory.number()
    );
    open.finish();
}

/// A walk with one call that fails, and the kernel's report.
fn failing(export: &str, nth: u32, asked: &ScenarioRequest) -> (ScenarioReply, Report) {
    let mut open = Open::with(&ntmem::config().fault(export, nth));
    let report = walk(&mut open, asked);
    open.close();
    (report, open.machine.finish().expect("the kernel runs"))
}

/// Whatever fails is named, and everything taken before is given back.
#[test]
fn scenario_with_failed_call_reports_step_and_leaks_nothing() {
    let resources = nt_status::STATUS_INSUFFICIENT_RESOURCES;
    let lock = request(
        ScenarioKind::Lock,
        ScenarioTarget::System,
        ScenarioCache::Cached,
        0x3000,
    );
    let user = request(
        ScenarioKind::Nonpaged,
        ScenarioTarget::User,
        ScenarioCache::Cached,
        0x3000,
    );
    for (export, asked, stage) in [
        ("IoAllocateMdl", &lock, ScenarioStep::AllocateMdl),
        ("MmProbeAndLockPages", &lock, ScenarioStep::Lock),
        ("MmMapLockedPagesSpecifyCache", &lock, ScenarioStep::Map),
        ("MmMapLockedPagesSpecifyCache", &user, ScenarioStep::MapUser),
    ] {
        let (report, found) = failing(export, 1, asked);
        assert_ne!(report.status, 0, "{export}");
        assert_eq!(step(&report, stage).status, report.status, "{export}");
        if export != "MmProbeAndLockPages" {
            assert_eq!(report.status, resources, "{export}");
        }
        assert_eq!(report.verdict, ScenarioVerdict::None.number(), "{export}");
        assert_eq!(
            *stages(&report).last().expect("steps"),
            ScenarioStep::FreePool
        );
        assert_clean(&found);
    }
}

/// A report holds no address: the second address, which the log has, is nowhere in
/// its bytes.
#[test]
fn scenario_report_contains_no_address() {
    let mut open = Open::new();
    let asked = request(
        ScenarioKind::Lock,
        ScenarioTarget::System,
        ScenarioCache::Cached,
        0x1000,
    );
    let reply = open.control(
        Command::Scenario,
        asked.as_bytes(),
        size_of::<ScenarioReply>(),
    );
    let report = ScenarioReply::read_from_bytes(&reply.output).expect("a report");
    assert_eq!(report.status, 0);
    open.close();
    let found = open.machine.finish().expect("the kernel runs");
    let mut seen = 0;
    for line in &found.log {
        for word in line.text.split_whitespace() {
            let Some((key, value)) = word.split_once("=0x") else {
                continue;
            };
            if !["address", "mdl", "pool", "second", "start"].contains(&key) {
                continue;
            }
            let number = u64::from_str_radix(value, 16).expect("a number");
            seen += 1;
            let bytes = number.to_le_bytes();
            // The upper half is shared by all addresses of a range.
            assert!(
                !reply.output.windows(8).any(|window| window == bytes),
                "{word} is in the report"
            );
        }
    }
    assert!(seen >= 5, "the log names {seen} addresses");
}

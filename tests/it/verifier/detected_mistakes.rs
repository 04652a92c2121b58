//! A driver of mistakes, each with its correct variant: the report of each with and without
//! `--verify`, its location, and the table in docs/reference/detected-mistakes.md.

use integration_tests::images;
use integration_tests::mistakes::{MISTAKES, check_guide, seen};
use ntbox::{Config, Guard, HistoryEntry, Location, RegValue, Report, Verify};

fn run(how: usize, right: bool, verify: Verify) -> Report {
    run_guarded(how, right, verify, Guard::After)
}

fn run_guarded(how: usize, right: bool, verify: Verify, guard: Guard) -> Report {
    let report = ntbox::run(&config(how, right).verify(verify).guard(guard));
    report.unwrap_or_else(|error| panic!("mistake {how}: {error}"))
}

fn config(how: usize, right: bool) -> Config {
    let how = u32::try_from(how).expect("a small number");
    Config::new(images::driver("mistakes"))
        .parameter("How", RegValue::Dword(how))
        .parameter("Right", RegValue::Dword(right.into()))
}

fn names(place: &Location, function: &str) -> bool {
    place.symbol.as_deref() == Some(function) && place.source.is_some()
}

fn past<'r>(history: &'r [HistoryEntry], what: &str) -> &'r HistoryEntry {
    let found = history.iter().find(|past| past.event == what);
    found.unwrap_or_else(|| panic!("nothing was {what}: {history:?}"))
}

#[test]
fn mistake_has_its_rule_and_location() {
    for (how, (what, function, without, with)) in MISTAKES.into_iter().enumerate() {
        let plain = run(how, false, Verify::Off);
        assert_eq!(seen(&plain), without, "{what}:\n{}", plain.text());
        let report = run(how, false, Verify::Standard);
        assert_eq!(seen(&report), with, "{what}:\n{}", report.text());
        // What the strict rules find is told by them.
        let report = if with == "nothing" {
            run(how, false, Verify::Strict)
        } else {
            report
        };
        let stop = report.bug_check.iter();
        let violations = report.violations.iter();
        let told = stop
            .flat_map(|stop| &stop.stack)
            .chain(violations.flat_map(|one| {
                let history = one.history.iter().flat_map(|past| &past.stack);
                one.location.iter().chain(history)
            }));
        assert!(
            told.into_iter().any(|place| names(place, function)),
            "{what} is not in {function}:\n{}",
            report.text()
        );
    }
}

#[test]
fn mistake_correct_variant_is_clean() {
    for (verify, guard) in [
        (Verify::Off, Guard::After),
        (Verify::Standard, Guard::After),
        (Verify::Strict, Guard::Before),
    ] {
        for (how, (what, ..)) in MISTAKES.into_iter().enumerate() {
            let report = run_guarded(how, true, verify, guard);
            assert!(
                report.clean() && !report.log.iter().any(|line| line.text.contains("lost")),
                "{what}, {verify:?}:\n{}",
                report.text()
            );
        }
    }
}

#[test]
fn pool_bug_check_has_allocation_and_free_stacks() {
    let stop = run(4, false, Verify::Standard).bug_check.expect("a stop");
    for what in ["allocated", "freed"] {
        let stack = &past(&stop.history, what).stack;
        assert!(
            stack.iter().any(|place| names(place, "ReadFreed")),
            "{what}: {stack:?}"
        );
    }
    let lines: Vec<_> = stop
        .history
        .iter()
        .filter_map(|past| past.stack.get(1)?.source.as_ref())
        .map(|(_, line)| *line)
        .collect();
    assert!(lines.len() == 2 && lines[0] < lines[1], "{lines:?}");
    let plain = run(6, false, Verify::Off).bug_check.expect("a stop");
    assert!(plain.history.is_empty(), "{plain:?}");
}

/// Before a block that begins where an inaccessible page ends.
#[test]
fn guard_before_reports_underrun_at_access() {
    let report = run_guarded(3, false, Verify::Standard, Guard::Before);
    assert_eq!(seen(&report), "0xD6", "{}", report.text());
    let stop = report.bug_check.expect("a stop");
    assert!(names(&stop.stack[0], "WriteBeforeStart"), "{stop:?}");
    assert!(
        stop.message.contains("before the start"),
        "{}",
        stop.message
    );
    // What it does not see at once it still finds when the block is freed.
    let past = run_guarded(2, false, Verify::Standard, Guard::Before);
    assert_eq!(seen(&past), "0xC1", "{}", past.text());
}

/// What old but correct drivers do is only reported where it was asked for.
#[test]
fn executable_memory_is_reported_by_strict_rules_only() {
    for (how, rule) in [
        (23, "executable-pool: 0xC4 (0x2000)"),
        (31, "executable-mapping: 0xC4 (0x2002)"),
    ] {
        let strict = run(how, false, Verify::Strict);
        assert_eq!(seen(&strict), rule, "{}", strict.text());
        let name = rule.split(':').next().expect("a name");
        let ignored = config(how, false).verify(Verify::Strict).ignore(name);
        let report = ntbox::run(&ignored).expect("it runs");
        assert!(report.clean(), "{}", report.text());
        assert_eq!(report.ignored_rules, [name]);
    }
}

#[test]
fn ignore_former_identifier_leaves_the_rule_out() {
    let leaks = |config: &Config| {
        let report = ntbox::run(config).expect("it runs");
        let violations = report.violations.iter();
        let leaks: Vec<_> = violations
            .filter(|violation| violation.former_ids == ["device-left"])
            .map(|violation| violation.rule.clone())
            .collect();
        (leaks, report.ignored_rules)
    };
    let how =
        Config::new(images::driver("mistakes_contract")).parameter("How", RegValue::Dword(11));
    assert_eq!(leaks(&how), (vec!["device-leak".to_owned()], Vec::new()));
    let ignored = how.ignore("device-left");
    assert_eq!(
        leaks(&ignored),
        (Vec::new(), vec!["device-leak".to_owned()])
    );
}

#[test]
fn ignore_unknown_rule_does_not_boot() {
    let error = ntbox::run(&config(0, true).ignore("pool-leek")).expect_err("no such rule");
    assert!(
        error.to_string().contains("did you mean pool-leak?"),
        "{error}"
    );
}

#[test]
fn pool_limit_exceeded_fails_allocation() {
    let config = Config {
        pool_limit: Some(63),
        ..Config::new(images::driver("mistakes")).parameter("How", RegValue::Dword(14))
    };
    let report = ntbox::run(&config).expect("it runs");
    assert!(report.clean(), "{}", report.text());
    let enough = Config {
        pool_limit: Some(64),
        ..config
    };
    let report = ntbox::run(&enough).expect("it runs");
    assert_eq!(seen(&report), "pool-leak: 0xC4 (0x62)", "{}", report.text());
}

#[test]
fn no_mappings_option_fails_each_mapping() {
    let mut config = Config::new(images::driver("mistakes"))
        .parameter("How", RegValue::Dword(18))
        .parameter("Right", RegValue::Dword(1));
    config.no_mappings = true;
    let report = ntbox::run(&config).expect("it runs");
    assert!(report.clean(), "{}", report.text());
    let unmapped = |report: &Report| {
        let mut calls = report.calls.iter();
        !calls.any(|call| call.export == "MmUnmapLockedPages")
    };
    assert!(unmapped(&report), "{:?}", report.calls);
    config.no_mappings = false;
    assert!(!unmapped(&ntbox::run(&config).expect("it runs")));
}

#[test]
fn list_faults_has_one_entry_per_call_stack() {
    let mut config = Config::new(images::driver("mistakes"))
        .parameter("How", RegValue::Dword(18))
        .parameter("Right", RegValue::Dword(1));
    config.list_faults = true;
    let report = ntbox::run(&config).expect("it runs");
    let mapping: Vec<_> = report
        .fault_points
        .iter()
        .filter(|point| point.export == "MmMapLockedPagesSpecifyCache")
        .collect();
    assert_eq!(mapping.len(), 1, "{:?}", report.fault_points);
    assert_eq!(mapping[0].nth, 1);
    let mut places = mapping[0].stack.iter();
    assert!(
        places.any(|place| names(place, "MapUnlocked")),
        "{mapping:?}"
    );
    // `Parameter` opens keys twice from one place, which two callers reach.
    let opened = |point: &&ntbox::FaultPoint| point.export == "ZwOpenKey";
    let opened: Vec<_> = report.fault_points.iter().filter(opened).collect();
    assert!(opened.len() >= 2, "{opened:?}");
    for (n, one) in opened.iter().enumerate() {
        let same = |other: &&ntbox::FaultPoint| other.stack == one.stack;
        assert_eq!(
            opened.iter().filter(|other| same(other)).count(),
            1,
            "{n}: {opened:?}"
        );
    }
}

/// The guide's table is what a run shows.
#[test]
fn mistakes_page_matches_runs() {
    check_guide("mistake", &MISTAKES, |how, verify| {
        seen(&run(how, false, verify))
    });
}

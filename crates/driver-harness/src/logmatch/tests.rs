//! Tests of the matchers: the expected log matches, and every deletion, repetition and
//! exchange of a line is a mismatch.

use proptest::prelude::*;

use super::*;
use crate::record::{Level, LogLine};

/// An expected log with every kind of matcher.
fn expected_log() -> ExpectedLog {
    ExpectedLog::new(seq([
        line("start size {size:dec} at {irql:dec}"),
        maybe(line("note {_:text}")),
        line("pool {pool:ptr}").with(
            (var("pool") % 4096).equals(0),
            "pool of a page or more starts at a page",
        ),
        repeat(
            var("size") >> 12,
            seq([
                line("page {page:dec} pfn {pfn:hex} physical {physical:hex}")
                    .with(var("page").equals(var("i")), "pages are numbered from 0")
                    .with(
                        (var("physical") >> 12).equals(var("pfn")),
                        "a frame number is an address without its offset",
                    ),
            ]),
        )
        .counted("i"),
        check(distinct("pfn"), "no page is there twice"),
        either([
            line("mapped {map:ptr}").with(
                var("map").differs_from(var("pool")),
                "the address is a second mapping",
            ),
            line("not mapped: {status:hex}").at(Level::Error),
        ]),
        repeat_between(0, Some(2), line("tick")),
        line("freed {=pool:ptr}"),
    ]))
}

const GOOD: [&str; 9] = [
    "start size 8192 at 0",
    "note: hello",
    "pool FFFF800000002000",
    "page 0 pfn 0x17 physical 0x17000",
    "page 1 pfn 0x19 physical 0x19000",
    "mapped FFFF900000002000",
    "tick",
    "tick",
    "freed FFFF800000002000",
];

fn good() -> Vec<String> {
    let mut log: Vec<String> = GOOD.map(str::to_owned).to_vec();
    log[1] = "note hello".to_owned();
    log
}

fn mismatch(log: &[String]) -> Mismatch {
    *expected_log()
        .check_texts(log)
        .expect_err("this log must not pass")
}

#[test]
fn check_matching_log_returns_captures() {
    let captures = expected_log().check_texts(&good()).unwrap();
    assert_eq!(captures.number("pool"), Some(0xFFFF_8000_0000_2000));
    assert_eq!(captures.all("pfn").count(), 2);
    assert_eq!(captures.text("pool"), None);
}

#[test]
fn check_accepts_missing_optional_lines() {
    let mut log = good();
    log.retain(|text| !text.starts_with("note") && text != "tick");
    expected_log().check_texts(&log).unwrap();
}

#[test]
fn check_reports_each_missing_line() {
    for index in 0..good().len() {
        let mut log = good();
        let gone = log.remove(index);
        let result = expected_log().check_texts(&log);
        assert_eq!(
            result.is_ok(),
            gone.starts_with("note") || gone == "tick",
            "without `{gone}`"
        );
    }
}

#[test]
fn check_reports_each_repeated_line() {
    for index in 0..good().len() {
        let mut log = good();
        log.insert(index, log[index].clone());
        assert!(
            expected_log().check_texts(&log).is_err(),
            "`{}` twice",
            log[index]
        );
    }
}

#[test]
fn check_extra_line_points_at_the_expected_line() {
    let mut log = good();
    log.insert(5, "stray".to_owned());
    let found = mismatch(&log);
    assert_eq!(found.kind, MismatchKind::Differs);
    assert_eq!((found.labels[0].line, found.labels[1].line), (6, 7));
    assert!(found.notes[0].contains("line 6 is extra"), "{found}");
}

#[test]
fn check_condition_failure_labels_all_values() {
    let mut log = good();
    log[5] = "mapped FFFF800000002000".to_owned();
    let found = mismatch(&log);
    assert_eq!(found.kind, MismatchKind::Condition);
    assert_eq!(found.title, "map != pool does not hold");
    assert_eq!(
        (found.labels[0].line, found.labels[0].span.clone()),
        (6, 7..23)
    );
    assert_eq!(
        (found.labels[1].line, found.labels[1].span.clone()),
        (3, 5..21)
    );
    assert!(found.notes[0].contains("the address is a second mapping"));

    let mut log = good();
    log[4] = "page 1 pfn 0x17 physical 0x17000".to_owned();
    let found = mismatch(&log);
    assert_eq!(
        (found.labels[0].line, found.labels[1].line),
        (5, 4),
        "{found}"
    );

    let mut log = good();
    log[8] = "freed FFFF800000003000".to_owned();
    assert_eq!(mismatch(&log).title, "line 9 has another value of `pool`");
}

#[test]
fn mismatch_display_is_like_a_compiler_error() {
    let mut log = good();
    log[2] = "pool 0xFFFF800000002000".to_owned();
    assert_eq!(
        mismatch(&log).to_string(),
        "\
error: line 3 is not the expected one
 --> log:3:6
  |
3 | pool 0xFFFF800000002000
  |      ^^^^^^^^^^^^^^^^^^ expected 16 hexadecimal digits (pool) here
  |
  = help: expected: pool {pool:ptr}
  = note: no later line is the expected one; it differs or is missing"
    );
    let styled = mismatch(&log).render(true);
    assert!(styled.contains('\u{1b}'));
}

#[test]
fn check_tells_short_and_long_logs_apart() {
    let found = mismatch(&[]);
    assert_eq!(
        (found.kind, found.title.as_str()),
        (MismatchKind::Missing, "the log is empty")
    );
    let found = mismatch(&good()[..6]);
    assert_eq!(
        (found.kind, found.expected.len()),
        (MismatchKind::Missing, 2),
        "{found}"
    );
    let mut log = good();
    log.push("more".to_owned());
    let found = mismatch(&log);
    assert_eq!(
        (found.kind, found.labels[0].line),
        (MismatchKind::Extra, 10)
    );
}

#[test]
fn check_compares_levels_if_recorded() {
    let expected = ExpectedLog::new(line("bad").at(Level::Error));
    let mut log = LogLine::from_text("bad");
    expected.check(std::slice::from_ref(&log)).unwrap();
    log.level = Some(Level::Info);
    let found = expected.check(&[log]).unwrap_err();
    assert_eq!(found.title, "line 1 has level INFO, not ERROR");
}

#[test]
fn check_invalid_condition_is_an_expectation_error() {
    for matcher in [
        line("a").with(var("x").equals(1), "no value"),
        seq([line("{x:word}").with(var("x").equals(1), "is a word")]),
        seq([line("a"), check((var("x") - 1u64).equals(1), "no value")]),
        repeat(var("x"), line("a")),
        seq([line("a"), check(nth("x", 3).equals(1), "too few")]),
        seq([
            line("a"),
            check((Expr::from(0) - 1u64).equals(1), "below zero"),
        ]),
        seq([
            line("a"),
            check((Expr::from(1) << 64u64).equals(1), "too far"),
        ]),
    ] {
        let found = ExpectedLog::new(matcher).check_texts(&["a"]).unwrap_err();
        assert_eq!(found.kind, MismatchKind::Expectation, "{found}");
        assert!(found.to_string().contains("the expected log is invalid"));
    }
}

#[test]
fn check_never_reports_its_reason() {
    let expected = ExpectedLog::new(seq([
        line("a"),
        either([never("no failed step"), line("failed")]),
    ]));
    expected.check_texts(&["a", "failed"]).unwrap();
    let found = expected.check_texts(&["a", "b"]).unwrap_err();
    assert_eq!(found.title, "no failed step");
    assert!(
        ExpectedLog::new(either([]))
            .check_texts::<&str>(&[])
            .unwrap_err()
            .to_string()
            .contains("alternatives")
    );
}

#[test]
fn check_one_of_compares_text() {
    let expected = ExpectedLog::new(
        line("build={build:word}").with(one_of("build", &["debug", "release"]), "there are two"),
    );
    expected.check_texts(&["build=debug"]).unwrap();
    let found = expected.check_texts(&["build=test"]).unwrap_err();
    assert_eq!(found.title, "build is debug or release does not hold");
    assert_eq!(found.notes[1], "build is `test`");
}

#[test]
fn check_repeat_of_nothing_terminates() {
    ExpectedLog::new(seq([repeat_between(0, None, nothing()), line("a")]))
        .check_texts(&["a"])
        .unwrap();
}

#[test]
fn condition_display_is_an_expression() {
    let condition = any_of([
        ((var("a") + 1u64) << 12u64).at_least(count("b")),
        nth("a", var("i")).less_than(0x1000u64),
    ]);
    assert_eq!(
        condition.to_string(),
        "(a + 1) << 0xc >= count(b) or a[i] < 0x1000"
    );
}

proptest! {
    #![proptest_config(crate::fixed_cases())]

    #[test]
    fn check_reports_each_exchange_of_lines(a in 0usize..9, b in 0usize..9) {
        let mut log = good();
        prop_assume!(log[a] != log[b]);
        log.swap(a, b);
        prop_assert!(expected_log().check_texts(&log).is_err());
    }

    #[test]
    fn check_mismatch_of_any_log_can_be_rendered(log in prop::collection::vec(prop_oneof!["\\PC{0,12}", prop::sample::select(GOOD.to_vec()).prop_map(str::to_owned), "(?s).{0,5}"], 0..12)) {
        if let Err(found) = expected_log().check_texts(&log) {
            prop_assert!(found.to_string().contains(&found.title));
            prop_assert!(!found.render(true).is_empty());
        }
    }
}

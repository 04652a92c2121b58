//! The checker must take a log that is right, and must not take one that is
//! right but for one line: every deletion, repetition and exchange is found.

use proptest::prelude::*;

use super::*;
use crate::record::{Level, Line};

/// A script with one of everything.
fn everything() -> Script {
    Script::new(seq([
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
                "it is a second mapping",
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
    *everything()
        .check_texts(log)
        .expect_err("this log must not pass")
}

#[test]
fn a_right_log_passes_and_gives_its_values() {
    let captures = everything().check_texts(&good()).unwrap();
    assert_eq!(captures.number("pool"), Some(0xFFFF_8000_0000_2000));
    assert_eq!(captures.all("pfn").count(), 2);
    assert_eq!(captures.text("pool"), None);
}

#[test]
fn optional_lines_may_be_absent() {
    let mut log = good();
    log.retain(|text| !text.starts_with("note") && text != "tick");
    everything().check_texts(&log).unwrap();
}

#[test]
fn every_line_that_is_not_optional_is_missed() {
    for index in 0..good().len() {
        let mut log = good();
        let gone = log.remove(index);
        let result = everything().check_texts(&log);
        assert_eq!(
            result.is_ok(),
            gone.starts_with("note") || gone == "tick",
            "without `{gone}`"
        );
    }
}

#[test]
fn every_repeated_line_is_too_many() {
    for index in 0..good().len() {
        let mut log = good();
        log.insert(index, log[index].clone());
        assert!(
            everything().check_texts(&log).is_err(),
            "`{}` twice",
            log[index]
        );
    }
}

#[test]
fn an_extra_line_is_named_with_where_the_right_one_is() {
    let mut log = good();
    log.insert(5, "stray".to_owned());
    let found = mismatch(&log);
    assert_eq!(found.kind, MismatchKind::Differs);
    assert_eq!((found.marks[0].line, found.marks[1].line), (6, 7));
    assert!(
        found.notes[0].contains("line 6 seems to be extra"),
        "{found}"
    );
}

#[test]
fn values_that_disagree_are_all_pointed_at() {
    let mut log = good();
    log[5] = "mapped FFFF800000002000".to_owned();
    let found = mismatch(&log);
    assert_eq!(found.kind, MismatchKind::Condition);
    assert_eq!(found.title, "map != pool does not hold");
    assert_eq!(
        (found.marks[0].line, found.marks[0].span.clone()),
        (6, 7..23)
    );
    assert_eq!(
        (found.marks[1].line, found.marks[1].span.clone()),
        (3, 5..21)
    );
    assert!(found.notes[0].contains("it is a second mapping"));

    let mut log = good();
    log[4] = "page 1 pfn 0x17 physical 0x17000".to_owned();
    let found = mismatch(&log);
    assert_eq!(
        (found.marks[0].line, found.marks[1].line),
        (5, 4),
        "{found}"
    );

    let mut log = good();
    log[8] = "freed FFFF800000003000".to_owned();
    assert_eq!(mismatch(&log).title, "line 9 gives `pool` another value");
}

#[test]
fn the_explanation_reads_like_a_compiler_s() {
    let mut log = good();
    log[2] = "pool 0xFFFF800000002000".to_owned();
    assert_eq!(
        mismatch(&log).to_string(),
        "\
error: line 3 is not the one that belongs there
 --> log:3:6
  |
3 | pool 0xFFFF800000002000
  |      ^^^^^^^^^^^^^^^^^^ expected 16 hexadecimal digits (pool) here
  |
  = help: expected: pool {pool:ptr}
  = note: no later line is the expected one: it differs or is missing"
    );
    let styled = mismatch(&log).render(true);
    assert!(styled.contains('\u{1b}'));
}

#[test]
fn a_log_that_stops_or_goes_on_is_told_from_one_that_differs() {
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
    assert_eq!((found.kind, found.marks[0].line), (MismatchKind::Extra, 10));
}

#[test]
fn levels_count_where_they_are_known() {
    let script = Script::new(line("bad").at(Level::Error));
    let mut log = Line::from_text("bad");
    script.check(std::slice::from_ref(&log)).unwrap();
    log.level = Some(Level::Info);
    let found = script.check(&[log]).unwrap_err();
    assert_eq!(found.title, "line 1 has level INFO, not ERROR");
}

#[test]
fn an_expectation_that_makes_no_sense_is_an_error_not_a_panic() {
    for node in [
        line("a").with(var("x").equals(1), "never said"),
        seq([line("{x:word}").with(var("x").equals(1), "is a word")]),
        seq([line("a"), check((var("x") - 1u64).equals(1), "never said")]),
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
        let found = Script::new(node).check_texts(&["a"]).unwrap_err();
        assert_eq!(found.kind, MismatchKind::Expectation, "{found}");
        assert!(found.to_string().contains("the expectation itself"));
    }
}

#[test]
fn what_must_never_be_says_why() {
    let script = Script::new(seq([
        line("a"),
        either([never("no step says that it failed"), line("failed")]),
    ]));
    script.check_texts(&["a", "failed"]).unwrap();
    let found = script.check_texts(&["a", "b"]).unwrap_err();
    assert_eq!(found.title, "no step says that it failed");
    assert!(
        Script::new(either([]))
            .check_texts::<&str>(&[])
            .unwrap_err()
            .to_string()
            .contains("alternatives")
    );
}

#[test]
fn texts_are_compared_with_a_list() {
    let script = Script::new(
        line("build={build:word}").with(one_of("build", &["debug", "release"]), "there are two"),
    );
    script.check_texts(&["build=debug"]).unwrap();
    let found = script.check_texts(&["build=test"]).unwrap_err();
    assert_eq!(found.title, "build is debug or release does not hold");
    assert_eq!(found.notes[1], "build is `test`");
}

#[test]
fn a_repetition_of_nothing_ends() {
    Script::new(seq([repeat_between(0, None, nothing()), line("a")]))
        .check_texts(&["a"])
        .unwrap();
}

#[test]
fn conditions_show_as_sums() {
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

    /// No exchange of two different lines passes.
    #[test]
    fn an_exchange_is_found(a in 0usize..9, b in 0usize..9) {
        let mut log = good();
        prop_assume!(log[a] != log[b]);
        log.swap(a, b);
        prop_assert!(everything().check_texts(&log).is_err());
    }

    /// Whatever the log is, the answer can be shown.
    #[test]
    fn any_log_has_an_answer(log in prop::collection::vec(prop_oneof!["\\PC{0,12}", prop::sample::select(GOOD.to_vec()).prop_map(str::to_owned), "(?s).{0,5}"], 0..12)) {
        if let Err(found) = everything().check_texts(&log) {
            prop_assert!(found.to_string().contains(&found.title));
            prop_assert!(!found.render(true).is_empty());
        }
    }
}

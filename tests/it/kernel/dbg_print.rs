//! The text that `DbgPrint` and related functions format, with arguments in registers, on
//! the stack and in a `va_list`.

use driver_harness::host::Service;
use driver_harness::record::{Level, StartResult};
use integration_tests::embedded::run;
use integration_tests::images;

/// The lines of `tests/drivers/dbg_print.c`, but for the one that is too long.
const LINES: [&str; 28] = [
    "1 [-1 42 4294967295 abcd ABCD 10]",
    "2 [   42|42   |00042|+42| 42]",
    "3 [0xab 0XAB 010 0042     0042]",
    "4 [-1 123456789abcdef 18446744073709551615]",
    "5 [-2 fedcba9876543210 18446744073709551615 1234]",
    "6 [-3 ffffffff 4000000000]",
    "7 [55667788 1]",
    "8 [-1 65535 2345]",
    "9 [8000000000000001 -5]",
    "10 [    42|42    |0042]",
    "11 [c000009a 00000000DEADBEEF]",
    "12 [FFFF80001234ABCD 0000000000000000]",
    "13 [  0000000000001000|0000000000001000  ]",
    "14 [abc|  abc|abc     |ab|      ab]",
    "15 [abc|def|ghi|     abc|ab]",
    "16 [abc|uvw]",
    "17 [(null)|(null)|(null)|(null)]",
    "18 [(null)]",
    "19 [ab|  c|d  |e]",
    "20 [%|100%]",
    "21 [ter]",
    "22 [1 2 3 4 5 6 7 8 9 10 11 12]",
    "23 [1 two 3 4 0000000000000005 (null) 7]",
    "24 [1 two 300000000 4 5 6 seven]",
    "25 []",
    "26 []",
    "28 after",
    "29 unloaded 1 2 3 4 5",
];

#[test]
fn dbg_print_formats_each_conversion() {
    let run = run(&Service::new(images::driver("dbg_print")));
    assert_eq!(
        (run.start, &run.findings.bug_check),
        (StartResult::Running(0), &None)
    );
    let seen: Vec<_> = run
        .texts()
        .filter(|text| !text.starts_with("27 "))
        .collect();
    for (seen, expected) in seen.iter().zip(LINES) {
        assert_eq!(*seen, expected);
    }
    assert_eq!(seen.len(), LINES.len(), "{seen:#?}");
}

/// One call transmits 512 bytes; the rest is lost, what was there stays.
#[test]
fn dbg_print_long_text_is_truncated_at_512_bytes() {
    let run = run(&Service::new(images::driver("dbg_print")));
    let long = run
        .texts()
        .find(|text| text.starts_with("27 "))
        .expect("line 27");
    assert!((510..=512).contains(&long.len()), "{} bytes", long.len());
    let alphabet = (b'a'..=b'z').cycle();
    assert!(
        long.bytes()
            .skip(3)
            .zip(alphabet)
            .all(|(seen, expected)| seen == expected),
        "{long}"
    );
}

/// `DbgPrint` is component DEFAULT, level INFO: a fresh Windows does not show it.
#[test]
fn dbg_print_has_default_component_and_info_level() {
    let run = run(&Service::new(images::driver("dbg_print")));
    let first = run.log.first().expect("a line");
    assert_eq!(
        (first.component, first.level, first.shown),
        (Some(77), Some(Level::Error), true)
    );
    let last = run.log.last().expect("a line");
    assert_eq!(
        (last.component, last.level, last.shown),
        (Some(101), Some(Level::Info), false)
    );
}

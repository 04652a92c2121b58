use ntbox_host::{driver_mem, gate};

use super::*;
use crate::mm;
use crate::test_support::{
    CALLER, Counted, NOWHERE, address, address_mut, call as raw, fault, status, value, wide,
};

/// Calls `with` with the address of a string of this text.
fn with<T>(text: &str, with: impl FnOnce(u64) -> T) -> T {
    let mut units = wide(text);
    let used = units.len() - 1;
    with(address(&Counted::unicode(&mut units, used)))
}

/// Calls an export on two strings and a flag.
fn on_two(
    handler: fn(&mut Call<'_>) -> gate::ExportResult,
    one: &str,
    two: &str,
    flag: u64,
) -> i64 {
    with(one, |one| {
        with(two, |two| value(handler, &[one, two, flag]))
    })
    .cast_signed()
}

#[test]
fn init_unicode_string_counts_text() {
    let text = wide("abc");
    let mut string = Counted::empty();
    let (to, from) = (address_mut(&mut string), address(text.as_slice()));
    value(RtlInitUnicodeString, &[to, from]);
    assert_eq!(
        (string.length, string.maximum_length, string.buffer),
        (6, 8, from)
    );
    assert_eq!(
        status(RtlInitUnicodeStringEx, &[to, from + 2]),
        STATUS_SUCCESS
    );
    assert_eq!(
        (string.length, string.maximum_length, string.buffer),
        (4, 6, from + 2)
    );
    value(RtlInitUnicodeString, &[to, 0]);
    assert_eq!(
        (string.length, string.maximum_length, string.buffer),
        (0, 0, 0)
    );
    assert_eq!(status(RtlInitUnicodeStringEx, &[to, 0]), STATUS_SUCCESS);
    assert_eq!(string.buffer, 0);
    assert_eq!(fault(RtlInitUnicodeString, &[to, NOWHERE]), NOWHERE);
}

#[test]
fn init_unicode_string_too_long_is_truncated_or_refused() {
    let text = wide(&"x".repeat(40_000));
    let mut string = Counted::empty();
    let (to, from) = (address_mut(&mut string), address(text.as_slice()));
    assert_eq!(
        status(RtlInitUnicodeStringEx, &[to, from]),
        STATUS_NAME_TOO_LONG
    );
    assert_eq!(string.buffer, 0);
    value(RtlInitUnicodeString, &[to, from]);
    assert_eq!((string.length, string.maximum_length), (0xfffc, 0xfffe));
}

#[test]
fn copy_unicode_string_truncates() {
    let mut buffer = [0x2e_u16; 4];
    let mut string = Counted::unicode(&mut buffer, 0);
    with("ab", |from| {
        value(RtlCopyUnicodeString, &[address_mut(&mut string), from])
    });
    assert_eq!((string.text(), string.maximum_length), ("ab".into(), 8));
    assert_eq!(driver_mem::read_u16(string.buffer + 4), Ok(0));
    assert_eq!(driver_mem::read_u16(string.buffer + 6), Ok(0x2e));
    with("abcdef", |from| {
        value(RtlCopyUnicodeString, &[address_mut(&mut string), from])
    });
    assert_eq!(string.text(), "abcd");
    value(RtlCopyUnicodeString, &[address_mut(&mut string), 0]);
    assert_eq!((string.length, string.maximum_length), (0, 8));
}

#[test]
fn append_unicode_too_long_changes_nothing() {
    let mut buffer = [0x2e_u16; 5];
    let mut string = Counted::unicode(&mut buffer, 0);
    let to = address_mut(&mut string);
    let append = |text: &str| {
        with(text, |from| {
            status(RtlAppendUnicodeStringToString, &[to, from])
        })
    };
    assert_eq!(append("ab"), STATUS_SUCCESS);
    assert_eq!(driver_mem::read_u16(string.buffer + 4), Ok(0));
    assert_eq!(append("cdef"), STATUS_BUFFER_TOO_SMALL);
    assert_eq!(string.text(), "ab");
    assert_eq!(append("cde"), STATUS_SUCCESS);
    assert_eq!(string.text(), "abcde");
    assert_eq!(append(""), STATUS_SUCCESS);
    assert_eq!(append("f"), STATUS_BUFFER_TOO_SMALL);
}

#[test]
fn append_unicode_adds_nul_if_it_fits() {
    let mut buffer = [0x2e_u16; 4];
    let mut string = Counted::unicode(&mut buffer, 0);
    let to = address_mut(&mut string);
    let append = |text: &str| {
        status(
            RtlAppendUnicodeToString,
            &[to, address(wide(text).as_slice())],
        )
    };
    assert_eq!(append("abc"), STATUS_SUCCESS);
    assert_eq!(append("de"), STATUS_BUFFER_TOO_SMALL);
    assert_eq!(append("d"), STATUS_SUCCESS);
    assert_eq!(status(RtlAppendUnicodeToString, &[to, 0]), STATUS_SUCCESS);
    assert_eq!(string.text(), "abcd");
}

#[test]
fn append_unicode_past_16_bits_fails() {
    let mut buffer = vec![0x61_u16; 0x7fff];
    let string = Counted::unicode(&mut buffer, 0x7fff);
    with("ab", |from| {
        assert_eq!(
            status(RtlAppendUnicodeStringToString, &[address(&string), from]),
            STATUS_BUFFER_TOO_SMALL
        );
    });
}

#[test]
fn compare_unicode_by_unit_then_length() {
    for (one, two, insensitive, expected) in [
        ("abc", "abc", 0, 0),
        ("abc", "abd", 0, -1),
        ("b", "abc", 0, 1),
        ("ab", "abc", 0, -1),
        ("ABC", "abc", 0, -1),
        ("ABC", "abc", 1, 0),
        ("straßE", "STRAße", 1, 0),
        ("ÉÀ", "éà", 1, 0),
        ("", "", 0, 0),
        ("", "a", 1, -1),
    ] {
        let result = on_two(RtlCompareUnicodeString, one, two, insensitive);
        assert_eq!(result.signum(), expected, "{one} {two} {insensitive}");
        assert_eq!(
            on_two(RtlEqualUnicodeString, one, two, insensitive) == 1,
            expected == 0
        );
    }
    let (one, two) = (wide("abX"), wide("ABY"));
    let arguments = [address(one.as_slice()), 2, address(two.as_slice()), 2, 1];
    assert_eq!(value(RtlCompareUnicodeStrings, &arguments), 0);
}

#[test]
fn prefix_unicode_strings() {
    for (prefix, text, insensitive, expected) in [
        (r"\Device", r"\Device\X", 0, 1),
        (r"\DEVICE", r"\Device\X", 0, 0),
        (r"\DEVICE", r"\Device\X", 1, 1),
        (r"\Device\X", r"\Device", 0, 0),
        ("", "x", 0, 1),
        ("x", "x", 0, 1),
    ] {
        assert_eq!(
            on_two(RtlPrefixUnicodeString, prefix, text, insensitive),
            expected
        );
    }
}

#[test]
fn upcase_unicode_into_given_buffer() {
    let mut buffer = [0x2e_u16; 4];
    let mut string = Counted::unicode(&mut buffer, 0);
    let to = address_mut(&mut string);
    assert_eq!(
        with("aBcé", |from| status(
            RtlUpcaseUnicodeString,
            &[to, from, 0]
        )),
        STATUS_SUCCESS
    );
    assert_eq!(string.text(), "ABCÉ");
    assert_eq!(
        with("XyÉ", |from| status(
            RtlDowncaseUnicodeString,
            &[to, from, 0]
        )),
        STATUS_SUCCESS
    );
    assert_eq!((string.text(), string.maximum_length), ("xyé".into(), 8));
    assert_eq!(
        with("abcde", |from| status(
            RtlUpcaseUnicodeString,
            &[to, from, 0]
        )),
        STATUS_BUFFER_OVERFLOW
    );
    assert_eq!(string.text(), "xyé");
    assert_eq!(value(RtlUpcaseUnicodeChar, &[0xe9]), 0xc9);
    assert_eq!(value(RtlDowncaseUnicodeChar, &[0xc9]), 0xe9);
}

#[test]
fn upcase_unicode_allocates_pool() {
    for (handler, expected) in [
        (RtlUpcaseUnicodeString as fn(&mut Call<'_>) -> _, "ABC"),
        (RtlDowncaseUnicodeString, "abc"),
    ] {
        let mut string = Counted::empty();
        let to = address_mut(&mut string);
        assert_eq!(
            with("aBc", |from| status(handler, &[to, from, 1])),
            STATUS_SUCCESS
        );
        assert_eq!((string.text(), string.maximum_length), (expected.into(), 6));
        let owner = mm::with(|memory| {
            memory
                .pools
                .block(string.buffer)
                .map(|block| (block.caller, block.size))
        });
        assert_eq!(owner, Some((CALLER, 6)));
        value(RtlFreeUnicodeString, &[to]);
        assert_eq!(
            (string.length, string.maximum_length, string.buffer),
            (0, 0, 0)
        );
    }
}

#[test]
fn free_unicode_of_null_succeeds_and_of_non_pool_stops() {
    let mut string = Counted::empty();
    value(RtlFreeUnicodeString, &[address_mut(&mut string)]);
    let mut units = wide("on the stack");
    let string = Counted::unicode(&mut units, 5);
    match raw(RtlFreeUnicodeString, &[address(&string)]) {
        Err(NoReturn::BugCheck(data)) => assert_eq!(data.code, 0xc2),
        other => panic!("no bug check: {other:?}"),
    }
}

#[test]
fn hash_unicode_string_matches_algorithm() {
    let hash = |text: &str, insensitive: u64, algorithm: u64| {
        let mut hash = 0_u32;
        let to = address_mut(&mut hash);
        let status = with(text, |string| {
            status(RtlHashUnicodeString, &[string, insensitive, algorithm, to])
        });
        (status, hash)
    };
    assert_eq!(hash("", 0, 0), (STATUS_SUCCESS, 0));
    assert_eq!(hash("A", 0, 1), (STATUS_SUCCESS, 65));
    assert_eq!(hash("AB", 0, 0), (STATUS_SUCCESS, 65 * 65599 + 66));
    assert_eq!(hash("ab", 1, 0), hash("AB", 0, 0));
    assert_ne!(hash("ab", 0, 0), hash("AB", 0, 0));
    // Worked out in Python, case by its `str.upper`.
    for (text, insensitive, expected) in [
        ("T", 0, 0x54_u32),
        ("Test", 0, 0x766b_b952),
        ("test", 1, 0x6689_c132),
        ("tést", 0, 0x8845_cfb6),
        ("tést", 1, 0xa789_bfb6),
        ("abcdef", 0, 0x9713_18c3),
        ("Straße", 1, 0x8202_b7d6),
        (r"\Device\NtMem", 0, 0x3e39_06c5),
        ("ѐЖ", 1, 0x0401_0016),
    ] {
        assert_eq!(hash(text, insensitive, 0), (STATUS_SUCCESS, expected));
    }
    assert_eq!(hash("A", 0, 2).0, STATUS_INVALID_PARAMETER);
    assert_eq!(hash("A", 0, 0xffff_ffff).0, STATUS_INVALID_PARAMETER);
    assert_eq!(
        status(RtlHashUnicodeString, &[0, 0, 0, 1]),
        STATUS_INVALID_PARAMETER
    );
    assert_eq!(
        with("A", |string| status(
            RtlHashUnicodeString,
            &[string, 0, 0, 0]
        )),
        STATUS_INVALID_PARAMETER
    );
}

#[test]
fn validate_unicode_string_checks_lengths() {
    let check = |length, maximum_length, buffer| {
        let string = UnicodeString {
            length,
            maximum_length,
            buffer,
        };
        let mut bytes = [0_u8; 16];
        let va = address_mut(&mut bytes);
        string.write(va).unwrap();
        status(RtlValidateUnicodeString, &[0, va])
    };
    assert_eq!(check(4, 6, 8), STATUS_SUCCESS);
    assert_eq!(check(0, 0, 0), STATUS_SUCCESS);
    for (length, maximum, buffer) in [(3, 6, 8), (4, 7, 8), (6, 4, 8), (2, 2, 0), (0, 2, 0)] {
        assert_eq!(check(length, maximum, buffer), STATUS_INVALID_PARAMETER);
    }
    assert_eq!(status(RtlValidateUnicodeString, &[0, 0]), STATUS_SUCCESS);
    assert_eq!(
        status(RtlValidateUnicodeString, &[1, 0]),
        STATUS_INVALID_PARAMETER
    );
}

#[test]
fn create_unicode_string_copies_text_and_nul() {
    let text = wide("żółw");
    let mut string = Counted::empty();
    let to = address_mut(&mut string);
    assert_eq!(
        value(RtlCreateUnicodeString, &[to, address(text.as_slice())]),
        1
    );
    assert_eq!(
        (string.text(), string.length, string.maximum_length),
        ("żółw".into(), 8, 10)
    );
    assert_eq!(driver_mem::read_u16(string.buffer + 8), Ok(0));
    value(RtlFreeUnicodeString, &[to]);
    let long = wide(&"x".repeat(0x7fff));
    assert_eq!(
        value(RtlCreateUnicodeString, &[to, address(long.as_slice())]),
        0
    );
}

#[test]
fn duplicate_unicode_string_by_flags() {
    let run = |flags, text: &str| {
        let mut string = Counted::empty();
        let to = address_mut(&mut string);
        let status = with(text, |from| {
            status(RtlDuplicateUnicodeString, &[flags, from, to])
        });
        let result = (
            status,
            string.text(),
            string.maximum_length,
            string.buffer != 0,
        );
        value(RtlFreeUnicodeString, &[to]);
        result
    };
    assert_eq!(run(0, "ab"), (STATUS_SUCCESS, "ab".into(), 4, true));
    assert_eq!(run(1, "ab"), (STATUS_SUCCESS, "ab".into(), 6, true));
    assert_eq!(run(0, ""), (STATUS_SUCCESS, String::new(), 0, false));
    assert_eq!(run(1, ""), (STATUS_SUCCESS, String::new(), 0, false));
    assert_eq!(run(3, ""), (STATUS_SUCCESS, String::new(), 2, true));
    assert_eq!(run(2, "ab").0, STATUS_INVALID_PARAMETER);
    assert_eq!(run(4, "ab").0, STATUS_INVALID_PARAMETER);
}

#[test]
fn unicode_length_over_16_bits_is_refused() {
    assert_eq!(counted(3), Ok((6, 8)));
    assert_eq!(counted(0x7ffe), Ok((0xfffc, 0xfffe)));
    assert_eq!(counted(0x7fff), Err(STATUS_INVALID_PARAMETER_2));
    assert_eq!(counted(0x8000), Err(STATUS_INVALID_PARAMETER_2));
}

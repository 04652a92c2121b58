//! Reading by a format against glibc's `sscanf`, where the two have to agree:
//! numbers, literals, widths and what is skipped.

use std::ffi::CString;

use ntbox_host::libc_scan;

use super::*;
use crate::test_support::{address, address_mut, value, wide};

/// What glibc reads: the result and three numbers of 64 bits, -1 if untouched.
fn by_glibc(text: &str, format: &str) -> (i32, [i64; 3]) {
    let (text, format) = (CString::new(text).unwrap(), CString::new(format).unwrap());
    let mut numbers = [-1_i64; 3];
    let stored = libc_scan::sscanf(&text, &format, &mut numbers);
    (stored, numbers)
}

fn by_us(text: &str, format: &str) -> (i32, [i64; 3]) {
    let (narrow, narrow_format) = (CString::new(text).unwrap(), CString::new(format).unwrap());
    let (units, wide_format) = (wide(text), wide(format));
    let mut numbers = [-1_i64; 3];
    let [a, b, c] = numbers.each_mut().map(address_mut);
    let arguments = [
        narrow.as_ptr() as u64,
        narrow_format.as_ptr() as u64,
        a,
        b,
        c,
    ];
    let stored = i32::from_register_value(value(sscanf_s, &arguments));
    let mut again = [-1_i64; 3];
    let [a, b, c] = again.each_mut().map(address_mut);
    let arguments = [
        address(units.as_slice()),
        address(wide_format.as_slice()),
        a,
        b,
        c,
    ];
    let wide_stored = i32::from_register_value(value(swscanf_s, &arguments));
    assert_eq!(
        (stored, numbers),
        (wide_stored, again),
        "{text:?} {format:?}"
    );
    (stored, numbers)
}

/// The low half of RAX.
trait FromRegister {
    fn from_register_value(value: u64) -> Self;
}

impl FromRegister for i32 {
    fn from_register_value(value: u64) -> Self {
        u32::try_from(value & 0xffff_ffff).unwrap().cast_signed()
    }
}

#[test]
fn scan_numbers_match_glibc() {
    let texts = [
        "1 2 3",
        "-17",
        "+5,6;7",
        "0x1f 077 9",
        "0X1F",
        "08",
        "  12abc",
        "",
        "   ",
        "abc",
        "-",
        "+-1",
        "4294967295",
        "1234567890123456",
        "12 34",
        "1-2-3",
        "1:2",
        "100%",
        "7\n8\t9",
        "deadBEEF",
        "123456",
    ];
    let formats = [
        "%d",
        "%d %d %d",
        "%d%d%d",
        "%u",
        "%x",
        "%i %i %i",
        "%o",
        "%lld",
        "%llx",
        "%hd",
        "%hhu",
        "%2d%2d%2d",
        "%1x%3x",
        "%*d %d",
        "%d,%d;%d",
        "%d-%d-%d",
        "%d:%d",
        "%d%%",
        "%d%n",
        " %d ",
        "a%d",
        "%3i%i",
        "%d %n%d",
        "%*3d%d",
    ];
    let mut differing = Vec::new();
    for text in texts {
        for format in formats {
            // Ours has four bytes for `%d`, as glibc's; both leave the rest alone.
            let (ours, theirs) = (by_us(text, format), by_glibc(text, format));
            if ours != theirs {
                differing.push((text, format, ours, theirs));
            }
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn scan_prefix_without_digits_fails() {
    // glibc makes a 0 of it; C and Microsoft's library do not.
    assert_eq!(by_us("0xg", "%x"), (0, [-1; 3]));
    assert_eq!(by_us("0xg", "%i"), (0, [-1; 3]));
}

#[test]
fn scan_size_prefixes_match_microsoft() {
    for (format, expected) in [
        ("%I64x", 0x1122_3344_5566_7788),
        ("%llx", 0x1122_3344_5566_7788),
        ("%Ix", 0x1122_3344_5566_7788),
        ("%p", 0x1122_3344_5566_7788),
        ("%I32x", 0x5566_7788 | -1 << 32),
        ("%lx", 0x5566_7788 | -1 << 32),
        ("%hx", 0x7788 | -1 << 16),
        ("%hhx", 0x88 | -1 << 8),
    ] {
        let read = by_us("1122334455667788", format);
        assert_eq!(read, (1, [expected, -1, -1]), "{format}");
    }
}

#[test]
fn scan_s_text_takes_buffer_size() {
    let run = |text: &[u8], format: &[u8], room: u64| {
        let mut buffer = *b"......";
        let arguments = [
            address(text),
            address(format),
            address_mut(&mut buffer),
            room,
        ];
        let stored = i32::from_register_value(value(sscanf_s, &arguments));
        (stored, buffer)
    };
    assert_eq!(run(b" abc d\0", b"%s\0", 6), (1, *b"abc\0.."));
    assert_eq!(run(b"abc\0", b"%s\0", 4), (1, *b"abc\0.."));
    assert_eq!(run(b"abc\0", b"%s\0", 3), (0, *b"\0....."));
    assert_eq!(run(b"abcdef\0", b"%2s\0", 6), (1, *b"ab\0..."));
    assert_eq!(run(b" x\0", b"%c\0", 1), (1, *b" ....."));
    assert_eq!(run(b"xyz\0", b"%3c\0", 3), (1, *b"xyz..."));
    assert_eq!(run(b"xy\0", b"%3c\0", 3), (0, *b"......"));
    assert_eq!(run(b"b-a]c\0", b"%[]a-c-]\0", 6), (1, *b"b-a]c\0"));
    assert_eq!(run(b"ab,c\0", b"%[^,]\0", 6), (1, *b"ab\0..."));
    assert_eq!(run(b"\xe9x\0", b"%hs\0", 6), (1, *b"\xe9x\0..."));
    assert_eq!(run(b"\x80\0", b"%S\0", 3), (1, *b"\xac\x20\0\0.."));
}

#[test]
fn scan_counted_text_ends_at_count() {
    let mut numbers = [0_i32; 2];
    let [a, b] = numbers.each_mut().map(address_mut);
    let format = *b"%d%d\0";
    let arguments = [address(b"1234 5\0"), 3, address(&format), a, b];
    assert_eq!(value(_snscanf_s, &arguments), 1);
    assert_eq!(numbers, [123, 0]);
    let (text, format) = (wide("1234 5"), wide("%d%d"));
    let arguments = [
        address(text.as_slice()),
        6,
        address(format.as_slice()),
        a,
        b,
    ];
    assert_eq!(value(_snwscanf_s, &arguments), 2);
    assert_eq!(numbers, [1234, 5]);
    assert_eq!(i32::from_register_value(value(sscanf_s, &[0, a])), END);
}

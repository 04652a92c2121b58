use ntbox_host::driver_mem;
use ntbox_host::gate::ExportResult;

use super::*;
use crate::test_support::{Counted as Owned, address, address_mut, status, value, wide};

type Handler = fn(&mut Call<'_>) -> ExportResult;

fn unicode_of(handler: Handler, text: &[u8], room: usize) -> (u32, String, u16) {
    let (mut bytes, mut units) = (text.to_vec(), vec![0x2e_u16; room]);
    let used = text.len();
    let from = Owned::ansi(&mut bytes, used);
    let mut to = Owned::unicode(&mut units, 0);
    (
        status(handler, &[address_mut(&mut to), address(&from), 0]),
        to.text(),
        to.maximum_length,
    )
}

fn ansi_of(handler: Handler, text: &str, room: usize) -> (u32, Vec<u8>, Vec<u8>) {
    let (mut units, mut bytes) = (wide(text), vec![b'.'; room]);
    let used = units.len() - 1;
    let from = Owned::unicode(&mut units, used);
    let mut to = Owned::ansi(&mut bytes, 0);
    let status = status(handler, &[address_mut(&mut to), address(&from), 0]);
    let text = to.bytes();
    (status, text, bytes)
}

#[test]
fn ansi_string_to_unicode_string() {
    for handler in [RtlAnsiStringToUnicodeString, RtlOemStringToUnicodeString] {
        assert_eq!(
            unicode_of(handler, b"a\x80\xe9", 4),
            (STATUS_SUCCESS, "a€é".into(), 8)
        );
        assert_eq!(
            unicode_of(handler, b"", 1),
            (STATUS_SUCCESS, String::new(), 2)
        );
        // The NUL must fit too.
        assert_eq!(
            unicode_of(handler, b"abc", 3),
            (STATUS_BUFFER_OVERFLOW, "...".into(), 6)
        );
        assert_eq!(
            unicode_of(handler, &vec![b'x'; 0x7fff], 0x7fff).0,
            STATUS_INVALID_PARAMETER_2
        );
    }
}

#[test]
fn unicode_string_to_ansi_string() {
    for handler in [RtlUnicodeStringToAnsiString, RtlUnicodeStringToOemString] {
        assert_eq!(
            ansi_of(handler, "a€é", 5),
            (STATUS_SUCCESS, b"a\x80\xe9".into(), b"a\x80\xe9\0.".into())
        );
        assert_eq!(
            ansi_of(handler, "яx", 3),
            (STATUS_SUCCESS, b"?x".into(), b"?x\0".into())
        );
        // What fits is stored, with its NUL.
        assert_eq!(
            ansi_of(handler, "abc", 3),
            (STATUS_BUFFER_OVERFLOW, b"ab".into(), b"ab\0".into())
        );
    }
    for handler in [
        RtlUnicodeStringToAnsiString as Handler,
        RtlUnicodeStringToOemString,
        RtlUpcaseUnicodeStringToAnsiString,
        RtlUpcaseUnicodeStringToOemString,
    ] {
        // Without any, it is told what is needed.
        let mut units = wide("abc");
        let from = Owned::unicode(&mut units, 3);
        let mut to = Owned::empty();
        let arguments = [address_mut(&mut to), address(&from), 0];
        assert_eq!(status(handler, &arguments), STATUS_BUFFER_OVERFLOW);
        assert_eq!((to.length, to.maximum_length, to.buffer), (3, 0, 0));
    }
    for handler in [
        RtlUpcaseUnicodeStringToAnsiString,
        RtlUpcaseUnicodeStringToOemString,
    ] {
        assert_eq!(
            ansi_of(handler, "aé", 3),
            (STATUS_SUCCESS, b"A\xc9".into(), b"A\xc9\0".into())
        );
    }
}

#[test]
fn converted_strings_are_allocated_and_freed() {
    let mut bytes = *b"abc";
    let from = Owned::ansi(&mut bytes, 3);
    let mut string = Owned::empty();
    let to = address_mut(&mut string);
    assert_eq!(
        status(RtlAnsiStringToUnicodeString, &[to, address(&from), 1]),
        STATUS_SUCCESS
    );
    assert_eq!(
        (string.text(), string.length, string.maximum_length),
        ("abc".into(), 6, 8)
    );
    assert_eq!(driver_mem::read_u16(string.buffer + 6), Ok(0));
    let mut back = Owned::empty();
    let to_back = address_mut(&mut back);
    assert_eq!(
        status(RtlUnicodeStringToAnsiString, &[to_back, to, 1]),
        STATUS_SUCCESS
    );
    assert_eq!((back.bytes(), back.maximum_length), (b"abc".into(), 4));
    assert_eq!(driver_mem::read_u8(back.buffer + 3), Ok(0));
    value(RtlFreeAnsiString, &[to_back]);
    value(RtlFreeOemString, &[to]);
    assert_eq!((string.buffer, back.buffer), (0, 0));
}

#[test]
fn conversion_sizes_include_nul_for_strings_only() {
    let (mut bytes, mut units) = (*b"abc", wide("abc"));
    let (ansi, unicode) = (Owned::ansi(&mut bytes, 3), Owned::unicode(&mut units, 3));
    for handler in [
        RtlAnsiStringToUnicodeSize,
        RtlxAnsiStringToUnicodeSize,
        RtlOemStringToUnicodeSize,
        RtlxOemStringToUnicodeSize,
    ] {
        assert_eq!(value(handler, &[address(&ansi)]), 8);
    }
    for handler in [
        RtlUnicodeStringToAnsiSize,
        RtlxUnicodeStringToAnsiSize,
        RtlUnicodeStringToOemSize,
        RtlxUnicodeStringToOemSize,
    ] {
        assert_eq!(value(handler, &[address(&unicode)]), 4);
    }
    let mut size = 0_u32;
    let to = address_mut(&mut size);
    assert_eq!(
        status(RtlMultiByteToUnicodeSize, &[to, ansi.buffer, 3]),
        STATUS_SUCCESS
    );
    assert_eq!(size, 6);
    assert_eq!(
        status(RtlUnicodeToMultiByteSize, &[to, unicode.buffer, 6]),
        STATUS_SUCCESS
    );
    assert_eq!(size, 3);
}

#[test]
fn counted_conversion_truncates_at_buffer_size() {
    let mut units = [0x2e_u16; 4];
    let mut stored = 0_u32;
    let (to, count) = (address_mut(&mut units), address_mut(&mut stored));
    for handler in [RtlMultiByteToUnicodeN, RtlOemToUnicodeN] {
        assert_eq!(
            status(handler, &[to, 8, count, address(b"ab"), 2]),
            STATUS_SUCCESS
        );
        assert_eq!(
            (stored, units[0], units[1], units[2]),
            (4, 0x61, 0x62, 0x2e)
        );
        assert_eq!(
            status(handler, &[to, 3, count, address(b"xy"), 2]),
            STATUS_SUCCESS
        );
        assert_eq!((stored, units[0], units[1]), (2, 0x78, 0x62));
        assert_eq!(
            status(handler, &[to, 8, 0, address(b"ab"), 2]),
            STATUS_SUCCESS
        );
    }
    let text = wide("aé");
    let from = address(text.as_slice());
    let mut bytes = *b"....";
    let to = address_mut(&mut bytes);
    for (handler, expected) in [
        (RtlUnicodeToMultiByteN as Handler, b"a\xe9"),
        (RtlUnicodeToOemN, b"a\xe9"),
        (RtlUpcaseUnicodeToMultiByteN, b"A\xc9"),
        (RtlUpcaseUnicodeToOemN, b"A\xc9"),
    ] {
        assert_eq!(status(handler, &[to, 4, count, from, 4]), STATUS_SUCCESS);
        assert_eq!((stored, &bytes[..2], bytes[2]), (2, &expected[..], b'.'));
        assert_eq!(status(handler, &[to, 1, count, from, 4]), STATUS_SUCCESS);
        assert_eq!(stored, 1);
    }
}

#[test]
fn ansi_char_to_unicode_char_advances() {
    let text = *b"a\x80\xe9";
    let mut place = address(&text);
    let mut taken = String::new();
    for _ in 0..3 {
        let unit = value(RtlAnsiCharToUnicodeChar, &[address_mut(&mut place)]);
        taken.push(char::from_u32(u32::try_from(unit).unwrap()).unwrap());
    }
    assert_eq!((taken.as_str(), place), ("a€é", address(&text) + 3));
}

#[test]
fn unicode_to_utf8_n_converts() {
    let run = |units: &[u16], room: u64| {
        let mut bytes = [b'.'; 16];
        let mut stored = 99_u32;
        let (to, count) = (address_mut(&mut bytes), address_mut(&mut stored));
        let length = 2 * units.len() as u64;
        let status = status(
            RtlUnicodeToUTF8N,
            &[to, room, count, address(units), length],
        );
        (status, bytes[..stored as usize].to_vec())
    };
    let text: Vec<u16> = "aé€😀".encode_utf16().collect();
    assert_eq!(run(&text, 16), (STATUS_SUCCESS, "aé€😀".into()));
    // A character that does not fit as a whole is left out.
    assert_eq!(run(&text, 9), (STATUS_BUFFER_TOO_SMALL, "aé€".into()));
    assert_eq!(
        run(&[0xd83d, 0x61], 16),
        (STATUS_SOME_NOT_MAPPED, "\u{fffd}a".into())
    );
    let mut needed = 0_u32;
    let count = address_mut(&mut needed);
    let from = address(text.as_slice());
    assert_eq!(
        status(RtlUnicodeToUTF8N, &[0, 0, count, from, 10]),
        STATUS_SUCCESS
    );
    assert_eq!(needed, 10);
    assert_eq!(
        status(RtlUnicodeToUTF8N, &[0, 0, 0, from, 10]),
        STATUS_INVALID_PARAMETER
    );
    assert_eq!(
        status(RtlUnicodeToUTF8N, &[0, 0, count, 0, 10]),
        STATUS_INVALID_PARAMETER_4
    );
    // Half a unit is none, unless there is something to be stored.
    assert_eq!(
        status(RtlUnicodeToUTF8N, &[0, 0, count, from, 9]),
        STATUS_SOME_NOT_MAPPED
    );
    assert_eq!(needed, 9);
    let mut room = [0_u8; 16];
    assert_eq!(
        status(
            RtlUnicodeToUTF8N,
            &[address_mut(&mut room), 16, count, from, 9]
        ),
        STATUS_INVALID_PARAMETER_5
    );
    assert_eq!(needed, 9);
}

#[test]
fn utf8_to_unicode_n_converts() {
    let run = |bytes: &[u8], room: u64| {
        let mut units = [0x2e_u16; 8];
        let mut stored = 99_u32;
        let (to, count) = (address_mut(&mut units), address_mut(&mut stored));
        let status = status(
            RtlUTF8ToUnicodeN,
            &[to, room, count, address(bytes), bytes.len() as u64],
        );
        (
            status,
            String::from_utf16(&units[..stored as usize / 2]).unwrap(),
        )
    };
    assert_eq!(
        run("aé€😀".as_bytes(), 16),
        (STATUS_SUCCESS, "aé€😀".into())
    );
    assert_eq!(
        run("aé€😀".as_bytes(), 8),
        (STATUS_BUFFER_TOO_SMALL, "aé€".into())
    );
    assert_eq!(
        run(b"a\xffb", 16),
        (STATUS_SOME_NOT_MAPPED, "a\u{fffd}b".into())
    );
    assert_eq!(
        run(b"\xed\xa0\x80", 16),
        (STATUS_SOME_NOT_MAPPED, "\u{fffd}\u{fffd}".into())
    );
    let mut needed = 0_u32;
    let count = address_mut(&mut needed);
    assert_eq!(
        status(RtlUTF8ToUnicodeN, &[0, 0, count, address(b"abc"), 3]),
        STATUS_SUCCESS
    );
    assert_eq!(needed, 6);
    assert_eq!(
        status(RtlUTF8ToUnicodeN, &[0, 0, count, 0, 3]),
        STATUS_INVALID_PARAMETER_4
    );
}

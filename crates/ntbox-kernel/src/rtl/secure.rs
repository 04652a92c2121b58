//! The `_s` functions of the C library: they know how long their destination is
//! and leave an empty string behind when something does not fit.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;

use super::cstr;
use super::cstr::Unit;
use crate::base::export::exports;

/// `EINVAL`.
const EINVAL: i32 = 22;
/// `ERANGE`.
const ERANGE: i32 = 34;
/// `STRUNCATE`.
const STRUNCATE: i32 = 80;
/// `_TRUNCATE`: as much as fits.
const TRUNCATE: u64 = u64::MAX;

exports! {
    /// `strcpy_s`.
    fn strcpy_s(to: u64, size: u64, from: u64) -> i32 [max HIGH_LEVEL, crt] { copy::<u8>(to, size, from, None) }

    /// `strncpy_s`.
    fn strncpy_s(to: u64, size: u64, from: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        copy::<u8>(to, size, from, Some(count))
    }

    /// `strcat_s`.
    fn strcat_s(to: u64, size: u64, from: u64) -> i32 [max HIGH_LEVEL, crt] { append::<u8>(to, size, from, None) }

    /// `strncat_s`.
    fn strncat_s(to: u64, size: u64, from: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        append::<u8>(to, size, from, Some(count))
    }

    /// `strtok_s`: the next part of a text between delimiters, NULL after the last;
    /// `context` keeps where to go on.
    fn strtok_s(text: u64, delimiters: u64, context: u64) -> u64 [max HIGH_LEVEL, crt] {
        if delimiters == 0 || context == 0 {
            return Ok(0);
        }
        let from = if text == 0 { driver_mem::read_u64(context)? } else { text };
        if from == 0 {
            return Ok(0);
        }
        let part = from.wrapping_add(cstr::span::<u8>(from, delimiters, true)?);
        let end = part.wrapping_add(cstr::span::<u8>(part, delimiters, false)?);
        if end == part {
            driver_mem::write_u64(context, end)?;
            return Ok(0);
        }
        if driver_mem::read_u8(end)? == 0 {
            driver_mem::write_u64(context, end)?;
        } else {
            driver_mem::write_u8(end, 0)?;
            driver_mem::write_u64(context, end.wrapping_add(1))?;
        }
        Ok(part)
    }

    /// `wcscpy_s`.
    fn wcscpy_s(to: u64, size: u64, from: u64) -> i32 [max HIGH_LEVEL, crt] { copy::<u16>(to, size, from, None) }

    /// `wcsncpy_s`.
    fn wcsncpy_s(to: u64, size: u64, from: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        copy::<u16>(to, size, from, Some(count))
    }

    /// `wcscat_s`.
    fn wcscat_s(to: u64, size: u64, from: u64) -> i32 [max HIGH_LEVEL, crt] { append::<u16>(to, size, from, None) }

    /// `wcsncat_s`.
    fn wcsncat_s(to: u64, size: u64, from: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        append::<u16>(to, size, from, Some(count))
    }

    /// `memcpy_s`.
    fn memcpy_s(to: u64, size: u64, from: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        let error = transfer(to, size, from, count)?;
        // Only this one clears its destination.
        if error != 0 && to != 0 {
            driver_mem::fill(to, 0, size)?;
        }
        Ok(error)
    }

    /// `memmove_s`.
    fn memmove_s(to: u64, size: u64, from: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        transfer(to, size, from, count)
    }
}

/// Moves bytes if they fit.
fn transfer(to: u64, size: u64, from: u64, count: u64) -> Result<i32, NoReturn> {
    if count == 0 {
        return Ok(0);
    }
    if to == 0 || from == 0 {
        return Ok(EINVAL);
    }
    if count > size {
        return Ok(ERANGE);
    }
    driver_mem::copy(to, from, count)?;
    Ok(0)
}

/// Empties the destination.
fn fail<U: Unit>(to: u64, error: i32) -> Result<i32, NoReturn> {
    U::default().write(to)?;
    Ok(error)
}

/// Copies a string, or at most `count` units of it.
fn copy<U: Unit>(to: u64, size: u64, from: u64, count: Option<u64>) -> Result<i32, NoReturn> {
    if count == Some(0) && to == 0 && size == 0 {
        return Ok(0);
    }
    if to == 0 || size == 0 {
        return Ok(EINVAL);
    }
    store::<U>(to, 0, size, from, count)
}

/// Appends a string, or at most `count` units of it.
fn append<U: Unit>(to: u64, size: u64, from: u64, count: Option<u64>) -> Result<i32, NoReturn> {
    if count == Some(0) && to == 0 && size == 0 {
        return Ok(0);
    }
    if to == 0 || size == 0 {
        return Ok(EINVAL);
    }
    let used = cstr::length::<U>(to, size)?;
    if used == size {
        return fail::<U>(to, EINVAL);
    }
    store::<U>(to, used, size, from, count)
}

/// Stores a string behind the `used` units of a buffer of `size`.
fn store<U: Unit>(
    to: u64,
    used: u64,
    size: u64,
    from: u64,
    count: Option<u64>,
) -> Result<i32, NoReturn> {
    let end = cstr::at::<U>(to, used);
    if count == Some(0) {
        U::default().write(end)?;
        return Ok(0);
    }
    if from == 0 {
        return fail::<U>(to, EINVAL);
    }
    let room = size - used;
    // One more than fits is enough to know that it does not.
    let length = cstr::length::<U>(from, count.unwrap_or(TRUNCATE).min(room))?;
    if length >= room && count != Some(TRUNCATE) {
        return fail::<U>(to, ERANGE);
    }
    let kept = length.min(room - 1);
    driver_mem::copy(end, from, kept * U::SIZE)?;
    U::default().write(cstr::at::<U>(end, kept))?;
    Ok(if kept < length { STRUNCATE } else { 0 })
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::{Call, ExportResult};

    use super::*;
    use crate::test_support::{NOWHERE, address, address_mut, fault, value, wide};

    type Handler = fn(&mut Call<'_>) -> ExportResult;

    /// Runs a function on a buffer of 6 bytes that holds `before`.
    fn run(handler: Handler, before: [u8; 6], rest: &[u64]) -> (i64, [u8; 6]) {
        let mut buffer = before;
        let mut arguments = vec![address_mut(&mut buffer)];
        arguments.extend(rest);
        (value(handler, &arguments).cast_signed(), buffer)
    }

    #[test]
    fn strtok_s_splits_at_delimiters() {
        let mut line = *b",,one;two,\0";
        let (at, mut context) = (address_mut(&mut line), 0_u64);
        let context = address_mut(&mut context);
        let set = address(b",;\0");
        assert_eq!(value(strtok_s, &[at, set, context]), at + 2);
        assert_eq!(value(strtok_s, &[0, address(b";\0"), context]), at + 6);
        assert_eq!(driver_mem::read_u8(at + 9), Ok(b','), "of the other set");
        assert_eq!(value(strtok_s, &[0, set, context]), 0);
        assert_eq!(value(strtok_s, &[0, set, context]), 0);
        assert_eq!(value(strtok_s, &[at, 0, context]), 0);
        assert_eq!(value(strtok_s, &[at, set, 0]), 0);
        assert_eq!(&line, b",,one\0two,\0");
    }

    #[test]
    fn strcpy_s_checks_size() {
        let text = address(b"abc\0");
        assert_eq!(run(strcpy_s, *b"......", &[6, text]), (0, *b"abc\0.."));
        assert_eq!(run(strcpy_s, *b"......", &[4, text]), (0, *b"abc\0.."));
        assert_eq!(run(strcpy_s, *b"......", &[3, text]), (34, *b"\0....."));
        assert_eq!(run(strcpy_s, *b"......", &[6, 0]), (22, *b"\0....."));
        assert_eq!(run(strcpy_s, *b"......", &[0, text]), (22, *b"......"));
        assert_eq!(value(strcpy_s, &[0, 6, text]), 22);
        assert_eq!(fault(strcpy_s, &[NOWHERE, 6, text]), NOWHERE);
    }

    #[test]
    fn strncpy_s_checks_size() {
        let text = address(b"abcdefgh\0");
        assert_eq!(run(strncpy_s, *b"......", &[6, text, 2]), (0, *b"ab\0..."));
        assert_eq!(run(strncpy_s, *b"......", &[6, text, 5]), (0, *b"abcde\0"));
        assert_eq!(run(strncpy_s, *b"......", &[6, text, 6]), (34, *b"\0....."));
        assert_eq!(
            run(strncpy_s, *b"......", &[6, text, TRUNCATE]),
            (80, *b"abcde\0")
        );
        assert_eq!(
            run(strncpy_s, *b"......", &[6, address(b"ab\0"), TRUNCATE]),
            (0, *b"ab\0...")
        );
        assert_eq!(run(strncpy_s, *b"......", &[6, 0, 0]), (0, *b"\0....."));
        assert_eq!(value(strncpy_s, &[0, 0, 0, 0]), 0);
    }

    #[test]
    fn strcat_s_checks_size() {
        let text = address(b"cd\0");
        assert_eq!(run(strcat_s, *b"ab\0...", &[6, text]), (0, *b"abcd\0."));
        assert_eq!(run(strcat_s, *b"ab\0...", &[5, text]), (0, *b"abcd\0."));
        assert_eq!(run(strcat_s, *b"ab\0...", &[4, text]), (34, *b"\0b\0..."));
        assert_eq!(run(strcat_s, *b"abcdef", &[6, text]), (22, *b"\0bcdef"));
        assert_eq!(run(strncat_s, *b"ab\0...", &[6, text, 1]), (0, *b"abc\0.."));
        assert_eq!(
            run(strncat_s, *b"abc\0..", &[5, text, TRUNCATE]),
            (80, *b"abcc\0.")
        );
        assert_eq!(run(strncat_s, *b"ab\0...", &[6, 0, 0]), (0, *b"ab\0..."));
    }

    #[test]
    fn wcscpy_s_checks_size() {
        let text = wide("äö");
        let from = address(text.as_slice());
        let mut buffer = [0x2e_u16; 6];
        let to = address_mut(&mut buffer);
        assert_eq!(value(wcscpy_s, &[to, 6, from]), 0);
        assert_eq!(value(wcscat_s, &[to, 6, from]), 0);
        assert_eq!(buffer[..5], wide("äöäö"));
        assert_eq!(value(wcsncat_s, &[to, 6, from, 1]), 0);
        assert_eq!(buffer, wide("äöäöä")[..]);
        assert_eq!(value(wcsncpy_s, &[to, 6, from, 1]), 0);
        assert_eq!(buffer[..2], wide("ä"));
        assert_eq!(value(wcscpy_s, &[to, 2, from]), 34);
        assert_eq!(buffer[0], 0);
    }

    #[test]
    fn memcpy_s_checks_size() {
        let from = address(b"abc");
        assert_eq!(run(memcpy_s, *b"......", &[6, from, 3]), (0, *b"abc..."));
        assert_eq!(run(memcpy_s, *b"......", &[2, from, 3]), (34, *b"\0\0...."));
        assert_eq!(run(memcpy_s, *b"......", &[2, 0, 1]), (22, *b"\0\0...."));
        assert_eq!(run(memcpy_s, *b"......", &[0, 0, 0]), (0, *b"......"));
        assert_eq!(run(memmove_s, *b"......", &[6, from, 3]), (0, *b"abc..."));
        assert_eq!(run(memmove_s, *b"......", &[2, from, 3]), (34, *b"......"));
        assert_eq!(value(memmove_s, &[0, 6, from, 3]), 22);
    }
}

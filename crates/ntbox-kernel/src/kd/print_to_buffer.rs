//! `sprintf` and its many relatives.
//!
//! The three kinds differ in what happens at the end of the buffer. The plain
//! ones do not know where it is. Those with a count leave out the NUL when the
//! text fills the buffer exactly, and return -1 when it does not fit: this is
//! what `RtlStringCbPrintf`, which is inline, builds on. The `_s` ones always
//! store a NUL and return -1 with an empty string, or with what fits if told to
//! truncate.

use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::gate::{Arguments, Call, NoReturn};

use super::format;
use super::format::{Formatted, Text};
use super::output::report;
use crate::base::export::exports;
use crate::rtl::cstr;

/// The size of the destination.
#[derive(Debug, Clone, Copy)]
enum DestinationSize {
    /// Nothing.
    Unknown,
    /// A count of units that may all be text.
    Count(u64),
    /// The size of the buffer, and the most text that is wanted.
    Secure {
        /// Units that the buffer has.
        size: u64,
        /// Most units of text; `None` if all must fit.
        wanted: Option<u64>,
    },
}

/// `_TRUNCATE`: as much as fits.
const TRUNCATE: u64 = u64::MAX;

/// Most units that are formatted for a destination that nobody measured.
const UNMEASURED: usize = 1 << 24;

exports! {
    /// `sprintf`.
    fn sprintf<call>(to: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Unknown, format, &mut call.variadic(2))
    }

    /// `vsprintf`.
    fn vsprintf<call>(to: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Unknown, format, &mut Arguments::List(list))
    }

    /// `swprintf`, which in the kernel has no count.
    fn swprintf<call>(to: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Unknown, format, &mut call.variadic(2))
    }

    /// `_swprintf`.
    fn _swprintf<call>(to: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Unknown, format, &mut call.variadic(2))
    }

    /// `_vswprintf`.
    fn _vswprintf<call>(to: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Unknown, format, &mut Arguments::List(list))
    }

    /// `_snprintf`.
    fn _snprintf<call>(to: u64, count: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Count(count), format, &mut call.variadic(3))
    }

    /// `_vsnprintf`.
    fn _vsnprintf<call>(to: u64, count: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Count(count), format, &mut Arguments::List(list))
    }

    /// `_snwprintf`.
    fn _snwprintf<call>(to: u64, count: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Count(count), format, &mut call.variadic(3))
    }

    /// `_vsnwprintf`.
    fn _vsnwprintf<call>(to: u64, count: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Count(count), format, &mut Arguments::List(list))
    }

    /// `sprintf_s`.
    fn sprintf_s<call>(to: u64, size: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Secure { size, wanted: None }, format, &mut call.variadic(3))
    }

    /// `vsprintf_s`.
    fn vsprintf_s<call>(to: u64, size: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Secure { size, wanted: None }, format, &mut Arguments::List(list))
    }

    /// `swprintf_s`.
    fn swprintf_s<call>(to: u64, size: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Secure { size, wanted: None }, format, &mut call.variadic(3))
    }

    /// `vswprintf_s`.
    fn vswprintf_s<call>(to: u64, size: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Secure { size, wanted: None }, format, &mut Arguments::List(list))
    }

    /// `_snprintf_s`.
    fn _snprintf_s<call>(to: u64, size: u64, count: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Secure { size, wanted: Some(count) }, format, &mut call.variadic(4))
    }

    /// `_vsnprintf_s`.
    fn _vsnprintf_s<call>(to: u64, size: u64, count: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u8>(call, to, DestinationSize::Secure { size, wanted: Some(count) }, format, &mut Arguments::List(list))
    }

    /// `_snwprintf_s`.
    fn _snwprintf_s<call>(to: u64, size: u64, count: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Secure { size, wanted: Some(count) }, format, &mut call.variadic(4))
    }

    /// `_vsnwprintf_s`.
    fn _vsnwprintf_s<call>(to: u64, size: u64, count: u64, format: u64, list: u64) -> i32 [max HIGH_LEVEL, crt] {
        print::<u16>(call, to, DestinationSize::Secure { size, wanted: Some(count) }, format, &mut Arguments::List(list))
    }
}

/// Formats into memory of the driver; the number of units, or -1.
fn print<U: Text>(
    call: &Call<'_>,
    to: u64,
    room: DestinationSize,
    format: u64,
    arguments: &mut Arguments<'_>,
) -> Result<i32, NoReturn> {
    let limit = match room {
        DestinationSize::Unknown => UNMEASURED,
        DestinationSize::Count(units) | DestinationSize::Secure { size: units, .. } => {
            usize::try_from(units).map_or(UNMEASURED, |units| units.min(UNMEASURED))
        }
    };
    let formatted = format::format::<U>(format, arguments, limit);
    report(call, &formatted);
    if let Some(fault) = formatted.fault {
        return Err(fault.into());
    }
    match room {
        DestinationSize::Unknown => {
            store(to, &formatted.text)?;
            Ok(length(&formatted))
        }
        // Without a buffer the length alone is wanted.
        DestinationSize::Count(0) if to == 0 => Ok(length(&formatted)),
        DestinationSize::Count(count) if formatted.length < count => {
            store(to, &formatted.text)?;
            Ok(length(&formatted))
        }
        DestinationSize::Count(count) => {
            U::write_many(to, &formatted.text)?;
            Ok(if formatted.length == count {
                length(&formatted)
            } else {
                -1
            })
        }
        DestinationSize::Secure { size, wanted } => print_secure(to, size, wanted, &formatted),
    }
}

/// The end of the `_s` functions.
fn print_secure<U: Text>(
    to: u64,
    size: u64,
    wanted: Option<u64>,
    formatted: &Formatted<U>,
) -> Result<i32, NoReturn> {
    if to == 0 || size == 0 {
        return Ok(-1);
    }
    let most = match wanted {
        None => formatted.length,
        Some(TRUNCATE) => size - 1,
        Some(count) => count,
    };
    let stored = formatted.length.min(most);
    if stored >= size {
        U::default().write(to)?;
        return Ok(-1);
    }
    let kept = usize::try_from(stored)
        .unwrap_or(usize::MAX)
        .min(formatted.text.len());
    store(to, &formatted.text[..kept])?;
    Ok(if stored == formatted.length {
        length(formatted)
    } else {
        -1
    })
}

/// Stores text and a NUL.
fn store<U: Text>(to: u64, units: &[U]) -> Result<(), NoReturn> {
    U::write_many(to, units)?;
    Ok(U::default().write(cstr::at::<U>(to, units.len() as u64))?)
}

fn length<U>(formatted: &Formatted<U>) -> i32 {
    i32::try_from(formatted.length).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::ExportResult;

    use super::*;
    use crate::test_support::{NOWHERE, address, address_mut, broken_rules, fault, value, wide};

    type Handler = fn(&mut Call<'_>) -> ExportResult;

    /// Calls a function that has a count, on a buffer of 8.
    fn counted(handler: Handler, count: u64) -> (i64, [u8; 8]) {
        let mut buffer = *b"........";
        let arguments = [
            address_mut(&mut buffer),
            count,
            address(b"%s%d\0"),
            address(b"abc\0"),
            45,
        ];
        (value(handler, &arguments).cast_signed(), buffer)
    }

    #[test]
    fn snprintf_omits_nul_at_count() {
        assert_eq!(counted(_snprintf, 8), (5, *b"abc45\0.."));
        assert_eq!(counted(_snprintf, 6), (5, *b"abc45\0.."));
        assert_eq!(counted(_snprintf, 5), (5, *b"abc45..."));
        assert_eq!(counted(_snprintf, 4), (-1, *b"abc4...."));
        assert_eq!(counted(_snprintf, 0), (-1, *b"........"));
        assert_eq!(value(_snprintf, &[0, 0, address(b"12345\0")]), 5);
    }

    #[test]
    fn sprintf_s_always_terminates() {
        assert_eq!(counted(sprintf_s, 8), (5, *b"abc45\0.."));
        assert_eq!(counted(sprintf_s, 6), (5, *b"abc45\0.."));
        assert_eq!(counted(sprintf_s, 5), (-1, *b"\0......."));
        assert_eq!(counted(sprintf_s, 0), (-1, *b"........"));
        assert_eq!(value(sprintf_s, &[0, 4, address(b"x\0")]).cast_signed(), -1);
    }

    #[test]
    fn snprintf_s_truncates_at_count() {
        let run = |size, count| {
            let mut buffer = *b"........";
            let arguments = [
                address_mut(&mut buffer),
                size,
                count,
                address(b"%s\0"),
                address(b"abcde\0"),
            ];
            (value(_snprintf_s, &arguments).cast_signed(), buffer)
        };
        assert_eq!(run(8, TRUNCATE), (5, *b"abcde\0.."));
        assert_eq!(run(4, TRUNCATE), (-1, *b"abc\0...."));
        assert_eq!(run(8, 2), (-1, *b"ab\0....."));
        assert_eq!(run(8, 5), (5, *b"abcde\0.."));
        assert_eq!(run(5, 5), (-1, *b"\0......."));
        assert_eq!(run(3, 9), (-1, *b"\0......."));
    }

    #[test]
    fn sprintf_ignores_size() {
        let mut buffer = *b"........";
        let va = address_mut(&mut buffer);
        assert_eq!(value(sprintf, &[va, address(b"%c%c\0"), 0x61, 0x62]), 2);
        assert_eq!(&buffer, b"ab\0.....");
        let list = [7_u64];
        assert_eq!(
            value(vsprintf, &[va, address(b"%03d\0"), address(&list)]),
            3
        );
        assert_eq!(&buffer, b"007\0....");
    }

    #[test]
    fn wide_print_functions_store_text() {
        let format = wide("%s %hs");
        let text = wide("я");
        let expected = wide("я é");
        let list = [address(text.as_slice()), address(b"\xe9\0")];
        let (format, va_list) = (address(format.as_slice()), address(&list));
        let check = |run: &dyn Fn(u64) -> u64| {
            let mut buffer = [0x2e_u16; 6];
            assert_eq!(run(address_mut(&mut buffer)), 3);
            assert_eq!(buffer[..4], expected);
            assert_eq!(buffer[4], 0x2e);
        };
        check(&|to| value(swprintf, &[to, format, list[0], list[1]]));
        check(&|to| value(_swprintf, &[to, format, list[0], list[1]]));
        check(&|to| value(_vswprintf, &[to, format, va_list]));
        check(&|to| value(_snwprintf, &[to, 6, format, list[0], list[1]]));
        check(&|to| value(_vsnwprintf, &[to, 6, format, va_list]));
        check(&|to| value(swprintf_s, &[to, 6, format, list[0], list[1]]));
        check(&|to| value(vswprintf_s, &[to, 6, format, va_list]));
        check(&|to| value(_snwprintf_s, &[to, 6, 6, format, list[0], list[1]]));
        check(&|to| value(_vsnwprintf_s, &[to, 6, 5, format, va_list]));
    }

    #[test]
    fn narrow_print_functions_with_va_list_store_text() {
        let list = [5_u64];
        let (format, va_list) = (address(b"%d\0"), address(&list));
        let mut buffer = *b"....";
        let to = address_mut(&mut buffer);
        for (handler, arguments) in [
            (_vsnprintf as Handler, &[to, 4, format, va_list][..]),
            (vsprintf_s, &[to, 4, format, va_list]),
            (_vsnprintf_s, &[to, 4, 3, format, va_list]),
        ] {
            value(sprintf, &[to, address(b"\0")]);
            assert_eq!(value(handler, arguments), 1);
            assert_eq!(&buffer[..2], b"5\0");
        }
    }

    #[test]
    fn print_to_invalid_destination_faults() {
        assert_eq!(fault(sprintf, &[NOWHERE, address(b"x\0")]), NOWHERE);
        assert_eq!(fault(_snprintf, &[NOWHERE, 4, address(b"x\0")]), NOWHERE);
        assert!(broken_rules().is_empty());
    }
}

//! Conversions between strings of the OEM code page and UTF-16 that add no NUL, and
//! that refuse characters which the code page lacks.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString as Counted;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::gate::{Call, NoReturn};

use super::{ansi, scan, string_alloc};
use crate::base::export::exports;
use crate::base::{codepage, upcase};

/// Stores bytes behind a counted string, in pool if they are to be there.
fn store(call: &Call<'_>, to: u64, bytes: &[u8], allocate: bool) -> Result<u32, NoReturn> {
    let Ok(length) = u16::try_from(bytes.len()) else {
        return Ok(nt_status::STATUS_INVALID_PARAMETER_2);
    };
    let mut string = Counted::read(to)?;
    if allocate {
        string.maximum_length = length;
        string.buffer = 0;
        if length != 0 {
            let Some(buffer) = string_alloc::take(call, length.into()) else {
                return Ok(nt_status::STATUS_NO_MEMORY);
            };
            string.buffer = buffer;
        }
    } else if length > string.maximum_length {
        return Ok(nt_status::STATUS_BUFFER_OVERFLOW);
    }
    string.length = length;
    driver_mem::write_bytes(string.buffer, bytes)?;
    string.write(to)?;
    Ok(nt_status::STATUS_SUCCESS)
}

/// To bytes, after a change of each character.
fn to_bytes(
    call: &Call<'_>,
    to: u64,
    from: u64,
    allocate: bool,
    change: fn(u16) -> u16,
) -> Result<u32, NoReturn> {
    let from = Counted::read(from)?;
    let units = scan::units(from.buffer, u64::from(from.length / 2))?;
    let mut bytes = Vec::with_capacity(units.len());
    for unit in units.into_iter().map(change) {
        let Some(byte) = codepage::exact(unit) else {
            return Ok(nt_status::STATUS_UNMAPPABLE_CHARACTER);
        };
        bytes.push(byte);
    }
    store(call, to, &bytes, allocate)
}

exports! {
    /// `RtlOemStringToCountedUnicodeString`.
    fn RtlOemStringToCountedUnicodeString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY
    {
        let bytes = ansi::bytes(Counted::read(from)?)?;
        let units = bytes.into_iter().map(codepage::to_unicode);
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        store(call, to, &bytes, allocate)
    }

    /// `RtlUnicodeStringToCountedOemString`.
    fn RtlUnicodeStringToCountedOemString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY
    {
        to_bytes(call, to, from, allocate, |unit| unit)
    }

    /// `RtlUpcaseUnicodeStringToCountedOemString`.
    fn RtlUpcaseUnicodeStringToCountedOemString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY
    {
        to_bytes(call, to, from, allocate, upcase::upcase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Counted as Text, address, address_mut, status, wide};

    #[test]
    fn counted_conversion_stores_no_nul() {
        let mut units = wide("aé");
        let from = Text::unicode(&mut units, 2);
        let mut room = [7_u8; 3];
        let mut to = Text::ansi(&mut room[..2], 0);
        let arguments = [address_mut(&mut to), address(&from), 0];
        assert_eq!(
            status(RtlUpcaseUnicodeStringToCountedOemString, &arguments),
            0
        );
        assert_eq!(to.bytes(), [b'A', 0xc9]);
        assert_eq!(status(RtlUnicodeStringToCountedOemString, &arguments), 0);
        assert_eq!(to.bytes(), [b'a', 0xe9]);
        assert_eq!(room[2], 7);
    }

    #[test]
    fn counted_conversion_too_long_is_refused() {
        let mut units = wide("aя");
        let (mut room, mut wide_room) = ([0_u8; 1], [0_u16; 1]);
        let mut bytes = *b"ab";
        let mut to = Text::ansi(&mut room, 0);
        let from = Text::unicode(&mut units, 2);
        let arguments = [address_mut(&mut to), address(&from), 0];
        assert_eq!(
            status(RtlUnicodeStringToCountedOemString, &arguments),
            nt_status::STATUS_UNMAPPABLE_CHARACTER
        );
        let from = Text::ansi(&mut bytes, 2);
        let mut to = Text::unicode(&mut wide_room, 0);
        let arguments = [address_mut(&mut to), address(&from), 0];
        let overflow = nt_status::STATUS_BUFFER_OVERFLOW;
        assert_eq!(
            status(RtlOemStringToCountedUnicodeString, &arguments),
            overflow
        );
    }

    #[test]
    fn counted_conversion_of_empty_allocates_nothing() {
        let from = Text::empty();
        let mut to = Text::empty();
        to.buffer = 1;
        let arguments = [address_mut(&mut to), address(&from), 1];
        assert_eq!(status(RtlOemStringToCountedUnicodeString, &arguments), 0);
        assert_eq!((to.length, to.maximum_length, to.buffer), (0, 0, 0));
    }
}

//! GUIDs as text, `{6B29FC40-CA47-1067-B31D-00DD010662DA}`.

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::{scan, string_alloc};
use crate::base::export::exports;

/// Characters of a GUID as text.
const LENGTH: u16 = 38;

exports! {
    /// `RtlStringFromGUID`: in pool that the caller frees with
    /// `RtlFreeUnicodeString`.
    fn RtlStringFromGUID<call>(guid: u64, to: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails STATUS_NO_MEMORY {
        let mut bytes = [0; 16];
        driver_mem::read_bytes(guid, &mut bytes)?;
        let units: Vec<u16> = text(bytes).encode_utf16().chain([0]).collect();
        let size = 2 * LENGTH + 2;
        let Some(buffer) = string_alloc::take(call, size.into()) else { return Ok(STATUS_NO_MEMORY) };
        scan::write_units(buffer, &units)?;
        UnicodeString { length: 2 * LENGTH, maximum_length: size, buffer }.write(to)?;
        Ok(STATUS_SUCCESS)
    }

    /// `RtlGUIDFromString`.
    fn RtlGUIDFromString(string: u64, guid: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let text = UnicodeString::read(string)?.text()?;
        let Some(bytes) = parse(&text) else { return Ok(STATUS_INVALID_PARAMETER) };
        driver_mem::write_bytes(guid, &bytes)?;
        Ok(STATUS_SUCCESS)
    }
}

/// Places of the bytes in the order of the text: the first three parts are
/// little-endian numbers.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/// A GUID, given as it lies in memory, as text in braces.
pub fn text(bytes: [u8; 16]) -> String {
    let digits = ORDER
        .iter()
        .flat_map(|at| [bytes[*at] >> 4, bytes[*at] & 0xf]);
    let hex: String = digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    let hex = hex.to_ascii_uppercase();
    format!(
        "{{{}-{}-{}-{}-{}}}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn parse(text: &str) -> Option<[u8; 16]> {
    let parts: Vec<&str> = text
        .strip_prefix('{')?
        .strip_suffix('}')?
        .split('-')
        .collect();
    if !parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let hex = parts.concat();
    let mut digits = hex.chars().map(|letter| letter.to_digit(16));
    let mut bytes = [0; 16];
    for at in ORDER {
        let value = digits.next()?? * 16 + digits.next()??;
        bytes[at] = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtl::unicode::RtlFreeUnicodeString;
    use crate::test_support::{Counted, address, address_mut, status, value, wide};

    const TEXT: &str = "{6B29FC40-CA47-1067-B31D-00DD010662DA}";
    const BYTES: [u8; 16] = [
        0x40, 0xfc, 0x29, 0x6b, 0x47, 0xca, 0x67, 0x10, 0xb3, 0x1d, 0, 0xdd, 1, 6, 0x62, 0xda,
    ];

    fn from(text: &str) -> Result<[u8; 16], u32> {
        let mut units = wide(text);
        let used = units.len() - 1;
        let string = Counted::unicode(&mut units, used);
        let mut guid = [0; 16];
        match status(
            RtlGUIDFromString,
            &[address(&string), address_mut(&mut guid)],
        ) {
            STATUS_SUCCESS => Ok(guid),
            failure => Err(failure),
        }
    }

    #[test]
    fn guid_from_string_parses() {
        assert_eq!(from(TEXT), Ok(BYTES));
        assert_eq!(from(&TEXT.to_lowercase()), Ok(BYTES));
    }

    #[test]
    fn guid_from_string_malformed_is_refused() {
        for bad in [
            "",
            "{}",
            &TEXT[1..],
            &TEXT[..37],
            &TEXT.replace("B3", "G3"),
            &TEXT.replace("-CA47", "C-A47"),
            &TEXT.replace('-', "_"),
            &format!("{TEXT} "),
            &TEXT.replace("6B29", "+B29"),
        ] {
            assert_eq!(from(bad), Err(STATUS_INVALID_PARAMETER), "{bad}");
        }
    }

    #[test]
    fn string_from_guid_allocates_pool() {
        let mut string = Counted::empty();
        let va = address_mut(&mut string);
        assert_eq!(
            status(RtlStringFromGUID, &[address(&BYTES), va]),
            STATUS_SUCCESS
        );
        assert_eq!(string.text(), TEXT);
        assert_eq!((string.length, string.maximum_length), (76, 78));
        assert_eq!(driver_mem::read_u16(string.buffer + 76), Ok(0));
        value(RtlFreeUnicodeString, &[va]);
        assert_eq!(string.buffer, 0);
    }
}

//! Writing DER, the encoding of everything that is signed.
//!
//! A catalogue needs a dozen kinds of values, all of them written and none read
//! back; what reads them back is OpenSSL, in tests.

/// `SEQUENCE`.
pub(crate) const SEQUENCE: u8 = 0x30;
/// `SET`; its members are to be in ascending order, see [`set`].
const SET: u8 = 0x31;

/// A value with its tag and length.
pub(crate) fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = contents.len();
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        bytes.push(short);
    } else {
        let big_endian = length.to_be_bytes();
        let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
        let digits = &big_endian[zeros..];
        // At most eight digits, so the sum is a byte.
        bytes.push(0x80 + u8::try_from(digits.len()).unwrap_or(8));
        bytes.extend(digits);
    }
    bytes.extend(contents);
    bytes
}

/// `SEQUENCE` of parts.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// `SET OF`, whose members DER orders by their encodings.
pub(crate) fn set(mut members: Vec<Vec<u8>>) -> Vec<u8> {
    members.sort();
    value(SET, &members.concat())
}

/// `[number]`, constructed: explicit tagging.
pub(crate) fn explicit(number: u8, contents: &[u8]) -> Vec<u8> {
    value(0xA0 | number, contents)
}

/// `[number]`, primitive and empty: implicit tagging of an empty string or NULL.
pub(crate) fn empty(number: u8) -> Vec<u8> {
    value(0x80 | number, &[])
}

/// `INTEGER`, not negative.
pub(crate) fn integer(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(3);
    let mut digits = bytes[zeros..].to_vec();
    if digits[0] & 0x80 != 0 {
        digits.insert(0, 0);
    }
    value(0x02, &digits)
}

/// `OCTET STRING`.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    value(0x04, bytes)
}

/// `NULL`.
pub(crate) fn null() -> Vec<u8> {
    value(0x05, &[])
}

/// `OBJECT IDENTIFIER`, of its arcs.
pub(crate) fn identifier(arcs: &[u32]) -> Vec<u8> {
    let mut contents = Vec::new();
    let [first, second, rest @ ..] = arcs else {
        return value(0x06, &[]);
    };
    for arc in std::iter::once(first * 40 + second).chain(rest.iter().copied()) {
        let septets = (1..5).filter(|septet| arc >> (7 * septet) != 0).count();
        for septet in (0..=septets).rev() {
            let bits = (arc >> (7 * septet)) & 0x7F;
            let more = if septet == 0 { 0 } else { 0x80 };
            contents.push(u8::try_from(bits).unwrap_or(0) | more);
        }
    }
    value(0x06, &contents)
}

/// `BMPString`: UTF-16, high byte first.
pub(crate) fn bmp_string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    value(0x1E, &units)
}

/// `UTCTime`, from `YYMMDDHHMMSSZ`.
pub(crate) fn utc_time(text: &str) -> Vec<u8> {
    value(0x17, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoding_is_minimal() {
        assert_eq!(value(4, &[0; 0x7F])[..2], [4, 0x7F]);
        assert_eq!(value(4, &[0; 0x80])[..3], [4, 0x81, 0x80]);
        assert_eq!(value(4, &[0; 0x1234])[..4], [4, 0x82, 0x12, 0x34]);
    }

    #[test]
    fn integer_encoding_is_not_negative() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(0x80), [2, 2, 0, 0x80]);
        assert_eq!(integer(0x1001_0001), [2, 4, 0x10, 1, 0, 1]);
    }

    #[test]
    fn identifier_encoding_uses_septets() {
        // X.690, 8.19.5, and a published encoding of Microsoft's arc.
        assert_eq!(identifier(&[2, 999, 3]), [6, 3, 0x88, 0x37, 3]);
        assert_eq!(
            identifier(&[1, 3, 6, 1, 4, 1, 311, 10, 1]),
            [6, 9, 0x2B, 6, 1, 4, 1, 0x82, 0x37, 10, 1]
        );
    }

    #[test]
    fn set_encoding_is_sorted() {
        assert_eq!(
            set(vec![integer(2), integer(1)]),
            [SET, 6, 2, 1, 1, 2, 1, 2]
        );
    }
}

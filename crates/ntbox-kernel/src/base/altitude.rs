//! Altitudes: where a filter stands among others of its kind. An altitude is a
//! decimal number written as text, of any length and with any fraction, so that
//! there is room between any two; it is compared as a number.

use ntbox_host::driver_mem::{Fault, UnicodeString};

/// What lies behind the comma.
const POINT: u16 = b'.' as u16;
/// A digit that counts for nothing at either end.
const ZERO: u16 = b'0' as u16;

/// An altitude; the higher one is the greater.
// The order of the fields is that of comparison: of two whole numbers without
// zeros before them the longer one is the greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Altitude {
    length: usize,
    whole: Vec<u16>,
    fraction: Vec<u16>,
}

impl Altitude {
    /// The altitude that a text says.
    pub fn new(text: &[u16]) -> Self {
        let mut parts = text.splitn(2, |unit| *unit == POINT);
        let whole = parts.next().unwrap_or_default();
        let zeros = whole.iter().take_while(|unit| **unit == ZERO).count();
        let whole = whole[zeros..].to_vec();
        let mut fraction = parts.next().unwrap_or_default().to_vec();
        while fraction.last() == Some(&ZERO) {
            fraction.pop();
        }
        Self {
            length: whole.len(),
            whole,
            fraction,
        }
    }

    /// Reads the `UNICODE_STRING` of an altitude.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(va: u64) -> Result<Self, Fault> {
        Ok(Self::new(&UnicodeString::read(va)?.units()?))
    }
}

#[cfg(test)]
mod tests {
    use super::Altitude;

    fn at(text: &str) -> Altitude {
        Altitude::new(&text.encode_utf16().collect::<Vec<_>>())
    }

    #[test]
    fn altitudes_compare_as_numbers() {
        assert!(at("380010") > at("380000"));
        assert!(at("99999") < at("100000"));
        assert!(at("380010.5") > at("380010"));
        assert!(at("380010.10") < at("380010.9"));
        assert_eq!(at("00380010.50"), at("380010.5"));
        assert_eq!(at("0"), at(""));
        assert_ne!(at("1.05"), at("1.5"));
    }
}

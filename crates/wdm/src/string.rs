//! Borrowed counted UTF-16 strings: the kernel's `UNICODE_STRING`.
//!
//! A string may contain unpaired surrogates and NULs, so it is only compared, or printed
//! with escapes.

use core::{fmt, marker::PhantomData, slice};

use wdk_sys::UNICODE_STRING;

/// Text in UTF-16, at most 32,767 units: what `UNICODE_STRING` can describe.
///
/// Usable at any IRQL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnicodeStr<'a> {
    units: &'a [u16],
}

impl<'a> UnicodeStr<'a> {
    /// The longest text, in units: a `UNICODE_STRING` counts bytes in 16 bits.
    pub(crate) const MAX_UNITS: usize = (u16::MAX / 2) as usize;

    /// The text without units.
    pub const EMPTY: UnicodeStr<'static> = UnicodeStr { units: &[] };

    /// The text with these units; `None` if there are too many.
    #[must_use]
    pub const fn new(units: &'a [u16]) -> Option<Self> {
        if units.len() <= Self::MAX_UNITS {
            Some(Self { units })
        } else {
            None
        }
    }

    /// The units.
    #[must_use]
    pub const fn units(self) -> &'a [u16] {
        self.units
    }

    /// Whether this is `ascii`, upper and lower case being the same.
    #[must_use]
    pub fn eq_ignore_ascii_case(self, ascii: &str) -> bool {
        self.units.len() == ascii.len()
            && self.units.iter().zip(ascii.bytes()).all(|(&unit, byte)| {
                u8::try_from(unit).is_ok_and(|unit| unit.eq_ignore_ascii_case(&byte))
            })
    }

    /// The parts between units for which `is_separator` holds; some may be empty.
    pub fn split(self, is_separator: impl Fn(u16) -> bool) -> impl Iterator<Item = UnicodeStr<'a>> {
        // A part is not longer than the whole.
        self.units
            .split(move |&unit| is_separator(unit))
            .map(|units| UnicodeStr { units })
    }

    /// The text that the kernel describes; `None` if its length is odd.
    ///
    /// # Safety
    ///
    /// Unless its length is 0, `text.Buffer` points to that many bytes, aligned
    /// for `u16`, which nobody changes during `'a`.
    pub(crate) unsafe fn from_raw(text: &UNICODE_STRING) -> Option<Self> {
        let bytes = usize::from(text.Length);
        if !bytes.is_multiple_of(2) {
            return None;
        }
        if bytes == 0 || text.Buffer.is_null() {
            return Some(Self { units: &[] });
        }
        let buffer: *const u16 = text.Buffer;
        // SAFETY: the caller vouches for the buffer.
        let units = unsafe { slice::from_raw_parts(buffer, bytes / 2) };
        Some(Self { units })
    }

    /// A description of the text for the kernel, which only reads it.
    pub(crate) fn to_raw(self) -> RawUnicode<'a> {
        // No more than MAX_UNITS units, so the byte count fits.
        let bytes = u16::try_from(size_of_val(self.units)).unwrap_or(0);
        let string = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: self.units.as_ptr().cast_mut(),
        };
        RawUnicode {
            string,
            text: PhantomData,
        }
    }
}

/// A `UNICODE_STRING` that does not outlive its text.
pub(crate) struct RawUnicode<'a> {
    string: UNICODE_STRING,
    text: PhantomData<&'a [u16]>,
}

impl RawUnicode<'_> {
    pub(crate) const fn as_mut_ptr(&mut self) -> *mut UNICODE_STRING {
        &raw mut self.string
    }
}

/// Printable ASCII as it is, a quote or backslash after a backslash, and anything
/// else as `\u{…}`: fit to stand between quotes in a log.
impl fmt::Display for UnicodeStr<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for &unit in self.units {
            match u8::try_from(unit) {
                Ok(byte @ (b'"' | b'\\')) => write!(formatter, "\\{}", char::from(byte))?,
                Ok(byte @ b' '..=b'~') => formatter.write_char(char::from(byte))?,
                _ => write!(formatter, "\\u{{{unit:x}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for UnicodeStr<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

/// The units of ASCII text, for [`utf16!`](crate::utf16!), which calls this while
/// compiling only.
#[doc(hidden)]
#[must_use]
pub const fn __ascii_units<const N: usize>(text: &str) -> [u16; N] {
    assert!(
        text.is_ascii() && text.len() == N,
        "only ASCII text has a unit a byte"
    );
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        units[index] = text.as_bytes()[index] as u16;
        index += 1;
    }
    units
}

/// A [`UnicodeStr`] from an ASCII literal, made while
/// compiling.
///
/// ```
/// let name = wdm::utf16!("Parameters");
/// # assert_eq!(name.units().len(), 10);
/// ```
#[macro_export]
macro_rules! utf16 {
    ($text:literal) => {
        const {
            const UNITS: [u16; $text.len()] = $crate::string::__ascii_units($text);
            match $crate::string::UnicodeStr::new(&UNITS) {
                ::core::option::Option::Some(text) => text,
                ::core::option::Option::None => ::core::panic!("the text is too long"),
            }
        }
    };
}

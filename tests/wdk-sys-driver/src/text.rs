//! Texts as the kernel takes them.

use wdk_sys::UNICODE_STRING;

/// The UTF-16 units of an ASCII text, with a 0 behind them.
///
/// # Panics
///
/// When a constant is made of a text that is not ASCII, or of the wrong length.
pub const fn units<const N: usize>(text: &str) -> [u16; N] {
    assert!(text.is_ascii() && text.len() + 1 == N);
    let mut units = [0; N];
    let mut index = 0;
    while index < text.len() {
        units[index] = text.as_bytes()[index] as u16;
        index += 1;
    }
    units
}

/// The string of all units but the last.
///
/// # Panics
///
/// If there is none, or more than a string can hold.
pub const fn counted(units: &'static [u16]) -> UNICODE_STRING {
    let bytes = units.len() * 2;
    assert!(bytes > 0 && bytes < 0x1_0000);
    #[expect(clippy::cast_possible_truncation, reason = "checked")]
    let bytes = bytes as u16;
    UNICODE_STRING {
        Length: bytes - 2,
        MaximumLength: bytes,
        Buffer: units.as_ptr().cast_mut(),
    }
}

/// The units of an ASCII text, for all time.
macro_rules! wide {
    ($text:literal) => {{
        const UNITS: [u16; $text.len() + 1] = $crate::text::units($text);
        static TEXT: [u16; $text.len() + 1] = UNITS;
        &TEXT
    }};
}

/// A counted string of an ASCII text, which nobody may write to.
macro_rules! unicode {
    ($text:literal) => {
        $crate::text::counted(wide!($text))
    };
}

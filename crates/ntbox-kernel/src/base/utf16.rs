//! Names as objects and keys have them: UTF-16, mostly without regard to case.

use super::upcase::upcase;

/// The separator of path components.
pub const SEPARATOR: u16 = b'\\' as u16;

/// A name in the form in which names are compared when case does not matter.
pub fn fold(name: &[u16]) -> Vec<u16> {
    name.iter().map(|unit| upcase(*unit)).collect()
}

/// UTF-16 of a text.
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A name to be shown to a person.
pub fn text(name: &[u16]) -> String {
    String::from_utf16_lossy(name)
}

/// Splits a path without leading separator into its first component and what
/// follows the separator after it.
pub fn split_first(path: &[u16]) -> (&[u16], &[u16]) {
    match path.iter().position(|unit| *unit == SEPARATOR) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, &[]),
    }
}

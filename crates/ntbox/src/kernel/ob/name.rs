//! Names as objects and keys have them: UTF-16, mostly without regard to case.

/// The separator of path components.
pub const SEPARATOR: u16 = b'\\' as u16;

/// A name in the form in which names are compared when case does not matter.
pub fn fold(name: &[u16]) -> Vec<u16> {
    name.iter().map(|unit| upcase(*unit)).collect()
}

/// The upper case of a unit that has one of the same length.
fn upcase(unit: u16) -> u16 {
    let Some(character) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => u16::try_from(u32::from(upper)).unwrap_or(unit),
        _ => unit,
    }
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

//! Listings read back: to compare two moments, or to draw what another machine
//! wrote.

use std::io::BufRead;

use crate::{Block, Error, Kind, Protection, State, listing};

/// Why a line is none of a listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A column is missing.
    #[error("the {0} is missing")]
    Missing(&'static str),
    /// A column says what it cannot say.
    #[error("`{text}` is no {column}")]
    Wrong {
        /// The column.
        column: &'static str,
        /// What is there.
        text: String,
    },
    /// Behind the last column there is more.
    #[error("`{0}` follows after the last column")]
    TooMuch(String),
    /// The block reaches past the last address.
    #[error("no block has this address and size")]
    Size,
}

/// The block of a line; `None` for a line without one: an empty line, the names of
/// the columns, a comment behind `#`.
///
/// # Errors
///
/// The line has something else.
pub fn line(text: &str) -> Result<Option<Block>, ParseError> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') || text == listing::HEADER {
        return Ok(None);
    }
    let mut words = text.split_ascii_whitespace();
    let allocation_base = address(&mut words, "allocation base")?;
    let base = address(&mut words, "base address")?;
    let size = size(&mut words)?;
    base.checked_add(size).ok_or(ParseError::Size)?;
    let state = one_of(&mut words, "state", &State::ALL, State::name)?;
    let mut block = Block {
        allocation_base,
        state,
        ..Block::free(base, size)
    };
    if state != State::Free {
        block.kind = Some(one_of(&mut words, "type", &Kind::ALL, Kind::name)?);
    }
    if state == State::Committed {
        block.protection = protection(&mut words, "current protection")?;
        block.allocation_protection = protection(&mut words, "allocation protection")?;
    }
    match words.next() {
        None => Ok(Some(block)),
        Some(word) => Err(ParseError::TooMuch(word.to_owned())),
    }
}

/// The blocks of a listing.
///
/// # Errors
///
/// It cannot be read, or a line is none.
pub fn read(input: impl BufRead, path: &str) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    for (number, text) in (1..).zip(input.lines()) {
        let text = text.map_err(|error| Error::File {
            path: path.to_owned(),
            error,
        })?;
        let block = line(&text).map_err(|error| Error::Line {
            path: path.to_owned(),
            line: number,
            error,
        })?;
        blocks.extend(block);
    }
    Ok(blocks)
}

type Words<'a> = std::str::SplitAsciiWhitespace<'a>;

fn wrong(column: &'static str, text: &str) -> ParseError {
    ParseError::Wrong {
        column,
        text: text.to_owned(),
    }
}

fn next<'a>(words: &mut Words<'a>, column: &'static str) -> Result<&'a str, ParseError> {
    words.next().ok_or(ParseError::Missing(column))
}

fn address(words: &mut Words<'_>, column: &'static str) -> Result<u64, ParseError> {
    let text = next(words, column)?;
    let digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|_| digits);
    number.ok_or_else(|| wrong(column, text))
}

fn size(words: &mut Words<'_>) -> Result<u64, ParseError> {
    let text = next(words, "size")?;
    let digits = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| wrong("size", text))
}

fn one_of<T: Copy>(
    words: &mut Words<'_>,
    column: &'static str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, ParseError> {
    let text = next(words, column)?;
    let found = all.iter().copied().find(|value| name(*value) == text);
    found.ok_or_else(|| wrong(column, text))
}

fn protection(words: &mut Words<'_>, column: &'static str) -> Result<Protection, ParseError> {
    let text = next(words, column)?;
    text.parse().map_err(|()| wrong(column, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn protections() -> impl Strategy<Value = Protection> {
        (0_u32..8, 0_u32..8).prop_map(|(kind, modifiers)| Protection(1 << kind | modifiers << 8))
    }

    fn blocks() -> impl Strategy<Value = Block> {
        let places = (any::<u64>(), 0..u64::MAX / 2, 1..u64::MAX / 2);
        let words = (0_usize..3, 0_usize..3, protections(), protections());
        (places, words).prop_map(|((allocation_base, base, size), words)| {
            let (state, kind, protection, allocation_protection) = words;
            let raw = crate::block::Raw {
                allocation_base,
                base,
                size,
                state: State::ALL[state].number(),
                kind: Kind::ALL[kind].number(),
                protection: protection.0,
                allocation_protection: allocation_protection.0,
            };
            Block::from_raw(&raw).expect("a block")
        })
    }

    proptest! {
        #[test]
        fn parse_reads_printed_line(block in blocks()) {
            let text = listing::line(&block);
            prop_assert_eq!(line(&text), Ok(Some(block.listed())));
        }

        #[test]
        fn parsed_line_prints_alike(block in blocks(), place in 0_usize..90, letter in "[ -~]") {
            // A line with one letter changed is a block only if it prints so.
            let mut text = listing::line(&block);
            let place = place % text.len();
            text.replace_range(place..=place, &letter);
            if let Ok(Some(block)) = line(&text) {
                let words = |text: &str| -> Vec<String> {
                    text.to_uppercase().split_whitespace().map(str::to_owned).collect()
                };
                prop_assert_eq!(words(&listing::line(&block)), words(&text));
            }
        }
    }

    #[test]
    fn parse_error_names_the_field() {
        let message = |text: &str| line(text).expect_err(text).to_string();
        assert_eq!(message("12"), "`12` is no allocation base");
        assert_eq!(message("0000000000000000"), "the base address is missing");
        let start = "0000000000060000 0000000000060000";
        assert_eq!(message(&format!("{start} +8")), "`+8` is no size");
        assert_eq!(message(&format!("{start} 8 Used")), "`Used` is no state");
        assert_eq!(
            message(&format!("{start} 8 Committed Private -------")),
            "the allocation protection is missing"
        );
        assert_eq!(
            message(&format!("{start} 8 Free Private")),
            "`Private` follows after the last column"
        );
        assert_eq!(
            message("FFFFFFFFFFFFF000 FFFFFFFFFFFFF000 8192 Free"),
            "no block has this address and size"
        );
    }

    #[test]
    fn read_skips_lines_without_block() {
        let text = format!(
            "# notes.exe\n{}\n\n0000000000000000 0000000000000000 65536   Free\n",
            listing::HEADER
        );
        let blocks = read(text.as_bytes(), "text").expect("a listing");
        assert_eq!(blocks, [Block::free(0, 65536)]);
        let error = read(&b"\nx\n"[..], "text").expect_err("no listing");
        assert_eq!(error.to_string(), "text, line 2: `x` is no allocation base");
    }
}

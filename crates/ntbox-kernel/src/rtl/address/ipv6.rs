//! IPv6 addresses read from text. What is well formed is told in RFC 4291; how
//! far Windows reads what is not, where it says that an address ends, and which
//! words it has stored by then, was seen there and is told nowhere.
//!
//! Words are stored as their colons are met, and moved to the end of the address
//! when it is known how many zeros `::` stands for. A word with too many digits
//! in front of a colon ends everything at once, so that not even the terminator
//! is stored. (Before Windows 11 an address that begins in `::` and has seven
//! more words lost the last of them; that is not imitated.)

/// Words of an address, and bytes.
const WORDS: usize = 8;
const SIZE: usize = 2 * WORDS;

/// The result of parsing a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedIpv6 {
    /// Whether it is an address.
    pub valid: bool,
    /// The bytes; of an address that is none, what was read of it.
    pub bytes: [u8; SIZE],
    /// How many of the bytes are to be stored.
    pub stored: usize,
    /// Where it ended; `None` if that is not told.
    pub end: Option<usize>,
}

/// An address that is being read.
struct Reader<'a> {
    text: &'a [u8],
    /// The next character.
    at: usize,
    bytes: [u8; SIZE],
    /// Bytes that were stored.
    stored: usize,
    /// Where the zeros belong, if there was `::`.
    gap: Option<usize>,
    /// Words and gaps so far; there is room for eight.
    pieces: usize,
}

/// Reads the beginning of a text that is an address.
pub fn parse(text: &[u8]) -> ParsedIpv6 {
    let mut reader = Reader {
        text,
        at: 0,
        bytes: [0; SIZE],
        stored: 0,
        gap: None,
        pieces: 0,
    };
    match text {
        [b':', b':', ..] => {
            // A word of zeros, and more of them behind it.
            (reader.at, reader.stored, reader.pieces) = (2, 2, 1);
            reader.gap = Some(2);
        }
        [first, ..] if first.is_ascii_hexdigit() => {}
        _ => return reader.refuse(Some(0)),
    }
    reader.words()
}

impl Reader<'_> {
    fn refuse(&self, end: Option<usize>) -> ParsedIpv6 {
        ParsedIpv6 {
            valid: false,
            bytes: self.bytes,
            stored: self.stored,
            end,
        }
    }

    /// The character at a place, 0 behind the last.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn store(&mut self, bytes: &[u8]) {
        self.bytes[self.stored..self.stored + bytes.len()].copy_from_slice(bytes);
        self.stored += bytes.len();
    }

    /// Reads words with colons between them.
    fn words(&mut self) -> ParsedIpv6 {
        loop {
            let start = self.at;
            if self.pieces < WORDS {
                self.at += digits(&self.text[start..], u8::is_ascii_hexdigit);
            }
            let word = &self.text[start..self.at];
            match self.byte(self.at) {
                b':' if !word.is_empty() && self.may_continue() => {
                    if word.len() > 4 {
                        return self.refuse(None);
                    }
                    let value = hexadecimal(word);
                    self.store(&value.to_be_bytes());
                    self.pieces += 1;
                    self.at += 1;
                    if self.byte(self.at) == b':' {
                        self.gap = Some(self.stored);
                        self.pieces += 1;
                        self.at += 1;
                    }
                }
                b'.' if !word.is_empty()
                    && self.pieces + 2 <= WORDS
                    && word.iter().all(u8::is_ascii_digit) =>
                {
                    self.at = start;
                    return self.dotted();
                }
                _ => return self.last_word(start),
            }
        }
    }

    /// Whether a word with a colon behind it may be followed by another, or by
    /// the zeros that the colon and the next one stand for.
    fn may_continue(&self) -> bool {
        let double = self.byte(self.at + 1) == b':';
        self.pieces + 1 < WORDS && !(double && self.gap.is_some())
    }

    /// Reads the last word, which began at `start` and may not be there behind
    /// `::`. `0x` and digits in it are a number, though the address ends at the
    /// `x`.
    fn last_word(&mut self, start: usize) -> ParsedIpv6 {
        let word = &self.text[start..self.at];
        let empty_allowed = self.gap == Some(self.stored);
        let complete = self.gap.is_some() || self.pieces + 1 == WORDS;
        if word.len() > 4 || !complete || word.is_empty() && !empty_allowed {
            return self.refuse(Some(self.at));
        }
        if !word.is_empty() {
            let prefixed = word == b"0" && self.byte(self.at).eq_ignore_ascii_case(&b'x');
            let value = if prefixed {
                let rest = &self.text[self.at + 1..];
                hexadecimal(&rest[..digits(rest, u8::is_ascii_hexdigit)])
            } else {
                hexadecimal(word)
            };
            self.store(&value.to_be_bytes());
        }
        self.finish()
    }

    /// Reads an IPv4 address at the end.
    fn dotted(&mut self) -> ParsedIpv6 {
        for part in 0..4 {
            let start = self.at;
            self.at += digits(&self.text[start..], u8::is_ascii_digit);
            let number = &self.text[start..self.at];
            let value = std::str::from_utf8(number)
                .ok()
                .filter(|number| number.len() <= 3)
                .and_then(|number| number.parse::<u8>().ok());
            if part == 3 {
                let complete = self.gap.is_some() || self.stored + 1 == SIZE;
                let Some(value) = value.filter(|_| complete) else {
                    return self.refuse(Some(self.at));
                };
                self.store(&[value]);
                break;
            }
            if number.is_empty() || self.byte(self.at) != b'.' {
                return self.refuse(Some(self.at));
            }
            let Some(value) = value else {
                return self.refuse(None);
            };
            self.store(&[value]);
            self.at += 1;
        }
        self.finish()
    }

    /// Moves what is behind `::` to the end.
    fn finish(&mut self) -> ParsedIpv6 {
        if let Some(gap) = self.gap {
            let missing = SIZE - self.stored;
            self.bytes.copy_within(gap..self.stored, gap + missing);
            self.bytes[gap..gap + missing].fill(0);
        }
        ParsedIpv6 {
            valid: true,
            bytes: self.bytes,
            stored: SIZE,
            end: Some(self.at),
        }
    }
}

/// How many bytes at the start are digits.
fn digits(text: &[u8], is_digit: impl Fn(&u8) -> bool) -> usize {
    text.iter().take_while(|byte| is_digit(byte)).count()
}

/// The low 16 bits of a number, which is cut at `LONG_MAX`.
fn hexadecimal(word: &[u8]) -> u16 {
    let value = word.iter().fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(16).unwrap_or(0);
        (value * 16 + u64::from(digit)).min(0x7fff_ffff)
    });
    u16::try_from(value & 0xffff).unwrap_or(0)
}

//! UTF-8 as the kernel decodes it. Well-formed text is no matter of taste; of
//! what is not, the reference says only that it becomes U+FFFD. How many of them
//! was seen on Windows, which differs from the practice that Unicode recommends
//! (and Rust follows): a byte that begins a longer sequence takes the
//! continuation byte behind it along, even if the two cannot begin a character.
//! So a surrogate of three bytes is two U+FFFD, not three.

/// The characters of UTF-8; `None` for a sequence that is none.
pub fn decode(mut bytes: &[u8]) -> impl Iterator<Item = Option<char>> {
    std::iter::from_fn(move || {
        let (length, letter) = first(bytes)?;
        bytes = bytes.get(length..)?;
        Some(letter)
    })
}

/// Bytes of the first sequence and its character; `None` at the end.
fn first(bytes: &[u8]) -> Option<(usize, Option<char>)> {
    let lead = *bytes.first()?;
    let (size, least, bits) = match lead {
        0..=0x7f => return Some((1, Some(char::from(lead)))),
        0xc2..=0xdf => (2, 0x80, lead & 0x1f),
        0xe0..=0xef => (3, 0x800, lead & 0xf),
        0xf0..=0xf4 => (4, 0x1_0000, lead & 7),
        _ => return Some((1, None)),
    };
    let mut value = u32::from(bits);
    for at in 1..size {
        let Some(next) = bytes.get(at).filter(|byte| **byte & 0xc0 == 0x80) else {
            return Some((at, None));
        };
        value = value << 6 | u32::from(next & 0x3f);
        // What the first two bytes leave to the rest, all zeros and all ones.
        let rest = 6 * (size - 1 - at);
        let (lowest, highest) = (value << rest, ((value + 1) << rest) - 1);
        let surrogate = lowest >= 0xd800 && highest <= 0xdfff;
        if highest < least || lowest > 0x0010_ffff || surrogate {
            return Some((at + 1, None));
        }
    }
    Some((size, char::from_u32(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, U+FFFD for each sequence that is none.
    fn text(bytes: &[u8]) -> String {
        decode(bytes)
            .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }

    #[test]
    fn decode_of_each_character_matches_rust() {
        for letter in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let bytes = letter.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(decode(bytes).collect::<Vec<_>>(), [Some(letter)]);
            // Cut short, it is one sequence that is none.
            for end in 1..bytes.len() {
                assert_eq!(decode(&bytes[..end]).collect::<Vec<_>>(), [None]);
                let cut = [&bytes[..end], b"-"].concat();
                assert_eq!(decode(&cut).collect::<Vec<_>>(), [None, Some('-')]);
            }
        }
    }

    #[test]
    fn decode_of_three_byte_sequences_matches_rust() {
        for high in 0x80..=0xff_u8 {
            for low in 0..=0xff_u8 {
                let bytes = [high, low, 0x80];
                let well_formed = std::str::from_utf8(&bytes).ok();
                let whole = decode(&bytes).collect::<Option<String>>();
                assert_eq!(whole.as_deref(), well_formed, "{bytes:x?}");
            }
        }
    }

    #[test]
    fn decode_malformed_counts_match_windows() {
        for (bytes, count) in [
            // Surrogates.
            (&b"\xed\xa0\x80"[..], 2),
            (b"\xed\xbf\xbf", 2),
            (b"\xed\xaf\xbf\xed\xbf\xbf", 4),
            // Beyond the last character.
            (b"\xf4\x90\x80\x80", 3),
            (b"\xf7\xbf\xbf\xbf", 4),
            (b"\xf8\x88\x80\x80\x80", 5),
            (b"\xfd\xbf\xbf\xbf\xbf\xbf", 6),
            // Longer than need be.
            (b"\xc0\xad", 2),
            (b"\xc1\xbf", 2),
            (b"\xe0\x80\xad", 2),
            (b"\xe0\x9f\xbf", 2),
            (b"\xf0\x80\x80\xad", 3),
            (b"\xf0\x8f\xbf\xbf", 3),
            // Continuation bytes alone, bytes that are never used.
            (b"\x80\xbf", 2),
            (b"\xfe\xff", 2),
        ] {
            let expected = format!("<{}>", "\u{fffd}".repeat(count));
            let whole = [b"<", bytes, b">"].concat();
            assert_eq!(text(&whole), expected, "{bytes:x?}");
        }
        assert_eq!(text(b"\xe0\xa0\x80\x80"), "\u{800}\u{fffd}");
        assert_eq!(text(b"\xff\x40"), "\u{fffd}@");
    }
}

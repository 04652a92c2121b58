//! IPv4 addresses read from text, as C's `inet_aton` knows them: one to four
//! parts, each decimal, octal or hexadecimal, of which the last fills what is
//! left. Where an address ends, or where it went wrong, was seen on Windows; the
//! reference says only that the terminator receives it.

/// The address that was parsed, and its number of characters.
#[derive(Debug, Clone, Copy)]
pub struct ParsedIpv4 {
    /// In network order.
    pub bytes: [u8; 4],
    /// Characters of the address.
    pub length: usize,
}

/// A number's base, and the characters that say so.
pub fn base(text: &[u8]) -> (u32, usize) {
    match text {
        [b'0', b'x' | b'X', ..] => (16, 2),
        [b'0', b'0'..=b'9', ..] => (8, 1),
        _ => (10, 0),
    }
}

/// Reads an address; exactly four decimal parts if `strict`. Otherwise, where it
/// went wrong.
pub fn parse(text: &[u8], strict: bool) -> Result<ParsedIpv4, usize> {
    let (mut parts, mut at) = ([0_u32; 4], 0);
    let mut count = 0;
    loop {
        let (value, digits) = part(text, &mut at, strict)?;
        let dot = text.get(at) == Some(&b'.');
        let last = count == 3;
        if dot && !last {
            at += 1;
        }
        if !digits || dot && last {
            return Err(at);
        }
        parts[count] = value;
        count += 1;
        if !dot {
            break;
        }
    }
    let (leading, last) = (&parts[..count - 1], parts[count - 1]);
    let room = 32 - 8 * leading.len();
    let fits = leading.iter().all(|part| *part < 256) && u64::from(last) < 1 << room;
    if !fits || strict && count != 4 {
        return Err(at);
    }
    let value = leading
        .iter()
        .zip([24, 16, 8])
        .fold(last, |value, (part, shift)| value | part << shift);
    Ok(ParsedIpv4 {
        bytes: value.to_be_bytes(),
        length: at,
    })
}

/// Reads a part, and whether it has digits. A digit that makes the number smaller
/// is too much; one that only lets its upper bits fall out is not noticed.
fn part(text: &[u8], at: &mut usize, strict: bool) -> Result<(u32, bool), usize> {
    let (base, prefix) = base(&text[*at..]);
    *at += prefix;
    if strict && base != 10 {
        return Err(*at);
    }
    let (mut value, start) = (0_u32, *at);
    while let Some(digit) = text
        .get(*at)
        .and_then(|byte| char::from(*byte).to_digit(base))
    {
        let next = value.wrapping_mul(base).wrapping_add(digit);
        if next < value {
            return Err(*at);
        }
        value = next;
        *at += 1;
    }
    Ok((value, *at > start))
}

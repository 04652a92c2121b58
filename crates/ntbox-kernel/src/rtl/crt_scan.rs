//! Reading by a format (`sscanf_s` and its wide and counted forms), without
//! floating point, as in the kernel. Behind each place for text the caller gives
//! how many characters fit; what does not fit ends the reading and leaves an
//! empty text.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::gate::{Arguments, Call, NoReturn};

use super::cstr;
use super::cstr::{UNLIMITED, Unit};
use super::number::digit;
use crate::base::codepage;
use crate::base::export::exports;

/// `EOF`.
const END: i32 = -1;

/// A conversion of the format.
#[derive(Debug, Clone, Copy)]
struct Conversion {
    /// `*`: nothing is stored.
    skipped: bool,
    /// Characters at most.
    width: usize,
    /// Bytes of a number.
    size: u64,
    /// Whether text has 16-bit characters.
    wide: bool,
    /// The letter, lower case but for what text is made of.
    letter: u16,
}

/// What is read, and where.
struct Input {
    units: Vec<u16>,
    at: usize,
}

impl Input {
    fn peek(&self) -> Option<u16> {
        self.units.get(self.at).copied()
    }

    /// Takes characters as long as they are of a kind, at most so many.
    fn take_while(&mut self, most: usize, mut wanted: impl FnMut(u16) -> bool) -> &[u16] {
        let rest = self.units.get(self.at..).unwrap_or_default();
        let count = rest
            .iter()
            .take(most)
            .take_while(|unit| wanted(**unit))
            .count();
        let start = self.at;
        self.at += count;
        &self.units[start..self.at]
    }

    fn skip_space(&mut self) {
        self.take_while(usize::MAX, is_space);
    }
}

fn is_space(unit: u16) -> bool {
    matches!(unit, 9..=13 | 32)
}

fn is(unit: Option<u16>, byte: u8) -> bool {
    unit == Some(byte.into())
}

/// Reads a conversion behind its `%`.
fn conversion(format: &mut Input, wide: bool) -> Option<Conversion> {
    let skipped = is(format.peek(), b'*');
    format.at += usize::from(skipped);
    let digits = format.take_while(9, |unit| digit(unit, 10).is_some());
    let width = digits
        .iter()
        .filter_map(|unit| digit(*unit, 10))
        .fold(0, |width, digit| width * 10 + digit as usize);
    let given = !digits.is_empty();
    let (mut size, mut text) = (4, None);
    loop {
        let rest = format.units.get(format.at..).unwrap_or_default();
        let begins = |with: &[u8]| {
            rest.len() >= with.len()
                && rest
                    .iter()
                    .zip(with)
                    .all(|(unit, byte)| *unit == u16::from(*byte))
        };
        let length = if begins(b"I64") {
            size = 8;
            3
        } else if begins(b"I32") {
            3
        } else if begins(b"I") || begins(b"z") || begins(b"j") || begins(b"t") || begins(b"ll") {
            size = 8;
            if begins(b"ll") { 2 } else { 1 }
        } else if begins(b"hh") {
            (size, text) = (1, Some(false));
            2
        } else if begins(b"h") {
            (size, text) = (2, Some(false));
            1
        } else if begins(b"l") || begins(b"w") {
            text = Some(true);
            1
        } else {
            break;
        };
        format.at += length;
    }
    let letter = format.peek()?;
    format.at += 1;
    let other = matches!(u8::try_from(letter), Ok(b'S' | b'C'));
    Some(Conversion {
        skipped,
        width: if given { width } else { usize::MAX },
        size: if letter == u16::from(b'p') { 8 } else { size },
        wide: text.unwrap_or(wide != other),
        letter: u8::try_from(letter).map_or(letter, |byte| byte.to_ascii_lowercase().into()),
    })
}

/// Reads a number; `None` if there is none. Bits that do not fit fall out.
fn number(input: &mut Input, width: usize, base: u32) -> Option<u64> {
    let end = input.at.saturating_add(width);
    let sign = input
        .peek()
        .filter(|unit| is(Some(*unit), b'-') || is(Some(*unit), b'+'));
    if sign.is_some() && width > 0 {
        input.at += 1;
    }
    let room = |input: &Input| end.saturating_sub(input.at);
    let second = input.units.get(input.at + 1).copied();
    let prefixed = is(input.peek(), b'0') && (is(second, b'x') || is(second, b'X'));
    let mut base = base;
    if prefixed && matches!(base, 0 | 16) && room(input) >= 2 {
        base = 16;
        input.at += 2;
    } else if base == 0 {
        base = if is(input.peek(), b'0') { 8 } else { 10 };
    }
    let most = room(input);
    let digits = input.take_while(most, |unit| digit(unit, base).is_some());
    let value = digits
        .iter()
        .filter_map(|unit| digit(*unit, base))
        .fold(0_u64, |value, digit| {
            value.wrapping_mul(base.into()).wrapping_add(digit.into())
        });
    if digits.is_empty() {
        return None;
    }
    Some(if is(sign, b'-') {
        value.wrapping_neg()
    } else {
        value
    })
}

/// The characters of a `[…]`, and whether those are meant that it does not name.
fn set(format: &mut Input) -> (Vec<(u16, u16)>, bool) {
    let inverted = is(format.peek(), b'^');
    format.at += usize::from(inverted);
    let mut ranges = Vec::new();
    let start = format.at;
    while let Some(unit) = format.peek() {
        if is(Some(unit), b']') && format.at > start {
            format.at += 1;
            break;
        }
        format.at += 1;
        let last = format.units.get(format.at + 1).copied();
        match last {
            Some(last) if is(format.peek(), b'-') && !is(Some(last), b']') => {
                format.at += 2;
                ranges.push((unit.min(last), unit.max(last)));
            }
            _ => ranges.push((unit, unit)),
        }
    }
    (ranges, inverted)
}

/// Stores text; false if it does not fit.
fn store_text(
    arguments: &mut Arguments<'_>,
    conversion: Conversion,
    units: &[u16],
    nul: bool,
) -> Result<bool, NoReturn> {
    if conversion.skipped {
        return Ok(true);
    }
    let to = arguments.read_next()?;
    let room = arguments.read_next()? & 0xffff_ffff;
    let needed = units.len() as u64 + u64::from(nul);
    let fits = needed <= room;
    let mut units = if fits { units.to_vec() } else { Vec::new() };
    if nul || !fits {
        units.push(0);
    }
    if !fits && room == 0 {
        return Ok(false);
    }
    if conversion.wide {
        u16::write_many(to, &units)?;
    } else {
        let bytes: Vec<u8> = units.into_iter().map(codepage::from_unicode).collect();
        driver_mem::write_bytes(to, &bytes)?;
    }
    Ok(fits)
}

fn store_number(to: u64, size: u64, value: u64) -> Result<(), NoReturn> {
    let bytes = value.to_le_bytes();
    let count = usize::try_from(size).unwrap_or(bytes.len());
    Ok(driver_mem::write_bytes(to, &bytes[..count])?)
}

/// Carries out a conversion; false if the input is not what it asks for.
fn convert(
    input: &mut Input,
    format: &mut Input,
    arguments: &mut Arguments<'_>,
    conversion: Conversion,
) -> Result<bool, NoReturn> {
    let base = match u8::try_from(conversion.letter) {
        Ok(b'd' | b'u') => 10,
        Ok(b'i') => 0,
        Ok(b'o') => 8,
        Ok(b'x' | b'p') => 16,
        Ok(b's') => {
            let units = input
                .take_while(conversion.width, |unit| !is_space(unit))
                .to_vec();
            return Ok(!units.is_empty() && store_text(arguments, conversion, &units, true)?);
        }
        Ok(b'c') => {
            let width = if conversion.width == usize::MAX {
                1
            } else {
                conversion.width
            };
            let units = input.take_while(width, |_| true).to_vec();
            return Ok(units.len() == width && store_text(arguments, conversion, &units, false)?);
        }
        Ok(b'[') => {
            let (ranges, inverted) = set(format);
            let named = |unit: u16| {
                ranges
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&unit))
            };
            let units = input
                .take_while(conversion.width, |unit| named(unit) != inverted)
                .to_vec();
            return Ok(!units.is_empty() && store_text(arguments, conversion, &units, true)?);
        }
        _ => return Ok(false),
    };
    let Some(value) = number(input, conversion.width, base) else {
        return Ok(false);
    };
    if !conversion.skipped {
        store_number(arguments.read_next()?, conversion.size, value)?;
    }
    Ok(true)
}

/// Reads a text by a format: how many values were stored, or [`END`] if it ended
/// before the first.
fn scan<U: Unit>(
    call: &Call<'_>,
    text: u64,
    most: u64,
    format: u64,
    first: usize,
) -> Result<i32, NoReturn> {
    if text == 0 || format == 0 {
        return Ok(END);
    }
    let read = |va: u64, most: u64| -> Result<Input, NoReturn> {
        let units: Vec<U> = cstr::read(va, most)?;
        let wide = |unit: U| {
            let value: u32 = unit.into();
            match u8::try_from(value) {
                Ok(byte) if U::SIZE == 1 => codepage::to_unicode(byte),
                _ => u16::try_from(value).unwrap_or(0),
            }
        };
        Ok(Input {
            units: units.into_iter().map(wide).collect(),
            at: 0,
        })
    };
    let (mut input, mut format) = (read(text, most)?, read(format, UNLIMITED)?);
    let mut arguments = call.variadic(first);
    let mut stored = 0;
    while let Some(unit) = format.peek() {
        format.at += 1;
        if is_space(unit) {
            input.skip_space();
            continue;
        }
        if !is(Some(unit), b'%') || is(format.peek(), b'%') {
            format.at += usize::from(is(Some(unit), b'%'));
            if input.peek() != Some(unit) {
                let nothing = input.peek().is_none() && stored == 0;
                return Ok(if nothing { END } else { stored });
            }
            input.at += 1;
            continue;
        }
        let Some(conversion) = conversion(&mut format, U::SIZE == 2) else {
            return Ok(stored);
        };
        if is(Some(conversion.letter), b'n') {
            if !conversion.skipped {
                store_number(arguments.read_next()?, conversion.size, input.at as u64)?;
            }
            continue;
        }
        if !matches!(u8::try_from(conversion.letter), Ok(b'c' | b'[')) {
            input.skip_space();
        }
        if input.peek().is_none() {
            return Ok(if stored == 0 { END } else { stored });
        }
        if !convert(&mut input, &mut format, &mut arguments, conversion)? {
            return Ok(stored);
        }
        stored += i32::from(!conversion.skipped);
    }
    Ok(stored)
}

exports! {
    /// `sscanf_s`.
    fn sscanf_s<call>(text: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        scan::<u8>(call, text, UNLIMITED, format, 2)
    }

    /// `swscanf_s`.
    fn swscanf_s<call>(text: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        scan::<u16>(call, text, UNLIMITED, format, 2)
    }

    /// `_snscanf_s`: at most `count` characters of the text.
    fn _snscanf_s<call>(text: u64, count: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        scan::<u8>(call, text, count, format, 3)
    }

    /// `_snwscanf_s`.
    fn _snwscanf_s<call>(text: u64, count: u64, format: u64) -> i32 [max HIGH_LEVEL, crt] {
        scan::<u16>(call, text, count, format, 3)
    }
}

#[cfg(test)]
mod tests;

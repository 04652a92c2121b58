//! `printf` as the kernel has it.
//!
//! What it prints is what Microsoft's C library without floating point prints.
//! Where that reads memory, so does this, and a bad pointer is a fault of the
//! caller. Two things the kernel does in silence are told as [`Finding`]s, since
//! they are how uninitialised memory and wrong formats get into logs unseen.
//!
//! Floating point: the kernel's `printf` knows no `%e %f %g %a`. Such a
//! specification consumes no argument; its letter is printed, as for every other
//! letter that is no conversion, and a finding names it. `%n` stores nothing.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Arguments;

use super::format_spec;
use super::format_spec::{Cursor, Size, Spec};
use crate::base::codepage;
use crate::mm::pool::{FREED, UNINITIALIZED};
use crate::rtl::cstr;
use crate::rtl::cstr::{UNLIMITED, Unit};

/// Most digits that a precision can ask of a number.
const MAX_DIGITS: u32 = 512;

/// Text of one of the two widths that can take in text of the other.
pub trait Text: Unit {
    /// Whether it is UTF-16.
    const WIDE: bool;
    /// From a byte of the ANSI code page.
    fn from_narrow(byte: u8) -> Self;
    /// From a UTF-16 unit.
    fn from_wide(unit: u16) -> Self;
}

impl Text for u8 {
    const WIDE: bool = false;
    fn from_narrow(byte: u8) -> Self {
        byte
    }
    fn from_wide(unit: u16) -> Self {
        codepage::from_unicode(unit)
    }
}

impl Text for u16 {
    const WIDE: bool = true;
    fn from_narrow(byte: u8) -> Self {
        codepage::to_unicode(byte)
    }
    fn from_wide(unit: u16) -> Self {
        unit
    }
}

/// Something about a specification that its author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The argument is nothing but the pattern of memory never written.
    Uninitialized(ArgumentPosition),
    /// The argument is nothing but the pattern of freed memory.
    Freed(ArgumentPosition),
    /// A floating-point conversion.
    FloatingPoint(ArgumentPosition),
    /// `%n`.
    WriteBack(ArgumentPosition),
    /// A conversion between bytes and UTF-16, which takes tables that may be
    /// paged out.
    Conversion(ArgumentPosition),
}

/// A specification and its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentPosition {
    /// The specification as written.
    pub spec: String,
    /// Its argument, counted from 1 after the format.
    pub argument: u32,
    /// The value of the argument.
    pub value: u64,
}

/// What formatting gives.
#[derive(Debug)]
pub struct Formatted<U> {
    /// The text, cut at the limit that was asked for.
    pub text: Vec<U>,
    /// Units that the whole text has.
    pub length: u64,
    /// What was noticed, in order.
    pub findings: Vec<Finding>,
    /// Where formatting ended early because memory was not there.
    pub fault: Option<Fault>,
}

/// Formats; at most `limit` units of the result are kept.
pub fn format<U: Text>(format: u64, arguments: &mut Arguments<'_>, limit: usize) -> Formatted<U> {
    let mut formatter = Formatter {
        arguments,
        taken: 0,
        limit,
        result: Formatted {
            text: Vec::new(),
            length: 0,
            findings: Vec::new(),
            fault: None,
        },
    };
    formatter.result.fault = formatter.run(format).err();
    formatter.result
}

/// Formatting in progress.
struct Formatter<'a, 'b, U> {
    arguments: &'a mut Arguments<'b>,
    /// Arguments taken so far.
    taken: u32,
    limit: usize,
    result: Formatted<U>,
}

impl<U: Text> Formatter<'_, '_, U> {
    fn run(&mut self, format: u64) -> Result<(), Fault> {
        let format: Vec<U> = cstr::read(format, UNLIMITED)?;
        let units: Vec<u32> = format.into_iter().map(Into::into).collect();
        let mut cursor = Cursor::new(&units);
        while let Some(unit) = cursor.next() {
            if unit == u32::from(b'%') {
                let spec = format_spec::parse(&mut cursor, || {
                    self.taken += 1;
                    self.arguments.read_next()
                })?;
                self.convert(&spec)?;
            } else {
                self.put(from_unit(unit));
            }
        }
        Ok(())
    }

    fn put(&mut self, unit: U) {
        if self.result.text.len() < self.limit {
            self.result.text.push(unit);
        }
        self.result.length += 1;
    }

    /// Puts the same unit many times; the number may be absurd.
    fn repeat(&mut self, unit: u8, count: u64) {
        let room = self.limit - self.result.text.len();
        let kept = usize::try_from(count).map_or(room, |count| count.min(room));
        self.result
            .text
            .extend(std::iter::repeat_n(U::from(unit), kept));
        self.result.length = self.result.length.saturating_add(count);
    }

    /// The next argument, of which the low `bits` count, watched for patterns
    /// of memory that holds nothing.
    fn argument(&mut self, spec: &Spec, bits: u32) -> Result<u64, Fault> {
        self.taken += 1;
        let slot = self.arguments.read_next()?;
        let value = if bits < 64 {
            slot & ((1 << bits) - 1)
        } else {
            slot
        };
        let is_all = |byte: u8| value == u64::from_le_bytes([byte; 8]) >> (64 - bits);
        if bits >= 32 && is_all(UNINITIALIZED) {
            let place = self.place(spec, value);
            self.result.findings.push(Finding::Uninitialized(place));
        } else if bits >= 32 && is_all(FREED) {
            let place = self.place(spec, value);
            self.result.findings.push(Finding::Freed(place));
        }
        Ok(value)
    }

    fn place(&self, spec: &Spec, value: u64) -> ArgumentPosition {
        ArgumentPosition {
            spec: spec.text.clone(),
            argument: self.taken,
            value,
        }
    }

    fn convert(&mut self, spec: &Spec) -> Result<(), Fault> {
        match spec.conversion {
            b'd' | b'i' => self.signed(spec),
            b'u' => self.unsigned(spec, 10, spec.size.bits()),
            b'o' => self.unsigned(spec, 8, spec.size.bits()),
            b'x' | b'X' => self.unsigned(spec, 16, spec.size.bits()),
            b'p' => {
                // Always all digits of a pointer, in upper case.
                let spec = Spec {
                    precision: Some(16),
                    conversion: b'X',
                    ..spec.clone()
                };
                self.unsigned(&spec, 16, 64)
            }
            b'c' => self.character(spec, spec.size.is_wide(U::WIDE)),
            b'C' => self.character(spec, spec.size.is_wide(!U::WIDE)),
            b's' => self.string(spec, spec.size.is_wide(U::WIDE)),
            b'S' => self.string(spec, spec.size.is_wide(!U::WIDE)),
            b'Z' => self.counted(spec),
            b'n' => {
                let value = self.argument(spec, 64)?;
                let place = self.place(spec, value);
                self.result.findings.push(Finding::WriteBack(place));
                Ok(())
            }
            0 => Ok(()),
            other => {
                if b"eEfFgGaA".contains(&other) {
                    let place = self.place(spec, 0);
                    self.result.findings.push(Finding::FloatingPoint(place));
                }
                self.put(U::from(other));
                Ok(())
            }
        }
    }

    fn signed(&mut self, spec: &Spec) -> Result<(), Fault> {
        let bits = spec.size.bits();
        let value = self.argument(spec, bits)?;
        // The sign bit to the top and back.
        let value = (value << (64 - bits)).cast_signed() >> (64 - bits);
        let sign = match (value < 0, spec.plus, spec.blank) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        self.number(spec, sign, &digits(value.unsigned_abs(), 10, false));
        Ok(())
    }

    fn unsigned(&mut self, spec: &Spec, base: u64, bits: u32) -> Result<(), Fault> {
        let value = self.argument(spec, bits)?;
        let mut text = digits(value, base, spec.conversion == b'X');
        let prefix = match (spec.alternate, spec.conversion) {
            (true, b'x') if value != 0 => "0x",
            (true, b'X') if value != 0 => "0X",
            (true, b'o') => {
                // The prefix of octal is a digit, and counts as one.
                let wanted = spec.precision.unwrap_or(1) as usize;
                if value != 0 && text.len() >= wanted {
                    text.insert(0, '0');
                }
                ""
            }
            _ => "",
        };
        self.number(spec, prefix, &text);
        Ok(())
    }

    /// Puts a number: sign or prefix, digits, and what fills up to the width.
    fn number(&mut self, spec: &Spec, prefix: &str, digits: &str) {
        let precision = spec.precision.map(|precision| precision.min(MAX_DIGITS));
        // Zero in no digits at all is nothing, but for the prefix of octal.
        let digits = match (digits, precision) {
            ("0", Some(0)) if !(spec.alternate && spec.conversion == b'o') => "",
            _ => digits,
        };
        let zeros = u64::from(precision.unwrap_or(1)).saturating_sub(digits.len() as u64);
        let used = (prefix.len() + digits.len()) as u64 + zeros;
        let fill = u64::from(spec.width).saturating_sub(used);
        let zero_fill = spec.zero && !spec.left && precision.is_none();
        if !spec.left && !zero_fill {
            self.repeat(b' ', fill);
        }
        prefix.bytes().for_each(|byte| self.put(U::from(byte)));
        self.repeat(b'0', zeros + if zero_fill { fill } else { 0 });
        digits.bytes().for_each(|byte| self.put(U::from(byte)));
        if spec.left {
            self.repeat(b' ', fill);
        }
    }

    fn character(&mut self, spec: &Spec, wide: bool) -> Result<(), Fault> {
        let slot = self.argument(spec, 16)?;
        self.note_conversion(spec, wide, slot);
        let [low, high, ..] = slot.to_le_bytes();
        let unit = if wide {
            U::from_wide(u16::from_le_bytes([low, high]))
        } else {
            U::from_narrow(low)
        };
        self.filled(spec, &[unit], 1);
        Ok(())
    }

    fn string(&mut self, spec: &Spec, wide: bool) -> Result<(), Fault> {
        let va = self.argument(spec, 64)?;
        self.note_conversion(spec, wide, va);
        let limit = spec.precision.map_or(UNLIMITED, u64::from);
        if va == 0 {
            self.null(spec, limit);
            return Ok(());
        }
        let length = if wide {
            cstr::length::<u16>(va, limit)?
        } else {
            cstr::length::<u8>(va, limit)?
        };
        self.text_at(spec, va, length, wide)
    }

    /// `%Z`: a `STRING` or, with `w`, a `UNICODE_STRING`. Its length rules; a
    /// precision does not.
    fn counted(&mut self, spec: &Spec) -> Result<(), Fault> {
        let wide = matches!(spec.size, Size::Wide | Size::Long);
        let va = self.argument(spec, 64)?;
        self.note_conversion(spec, wide, va);
        let buffer = if va == 0 {
            0
        } else {
            driver_mem::read_u64(va.wrapping_add(8))?
        };
        if buffer == 0 {
            self.null(spec, UNLIMITED);
            return Ok(());
        }
        let bytes = u64::from(driver_mem::read_u16(va)?);
        self.text_at(spec, buffer, if wide { bytes / 2 } else { bytes }, wide)
    }

    /// What is printed for no text.
    fn null(&mut self, spec: &Spec, limit: u64) {
        let text: Vec<U> = "(null)".bytes().map(U::from).collect();
        let length = text.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        self.filled(spec, &text[..length], length as u64);
    }

    /// Puts `length` units of text that lies in memory of the driver.
    fn text_at(&mut self, spec: &Spec, va: u64, length: u64, wide: bool) -> Result<(), Fault> {
        let kept = length.min(self.limit as u64);
        let units: Vec<U> = if wide {
            u16::read_many(va, kept)?
                .into_iter()
                .map(U::from_wide)
                .collect()
        } else {
            u8::read_many(va, kept)?
                .into_iter()
                .map(U::from_narrow)
                .collect()
        };
        self.filled(spec, &units, length);
        Ok(())
    }

    /// Puts text, of which the start is at hand, and what fills up to the width:
    /// blanks or, with the flag for it, zeros.
    fn filled(&mut self, spec: &Spec, start: &[U], length: u64) {
        let fill = u64::from(spec.width).saturating_sub(length);
        if !spec.left {
            self.repeat(if spec.zero { b'0' } else { b' ' }, fill);
        }
        for unit in start {
            self.put(*unit);
        }
        self.result.length = self
            .result
            .length
            .saturating_add(length - start.len() as u64);
        if spec.left {
            self.repeat(b' ', fill);
        }
    }

    fn note_conversion(&mut self, spec: &Spec, wide: bool, value: u64) {
        if wide != U::WIDE {
            let place = self.place(spec, value);
            self.result.findings.push(Finding::Conversion(place));
        }
    }
}

/// A unit of the format, as text of the function's own width.
fn from_unit<U: Text>(unit: u32) -> U {
    let [low, high, ..] = unit.to_le_bytes();
    if U::WIDE {
        U::from_wide(u16::from_le_bytes([low, high]))
    } else {
        U::from_narrow(low)
    }
}

/// The digits of a number.
fn digits(mut value: u64, base: u64, upper: bool) -> String {
    let mut reversed = Vec::new();
    while value != 0 || reversed.is_empty() {
        let digit = u32::try_from(value % base).unwrap_or(0);
        let letter = char::from_digit(digit, 16).unwrap_or('?');
        reversed.push(if upper {
            letter.to_ascii_uppercase()
        } else {
            letter
        });
        value /= base;
    }
    reversed.into_iter().rev().collect()
}

#[cfg(test)]
mod tests;

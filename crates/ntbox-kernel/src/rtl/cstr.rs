//! The C string functions, once for bytes and once for UTF-16 units: what they
//! do does not depend on the width of a character.
//!
//! As in C, a string is an address, and a destination is as long as the caller
//! says or hopes; what lies beyond memory is a fault of the caller.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use super::scan;

/// A character of one of the two widths.
pub trait Unit: Copy + Eq + Default + From<u8> + Into<u32> + std::fmt::Debug {
    /// Bytes of one.
    const SIZE: u64;
    /// Reads one.
    fn read(va: u64) -> Result<Self, Fault>;
    /// Writes one.
    fn write(self, va: u64) -> Result<(), Fault>;
    /// Reads exactly `count`.
    fn read_many(va: u64, count: u64) -> Result<Vec<Self>, Fault>;
    /// Writes all of them.
    fn write_many(va: u64, units: &[Self]) -> Result<(), Fault>;
    /// Position of the first that `stop` says yes to, or `limit`.
    fn find(va: u64, limit: u64, stop: impl Fn(Self) -> bool) -> Result<u64, Fault>;
    /// The same letter in lower case, ASCII letters only.
    fn fold(self) -> Self;
}

impl Unit for u8 {
    const SIZE: u64 = 1;
    fn read(va: u64) -> Result<Self, Fault> {
        driver_mem::read_u8(va)
    }
    fn write(self, va: u64) -> Result<(), Fault> {
        driver_mem::write_u8(va, self)
    }
    fn read_many(va: u64, count: u64) -> Result<Vec<Self>, Fault> {
        scan::bytes(va, count)
    }
    fn write_many(va: u64, units: &[Self]) -> Result<(), Fault> {
        driver_mem::write_bytes(va, units)
    }
    fn find(va: u64, limit: u64, stop: impl Fn(Self) -> bool) -> Result<u64, Fault> {
        scan::find_byte(va, limit, stop)
    }
    fn fold(self) -> Self {
        self.to_ascii_lowercase()
    }
}

impl Unit for u16 {
    const SIZE: u64 = 2;
    fn read(va: u64) -> Result<Self, Fault> {
        driver_mem::read_u16(va)
    }
    fn write(self, va: u64) -> Result<(), Fault> {
        driver_mem::write_u16(va, self)
    }
    fn read_many(va: u64, count: u64) -> Result<Vec<Self>, Fault> {
        scan::units(va, count)
    }
    fn write_many(va: u64, units: &[Self]) -> Result<(), Fault> {
        scan::write_units(va, units)
    }
    fn find(va: u64, limit: u64, stop: impl Fn(Self) -> bool) -> Result<u64, Fault> {
        scan::find_unit(va, limit, stop)
    }
    fn fold(self) -> Self {
        u8::try_from(self).map_or(self, |byte| byte.to_ascii_lowercase().into())
    }
}

/// No limit on the length of a string.
pub const UNLIMITED: u64 = u64::MAX;

/// Address of unit `n`.
pub fn at<U: Unit>(va: u64, n: u64) -> u64 {
    va.wrapping_add(n.wrapping_mul(U::SIZE))
}

/// Whether a unit is the terminator.
fn is_nul<U: Unit>(unit: U) -> bool {
    unit == U::default()
}

/// Units before the NUL, at most `limit`.
pub fn length<U: Unit>(va: u64, limit: u64) -> Result<u64, Fault> {
    U::find(va, limit, is_nul)
}

/// The string up to its NUL, at most `limit` units.
pub fn read<U: Unit>(va: u64, limit: u64) -> Result<Vec<U>, Fault> {
    U::read_many(va, length::<U>(va, limit)?)
}

/// Copies a string with its NUL.
pub fn copy<U: Unit>(to: u64, from: u64) -> Result<(), Fault> {
    let count = length::<U>(from, UNLIMITED)? + 1;
    driver_mem::copy(to, from, count.wrapping_mul(U::SIZE))
}

/// Copies at most `count` units and fills up with NULs to `count`: `strncpy`,
/// which leaves no NUL after a source that is too long.
pub fn copy_padded<U: Unit>(to: u64, from: u64, count: u64) -> Result<(), Fault> {
    let used = length::<U>(from, count)?;
    driver_mem::copy(to, from, used.wrapping_mul(U::SIZE))?;
    driver_mem::fill(at::<U>(to, used), 0, (count - used).wrapping_mul(U::SIZE))
}

/// Appends at most `limit` units and a NUL.
pub fn append<U: Unit>(to: u64, from: u64, limit: u64) -> Result<(), Fault> {
    let end = at::<U>(to, length::<U>(to, UNLIMITED)?);
    let count = length::<U>(from, limit)?;
    driver_mem::copy(end, from, count.wrapping_mul(U::SIZE))?;
    U::default().write(at::<U>(end, count))
}

/// Compares at most `limit` units after `fold`: the difference of the first
/// two that differ.
pub fn compare<U: Unit>(
    one: u64,
    two: u64,
    limit: u64,
    fold: impl Fn(U) -> U,
) -> Result<i32, Fault> {
    for n in 0..limit {
        let left = fold(U::read(at::<U>(one, n))?);
        let right = fold(U::read(at::<U>(two, n))?);
        if left != right {
            let (left, right): (u32, u32) = (left.into(), right.into());
            return Ok(left.cast_signed() - right.cast_signed());
        }
        if is_nul(left) {
            break;
        }
    }
    Ok(0)
}

/// Address of the first `wanted` in a string, whose NUL counts, or NULL.
pub fn find<U: Unit>(va: u64, wanted: U) -> Result<u64, Fault> {
    let n = U::find(va, UNLIMITED, |unit| unit == wanted || is_nul(unit))?;
    let found = at::<U>(va, n);
    Ok(if U::read(found)? == wanted { found } else { 0 })
}

/// Address of the last `wanted` in a string, whose NUL counts, or NULL.
pub fn find_last<U: Unit>(va: u64, wanted: U) -> Result<u64, Fault> {
    let mut units: Vec<U> = read(va, UNLIMITED)?;
    units.push(U::default());
    Ok(units
        .iter()
        .rposition(|unit| *unit == wanted)
        .map_or(0, |n| at::<U>(va, n as u64)))
}

/// Address of the first place where one string occurs in another, or NULL.
pub fn find_text<U: Unit>(va: u64, wanted: u64) -> Result<u64, Fault> {
    let wanted: Vec<U> = read(wanted, UNLIMITED)?;
    if wanted.is_empty() {
        return Ok(va);
    }
    let text: Vec<U> = read(va, UNLIMITED)?;
    let place = text
        .windows(wanted.len())
        .position(|window| window == wanted);
    Ok(place.map_or(0, |n| at::<U>(va, n as u64)))
}

/// Units at the start of a string that are (or, with `inside` false, are not) in
/// a set.
pub fn span<U: Unit>(va: u64, set: u64, inside: bool) -> Result<u64, Fault> {
    let set: Vec<U> = read(set, UNLIMITED)?;
    U::find(va, UNLIMITED, |unit| {
        is_nul(unit) || set.contains(&unit) != inside
    })
}

/// Changes a string in place, at most `limit` units of it.
pub fn change<U: Unit>(va: u64, limit: u64, change: impl FnOnce(&mut Vec<U>)) -> Result<(), Fault> {
    let mut units: Vec<U> = read(va, limit)?;
    change(&mut units);
    U::write_many(va, &units)
}

/// The number at the start of a string, as `atoi` reads it: white space, a
/// sign, digits. What does not fit a `long` wraps around.
pub fn number<U: Unit>(va: u64) -> Result<i32, Fault> {
    let units: Vec<U> = read(va, UNLIMITED)?;
    let mut text = units
        .into_iter()
        .map(|unit| u8::try_from(unit.into()).unwrap_or(0))
        .skip_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r'))
        .peekable();
    let negative = text.next_if(|byte| matches!(byte, b'+' | b'-')) == Some(b'-');
    let value = text
        .take_while(u8::is_ascii_digit)
        .fold(0_i32, |value, digit| {
            value.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'))
        });
    Ok(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

//! Parts of paths (`_splitpath_s`, `_makepath_s`) and filling of strings whose
//! room is known (`_strset_s`), in both widths, as the C library has them.

use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::gate::{Call, NoReturn};

use super::cstr;
use super::cstr::{UNLIMITED, Unit};
use crate::base::export::exports;

/// `EINVAL` and `ERANGE`.
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;

/// Where a part goes, and how many units fit.
#[derive(Debug, Clone, Copy)]
struct PathPart {
    to: u64,
    size: u64,
}

impl PathPart {
    /// The pair of arguments from number `n` on.
    fn argument(call: &Call<'_>, n: usize) -> Result<Self, NoReturn> {
        Ok(Self {
            to: call.argument(n)?,
            size: call.argument(n + 1)?,
        })
    }

    /// Whether it can be filled or is to be left out.
    fn is_sound(self) -> bool {
        (self.to == 0) == (self.size == 0)
    }

    fn empty<U: Unit>(self) -> Result<(), NoReturn> {
        if self.to != 0 && self.size != 0 {
            U::default().write(self.to)?;
        }
        Ok(())
    }

    fn fits<U>(self, part: &[U]) -> bool {
        self.to == 0 || (part.len() as u64) < self.size
    }

    fn store<U: Unit>(self, part: &[U]) -> Result<(), NoReturn> {
        if self.to != 0 {
            U::write_many(self.to, part)?;
            U::default().write(cstr::at::<U>(self.to, part.len() as u64))?;
        }
        Ok(())
    }
}

/// Whether a unit is this ASCII character.
fn is<U: Unit>(unit: &U, byte: u8) -> bool {
    *unit == U::from(byte)
}

fn is_separator<U: Unit>(unit: &U) -> bool {
    is(unit, b'\\') || is(unit, b'/')
}

/// Drive with its colon, directory with its separator, name, extension with its
/// dot.
fn split<U: Unit>(path: &[U]) -> [&[U]; 4] {
    let drive = if path.get(1).is_some_and(|unit| is(unit, b':')) {
        2
    } else {
        0
    };
    let (drive, rest) = path.split_at(drive);
    let directory = rest.iter().rposition(is_separator).map_or(0, |at| at + 1);
    let (directory, name) = rest.split_at(directory);
    let dot = name
        .iter()
        .rposition(|unit| is(unit, b'.'))
        .unwrap_or(name.len());
    let (name, extension) = name.split_at(dot);
    [drive, directory, name, extension]
}

/// The body of `_splitpath_s`: on failure all parts are empty.
fn split_path<U: Unit>(call: &Call<'_>, path: u64) -> Result<i32, NoReturn> {
    let mut rooms = [PathPart { to: 0, size: 0 }; 4];
    for (n, room) in rooms.iter_mut().enumerate() {
        *room = PathPart::argument(call, 1 + 2 * n)?;
    }
    let sound = path != 0 && rooms.iter().all(|room| room.is_sound());
    let units: Vec<U> = if sound {
        cstr::read(path, UNLIMITED)?
    } else {
        Vec::new()
    };
    let parts = split(&units);
    let fit = rooms.iter().zip(parts).all(|(room, part)| room.fits(part));
    if !sound || !fit {
        for room in rooms {
            room.empty::<U>()?;
        }
        return Ok(if sound { ERANGE } else { EINVAL });
    }
    for (room, part) in rooms.iter().zip(parts) {
        room.store(part)?;
    }
    Ok(0)
}

/// The body of `_makepath_s`: the first letter of a drive and a colon; separator
/// and dot are added where they are missing.
fn make_path<U: Unit>(room: PathPart, parts: [u64; 4]) -> Result<i32, NoReturn> {
    if room.to == 0 || room.size == 0 {
        return Ok(EINVAL);
    }
    let mut read: [Vec<U>; 4] = [const { Vec::new() }; 4];
    for (units, at) in read.iter_mut().zip(parts) {
        if at != 0 {
            *units = cstr::read(at, UNLIMITED)?;
        }
    }
    let [drive, directory, name, extension] = read;
    let mut path: Vec<U> = Vec::new();
    if let Some(letter) = drive.first() {
        path.extend([*letter, U::from(b':')]);
    }
    path.extend(&directory);
    if directory.last().is_some_and(|last| !is_separator(last)) {
        path.push(U::from(b'\\'));
    }
    path.extend(&name);
    if extension.first().is_some_and(|first| !is(first, b'.')) {
        path.push(U::from(b'.'));
    }
    path.extend(&extension);
    if !room.fits(&path) {
        room.empty::<U>()?;
        return Ok(ERANGE);
    }
    room.store(&path)?;
    Ok(0)
}

/// Fills the first units of a string, at most `count`. One without a NUL in its
/// room becomes empty.
fn fill<U: Unit>(room: PathPart, unit: U, count: Option<u64>) -> Result<i32, NoReturn> {
    if room.to == 0 && room.size == 0 && count == Some(0) {
        return Ok(0);
    }
    if room.to == 0 || room.size == 0 {
        return Ok(EINVAL);
    }
    let length = cstr::length::<U>(room.to, room.size)?;
    if length == room.size {
        room.empty::<U>()?;
        return Ok(EINVAL);
    }
    let count = count.map_or(length, |count| count.min(length));
    cstr::change::<U>(room.to, count, |units| units.fill(unit))?;
    Ok(0)
}

exports! {
    /// `_splitpath_s`: drive, directory, name and extension with their sizes.
    fn _splitpath_s<call>(path: u64) -> i32 [max HIGH_LEVEL, crt] { split_path::<u8>(call, path) }

    /// `_wsplitpath_s`.
    fn _wsplitpath_s<call>(path: u64) -> i32 [max HIGH_LEVEL, crt] { split_path::<u16>(call, path) }

    /// `_makepath_s`.
    fn _makepath_s(to: u64, size: u64, drive: u64, directory: u64, name: u64, extension: u64) -> i32
        [max HIGH_LEVEL, crt]
    {
        make_path::<u8>(PathPart { to, size }, [drive, directory, name, extension])
    }

    /// `_wmakepath_s`.
    fn _wmakepath_s(to: u64, size: u64, drive: u64, directory: u64, name: u64, extension: u64) -> i32
        [max HIGH_LEVEL, crt]
    {
        make_path::<u16>(PathPart { to, size }, [drive, directory, name, extension])
    }

    /// `_strset_s`: every character of a string becomes this one.
    fn _strset_s(to: u64, size: u64, unit: u8) -> i32 [max HIGH_LEVEL, crt] { fill(PathPart { to, size }, unit, None) }

    /// `_wcsset_s`.
    fn _wcsset_s(to: u64, size: u64, unit: u16) -> i32 [max HIGH_LEVEL, crt] { fill(PathPart { to, size }, unit, None) }

    /// `_strnset_s`: at most `count` of them.
    fn _strnset_s(to: u64, size: u64, unit: u8, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        fill(PathPart { to, size }, unit, Some(count))
    }

    /// `_wcsnset_s`.
    fn _wcsnset_s(to: u64, size: u64, unit: u16, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        fill(PathPart { to, size }, unit, Some(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, value, wide};

    /// Four parts of up to seven characters, and the error number.
    fn split_up(path: &str) -> (u64, [String; 4]) {
        let path = wide(path);
        let mut parts = [[0x2e_u16; 8]; 4];
        let mut arguments = vec![address(path.as_slice())];
        for part in &mut parts {
            arguments.extend([address_mut(part), 8]);
        }
        let error = value(_wsplitpath_s, &arguments);
        let texts = parts.map(|part| {
            let end = part.iter().position(|unit| *unit == 0).expect("a NUL");
            String::from_utf16_lossy(&part[..end])
        });
        (error, texts)
    }

    #[test]
    fn splitpath_s_matches_reference() {
        for (path, parts) in [
            (r"c:\dir\a.b.txt", ["c:", r"\dir\", "a.b", ".txt"]),
            ("dir/name", ["", "dir/", "name", ""]),
            (r"\d.e\name", ["", r"\d.e\", "name", ""]),
            ("c:name.", ["c:", "", "name", "."]),
            (".ext", ["", "", "", ".ext"]),
            ("", ["", "", "", ""]),
            (r"..\", ["", r"..\", "", ""]),
        ] {
            assert_eq!(split_up(path), (0, parts.map(str::to_owned)), "{path}");
        }
        let nothing = [const { String::new() }; 4];
        assert_eq!(split_up("c:12345678"), (34, nothing));
    }

    #[test]
    fn splitpath_s_null_part_needs_zero_size() {
        let path = *b"c:\\d\\name.x\0";
        let mut name = *b".....";
        let at = address_mut(&mut name);
        let from = address(&path);
        let only_name = [from, 0, 0, 0, 0, at, 5, 0, 0];
        assert_eq!(value(_splitpath_s, &only_name), 0);
        assert_eq!(&name, b"name\0");
        let no_room = [from, 0, 3, 0, 0, at, 5, 0, 0];
        assert_eq!(value(_splitpath_s, &no_room), 22);
        assert_eq!(&name, b"\0ame\0");
        assert_eq!(value(_splitpath_s, &[0, 0, 0, 0, 0, at, 5, 0, 0]), 22);
    }

    #[test]
    fn makepath_s_joins_given_parts() {
        let make = |size: u64, parts: [&[u8]; 4]| {
            let mut path = [b'.'; 16];
            let mut arguments = vec![address_mut(&mut path), size];
            arguments.extend(parts.map(|part| if part.is_empty() { 0 } else { address(part) }));
            let error = value(_makepath_s, &arguments);
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(16);
            (error, String::from_utf8_lossy(&path[..end]).into_owned())
        };
        let full: [&[u8]; 4] = [b"c\0", b"\\d\0", b"name\0", b"txt\0"];
        assert_eq!(make(16, full), (0, r"c:\d\name.txt".into()));
        assert_eq!(make(14, full), (0, r"c:\d\name.txt".into()));
        assert_eq!(make(13, full), (34, String::new()));
        let written: [&[u8]; 4] = [b"d:\0", b"e/\0", b"n\0", b".x\0"];
        assert_eq!(make(16, written), (0, "d:e/n.x".into()));
        assert_eq!(make(16, [b"", b"", b"n\0", b""]), (0, "n".into()));
        assert_eq!(value(_makepath_s, &[0, 16, 0, 0, 0, 0]), 22);
    }

    #[test]
    fn strset_s_fills_to_nul() {
        let fill = |handler, size: u64, rest: &[u64]| {
            let mut text = *b"abc\0..";
            let mut arguments = vec![address_mut(&mut text), size];
            arguments.extend(rest);
            (value(handler, &arguments), text)
        };
        let x = u64::from(b'x');
        assert_eq!(fill(_strset_s, 6, &[x]), (0, *b"xxx\0.."));
        assert_eq!(fill(_strset_s, 3, &[x]), (22, *b"\0bc\0.."));
        assert_eq!(fill(_strnset_s, 6, &[x, 2]), (0, *b"xxc\0.."));
        assert_eq!(fill(_strnset_s, 6, &[x, 9]), (0, *b"xxx\0.."));
        assert_eq!(value(_strset_s, &[0, 0, x]), 22);
        assert_eq!(value(_strnset_s, &[0, 0, x, 0]), 0);
        let mut text = wide("äb");
        let at = address_mut(text.as_mut_slice());
        assert_eq!(value(_wcsnset_s, &[at, 3, 0x20ac, 1]), 0);
        assert_eq!(text, wide("€b"));
        assert_eq!(value(_wcsset_s, &[at, 3, 0x416]), 0);
        assert_eq!(text, wide("ЖЖ"));
    }
}

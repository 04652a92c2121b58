//! What the file system's run-time library does for other drivers: statuses that
//! are to be expected, pool that raises, and the parts of a path.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};

use crate::base::export::exports;
use crate::base::utf16::SEPARATOR;
use crate::ex::pool;
use crate::sections::section;

/// Tag of pool that came without one.
const NO_TAG: u32 = u32::from_le_bytes(*b"None");
/// What faults of a program become, which are no answers of a file system.
const UNEXPECTED: [u32; 4] = [
    nt_status::STATUS_DATATYPE_MISALIGNMENT,
    nt_status::STATUS_ACCESS_VIOLATION,
    nt_status::STATUS_ILLEGAL_INSTRUCTION,
    nt_status::STATUS_INSTRUCTION_MISALIGNMENT,
];

fn is_expected(status: u32) -> bool {
    !UNEXPECTED.contains(&status)
}

/// Writes where the first component of a path is, and the rest of it.
fn dissect(
    path: UnicodeString,
    units: &[u16],
    size: u16,
    first: u64,
    remaining: u64,
) -> Result<(), NoReturn> {
    let part = |from: usize, to: usize| {
        let length = u16::try_from(to - from).unwrap_or(0) * size;
        let buffer = path.buffer.wrapping_add(from as u64 * u64::from(size));
        UnicodeString {
            length,
            maximum_length: length,
            buffer,
        }
    };
    let none = UnicodeString {
        length: 0,
        maximum_length: 0,
        buffer: 0,
    };
    if units.is_empty() {
        none.write(first)?;
        return Ok(none.write(remaining)?);
    }
    let start = usize::from(units[0] == SEPARATOR);
    let end = units[start..].iter().position(|unit| *unit == SEPARATOR);
    let end = end.map_or(units.len(), |end| start + end);
    part(start, end).write(first)?;
    let rest = if end < units.len() {
        part(end + 1, units.len())
    } else {
        none
    };
    Ok(rest.write(remaining)?)
}

/// A path without `.`, and without `..` and what is before it; `None` if there is
/// nothing before it.
fn without_dots(path: &[u16]) -> Option<Vec<u16>> {
    const DOT: u16 = b'.' as u16;
    let (start, rest) = match path.split_first() {
        Some((&SEPARATOR, rest)) => (&path[..1], rest),
        _ => (&path[..0], path),
    };
    let mut kept: Vec<&[u16]> = Vec::new();
    for component in rest.split(|unit| *unit == SEPARATOR) {
        match component {
            [DOT] => {}
            [DOT, DOT] => drop(kept.pop()?),
            component => kept.push(component),
        }
    }
    Some([start, &kept.join(&SEPARATOR)].concat())
}

exports! {
    /// `FsRtlIsNtstatusExpected`.
    fn FsRtlIsNtstatusExpected(status: u32) -> bool [max HIGH_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(is_expected(status))
    }

    /// `FsRtlNormalizeNtstatus`: the status, or what stands for it if nobody
    /// expects it.
    fn FsRtlNormalizeNtstatus(status: u32, generic: u32) -> u32 [max HIGH_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(if is_expected(status) { status } else { generic })
    }

    /// `FsRtlIsTotalDeviceFailure`: whether an error concerns more than the sectors
    /// that were asked for.
    fn FsRtlIsTotalDeviceFailure(status: u32) -> bool [max HIGH_LEVEL, ntddk] {
        let local = [nt_status::STATUS_CRC_ERROR, nt_status::STATUS_DEVICE_DATA_ERROR];
        Ok(status.cast_signed() < 0 && !local.contains(&status))
    }

    /// `FsRtlAllocatePool`: raises without memory.
    fn FsRtlAllocatePool<call>(kind: u32, size: u64) -> u64
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ifs/fsrtlallocatepool"] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        pool::allocate_or_raise(kind, size, NO_TAG, call.return_address())
    }

    /// `FsRtlAllocatePoolWithTag`.
    fn FsRtlAllocatePoolWithTag<call>(kind: u32, size: u64, tag: u32) -> u64 [max DISPATCH_LEVEL, ntifs] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        pool::allocate_or_raise(kind, size, tag, call.return_address())
    }

    /// `FsRtlAllocatePoolWithQuota`: nobody has a quota that could be used up.
    fn FsRtlAllocatePoolWithQuota<call>(kind: u32, size: u64) -> u64
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ifs/fsrtlallocatepoolwithquota"] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        pool::allocate_or_raise(kind, size, NO_TAG, call.return_address())
    }

    /// `FsRtlAllocatePoolWithQuotaTag`.
    fn FsRtlAllocatePoolWithQuotaTag<call>(kind: u32, size: u64, tag: u32) -> u64
        [max DISPATCH_LEVEL, ntifs] raises nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        pool::allocate_or_raise(kind, size, tag, call.return_address())
    }

    /// `FsRtlDissectName`: the first component of a path, and what follows the
    /// separator after it; a separator in front does not count. Both lie in the
    /// path.
    fn FsRtlDissectName(path: u64, first: u64, remaining: u64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let path = UnicodeString::read(path)?;
        dissect(path, &path.units()?, 2, first, remaining)
    }

    /// `FsRtlDissectDbcs`: the same with one-byte characters.
    fn FsRtlDissectDbcs(path: u64, first: u64, remaining: u64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let path = UnicodeString::read(path)?;
        let mut bytes = vec![0; usize::from(path.length)];
        driver_mem::read_bytes(path.buffer, &mut bytes)?;
        let units: Vec<u16> = bytes.into_iter().map(u16::from).collect();
        dissect(path, &units, 1, first, remaining)
    }

    /// `FsRtlRemoveDotsFromPath`: in place; what becomes shorter ends with a NUL.
    fn FsRtlRemoveDotsFromPath(path: u64, length: u16, new_length: u64) -> u32 [max PASSIVE_LEVEL, ntifs] {
        let string = UnicodeString { length, maximum_length: length, buffer: path };
        let units = string.units()?;
        let Some(shorter) = without_dots(&units) else {
            return Ok(nt_status::STATUS_IO_REPARSE_DATA_INVALID);
        };
        let end = if shorter.len() < units.len() { &[0_u16][..] } else { &[] };
        let bytes: Vec<u8> = shorter.iter().chain(end).flat_map(|unit| unit.to_le_bytes()).collect();
        driver_mem::write_bytes(path, &bytes)?;
        driver_mem::write_u16(new_length, u16::try_from(2 * shorter.len()).unwrap_or(length))?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlGetFileSize`: not of a directory.
    fn FsRtlGetFileSize(object: u64, size: u64) -> u32 [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        match section::content_of(object) {
            Some(content) => {
                driver_mem::write_u64(size, content.size)?;
                Ok(nt_status::STATUS_SUCCESS)
            }
            None => Ok(nt_status::STATUS_FILE_IS_A_DIRECTORY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Counted, address, address_mut, value, wide};

    #[test]
    fn ntstatus_classification_matches_reference() {
        let violation = u64::from(nt_status::STATUS_ACCESS_VIOLATION);
        let full = u64::from(nt_status::STATUS_DISK_FULL);
        assert_eq!(value(FsRtlIsNtstatusExpected, &[violation]), 0);
        assert_eq!(value(FsRtlIsNtstatusExpected, &[full]), 1);
        assert_eq!(value(FsRtlNormalizeNtstatus, &[violation, 7]), 7);
        assert_eq!(value(FsRtlNormalizeNtstatus, &[full, 7]), full);
        assert_eq!(value(FsRtlIsTotalDeviceFailure, &[0]), 0);
        let sector = u64::from(nt_status::STATUS_CRC_ERROR);
        assert_eq!(value(FsRtlIsTotalDeviceFailure, &[sector]), 0);
        let gone = u64::from(nt_status::STATUS_NO_SUCH_DEVICE);
        assert_eq!(value(FsRtlIsTotalDeviceFailure, &[gone]), 1);
    }

    #[test]
    fn dissect_name_splits_path() {
        for (path, expected) in [
            ("", ("", "")),
            (r"\", ("", "")),
            (r"a", ("a", "")),
            (r"\a\b\c", ("a", r"b\c")),
            (r"a\b", ("a", "b")),
            (r"a\\b", ("a", r"\b")),
            (r"\a\", ("a", "")),
        ] {
            let mut units = wide(path);
            let used = units.len() - 1;
            let path = Counted::unicode(&mut units, used);
            let mut parts = [Counted::empty(), Counted::empty()];
            let [first, rest] = &mut parts;
            let arguments = [address(&path), address_mut(first), address_mut(rest)];
            value(FsRtlDissectName, &arguments);
            let found = parts.each_ref().map(Counted::text);
            assert_eq!((found[0].as_str(), found[1].as_str()), expected);
        }
    }

    #[test]
    fn dissect_dbcs_splits_path() {
        let mut bytes = *br"\one\two";
        let path = Counted::ansi(&mut bytes, 8);
        let mut parts = [Counted::empty(), Counted::empty()];
        let [first, rest] = &mut parts;
        let arguments = [address(&path), address_mut(first), address_mut(rest)];
        value(FsRtlDissectDbcs, &arguments);
        assert_eq!(parts.each_ref().map(Counted::bytes), [b"one", b"two"]);
    }

    #[test]
    fn remove_dots_from_path() {
        for (path, expected) in [
            (
                r"\dir1\dir2\..\dir3\.\file.txt",
                Some(r"\dir1\dir3\file.txt"),
            ),
            (r"\a\b", Some(r"\a\b")),
            (r"a\..\b", Some("b")),
            (r"\a\..", Some(r"\")),
            (r"\..", None),
            (r"..", None),
            (r"..\any", None),
        ] {
            let mut units = wide(path);
            let length = 2 * (units.len() as u64 - 1);
            let mut left = 0_u16;
            let arguments = [
                address_mut(units.as_mut_slice()),
                length,
                address_mut(&mut left),
            ];
            let status = value(FsRtlRemoveDotsFromPath, &arguments);
            match expected {
                None => assert_eq!(
                    status,
                    u64::from(nt_status::STATUS_IO_REPARSE_DATA_INVALID),
                    "{path}"
                ),
                Some(expected) => {
                    assert_eq!(status, 0, "{path}");
                    assert_eq!(
                        units[..usize::from(left / 2)],
                        wide(expected)[..expected.len()]
                    );
                    assert_eq!(units[usize::from(left / 2)], 0, "{path}");
                }
            }
        }
    }
}

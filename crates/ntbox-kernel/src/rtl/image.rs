//! Headers of images in memory: where they are, and what their directories lead
//! to.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::export::exports;

/// `MZ` and `PE`.
const MZ: u16 = 0x5a4d;
const PE: u32 = 0x4550;
/// Where the file header of a DOS image says where the other one is.
const LFANEW: u64 = 0x3c;
/// The headers of an image are in its first 256 MiB.
const MAX_OFFSET: u32 = 0x1000_0000;
/// Offsets from the signature.
const SECTION_COUNT: u64 = 0x06;
const OPTIONAL_SIZE: u64 = 0x14;
const OPTIONAL: u64 = 0x18;
/// Offsets in the optional header, and its two kinds.
const SIZE_OF_HEADERS: u64 = 0x3c;
const MAGIC_32: u16 = 0x10b;
const MAGIC_64: u16 = 0x20b;
/// Bytes of a section header.
const SECTION: u64 = 0x28;

/// Address of an image's headers; `None` if there are none.
fn headers(base: u64) -> Result<Option<u64>, Fault> {
    if matches!(base, 0 | u64::MAX) || driver_mem::read_u16(base)? != MZ {
        return Ok(None);
    }
    let offset = driver_mem::read_u32(base.wrapping_add(LFANEW))?;
    if offset >= MAX_OFFSET {
        return Ok(None);
    }
    let at = base.wrapping_add(u64::from(offset));
    Ok((driver_mem::read_u32(at)? == PE).then_some(at))
}

/// A directory of an image: its address and size.
fn directory(base: u64, mapped: bool, entry: u16) -> Result<Option<(u64, u32)>, Fault> {
    // The lowest bit says that a base is of a file, not of an image.
    let mapped = mapped && base & 1 == 0;
    let base = base & !1;
    let Some(at) = headers(base)? else {
        return Ok(None);
    };
    let optional = at + OPTIONAL;
    let (count, table) = match driver_mem::read_u16(optional)? {
        MAGIC_32 => (optional + 0x5c, optional + 0x60),
        MAGIC_64 => (optional + 0x6c, optional + 0x70),
        _ => return Ok(None),
    };
    if u32::from(entry) >= driver_mem::read_u32(count)? {
        return Ok(None);
    }
    let place = table + 8 * u64::from(entry);
    let (rva, size) = (
        driver_mem::read_u32(place)?,
        driver_mem::read_u32(place + 4)?,
    );
    if rva == 0 {
        return Ok(None);
    }
    let in_headers = rva < driver_mem::read_u32(optional + SIZE_OF_HEADERS)?;
    if mapped || in_headers {
        return Ok(Some((base + u64::from(rva), size)));
    }
    let offset = file_offset(at, rva)?;
    Ok(offset.map(|offset| (base + offset, size)))
}

/// Where in the file lies what is at an address of the image.
fn file_offset(headers: u64, rva: u32) -> Result<Option<u64>, Fault> {
    let count = driver_mem::read_u16(headers + SECTION_COUNT)?;
    let optional_size = driver_mem::read_u16(headers + OPTIONAL_SIZE)?;
    let first = headers + OPTIONAL + u64::from(optional_size);
    for n in 0..u64::from(count) {
        let section = first + n * SECTION;
        let start = driver_mem::read_u32(section + 0x0c)?;
        let size = driver_mem::read_u32(section + 0x10)?;
        if rva >= start && rva - start < size {
            let raw = driver_mem::read_u32(section + 0x14)?;
            return Ok(Some(u64::from(raw) + u64::from(rva - start)));
        }
    }
    Ok(None)
}

exports! {
    /// `RtlImageNtHeader`: NULL for what is no image.
    fn RtlImageNtHeader(base: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        Ok(headers(base)?.unwrap_or(0))
    }

    /// `RtlImageDirectoryEntryToData`: NULL if there is none.
    fn RtlImageDirectoryEntryToData(base: u64, mapped: bool, entry: u16, size: u64) -> u64
        [max HIGH_LEVEL, undocumented] {
        let found = directory(base, mapped, entry)?;
        if let Some((_, bytes)) = found {
            driver_mem::write_u32(size, bytes)?;
        }
        Ok(found.map_or(0, |(at, _)| at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, value};

    /// An image with an export directory of 0x40 bytes at 0x1010, which a section
    /// has at 0x210 of the file.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 0x2000];
        let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
        put(0, b"MZ");
        put(0x3c, &[0x80]);
        put(0x80, b"PE\0\0");
        put(0x86, &[1]);
        put(0x94, &[0xf0]);
        put(0x98, &[0x0b, 0x02]);
        put(0x98 + 0x3c, &[0, 2]);
        put(0x98 + 0x6c, &[16]);
        put(0x98 + 0x70, &[0x10, 0x10, 0, 0, 0x40]);
        put(0x188 + 0x0c, &[0, 0x10, 0, 0, 0, 2, 0, 0, 0, 2]);
        bytes
    }

    #[test]
    fn image_headers_and_directories_are_found() {
        let mut bytes = image();
        let base = address(&bytes[..]);
        assert_eq!(value(RtlImageNtHeader, &[base]), base + 0x80);
        let mut size = 0_u32;
        let at = address_mut(&mut size);
        let entry =
            |base, mapped, entry| value(RtlImageDirectoryEntryToData, &[base, mapped, entry, at]);
        assert_eq!(entry(base, 1, 0), base + 0x1010);
        assert_eq!(entry(base, 0, 0), base + 0x210);
        assert_eq!(entry(base | 1, 1, 0), base + 0x210);
        assert_eq!(size, 0x40);
        assert_eq!(entry(base, 1, 1), 0, "it has no imports");
        assert_eq!(entry(base, 1, 16), 0);
        bytes[0x80] = 0;
        assert_eq!(value(RtlImageNtHeader, &[base]), 0);
        assert_eq!(value(RtlImageNtHeader, &[0]), 0);
        assert_eq!(value(RtlImageNtHeader, &[u64::MAX]), 0);
    }
}

//! Reading driver memory of a length that is only known at its end.
//!
//! Text is read in pieces that stay within the page of a byte that has to be
//! read anyway. So a string may end right before a page that is not there, as
//! strings do, and long ones are still read fast.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::memory_map::PAGE_SIZE;

/// Most bytes read at a time.
const PIECE: usize = 256;

/// Bytes of the next piece at `va`: not past the page, not more than `left`.
fn piece(va: u64, left: u64) -> usize {
    let page = PAGE_SIZE - va % PAGE_SIZE;
    usize::try_from(left.min(page)).map_or(PIECE, |length| length.min(PIECE))
}

/// Position of the first byte at `va` that `stop` says yes to, or `limit` if
/// there is none before.
pub fn find_byte(va: u64, limit: u64, stop: impl Fn(u8) -> bool) -> Result<u64, Fault> {
    let mut buffer = [0; PIECE];
    let mut done = 0;
    while done < limit {
        let at = va.wrapping_add(done);
        let bytes = &mut buffer[..piece(at, limit - done)];
        driver_mem::read_bytes(at, bytes)?;
        if let Some(found) = bytes.iter().position(|byte| stop(*byte)) {
            return Ok(done + found as u64);
        }
        done += bytes.len() as u64;
    }
    Ok(limit)
}

/// Position, in units, of the first UTF-16 unit at `va` that `stop` says yes to,
/// or `limit` if there is none before.
pub fn find_unit(va: u64, limit: u64, stop: impl Fn(u16) -> bool) -> Result<u64, Fault> {
    let mut buffer = [0; PIECE];
    let mut done = 0;
    while done < limit {
        let at = va.wrapping_add(done.wrapping_mul(2));
        let length = piece(at, (limit - done).saturating_mul(2)) & !1;
        // An odd address leaves one unit across the page boundary.
        let bytes = &mut buffer[..length.max(2)];
        driver_mem::read_bytes(at, bytes)?;
        let mut units = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        if let Some(found) = units.position(&stop) {
            return Ok(done + found as u64);
        }
        done += bytes.len() as u64 / 2;
    }
    Ok(limit)
}

/// Number of bytes from the start in which two ranges are equal.
pub fn equal_bytes(one: u64, two: u64, length: u64) -> Result<u64, Fault> {
    let mut buffers = [[0; PIECE]; 2];
    let mut done = 0;
    while done < length {
        let (a, b) = (one.wrapping_add(done), two.wrapping_add(done));
        let size = piece(a, length - done).min(piece(b, length - done));
        let [left, right] = &mut buffers;
        let (left, right) = (&mut left[..size], &mut right[..size]);
        driver_mem::read_bytes(a, left)?;
        driver_mem::read_bytes(b, right)?;
        if let Some(at) = left.iter().zip(right.iter()).position(|(l, r)| l != r) {
            return Ok(done + at as u64);
        }
        done += size as u64;
    }
    Ok(length)
}

/// Exactly `count` bytes.
pub fn bytes(va: u64, count: u64) -> Result<Vec<u8>, Fault> {
    // A count that no driver memory can have must not exhaust this program.
    let Ok(length) = u32::try_from(count) else {
        return Err(Fault {
            address: va,
            write: false,
        });
    };
    let mut bytes = vec![0; length as usize];
    driver_mem::read_bytes(va, &mut bytes)?;
    Ok(bytes)
}

/// Exactly `count` UTF-16 units.
pub fn units(va: u64, count: u64) -> Result<Vec<u16>, Fault> {
    let bytes = bytes(va, count.saturating_mul(2))?;
    Ok(bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect())
}

/// Writes UTF-16 units.
pub fn write_units(va: u64, units: &[u16]) -> Result<(), Fault> {
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    driver_mem::write_bytes(va, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtl::cstr::read;
    use crate::test_support::{NOWHERE, address, wide};

    #[test]
    fn read_ends_at_nul_or_limit() {
        let text = b"a string that is read\0and more\0";
        assert_eq!(
            read::<u8>(address(text), u64::MAX).unwrap(),
            b"a string that is read"
        );
        assert_eq!(read::<u8>(address(text), 8).unwrap(), b"a string");
        assert_eq!(read::<u8>(address(text), 0).unwrap(), b"");
        let text = wide("wide");
        assert_eq!(
            read::<u16>(address(text.as_slice()), u64::MAX).unwrap(),
            text[..4]
        );
        assert_eq!(read::<u16>(address(text.as_slice()), 2).unwrap(), text[..2]);
    }

    #[test]
    fn find_byte_crosses_pages() {
        let mut text = vec![b'x'; 20_000];
        text[19_999] = 0;
        for start in 0..3 {
            let va = address(text.as_slice()) + start;
            assert_eq!(
                find_byte(va, u64::MAX, |byte| byte == 0).unwrap(),
                19_999 - start
            );
        }
    }

    #[test]
    fn read_wide_at_odd_address() {
        let mut bytes = vec![0_u8; 1];
        bytes.extend((0..9000_u16).flat_map(|_| 0x4e4f_u16.to_le_bytes()));
        bytes.extend([0, 0]);
        let va = address(bytes.as_slice()) + 1;
        assert_eq!(find_unit(va, u64::MAX, |unit| unit == 0).unwrap(), 9000);
        assert_eq!(read::<u16>(va, u64::MAX).unwrap(), vec![0x4e4f; 9000]);
    }

    #[test]
    fn equal_bytes_returns_offset_of_difference() {
        let one = vec![7_u8; 10_000];
        let mut two = one.clone();
        let compare =
            |two: &[u8]| equal_bytes(address(one.as_slice()), address(two), 10_000).unwrap();
        assert_eq!(compare(&two), 10_000);
        two[9_000] = 8;
        assert_eq!(compare(&two), 9_000);
        two[0] = 8;
        assert_eq!(compare(&two), 0);
    }

    #[test]
    fn read_of_zero_length_touches_nothing() {
        assert_eq!(bytes(NOWHERE, 0).unwrap(), b"");
        assert_eq!(read::<u8>(NOWHERE, 0).unwrap(), b"");
        assert_eq!(equal_bytes(NOWHERE, NOWHERE, 0).unwrap(), 0);
    }

    #[test]
    fn read_of_unmapped_memory_faults() {
        assert_eq!(read::<u8>(NOWHERE, 1).unwrap_err().address, NOWHERE);
        assert_eq!(units(NOWHERE, 1).unwrap_err().address, NOWHERE);
        assert!(bytes(0x1000, u64::MAX).is_err());
    }
}

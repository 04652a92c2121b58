//! `RtlCompressBuffer` and its kin, for LZNT1. The other formats that Windows has
//! stop the driver with their number, for an invented answer would be worse.

use nt_status::{STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use super::{lznt1, scan};
use crate::base::export::exports;

/// `COMPRESSION_FORMAT_LZNT1`.
const LZNT1: u16 = 2;

/// Looks whether a format is LZNT1; otherwise the status that it gets.
fn check_format(format: u16, function: &str) -> Result<Option<u32>, NoReturn> {
    match format & 0xff {
        0 | 1 => Ok(Some(STATUS_INVALID_PARAMETER)),
        LZNT1 => Ok(None),
        3 | 4 => Err(NoReturn::bug_check(
            0xe2,
            [u64::from(format), 0, 0, 0],
            format!(
                "{function} was called for compression format {format:#x}; this kernel knows LZNT1 (2) only"
            ),
        )),
        _ => Ok(Some(nt_status::STATUS_UNSUPPORTED_COMPRESSION)),
    }
}

/// Looks whether there is such an engine: standard or maximum.
fn check_engine(format: u16) -> Option<u32> {
    (format & 0xff00 > 0x100).then_some(nt_status::STATUS_NOT_SUPPORTED)
}

/// Decompresses from an offset, into as much room as there is.
fn expand(
    to: u64,
    room: u32,
    from: u64,
    length: u32,
    offset: u32,
    done: u64,
) -> Result<u32, NoReturn> {
    let compressed = scan::bytes(from, length.into())?;
    let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let Some(data) = lznt1::decompress(&compressed, size(offset), size(room)) else {
        return Ok(nt_status::STATUS_BAD_COMPRESSION_BUFFER);
    };
    driver_mem::write_bytes(to, &data)?;
    driver_mem::write_u32(done, u32::try_from(data.len()).unwrap_or(u32::MAX))?;
    Ok(STATUS_SUCCESS)
}

exports! {
    /// `RtlGetCompressionWorkSpaceSize`: room that callers provide and that this
    /// kernel does not need; as much as Windows asks for.
    fn RtlGetCompressionWorkSpaceSize(format: u16, buffer: u64, fragment: u64) -> u32 [max APC_LEVEL, ntifs] {
        let refused = check_format(format, "RtlGetCompressionWorkSpaceSize")?.or(check_engine(format));
        if let Some(status) = refused {
            return Ok(status);
        }
        driver_mem::write_u32(buffer, if format & 0xff00 == 0 { 0x8010 } else { 0x10 })?;
        driver_mem::write_u32(fragment, 0x1000)?;
        Ok(STATUS_SUCCESS)
    }

    /// `RtlCompressBuffer`: a success of its own for zeros only.
    fn RtlCompressBuffer(
        format: u16, from: u64, length: u32, to: u64, room: u32, chunk: u32, done: u64, work_space: u64,
    ) -> u32 [max APC_LEVEL, ntifs] {
        let refused = check_format(format, "RtlCompressBuffer")?.or(check_engine(format));
        if let Some(status) = refused {
            return Ok(status);
        }
        let data = scan::bytes(from, length.into())?;
        let compressed = lznt1::compress(&data);
        let size = u32::try_from(compressed.len()).unwrap_or(u32::MAX);
        if size > room {
            return Ok(STATUS_BUFFER_TOO_SMALL);
        }
        driver_mem::write_bytes(to, &compressed)?;
        driver_mem::write_u32(done, size)?;
        Ok(if data.iter().all(|byte| *byte == 0) { nt_status::STATUS_BUFFER_ALL_ZEROS } else { STATUS_SUCCESS })
    }

    /// `RtlDecompressBuffer`: as much as there is room for.
    fn RtlDecompressBuffer(format: u16, to: u64, room: u32, from: u64, length: u32, done: u64) -> u32
        [max APC_LEVEL, ntifs] {
        match check_format(format, "RtlDecompressBuffer")? {
            Some(status) => Ok(status),
            None => expand(to, room, from, length, 0, done),
        }
    }

    /// `RtlDecompressFragment`: from an offset in what was compressed.
    fn RtlDecompressFragment(
        format: u16, to: u64, room: u32, from: u64, length: u32, offset: u32, done: u64, work_space: u64,
    ) -> u32 [max APC_LEVEL, ntifs] {
        match check_format(format, "RtlDecompressFragment")? {
            Some(status) => Ok(status),
            None => expand(to, room, from, length, offset, done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, bug_check, call, status};

    #[test]
    fn compress_and_decompress_round_trip() {
        let text = *b"again and again and again and again";
        let (mut packed, mut back, mut done) = ([0_u8; 64], [0_u8; 64], 0_u32);
        let (to, size) = (address_mut(&mut packed), address_mut(&mut done));
        let arguments = [2, address(&text), 35, to, 64, 4096, size, 0];
        assert_eq!(status(RtlCompressBuffer, &arguments), STATUS_SUCCESS);
        let length = u64::from(driver_mem::read_u32(size).expect("ours"));
        assert!(length < 25, "{length}");
        let arguments = [2, address_mut(&mut back), 64, to, length, size];
        assert_eq!(status(RtlDecompressBuffer, &arguments), STATUS_SUCCESS);
        assert_eq!(
            (&back[..35], driver_mem::read_u32(size)),
            (&text[..], Ok(35))
        );
        let arguments = [2, address_mut(&mut back), 3, to, length, 6, size, 0];
        assert_eq!(status(RtlDecompressFragment, &arguments), STATUS_SUCCESS);
        assert_eq!(
            (&back[..3], driver_mem::read_u32(size)),
            (&b"and"[..], Ok(3))
        );
        let arguments = [2, address(&text), 35, to, 5, 4096, size, 0];
        assert_eq!(
            status(RtlCompressBuffer, &arguments),
            STATUS_BUFFER_TOO_SMALL
        );
        let zeros = [0_u8; 100];
        let arguments = [2, address(&zeros), 100, to, 64, 4096, size, 0];
        assert_eq!(
            status(RtlCompressBuffer, &arguments),
            nt_status::STATUS_BUFFER_ALL_ZEROS
        );
    }

    #[test]
    fn compression_of_unsupported_format_is_refused() {
        let (mut one, mut two) = (0_u32, 0_u32);
        let mut ask = |format: u64| [format, address_mut(&mut one), address_mut(&mut two)];
        assert_eq!(
            status(RtlGetCompressionWorkSpaceSize, &ask(2)),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(RtlGetCompressionWorkSpaceSize, &ask(0x102)),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(RtlGetCompressionWorkSpaceSize, &ask(0x202)),
            nt_status::STATUS_NOT_SUPPORTED
        );
        assert_eq!(
            status(RtlGetCompressionWorkSpaceSize, &ask(0)),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            status(RtlGetCompressionWorkSpaceSize, &ask(9)),
            nt_status::STATUS_UNSUPPORTED_COMPRESSION
        );
        assert_eq!(
            bug_check(call(RtlGetCompressionWorkSpaceSize, &ask(3))).code,
            0xe2
        );
        let damaged = [0x05_u8, 0xb0, 0x00];
        let mut back = [0_u8; 8];
        let arguments = [2, address_mut(&mut back), 8, address(&damaged), 3, 0];
        assert_eq!(
            status(RtlDecompressBuffer, &arguments),
            nt_status::STATUS_BAD_COMPRESSION_BUFFER
        );
    }
}

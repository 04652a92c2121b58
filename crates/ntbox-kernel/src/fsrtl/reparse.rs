//! Buffers of reparse points, and whether the volumes are ready: what file systems
//! and their filters ask before they go on.

use nt_layout::ReparseGuidDataBuffer;
use nt_status::{STATUS_IO_REPARSE_DATA_INVALID, STATUS_IO_REPARSE_TAG_INVALID, STATUS_SUCCESS};
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

/// Bytes in front of the data of Microsoft's tags, and of all others, which have a
/// GUID there.
const HEADER: u32 = 8;
const GUID_HEADER: u32 = 24;
/// `MAXIMUM_REPARSE_DATA_BUFFER_SIZE`.
const LARGEST: u32 = 16 * 1024;
/// `IO_REPARSE_TAG_VALID_VALUES`, `IO_REPARSE_TAG_RESERVED_RANGE`, and the bit of
/// Microsoft's tags.
const VALID: u32 = 0xf000_ffff;
const RESERVED: u32 = 1;
const MICROSOFT: u32 = 1 << 31;

exports! {
    /// `FsRtlValidateReparsePointBuffer`: lengths, tag and the GUID that a tag which
    /// is not Microsoft's needs; what the data of a tag mean is not looked at.
    fn FsRtlValidateReparsePointBuffer(length: u32, buffer: DriverPtr<ReparseGuidDataBuffer>) -> u32
        [max APC_LEVEL, ntifs, partial "what the data of a tag mean is not looked at"] {
        if !(HEADER..=LARGEST).contains(&length) {
            return Ok(STATUS_IO_REPARSE_DATA_INVALID);
        }
        let tag = buffer.get(|buffer| &buffer.reparse_tag)?;
        let data = u32::from(buffer.get(|buffer| &buffer.reparse_data_length)?);
        let with_guid = length == GUID_HEADER + data;
        if length != HEADER + data && !with_guid {
            return Ok(STATUS_IO_REPARSE_DATA_INVALID);
        }
        if tag & !VALID != 0 || tag <= RESERVED {
            return Ok(STATUS_IO_REPARSE_TAG_INVALID);
        }
        if tag & MICROSOFT == 0 {
            let guid = buffer.at(|buffer| &buffer.reparse_guid);
            let named = with_guid
                && (guid.get(|guid| &guid[0])? | guid.get(|guid| &guid[1])?) != 0;
            if !named {
                return Ok(STATUS_IO_REPARSE_DATA_INVALID);
            }
        }
        Ok(STATUS_SUCCESS)
    }

    /// `FsRtlAreVolumeStartupApplicationsComplete`: the system has started.
    fn FsRtlAreVolumeStartupApplicationsComplete() -> bool [max APC_LEVEL, ntifs] { Ok(true) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, status, value};

    /// The status for a tag, a data length and a byte of the GUID.
    fn validate(tag: u32, data: u16, guid: u8, length: u64) -> u32 {
        let mut buffer = [0_u8; 64];
        buffer[..4].copy_from_slice(&tag.to_le_bytes());
        buffer[4..6].copy_from_slice(&data.to_le_bytes());
        buffer[23] = guid;
        status(FsRtlValidateReparsePointBuffer, &[length, address(&buffer)])
    }

    #[test]
    fn validate_reparse_buffer_checks_tag_and_length() {
        // IO_REPARSE_TAG_SYMLINK, and a tag of somebody else.
        let (microsoft, other) = (0xa000_000c, 0x2000_1234);
        for (tag, data, guid, length, expected) in [
            (microsoft, 8, 0, 16, STATUS_SUCCESS),
            (microsoft, 0, 0, 8, STATUS_SUCCESS),
            (microsoft, 8, 1, 32, STATUS_SUCCESS),
            (microsoft, 8, 0, 17, STATUS_IO_REPARSE_DATA_INVALID),
            (microsoft, 8, 0, 7, STATUS_IO_REPARSE_DATA_INVALID),
            (microsoft, 0x4000, 0, 0x4008, STATUS_IO_REPARSE_DATA_INVALID),
            (other, 8, 1, 32, STATUS_SUCCESS),
            (other, 8, 0, 32, STATUS_IO_REPARSE_DATA_INVALID),
            (other, 8, 1, 16, STATUS_IO_REPARSE_DATA_INVALID),
            (0, 8, 1, 32, STATUS_IO_REPARSE_TAG_INVALID),
            (1, 8, 1, 32, STATUS_IO_REPARSE_TAG_INVALID),
            (0xa001_000c, 8, 0, 16, STATUS_IO_REPARSE_TAG_INVALID),
        ] {
            let found = validate(tag, data, guid, length);
            assert_eq!(found, expected, "{tag:#x} {data} {length}");
        }
        assert_eq!(value(FsRtlAreVolumeStartupApplicationsComplete, &[]), 1);
    }
}

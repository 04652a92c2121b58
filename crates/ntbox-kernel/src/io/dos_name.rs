//! Names as programs write them, with a drive letter.

use nt_layout::FileObject;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::{APC_LEVEL, PASSIVE_LEVEL};

use super::file_system;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::{error, utf16};
use crate::mm::pool::{PoolKind, Request};
use crate::ob::Type;
use crate::{mm, ob};

/// Pool tag of names that the caller frees.
const TAG: u32 = u32::from_le_bytes(*b"IoDn");

/// The drive letter of a device: the one volume's, or that of the file system on it,
/// which passes the question on.
fn letter_of(device: u64) -> Option<&'static str> {
    file_system::has_device(device).then_some("C:")
}

/// A block of pool for the caller, with a `UNICODE_STRING` at its start if it is
/// `headed`, and the text.
fn in_pool(text: &[u16], headed: bool, caller: u64) -> Result<(u64, UnicodeString), Refusal> {
    let start: u64 = if headed { 16 } else { 0 };
    let bytes: Vec<u8> = text
        .iter()
        .chain([&0])
        .flat_map(|unit| unit.to_le_bytes())
        .collect();
    let request = Request {
        kind: PoolKind::Paged,
        size: start + bytes.len() as u64,
        tag: TAG,
        zeroed: true,
        cache_aligned: false,
        caller,
    };
    let block = mm::with(|memory| memory.pools.allocate(request))
        .ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    driver_mem::write_bytes(block + start, &bytes)?;
    let maximum_length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let string = UnicodeString {
        length: maximum_length - 2,
        maximum_length,
        buffer: block + start,
    };
    if headed {
        string.write(block)?;
    }
    Ok((block, string))
}

exports! {
    /// `IoQueryFileDosDeviceName`: a block that the caller frees.
    fn IoQueryFileDosDeviceName<call>(object: DriverPtr<FileObject>, information: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let query = || -> Result<(), Refusal> {
            if ob::inspect(object.address(), |header| header.kind) != Some(Type::File) {
                return Err(nt_status::STATUS_INVALID_PARAMETER.into());
            }
            let device = object.get(|file| &file.device_object)?;
            let letter = letter_of(device).ok_or(nt_status::STATUS_INVALID_DEVICE_REQUEST)?;
            let mut text = utf16::wide(letter);
            text.extend(file_system::path_of(object.address()).unwrap_or_default());
            let (block, _) = in_pool(&text, true, call.return_address())?;
            Ok(driver_mem::write_u64(information, block)?)
        };
        error::status(query())
    }

    /// `IoVolumeDeviceToDosName`: the caller frees the text.
    fn IoVolumeDeviceToDosName<call>(device: u64, string: u64) -> u32 [max APC_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let query = || -> Result<(), Refusal> {
            let letter = letter_of(device).ok_or(nt_status::STATUS_INVALID_DEVICE_REQUEST)?;
            let (_, text) = in_pool(&utf16::wide(letter), false, call.return_address())?;
            Ok(text.write(string)?)
        };
        error::status(query())
    }

    /// `RtlVolumeDeviceToDosName`: the same under its older name.
    fn RtlVolumeDeviceToDosName<call>(device: u64, string: u64) -> u32 [max APC_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        IoVolumeDeviceToDosName(call).map(|status| u32::try_from(status).unwrap_or(0))
    }
}

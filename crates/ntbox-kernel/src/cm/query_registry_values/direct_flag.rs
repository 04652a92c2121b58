//! Storing a value where the driver says (`RTL_QUERY_REGISTRY_DIRECT`).

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;

use super::entry::{Data, REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ};
use crate::base::error::Refusal;
use crate::mm;
use crate::mm::pool::{PoolKind, Request};

/// Pool tag of strings that the driver has to free.
const TAG: u32 = u32::from_le_bytes(*b"Strg");
/// Most bytes of a string.
const MAX_STRING: usize = 0xfffe;
/// Data up to this size is stored as it is.
const ULONG: usize = 4;

/// Stores data at `to`, in the form that its type has there. `caller` is who
/// will own a string that is made for it.
///
/// # Errors
/// `STATUS_BUFFER_TOO_SMALL`, `STATUS_NO_MEMORY`.
pub fn store(to: u64, data: &Data, caller: u64) -> Result<(), Refusal> {
    match data.kind {
        REG_SZ | REG_EXPAND_SZ | REG_MULTI_SZ => string(to, &data.bytes, caller),
        _ if data.bytes.len() <= ULONG => Ok(driver_mem::write_bytes(to, &data.bytes)?),
        _ => sized(to, data),
    }
}

/// Into a `UNICODE_STRING`, whose buffer is made if it has none. The NUL at the
/// end is stored and not counted.
fn string(to: u64, bytes: &[u8], caller: u64) -> Result<(), Refusal> {
    let bytes = &bytes[..bytes.len().min(MAX_STRING)];
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut string = UnicodeString::read(to)?;
    if string.buffer == 0 {
        let request = Request {
            kind: PoolKind::Paged,
            size: u64::from(size.max(1)),
            tag: TAG,
            zeroed: false,
            cache_aligned: false,
            caller,
        };
        string.buffer =
            mm::with(|memory| memory.pools.allocate(request)).ok_or(nt_status::STATUS_NO_MEMORY)?;
        string.maximum_length = size;
    } else if size > string.maximum_length {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    string.length = size.saturating_sub(2);
    driver_mem::write_bytes(string.buffer, bytes)?;
    Ok(string.write(to)?)
}

/// Into a buffer that begins with its size: negative for the data alone,
/// positive for length, type and data.
fn sized(to: u64, data: &Data) -> Result<(), Refusal> {
    let size = driver_mem::read_u32(to)?.cast_signed();
    let room = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
    let header = if size < 0 { 0 } else { 8 };
    if room < header + data.bytes.len() {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    if size >= 0 {
        driver_mem::write_u32(to, u32::try_from(data.bytes.len()).unwrap_or(u32::MAX))?;
        driver_mem::write_u32(to.wrapping_add(4), data.kind)?;
    }
    Ok(driver_mem::write_bytes(
        to.wrapping_add(header as u64),
        &data.bytes,
    )?)
}

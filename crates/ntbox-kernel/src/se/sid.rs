//! Security identifiers: who somebody is.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};

use crate::base::export::exports;
use crate::rtl::string_alloc;

/// `SID_REVISION`.
const REVISION: u8 = 1;
/// `SID_MAX_SUB_AUTHORITIES`.
const MAX_SUB_AUTHORITIES: u8 = 15;
/// Bytes before the sub-authorities.
const HEADER: u64 = 8;

/// A SID as its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sid(Vec<u8>);

impl Sid {
    /// A SID of the NT authority.
    pub fn nt(sub_authorities: &[u32]) -> Self {
        Self::new(5, sub_authorities)
    }

    /// `S-1-1-0`, everyone.
    pub fn world() -> Self {
        Self::new(1, &[0])
    }

    /// `S-1-5-18`, the system itself.
    pub fn local_system() -> Self {
        Self::nt(&[18])
    }

    /// `S-1-5-32-544`, administrators.
    pub fn administrators() -> Self {
        Self::nt(&[32, 544])
    }

    /// A SID of an authority.
    pub fn new(authority: u8, sub_authorities: &[u32]) -> Self {
        let count = u8::try_from(sub_authorities.len()).unwrap_or(0);
        let mut bytes = vec![REVISION, count, 0, 0, 0, 0, 0, authority];
        bytes.extend(sub_authorities.iter().flat_map(|sub| sub.to_le_bytes()));
        Self(bytes)
    }

    /// Reads the SID at `va`; `None` if there is none that is valid.
    pub fn read(va: u64) -> Result<Option<Self>, Fault> {
        if !is_valid(va)? {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length(va)?).unwrap_or(0)];
        driver_mem::read_bytes(va, &mut bytes)?;
        Ok(Some(Self(bytes)))
    }

    /// From bytes that begin with one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let count = bytes
            .get(1)
            .filter(|count| **count <= MAX_SUB_AUTHORITIES)?;
        let size = 8 + 4 * usize::from(*count);
        Some(Self(bytes.get(..size)?.to_vec()))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The form that people read: `S-1-5-32-544`.
    pub fn text(&self) -> String {
        let authority = self.0[2..8]
            .iter()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let authority = if authority > u64::from(u32::MAX) {
            format!("{authority:#014x}")
        } else {
            authority.to_string()
        };
        let subs = self.0[8..]
            .chunks_exact(4)
            .map(|sub| u32::from_le_bytes([sub[0], sub[1], sub[2], sub[3]]));
        subs.fold(format!("S-{}-{authority}", self.0[0]), |text, sub| {
            format!("{text}-{sub}")
        })
    }
}

/// Whether the SID at `va` is one.
pub fn is_valid(va: u64) -> Result<bool, Fault> {
    Ok(va != 0
        && driver_mem::read_u8(va)? & 0xf == REVISION
        && driver_mem::read_u8(va.wrapping_add(1))? <= MAX_SUB_AUTHORITIES)
}

/// Bytes of the SID at `va`.
pub fn length(va: u64) -> Result<u64, Fault> {
    Ok(HEADER + 4 * u64::from(driver_mem::read_u8(va.wrapping_add(1))?))
}

exports! {
    /// `RtlValidSid`.
    fn RtlValidSid(sid: u64) -> bool [max APC_LEVEL, ntifs] { Ok(is_valid(sid)?) }

    /// `RtlLengthSid`.
    fn RtlLengthSid(sid: u64) -> u64 [max APC_LEVEL, ntifs] { Ok(length(sid)?) }

    /// `RtlLengthRequiredSid`.
    fn RtlLengthRequiredSid(count: u32) -> u64 [max APC_LEVEL, ntifs] { Ok(HEADER + 4 * u64::from(count)) }

    /// `RtlEqualSid`.
    fn RtlEqualSid(first: u64, second: u64) -> bool [max APC_LEVEL, ntifs] {
        if driver_mem::read_u16(first)? != driver_mem::read_u16(second)? {
            return Ok(false);
        }
        let size = usize::try_from(length(first)?).unwrap_or(0);
        let (mut a, mut b) = (vec![0; size], vec![0; size]);
        driver_mem::read_bytes(first, &mut a)?;
        driver_mem::read_bytes(second, &mut b)?;
        Ok(a == b)
    }

    /// `RtlCopySid`.
    fn RtlCopySid(room: u32, to: u64, from: u64) -> u32 [max APC_LEVEL, ntifs] {
        let size = length(from)?;
        if u64::from(room) < size {
            return Ok(nt_status::STATUS_BUFFER_TOO_SMALL);
        }
        driver_mem::copy(to, from, size)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlInitializeSid`: the sub-authorities are the caller's to fill in.
    fn RtlInitializeSid(sid: u64, authority: u64, count: u8) -> u32 [max DISPATCH_LEVEL, ntifs] {
        if count > MAX_SUB_AUTHORITIES {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        driver_mem::write_u8(sid, REVISION)?;
        driver_mem::write_u8(sid.wrapping_add(1), count)?;
        driver_mem::copy(sid.wrapping_add(2), authority, 6)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlSubAuthoritySid`: the address of a sub-authority.
    fn RtlSubAuthoritySid(sid: u64, n: u32) -> u64 [max DISPATCH_LEVEL, ntifs] {
        Ok(sid.wrapping_add(HEADER + 4 * u64::from(n)))
    }

    /// `RtlSubAuthorityCountSid`: the address of the number of sub-authorities.
    fn RtlSubAuthorityCountSid(sid: u64) -> u64 [max DISPATCH_LEVEL, ntifs] {
        Ok(sid.wrapping_add(1))
    }

    /// `RtlConvertSidToUnicodeString`.
    fn RtlConvertSidToUnicodeString<call>(string: u64, sid: u64, allocate: bool) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY
    {
        let Some(sid) = Sid::read(sid)? else {
            return Ok(nt_status::STATUS_INVALID_SID);
        };
        let units: Vec<u16> = sid.text().encode_utf16().collect();
        let length = u16::try_from(2 * units.len()).unwrap_or(0);
        let mut target = UnicodeString::read(string)?;
        if allocate {
            let Some(buffer) = string_alloc::take(call, u64::from(length) + 2) else {
                return Ok(nt_status::STATUS_NO_MEMORY);
            };
            target.buffer = buffer;
            target.maximum_length = length + 2;
        } else if target.maximum_length < length {
            return Ok(nt_status::STATUS_BUFFER_OVERFLOW);
        }
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        driver_mem::write_bytes(target.buffer, &bytes)?;
        if target.maximum_length > length + 1 {
            driver_mem::write_u16(target.buffer.wrapping_add(u64::from(length)), 0)?;
        }
        target.length = length;
        target.write(string)?;
        Ok(nt_status::STATUS_SUCCESS)
    }
}

//! The two forms of a security descriptor, and copies of it that the kernel takes.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, PASSIVE_LEVEL};

use super::sd;
use super::sd::{CONTROL, Descriptor, control};
use super::sd_accessors::is_valid;
use super::sid::Sid;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::ex::pool;
use crate::mm;
use crate::mm::pool::{PoolKind, Request};
use crate::se::sid;

/// Pool tag of captured descriptors.
const TAG: u32 = u32::from_le_bytes(*b"SeSc");

exports! {
    /// `RtlValidSecurityDescriptor`.
    fn RtlValidSecurityDescriptor(descriptor: u64) -> bool [max APC_LEVEL, wdm] {
        Ok(is_valid(descriptor)?)
    }

    /// `SeValidSecurityDescriptor`: self-relative, and no longer than said.
    fn SeValidSecurityDescriptor(length: u32, descriptor: u64) -> bool [max PASSIVE_LEVEL, wdm] {
        Ok(fits(descriptor, length, true)?)
    }

    /// `RtlValidRelativeSecurityDescriptor`: with the parts that are asked for.
    fn RtlValidRelativeSecurityDescriptor(descriptor: u64, length: u32, parts: u32) -> bool [max APC_LEVEL, wdm] {
        if !fits(descriptor, length, false)? {
            return Ok(false);
        }
        let [owner, group, sacl, dacl] = sd::parts(descriptor)?;
        let control = driver_mem::read_u16(descriptor.wrapping_add(CONTROL))?;
        let missing = |part: u32, there: bool| parts & part != 0 && !there;
        Ok(!(missing(sd::part::OWNER, owner != 0)
            || missing(sd::part::GROUP, group != 0)
            || missing(sd::part::SACL, control & control::SACL_PRESENT != 0)
            || missing(sd::part::DACL, control & control::DACL_PRESENT != 0)))
    }

    /// `RtlAbsoluteToSelfRelativeSD`.
    fn RtlAbsoluteToSelfRelativeSD(absolute: u64, relative: u64, length: u64) -> u32 [max APC_LEVEL, ntifs] {
        error::status(to_relative(absolute, relative, length))
    }

    /// `RtlSelfRelativeToAbsoluteSD`: each part goes into a buffer of its own.
    fn RtlSelfRelativeToAbsoluteSD(
        relative: u64, absolute: u64, absolute_size: u64, dacl: u64, dacl_size: u64, sacl: u64, sacl_size: u64,
        owner: u64, owner_size: u64, group: u64, group_size: u64,
    ) -> u32 [max APC_LEVEL, ntifs] {
        let parts = [(owner, owner_size), (group, group_size), (sacl, sacl_size), (dacl, dacl_size)];
        error::status(to_absolute(relative, (absolute, absolute_size), parts))
    }

    /// `SeCaptureSecurityDescriptor`: a self-relative copy in pool.
    fn SeCaptureSecurityDescriptor<call>(descriptor: u64, mode: u8, pool: u32, force: bool, captured: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let capture = || -> Result<(), Refusal> {
            // What a driver hands in may be used as it is.
            if descriptor == 0 || mode == 0 && !force {
                return Ok(driver_mem::write_u64(captured, descriptor)?);
            }
            if driver_mem::read_u8(descriptor)? != 1 {
                return Err(nt_status::STATUS_UNKNOWN_REVISION.into());
            }
            let copy = Descriptor::read(descriptor)?.ok_or(nt_status::STATUS_INVALID_SECURITY_DESCR)?;
            let block = in_pool(&copy.relative(), call.return_address())?;
            Ok(driver_mem::write_u64(captured, block)?)
        };
        error::status(capture())
    }

    /// `SeReleaseSecurityDescriptor`: frees what was captured under the same
    /// circumstances.
    fn SeReleaseSecurityDescriptor<call>(descriptor: u64, mode: u8, forced: bool) -> ()
        [max PASSIVE_LEVEL, undocumented] {
        if descriptor != 0 && (mode != 0 || forced) {
            pool::free(descriptor, None, call.return_address(), "SeReleaseSecurityDescriptor")?;
        }
        Ok(())
    }

    /// `SeDeassignSecurity`: frees what `SeAssignSecurity` made.
    fn SeDeassignSecurity<call>(descriptor: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let block = driver_mem::read_u64(descriptor)?;
        if block != 0 {
            pool::free(block, None, call.return_address(), "SeDeassignSecurity")?;
            driver_mem::write_u64(descriptor, 0)?;
        }
        Ok(nt_status::STATUS_SUCCESS)
    }
}

/// Puts bytes into pool that the caller must free.
pub fn in_pool(bytes: &[u8], caller: u64) -> Result<u64, Refusal> {
    let request = Request {
        kind: PoolKind::Paged,
        size: bytes.len() as u64,
        tag: TAG,
        zeroed: false,
        cache_aligned: false,
        caller,
    };
    let block = mm::with(|memory| memory.pools.allocate(request))
        .ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    driver_mem::write_bytes(block, bytes)?;
    Ok(block)
}

/// Whether a self-relative descriptor and its parts lie in so many bytes.
fn fits(descriptor: u64, length: u32, owner_needed: bool) -> Result<bool, driver_mem::Fault> {
    let length = u64::from(length);
    if length < sd::RELATIVE_SIZE || driver_mem::read_u8(descriptor)? != 1 {
        return Ok(false);
    }
    let control = driver_mem::read_u16(descriptor.wrapping_add(CONTROL))?;
    if control & control::SELF_RELATIVE == 0 {
        return Ok(false);
    }
    let parts = sd::parts(descriptor)?;
    for (n, part) in parts.into_iter().enumerate().filter(|(_, part)| *part != 0) {
        let offset = part.wrapping_sub(descriptor);
        let start = offset.checked_add(8).is_some_and(|end| end <= length);
        if !start || offset < sd::RELATIVE_SIZE || !offset.is_multiple_of(4) {
            return Ok(false);
        }
        let size = if n < 2 {
            sid::length(part)?
        } else {
            u64::from(driver_mem::read_u16(part.wrapping_add(2))?)
        };
        if offset + size > length {
            return Ok(false);
        }
    }
    Ok((!owner_needed || parts[0] != 0) && is_valid(descriptor)?)
}

fn to_relative(absolute: u64, relative: u64, length: u64) -> Result<(), Refusal> {
    let control = driver_mem::read_u16(absolute.wrapping_add(CONTROL))?;
    if control & control::SELF_RELATIVE != 0 {
        return Err(nt_status::STATUS_BAD_DESCRIPTOR_FORMAT.into());
    }
    let bytes = Descriptor::read(absolute)?
        .ok_or(nt_status::STATUS_INVALID_SECURITY_DESCR)?
        .relative();
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let room = driver_mem::read_u32(length)?;
    driver_mem::write_u32(length, size)?;
    if room < size {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    Ok(driver_mem::write_bytes(relative, &bytes)?)
}

fn to_absolute(
    relative: u64,
    (absolute, absolute_size): (u64, u64),
    buffers: [(u64, u64); 4],
) -> Result<(), Refusal> {
    let control = driver_mem::read_u16(relative.wrapping_add(CONTROL))?;
    if control & control::SELF_RELATIVE == 0 {
        return Err(nt_status::STATUS_BAD_DESCRIPTOR_FORMAT.into());
    }
    let read = Descriptor::read(relative)?.ok_or(nt_status::STATUS_INVALID_SECURITY_DESCR)?;
    let owner = read.owner.as_ref().map(Sid::bytes);
    let group = read.group.as_ref().map(Sid::bytes);
    let parts = [owner, group, read.sacl.as_deref(), read.dacl.as_deref()];
    let mut small = driver_mem::read_u32(absolute_size)? < 0x28;
    driver_mem::write_u32(absolute_size, 0x28)?;
    for (part, (_, size)) in parts.iter().zip(buffers) {
        let needed = u32::try_from(part.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX);
        small |= driver_mem::read_u32(size)? < needed;
        driver_mem::write_u32(size, needed)?;
    }
    if small {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    driver_mem::fill(absolute, 0, sd::ABSOLUTE_SIZE)?;
    driver_mem::write_u8(absolute, 1)?;
    driver_mem::write_u16(absolute.wrapping_add(CONTROL), read.control)?;
    for (n, (part, (buffer, _))) in parts.iter().zip(buffers).enumerate() {
        if let Some(bytes) = part {
            driver_mem::write_bytes(buffer, bytes)?;
            driver_mem::write_u64(absolute.wrapping_add(8 + 8 * n as u64), buffer)?;
        }
    }
    Ok(())
}

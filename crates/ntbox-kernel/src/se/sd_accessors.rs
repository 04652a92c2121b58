//! Building and reading a security descriptor part by part.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::APC_LEVEL;

use super::sd::{ABSOLUTE_SIZE, CONTROL, control};
use super::{acl, sd, sid};
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;

/// `SECURITY_DESCRIPTOR_REVISION`.
const REVISION: u8 = 1;
/// Offsets of the parts in the absolute form.
const OWNER: u64 = 0x08;
const GROUP: u64 = 0x10;
const SACL: u64 = 0x18;
const DACL: u64 = 0x20;

exports! {
    /// `RtlCreateSecurityDescriptor`: absolute, without anything.
    fn RtlCreateSecurityDescriptor(descriptor: u64, revision: u32) -> u32 [max APC_LEVEL, wdm] {
        if revision != u32::from(REVISION) {
            return Ok(nt_status::STATUS_UNKNOWN_REVISION);
        }
        driver_mem::fill(descriptor, 0, ABSOLUTE_SIZE)?;
        driver_mem::write_u8(descriptor, REVISION)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlSetDaclSecurityDescriptor`.
    fn RtlSetDaclSecurityDescriptor(descriptor: u64, present: bool, acl: u64, defaulted: bool) -> u32
        [max APC_LEVEL, wdm] {
        let bits = (control::DACL_PRESENT, control::DACL_DEFAULTED);
        error::status(set_list(descriptor, DACL, bits, present, acl, defaulted))
    }

    /// `RtlSetSaclSecurityDescriptor`.
    fn RtlSetSaclSecurityDescriptor(descriptor: u64, present: bool, acl: u64, defaulted: bool) -> u32
        [max APC_LEVEL, undocumented] {
        let bits = (control::SACL_PRESENT, control::SACL_DEFAULTED);
        error::status(set_list(descriptor, SACL, bits, present, acl, defaulted))
    }

    /// `RtlSetOwnerSecurityDescriptor`.
    fn RtlSetOwnerSecurityDescriptor(descriptor: u64, owner: u64, defaulted: bool) -> u32 [max APC_LEVEL, ntifs] {
        error::status(set_sid(descriptor, OWNER, control::OWNER_DEFAULTED, owner, defaulted))
    }

    /// `RtlSetGroupSecurityDescriptor`.
    fn RtlSetGroupSecurityDescriptor(descriptor: u64, group: u64, defaulted: bool) -> u32 [max APC_LEVEL, ntifs] {
        error::status(set_sid(descriptor, GROUP, control::GROUP_DEFAULTED, group, defaulted))
    }

    /// `RtlGetDaclSecurityDescriptor`.
    fn RtlGetDaclSecurityDescriptor(descriptor: u64, present: u64, acl: u64, defaulted: u64) -> u32
        [max APC_LEVEL, ntifs] {
        let bits = (control::DACL_PRESENT, control::DACL_DEFAULTED);
        error::status(get_list(descriptor, 3, bits, present, acl, defaulted))
    }

    /// `RtlGetSaclSecurityDescriptor`.
    fn RtlGetSaclSecurityDescriptor(descriptor: u64, present: u64, acl: u64, defaulted: u64) -> u32
        [max APC_LEVEL, ntifs] {
        let bits = (control::SACL_PRESENT, control::SACL_DEFAULTED);
        error::status(get_list(descriptor, 2, bits, present, acl, defaulted))
    }

    /// `RtlGetOwnerSecurityDescriptor`.
    fn RtlGetOwnerSecurityDescriptor(descriptor: u64, owner: u64, defaulted: u64) -> u32 [max APC_LEVEL, ntifs] {
        error::status(get_sid(descriptor, 0, control::OWNER_DEFAULTED, owner, defaulted))
    }

    /// `RtlGetGroupSecurityDescriptor`.
    fn RtlGetGroupSecurityDescriptor(descriptor: u64, group: u64, defaulted: u64) -> u32 [max APC_LEVEL, ntifs] {
        error::status(get_sid(descriptor, 1, control::GROUP_DEFAULTED, group, defaulted))
    }

    /// `RtlLengthSecurityDescriptor`.
    fn RtlLengthSecurityDescriptor(descriptor: u64) -> u32 [max APC_LEVEL, wdm] {
        Ok(u32::try_from(length(descriptor)?).unwrap_or(u32::MAX))
    }
}

/// Bytes of the descriptor at `va` with its parts.
pub fn length(va: u64) -> Result<u64, Fault> {
    let control = driver_mem::read_u16(va.wrapping_add(CONTROL))?;
    let fixed = if control & control::SELF_RELATIVE == 0 {
        ABSOLUTE_SIZE
    } else {
        sd::RELATIVE_SIZE
    };
    let [owner, group, sacl, dacl] = sd::parts(va)?;
    let mut size = fixed;
    for part in [owner, group].into_iter().filter(|part| *part != 0) {
        size += sid::length(part)?;
    }
    for part in [sacl, dacl].into_iter().filter(|part| *part != 0) {
        size += u64::from(driver_mem::read_u16(part.wrapping_add(2))?).next_multiple_of(4);
    }
    Ok(size)
}

/// The control bits of a descriptor that can be changed.
fn changeable(descriptor: u64) -> Result<u16, Refusal> {
    let control = readable(descriptor)?;
    if control & control::SELF_RELATIVE != 0 {
        return Err(nt_status::STATUS_INVALID_SECURITY_DESCR.into());
    }
    Ok(control)
}

fn readable(descriptor: u64) -> Result<u16, Refusal> {
    if driver_mem::read_u8(descriptor)? != REVISION {
        return Err(nt_status::STATUS_UNKNOWN_REVISION.into());
    }
    Ok(driver_mem::read_u16(descriptor.wrapping_add(CONTROL))?)
}

fn set_list(
    descriptor: u64,
    field: u64,
    (present_bit, defaulted_bit): (u16, u16),
    present: bool,
    acl: u64,
    defaulted: bool,
) -> Result<(), Refusal> {
    let mut control = changeable(descriptor)? & !present_bit;
    if present {
        control = (control | present_bit) & !defaulted_bit;
        if defaulted {
            control |= defaulted_bit;
        }
        driver_mem::write_u64(descriptor.wrapping_add(field), acl)?;
    }
    Ok(driver_mem::write_u16(
        descriptor.wrapping_add(CONTROL),
        control,
    )?)
}

fn set_sid(
    descriptor: u64,
    field: u64,
    defaulted_bit: u16,
    sid: u64,
    defaulted: bool,
) -> Result<(), Refusal> {
    let control = changeable(descriptor)? & !defaulted_bit;
    driver_mem::write_u64(descriptor.wrapping_add(field), sid)?;
    let control = control | if defaulted { defaulted_bit } else { 0 };
    Ok(driver_mem::write_u16(
        descriptor.wrapping_add(CONTROL),
        control,
    )?)
}

fn get_list(
    descriptor: u64,
    n: usize,
    (present_bit, defaulted_bit): (u16, u16),
    present: u64,
    acl: u64,
    defaulted: u64,
) -> Result<(), Refusal> {
    let control = readable(descriptor)?;
    let is_present = control & present_bit != 0;
    driver_mem::write_u8(present, u8::from(is_present))?;
    if is_present {
        driver_mem::write_u64(acl, sd::parts(descriptor)?[n])?;
        driver_mem::write_u8(defaulted, u8::from(control & defaulted_bit != 0))?;
    }
    Ok(())
}

fn get_sid(
    descriptor: u64,
    n: usize,
    defaulted_bit: u16,
    sid: u64,
    defaulted: u64,
) -> Result<(), Refusal> {
    let control = readable(descriptor)?;
    driver_mem::write_u64(sid, sd::parts(descriptor)?[n])?;
    Ok(driver_mem::write_u8(
        defaulted,
        u8::from(control & defaulted_bit != 0),
    )?)
}

/// Whether the descriptor at `va` and all its parts are valid.
pub fn is_valid(va: u64) -> Result<bool, Fault> {
    if va == 0 || driver_mem::read_u8(va)? != REVISION {
        return Ok(false);
    }
    let [owner, group, sacl, dacl] = sd::parts(va)?;
    for part in [owner, group].into_iter().filter(|part| *part != 0) {
        if !sid::is_valid(part)? {
            return Ok(false);
        }
    }
    for part in [sacl, dacl].into_iter().filter(|part| *part != 0) {
        if !acl::is_valid(part)? {
            return Ok(false);
        }
    }
    Ok(true)
}

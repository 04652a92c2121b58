//! Who may do what: the check of a token against a security descriptor, and of
//! privileges.

use nt_layout::{GenericMapping, LuidAndAttributes, PrivilegeSet};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::sd::Descriptor;
use super::sid::Sid;
use super::token;
use super::token::Token;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

/// `READ_CONTROL | WRITE_DAC`: what an owner always may.
const OWNER_RIGHTS: u32 = 0x6_0000;
/// `WRITE_OWNER`.
const WRITE_OWNER: u32 = 0x8_0000;
/// `ACCESS_SYSTEM_SECURITY`.
const SYSTEM_SECURITY: u32 = 0x100_0000;
/// `MAXIMUM_ALLOWED`.
const MAXIMUM_ALLOWED: u32 = 0x200_0000;
/// Numbers of privileges.
pub const SECURITY_PRIVILEGE: u32 = 8;
const TAKE_OWNERSHIP_PRIVILEGE: u32 = 9;
/// `INHERIT_ONLY_ACE`.
const INHERIT_ONLY: u8 = 8;
/// `PRIVILEGE_SET_ALL_NECESSARY`.
const ALL_NECESSARY: u32 = 1;

/// A request for access to an object.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest {
    /// Rights wanted, generic ones translated.
    pub desired: u32,
    /// Rights that are granted already.
    pub granted: u32,
    /// What generic read, write, execute and all mean.
    pub mapping: [u32; 4],
}

/// Translates generic rights.
pub fn map_generic(mask: u32, mapping: [u32; 4]) -> u32 {
    let bits = [0x8000_0000, 0x4000_0000, 0x2000_0000, 0x1000_0000];
    let plain = mask & 0x0fff_ffff;
    bits.into_iter()
        .zip(mapping)
        .filter(|(bit, _)| mask & bit != 0)
        .fold(plain, |mask, (_, rights)| mask | rights)
}

/// The rights granted, or why not.
///
/// # Errors
/// `STATUS_ACCESS_DENIED`, `STATUS_PRIVILEGE_NOT_HELD`.
pub fn check(descriptor: &Descriptor, token: &Token, question: AccessRequest) -> Result<u32, u32> {
    let mut granted = question.granted;
    let mut wanted = question.desired & !granted;
    if question.desired == 0 {
        return if granted == 0 {
            Err(nt_status::STATUS_ACCESS_DENIED)
        } else {
            Ok(granted)
        };
    }
    if wanted & SYSTEM_SECURITY != 0 {
        if !token.has_privilege(SECURITY_PRIVILEGE) {
            return Err(nt_status::STATUS_PRIVILEGE_NOT_HELD);
        }
        granted |= SYSTEM_SECURITY;
    }
    if wanted & WRITE_OWNER != 0 && token.has_privilege(TAKE_OWNERSHIP_PRIVILEGE) {
        granted |= WRITE_OWNER;
    }
    let maximum = wanted & MAXIMUM_ALLOWED != 0;
    wanted &= !(granted | MAXIMUM_ALLOWED);
    if !descriptor.restricts() {
        let all = if maximum { question.mapping[3] } else { 0 };
        return Ok(granted | wanted | all);
    }
    let mut allowed = allowed_by_list(descriptor, question.mapping, |sid, denial| {
        token.is(sid, denial)
    });
    // Two checks, of which each must allow it.
    if token.restricted {
        let restricting = |sid: &Sid, _| token.restricting.contains(sid);
        allowed &= allowed_by_list(descriptor, question.mapping, restricting);
    }
    if wanted & !allowed != 0 {
        return Err(nt_status::STATUS_ACCESS_DENIED);
    }
    granted |= wanted | if maximum { allowed } else { 0 };
    if granted == 0 {
        return Err(nt_status::STATUS_ACCESS_DENIED);
    }
    Ok(granted)
}

/// All that a list allows somebody, of whom it is known whether a SID says something
/// of them, and whether it does where it denies: an entry counts for rights that no
/// entry before it has decided.
fn allowed_by_list(
    descriptor: &Descriptor,
    mapping: [u32; 4],
    is: impl Fn(&Sid, bool) -> bool,
) -> u32 {
    const ALLOWED: u8 = 0;
    const DENIED: u8 = 1;
    let owner = descriptor
        .owner
        .as_ref()
        .is_some_and(|owner| is(owner, false));
    let mut allowed = if owner { OWNER_RIGHTS } else { 0 };
    let mut denied = 0;
    let list = descriptor.dacl.as_deref().unwrap_or_default();
    let mut rest = list.get(8..).unwrap_or_default();
    let count = list
        .get(4..6)
        .map_or(0, |count| u16::from_le_bytes([count[0], count[1]]));
    for _ in 0..count {
        let &[kind, flags, low, high, a, b, c, d, ..] = rest else {
            break;
        };
        let size = usize::from(u16::from_le_bytes([low, high]));
        let Some((entry, following)) = rest.split_at_checked(size) else {
            break;
        };
        rest = following;
        let mask = map_generic(u32::from_le_bytes([a, b, c, d]), mapping);
        let sid = Sid::from_bytes(entry.get(8..).unwrap_or_default());
        let Some(sid) = sid.filter(|_| flags & INHERIT_ONLY == 0) else {
            continue;
        };
        match kind {
            ALLOWED if is(&sid, false) => allowed |= mask & !denied,
            DENIED if is(&sid, true) => denied |= mask & !allowed,
            _ => {}
        }
    }
    allowed
}

exports! {
    /// `SeAccessCheck`: everything is granted to kernel mode.
    fn SeAccessCheck(
        descriptor: u64, context: u64, locked: bool, desired: u32, granted: u32, privileges: u64,
        mapping: u64, mode: u8, granted_access: u64, status: u64,
    ) -> bool [max PASSIVE_LEVEL, wdm] {
        if privileges != 0 {
            driver_mem::write_u64(privileges, 0)?;
        }
        let question = AccessRequest { desired, granted, mapping: read_mapping(mapping)? };
        let outcome = if mode == 0 {
            let all = if desired & MAXIMUM_ALLOWED == 0 { 0 } else { question.mapping[3] };
            Ok(desired & !MAXIMUM_ALLOWED | granted | all)
        } else if descriptor == 0 {
            Err(nt_status::STATUS_ACCESS_DENIED)
        } else {
            match (Descriptor::read(descriptor)?, token::of_context(context)?) {
                (Some(descriptor), Ok(token)) => check(&descriptor, &token, question),
                (None, _) => Err(nt_status::STATUS_ACCESS_DENIED),
                (_, Err(status)) => Err(status),
            }
        };
        driver_mem::write_u32(granted_access, outcome.unwrap_or(0))?;
        driver_mem::write_u32(status, outcome.err().unwrap_or(nt_status::STATUS_SUCCESS))?;
        Ok(outcome.is_ok())
    }

    /// `SeSinglePrivilegeCheck`: kernel mode has all.
    fn SeSinglePrivilegeCheck(privilege: u64, mode: u8) -> bool [max PASSIVE_LEVEL, ntddk] {
        let number = u32::try_from(privilege).ok();
        Ok(mode == 0
            || token::current().ok().zip(number).is_some_and(|(token, number)| token.has_privilege(number)))
    }

    /// `SePrivilegeCheck`: marks those of a set that were used.
    fn SePrivilegeCheck(set: u64, context: u64, mode: u8) -> bool [max PASSIVE_LEVEL, ntifs] {
        if mode == 0 {
            return Ok(true);
        }
        let token = token::of_context(context)?;
        let header: DriverPtr<PrivilegeSet> = DriverPtr::new(set);
        let count = header.get(|set| &set.privilege_count)?;
        let all = header.get(|set| &set.control)? & ALL_NECESSARY != 0;
        let held = mark_held(set, count, token.as_ref().ok())?;
        Ok(if all { held == count } else { held > 0 })
    }
}

/// Marks the privileges of a set that a token has; returns how many.
fn mark_held(set: u64, count: u32, token: Option<&Token>) -> Result<u32, Fault> {
    /// `SE_PRIVILEGE_USED_FOR_ACCESS`.
    const USED: u32 = 0x8000_0000;
    let mut held = 0;
    for n in 0..u64::from(count) {
        let at = DriverPtr::<PrivilegeSet>::SIZE + DriverPtr::<LuidAndAttributes>::SIZE * n;
        let entry: DriverPtr<LuidAndAttributes> = DriverPtr::new(set.wrapping_add(at));
        let low = entry.get(|entry| &entry.low_part)?;
        let high = entry.get(|entry| &entry.high_part)?;
        if high == 0 && token.is_some_and(|token| token.has_privilege(low)) {
            let attributes = entry.at(|entry| &entry.attributes);
            attributes.write(attributes.read()? | USED)?;
            held += 1;
        }
    }
    Ok(held)
}

/// Reads a `GENERIC_MAPPING`.
pub fn read_mapping(va: u64) -> Result<[u32; 4], Fault> {
    let mapping: DriverPtr<GenericMapping> = DriverPtr::new(va);
    Ok([
        mapping.get(|mapping| &mapping.generic_read)?,
        mapping.get(|mapping| &mapping.generic_write)?,
        mapping.get(|mapping| &mapping.generic_execute)?,
        mapping.get(|mapping| &mapping.generic_all)?,
    ])
}

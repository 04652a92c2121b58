//! `SeQueryInformationToken`: what a token says, in pool that the caller frees.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::sd_self_relative::in_pool;
use super::sid::Sid;
use super::token;
use super::token::Token;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;

/// `TOKEN_INFORMATION_CLASS`.
mod class {
    pub const USER: u32 = 1;
    pub const GROUPS: u32 = 2;
    pub const PRIVILEGES: u32 = 3;
    pub const OWNER: u32 = 4;
    pub const PRIMARY_GROUP: u32 = 5;
    pub const DEFAULT_DACL: u32 = 6;
    pub const SOURCE: u32 = 7;
    pub const TYPE: u32 = 8;
    pub const IMPERSONATION_LEVEL: u32 = 9;
    pub const STATISTICS: u32 = 10;
    pub const RESTRICTED_SIDS: u32 = 11;
    pub const SESSION_ID: u32 = 12;
    pub const GROUPS_AND_PRIVILEGES: u32 = 13;
    pub const SANDBOX_INERT: u32 = 15;
    pub const ORIGIN: u32 = 17;
    pub const END: u32 = 50;
}

exports! {
    /// `SeQueryInformationToken`.
    fn SeQueryInformationToken<call>(token: u64, class: u32, information: u64) -> u32
        [max PASSIVE_LEVEL, ntifs, partial "classes 1 to 8, 10 and 12"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query(token, class, information, call.return_address()))
    }
}

fn query(object: u64, class: u32, information: u64, caller: u64) -> Result<(), Refusal> {
    let token = token::get(object).ok_or(nt_status::STATUS_INVALID_PARAMETER_1)?;
    // The session goes where others put the address of a block.
    if class == class::SESSION_ID {
        return Ok(driver_mem::write_u32(information, 0)?);
    }
    // Addresses in a block are known once it is there.
    let measured = answer(&token, object, class, 0)?;
    let block = in_pool(&measured, caller)?;
    driver_mem::write_bytes(block, &answer(&token, object, class, block)?)?;
    Ok(driver_mem::write_u64(information, block)?)
}

/// The answer as it lies at `at`.
pub(super) fn answer(token: &Token, object: u64, class: u32, at: u64) -> Result<Vec<u8>, Refusal> {
    Ok(match class {
        class::USER => Information::default()
            .u64(at + 0x10)
            .u32(0)
            .align(8)
            .bytes(token.user.bytes())
            .finish(),
        class::GROUPS => groups(token, at),
        class::PRIVILEGES => {
            let start = Information::default().size(token.privileges.len());
            let add = |list: Information, (number, attributes): &(u32, u32)| {
                list.u64(u64::from(*number)).u32(*attributes)
            };
            token.privileges.iter().fold(start, add).finish()
        }
        class::OWNER => one(token.owner.bytes(), at),
        class::PRIMARY_GROUP => one(token.primary_group().bytes(), at),
        class::DEFAULT_DACL => one(&default_dacl(token), at),
        class::SOURCE => Information::default().bytes(b"*SYSTEM*").u64(0).finish(),
        class::TYPE => Information::default().u32(token.kind()).finish(),
        class::STATISTICS => Information::default()
            .u64(token.id)
            .u64(token::authentication_id(object))
            .u64(i64::MAX.cast_unsigned())
            .u32(token.kind())
            .u32(token.level.unwrap_or(0))
            .u32(0)
            .u32(0)
            .size(token.groups.len())
            .size(token.privileges.len())
            .u64(token.id)
            .finish(),
        class::IMPERSONATION_LEVEL
        | class::RESTRICTED_SIDS
        | class::GROUPS_AND_PRIVILEGES
        | class::SANDBOX_INERT
        | class::ORIGIN
        | 0
        | class::END.. => return Err(nt_status::STATUS_INVALID_INFO_CLASS.into()),
        other => {
            let what = format!(
                "SeQueryInformationToken was asked for class {other}, which this kernel does not know"
            );
            return Err(NoReturn::bug_check(0xe2, [u64::from(other), 0, 0, 0], what).into());
        }
    })
}

/// A pointer and what it points to.
fn one(bytes: &[u8], at: u64) -> Vec<u8> {
    Information::default().u64(at + 8).bytes(bytes).finish()
}

/// `TOKEN_GROUPS` with the SIDs behind the array.
fn groups(token: &Token, at: u64) -> Vec<u8> {
    let mut list = Information::default().size(token.groups.len()).align(8);
    let mut sids = Information::default();
    let mut next = at + 8 + 0x10 * token.groups.len() as u64;
    for (group, attributes) in &token.groups {
        list = list.u64(next).u32(*attributes).align(8);
        sids = sids.bytes(group.bytes());
        next += group.bytes().len() as u64;
    }
    list.bytes(&sids.finish()).finish()
}

/// The list that objects get which nobody gives one: everything for the owner and
/// the system; of what the system makes, administrators may read and execute.
pub fn default_dacl(token: &Token) -> Vec<u8> {
    const ALL: u32 = 0x1000_0000;
    /// Generic read and execute, and `READ_CONTROL`.
    const READ_AND_EXECUTE: u32 = 0xa002_0000;
    if token.user == Sid::local_system() {
        let entries = [
            (&token.user, ALL),
            (&Sid::administrators(), READ_AND_EXECUTE),
        ];
        return allow(&entries);
    }
    let entries = [(&token.owner, ALL), (&Sid::local_system(), ALL)];
    allow(&entries)
}

/// A list that allows.
pub fn allow(entries: &[(&Sid, u32)]) -> Vec<u8> {
    let mut body = Information::default();
    for (sid, mask) in entries {
        let size = u32::try_from(8 + sid.bytes().len()).unwrap_or(0);
        body = body.u32(size << 16).u32(*mask).bytes(sid.bytes());
    }
    let body = body.finish();
    let size = u32::try_from(8 + body.len()).unwrap_or(0);
    Information::default()
        .u32(2 | size << 16)
        .size(entries.len())
        .bytes(&body)
        .finish()
}

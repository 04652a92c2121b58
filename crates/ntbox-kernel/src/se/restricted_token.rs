//! Restricted tokens: copies of a token that may do less.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::sid::Sid;
use super::token;
use super::token::Token;
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::ob;

/// `DISABLE_MAX_PRIVILEGE` and `SANDBOX_INERT`.
const DISABLE_MAX_PRIVILEGE: u32 = 1;
const SANDBOX_INERT: u32 = 2;
/// `SeChangeNotifyPrivilege`, which is left of all.
const CHANGE_NOTIFY: u32 = 23;
/// More entries than any list has.
const TOO_MANY: u32 = 0x1_0000;

/// The groups and privileges that a filtered token loses.
struct FilterRequest {
    flags: u32,
    /// Addresses of a `TOKEN_GROUPS`, a `TOKEN_PRIVILEGES` and another `TOKEN_GROUPS`;
    /// 0 for none.
    disable: u64,
    delete: u64,
    restrict: u64,
}

exports! {
    /// `SeFilterToken`: gives a reference to the new token.
    fn SeFilterToken<call>(token: u64, flags: u32, disable: u64, delete: u64, restrict: u64, filtered: u64) -> u32
        [max PASSIVE_LEVEL, ntifs, partial "flags DISABLE_MAX_PRIVILEGE and SANDBOX_INERT"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let wanted = FilterRequest { flags, disable, delete, restrict };
        error::status(filter(token, &wanted, filtered, &CallContext::of(call)))
    }
}

fn count(at: u64) -> Result<u64, Refusal> {
    match driver_mem::read_u32(at)? {
        count if count >= TOO_MANY => Err(nt_status::STATUS_INVALID_PARAMETER.into()),
        count => Ok(u64::from(count)),
    }
}

/// The SIDs of a `TOKEN_GROUPS`, with their attributes.
fn groups(at: u64) -> Result<Vec<(Sid, u32)>, Refusal> {
    if at == 0 {
        return Ok(Vec::new());
    }
    let one = |n: u64| -> Result<(Sid, u32), Refusal> {
        let entry = at.wrapping_add(8 + 0x10 * n);
        let sid =
            Sid::read(driver_mem::read_u64(entry)?)?.ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        Ok((sid, driver_mem::read_u32(entry.wrapping_add(8))?))
    };
    (0..count(at)?).map(one).collect()
}

/// The numbers of a `TOKEN_PRIVILEGES`.
fn privileges(at: u64) -> Result<Vec<u64>, Refusal> {
    if at == 0 {
        return Ok(Vec::new());
    }
    let one =
        |n: u64| -> Result<u64, Refusal> { Ok(driver_mem::read_u64(at.wrapping_add(4 + 12 * n))?) };
    (0..count(at)?).map(one).collect()
}

fn filter(
    object: u64,
    wanted: &FilterRequest,
    out: u64,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let token = token::get(object).ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
    if wanted.flags & !(DISABLE_MAX_PRIVILEGE | SANDBOX_INERT) != 0 {
        let what = format!(
            "SeFilterToken was called with flags {:#x}, of which this kernel knows 1 and 2 only",
            wanted.flags
        );
        return Err(NoReturn::bug_check(0xe2, [u64::from(wanted.flags), 0, 0, 0], what).into());
    }
    let disabled: Vec<Sid> = groups(wanted.disable)?
        .into_iter()
        .map(|(sid, _)| sid)
        .collect();
    let deleted = privileges(wanted.delete)?;
    let restricting = groups(wanted.restrict)?;
    if restricting.iter().any(|(_, attributes)| *attributes != 0) {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let restricting: Vec<Sid> = restricting.into_iter().map(|(sid, _)| sid).collect();
    let less = restricted(token, wanted.flags, &disabled, &deleted, restricting);
    let new = token::insert(less).ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    ob::reference_for(new, caller);
    ob::dereference(new, caller);
    Ok(driver_mem::write_u64(out, new)?)
}

fn restricted(
    mut token: Token,
    flags: u32,
    disabled: &[Sid],
    deleted: &[u64],
    restricting: Vec<Sid>,
) -> Token {
    for sid in disabled {
        token.deny_only(sid);
    }
    if flags & DISABLE_MAX_PRIVILEGE != 0 {
        token
            .privileges
            .retain(|(number, _)| *number == CHANGE_NOTIFY);
    } else {
        token
            .privileges
            .retain(|(number, _)| !deleted.contains(&u64::from(*number)));
    }
    if !restricting.is_empty() {
        let before = std::mem::take(&mut token.restricting);
        let both = restricting.into_iter();
        token.restricting = both
            .filter(|sid| before.is_empty() || before.contains(sid))
            .collect();
        token.restricted = true;
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::thread_table;
    use crate::se::access::{AccessRequest, check};
    use crate::se::sd::{Descriptor, control};
    use crate::se::token_information::allow;
    use crate::test_support::{address, address_mut, processor, status, value};

    #[repr(C)]
    struct Groups {
        count: u64,
        sid: u64,
        attributes: u64,
    }

    fn filtered(flags: u64, disable: u64, delete: u64, restrict: u64) -> Result<(u64, Token), u32> {
        processor();
        let token = token::of_process(thread_table::system_process()).expect("a token");
        let mut new = 0;
        let arguments = [
            token,
            flags,
            disable,
            delete,
            restrict,
            address_mut(&mut new),
        ];
        match status(SeFilterToken, &arguments) {
            0 => Ok((new, token::get(new).expect("a token"))),
            status => Err(status),
        }
    }

    fn end(token: u64) {
        ob::dereference_for(token, &CallContext::kernel(0));
        assert!(token::get(token).is_none());
    }

    /// What a token may of an object that allows these.
    fn may(token: &Token, allowed: &[(&Sid, u32)]) -> bool {
        let descriptor = Descriptor {
            control: control::DACL_PRESENT,
            dacl: Some(allow(allowed)),
            ..Descriptor::default()
        };
        let question = AccessRequest {
            desired: 1,
            granted: 0,
            mapping: [0; 4],
        };
        check(&descriptor, token, question).is_ok()
    }

    #[test]
    fn filter_token_deletes_privileges() {
        let delete = [1_u32, 8, 0, 0];
        let (object, token) = filtered(0, 0, address(&delete), 0).unwrap();
        assert!(!token.has_privilege(8) && token.has_privilege(9));
        end(object);
        let (object, token) = filtered(1, 0, 0, 0).unwrap();
        assert_eq!(token.privileges.len(), 1);
        assert!(token.has_privilege(CHANGE_NOTIFY));
        end(object);
    }

    #[test]
    fn filter_token_disabled_sid_is_deny_only() {
        let world = Sid::world();
        let groups = Groups {
            count: 1,
            sid: address(world.bytes()),
            attributes: 0,
        };
        let (object, token) = filtered(0, address(&groups), 0, 0).unwrap();
        assert!(!may(&token, &[(&world, 1)]));
        assert!(token.is(&world, true));
        assert_eq!(value(token::SeTokenIsRestricted, &[object]), 0);
        end(object);
    }

    #[test]
    fn filter_token_restricting_sid_must_be_granted() {
        let dialup = Sid::nt(&[1]);
        let mut groups = Groups {
            count: 1,
            sid: address(dialup.bytes()),
            attributes: 4,
        };
        let refused = filtered(0, 0, 0, address(&groups)).map(drop);
        assert_eq!(refused, Err(nt_status::STATUS_INVALID_PARAMETER));
        groups.attributes = 0;
        let (object, token) = filtered(0, 0, 0, address(&groups)).unwrap();
        assert_eq!(value(token::SeTokenIsRestricted, &[object]), 1);
        let system = Sid::local_system();
        assert!(!may(&token, &[(&system, 1)]));
        assert!(!may(&token, &[(&dialup, 1)]));
        assert!(may(&token, &[(&system, 1), (&dialup, 1)]));
        end(object);
    }
}

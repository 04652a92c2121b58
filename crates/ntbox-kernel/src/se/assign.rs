//! The security descriptor that a new object gets: of what its maker asks for, of what
//! the object that it is made in passes on, and of who makes it.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::access::SECURITY_PRIVILEGE;
use super::inherit::Child;
use super::sd::{Descriptor, control};
use super::sd_self_relative::in_pool;
use super::sid::Sid;
use super::token::Token;
use super::token_information::default_dacl;
use super::{access, inherit, token};
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::processor_mode::Mode;

/// `SEF_…`: how entries are taken over, and what is checked.
mod flag {
    pub const DACL_AUTO_INHERIT: u32 = 0x1;
    pub const SACL_AUTO_INHERIT: u32 = 0x2;
    pub const DEFAULT_DESCRIPTOR: u32 = 0x4;
    pub const AVOID_PRIVILEGE_CHECK: u32 = 0x8;
    pub const AVOID_OWNER_CHECK: u32 = 0x10;
    pub const OWNER_FROM_PARENT: u32 = 0x20;
    pub const GROUP_FROM_PARENT: u32 = 0x40;
}

/// A request to assign a security descriptor.
struct AssignRequest {
    /// Addresses of descriptors; 0 for none.
    parent: u64,
    explicit: u64,
    /// Address of the GUID of the object's type; 0 for none.
    kind: u64,
    container: bool,
    flags: u32,
    /// Addresses of the subject context and of the generic mapping.
    context: u64,
    mapping: u64,
}

/// One of the two lists, as the three descriptors have it.
struct Sources<'a> {
    explicit: List,
    /// Whether the explicit one gives way to what is inherited.
    gives_way: bool,
    parent: Option<&'a Vec<u8>>,
    auto: bool,
    protected: bool,
}

exports! {
    /// `SeAssignSecurity`.
    fn SeAssignSecurity<call>(
        parent: u64, explicit: u64, new: u64, container: bool, context: u64, mapping: u64, pool: u32,
    ) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let wanted = AssignRequest { parent, explicit, kind: 0, container, flags: 0, context, mapping };
        error::status(assign(&wanted, new, call.return_address()))
    }

    /// `SeAssignSecurityEx`.
    fn SeAssignSecurityEx<call>(
        parent: u64, explicit: u64, new: u64, kind: u64, container: bool, flags: u32, context: u64, mapping: u64,
        pool: u32,
    ) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let wanted = AssignRequest { parent, explicit, kind, container, flags, context, mapping };
        error::status(assign(&wanted, new, call.return_address()))
    }
}

fn assign(wanted: &AssignRequest, new: u64, caller: u64) -> Result<(), Refusal> {
    driver_mem::write_u64(new, 0)?;
    if wanted.context == 0 {
        return Err(nt_status::STATUS_NO_TOKEN.into());
    }
    let token = token::of_subject(wanted.context)?.ok_or(nt_status::STATUS_NO_TOKEN)?;
    let descriptor = make(wanted, &token)?;
    let block = in_pool(&descriptor.relative(), caller)?;
    Ok(driver_mem::write_u64(new, block)?)
}

fn read(at: u64) -> Result<Descriptor, Refusal> {
    if at == 0 {
        return Ok(Descriptor::default());
    }
    Ok(Descriptor::read(at)?.ok_or(nt_status::STATUS_INVALID_SECURITY_DESCR)?)
}

fn kind_at(at: u64) -> Result<Option<[u8; 16]>, Fault> {
    if at == 0 {
        return Ok(None);
    }
    let mut guid = [0; 16];
    driver_mem::read_bytes(at, &mut guid)?;
    Ok(Some(guid))
}

fn make(wanted: &AssignRequest, token: &Token) -> Result<Descriptor, Refusal> {
    let (parent, explicit) = (read(wanted.parent)?, read(wanted.explicit)?);
    let has = |bit| wanted.flags & bit != 0;
    let owner = owner(&parent, &explicit, token, wanted.flags)?;
    let group = match &explicit.group {
        Some(group) => Some(group.clone()),
        None if has(flag::GROUP_FROM_PARENT) => parent.group.clone(),
        None => Some(token.primary_group()),
    };
    let group = group.ok_or(nt_status::STATUS_INVALID_PRIMARY_GROUP)?;
    let bits = explicit.control;
    let audits = bits & control::SACL_PRESENT != 0;
    let held = has(flag::AVOID_PRIVILEGE_CHECK)
        || !Mode::previous().is_user()
        || token.has_privilege(SECURITY_PRIVILEGE);
    if audits && !held {
        return Err(nt_status::STATUS_PRIVILEGE_NOT_HELD.into());
    }
    let mut child = Child {
        owner,
        group,
        mapping: access::read_mapping(wanted.mapping)?,
        container: wanted.container,
        kind: kind_at(wanted.kind)?,
        mark: has(flag::DACL_AUTO_INHERIT),
    };
    let restricts = bits & control::DACL_PRESENT != 0;
    let dacl = Sources {
        explicit: List::asked(restricts, explicit.dacl.as_ref()),
        gives_way: has(flag::DEFAULT_DESCRIPTOR) || bits & control::DACL_DEFAULTED != 0,
        parent: parent.dacl.as_ref(),
        auto: child.mark,
        protected: bits & control::DACL_PROTECTED != 0,
    };
    let dacl = match dacl.decide(&child) {
        List::Missing => {
            let default = inherit::given(&default_dacl(token), child.mapping, false);
            List::Entries(default)
        }
        list => list,
    };
    child.mark = has(flag::SACL_AUTO_INHERIT);
    let sacl = Sources {
        explicit: List::asked(audits, explicit.sacl.as_ref()),
        gives_way: has(flag::DEFAULT_DESCRIPTOR) || bits & control::SACL_DEFAULTED != 0,
        parent: parent.sacl.as_ref(),
        auto: child.mark,
        protected: bits & control::SACL_PROTECTED != 0,
    };
    let sacl = sacl.decide(&child);
    let kept = bits & (control::DACL_PROTECTED | control::SACL_PROTECTED);
    let set = [
        (sacl != List::Missing, control::SACL_PRESENT),
        (has(flag::DACL_AUTO_INHERIT), control::DACL_AUTO_INHERITED),
        (has(flag::SACL_AUTO_INHERIT), control::SACL_AUTO_INHERITED),
    ];
    let set = set.into_iter().filter(|(set, _)| *set);
    Ok(Descriptor {
        control: set.fold(kept | control::DACL_PRESENT, |all, (_, bit)| all | bit),
        owner: Some(child.owner),
        group: Some(child.group),
        sacl: sacl.entries(),
        dacl: dacl.entries(),
    })
}

/// The owner, if it can be one.
fn owner(
    parent: &Descriptor,
    explicit: &Descriptor,
    token: &Token,
    flags: u32,
) -> Result<Sid, u32> {
    /// `SeRestorePrivilege`.
    const RESTORE_PRIVILEGE: u32 = 18;
    let Some(owner) = &explicit.owner else {
        if flags & flag::OWNER_FROM_PARENT != 0 {
            return parent.owner.clone().ok_or(nt_status::STATUS_INVALID_OWNER);
        }
        return Ok(token.owner.clone());
    };
    let allowed = flags & flag::AVOID_OWNER_CHECK != 0
        || token.may_own(owner)
        || token.has_privilege(RESTORE_PRIVILEGE);
    allowed
        .then(|| owner.clone())
        .ok_or(nt_status::STATUS_INVALID_OWNER)
}

/// A list that an object gets.
#[derive(Debug, PartialEq, Eq)]
enum List {
    /// Nobody has one for it.
    Missing,
    /// It is there, and NULL.
    Null,
    /// Its bytes.
    Entries(Vec<u8>),
}

impl List {
    /// The one of a descriptor.
    fn asked(present: bool, list: Option<&Vec<u8>>) -> Self {
        match list {
            _ if !present => Self::Missing,
            None => Self::Null,
            Some(list) => Self::Entries(list.clone()),
        }
    }

    fn entries(self) -> Option<Vec<u8>> {
        match self {
            Self::Entries(list) => Some(list),
            Self::Missing | Self::Null => None,
        }
    }
}

impl Sources<'_> {
    fn decide(&self, child: &Child) -> List {
        let inherited = self
            .parent
            .and_then(|parent| inherit::inherit(parent, child));
        // What was taken over before gives way to what is now.
        let auto = self.auto && !self.protected;
        let given = |list: &[u8]| inherit::given(list, child.mapping, auto);
        match (&self.explicit, inherited) {
            (List::Entries(list), Some(more)) if !self.gives_way && auto => {
                List::Entries(inherit::join(&given(list), &more))
            }
            (List::Entries(list), inherited) if !self.gives_way || inherited.is_none() => {
                List::Entries(given(list))
            }
            (List::Null, inherited) if !self.gives_way || inherited.is_none() => List::Null,
            (_, Some(inherited)) => List::Entries(inherited),
            (_, None) => List::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::thread_table;
    use crate::mm::pool;
    use crate::se::token_information::allow;
    use crate::test_support::{address, address_mut, processor, status};

    const MAPPING: [u32; 4] = [0x2_0001, 0x2_0002, 0x2_0004, 0x1f_000f];
    const READ_CONTROL: u32 = 0x2_0000;
    const GENERIC_READ: u32 = 0x8000_0000;

    /// A list with one entry.
    fn list(sid: &Sid, mask: u32, flags: u8) -> Vec<u8> {
        let mut list = allow(&[(sid, mask)]);
        list[9] = flags;
        list
    }

    fn with_dacl(dacl: &[u8], bits: u16) -> Vec<u8> {
        let descriptor = Descriptor {
            control: control::DACL_PRESENT | bits,
            dacl: Some(dacl.to_vec()),
            ..Descriptor::default()
        };
        descriptor.relative()
    }

    fn assigned(
        parent: &[u8],
        explicit: &[u8],
        container: bool,
        flags: u32,
    ) -> Result<Descriptor, u32> {
        processor();
        let at = |bytes: &[u8]| if bytes.is_empty() { 0 } else { address(bytes) };
        let mut context = [0_u64; 4];
        context[2] = token::of_process(thread_table::system_process()).expect("a token");
        let mut new = 1_u64;
        let arguments = [
            at(parent),
            at(explicit),
            address_mut(&mut new),
            0,
            u64::from(container),
            u64::from(flags),
            address(&context),
            address(&MAPPING),
            1,
        ];
        match status(SeAssignSecurityEx, &arguments) {
            0 => {
                let made = Descriptor::read(new).unwrap().expect("it is valid");
                pool::free(new);
                Ok(made)
            }
            status => {
                assert_eq!(new, 0);
                Err(status)
            }
        }
    }

    #[test]
    fn assign_without_descriptors_uses_token_defaults() {
        let made = assigned(&[], &[], false, 0).unwrap();
        assert_eq!(made.control, control::DACL_PRESENT);
        assert_eq!(made.owner, Some(Sid::administrators()));
        assert_eq!(made.group, Some(Sid::local_system()));
        let expected = [
            (&Sid::local_system(), 0x1f_000f),
            (&Sid::administrators(), 0x2_0005),
        ];
        assert_eq!(made.dacl, Some(allow(&expected)));
        assert_eq!(
            assigned(&[], &[], false, flag::OWNER_FROM_PARENT),
            Err(nt_status::STATUS_INVALID_OWNER)
        );
        let refused = assigned(&[], &[], false, flag::GROUP_FROM_PARENT);
        assert_eq!(refused, Err(nt_status::STATUS_INVALID_PRIMARY_GROUP));
    }

    #[test]
    fn assign_explicit_dacl_wins_over_inherited() {
        let world = Sid::world();
        let parent = with_dacl(&list(&world, READ_CONTROL, 1), 0);
        let own = list(&Sid::local_system(), GENERIC_READ, 0);
        let made = assigned(&parent, &with_dacl(&own, 0), false, 0).unwrap();
        assert_eq!(made.dacl, Some(list(&Sid::local_system(), MAPPING[0], 0)));
        let default = with_dacl(&own, control::DACL_DEFAULTED);
        let made = assigned(&parent, &default, false, 0).unwrap();
        assert_eq!(made.dacl, Some(list(&world, READ_CONTROL, 0)));
        assert_eq!(made.control & control::DACL_DEFAULTED, 0);
        let both = assigned(&parent, &with_dacl(&own, 0), false, flag::DACL_AUTO_INHERIT).unwrap();
        let first = list(&Sid::local_system(), MAPPING[0], 0);
        let second = list(&world, READ_CONTROL, 0x10);
        assert_eq!(both.dacl, Some(inherit::join(&first, &second)));
    }

    #[test]
    fn assign_inherits_by_ace_flags() {
        let world = Sid::world();
        let none = assigned(&[], &[], false, 0).unwrap().dacl;
        // Flags of the parent's entry; those of an object's, and of a container's.
        for (flags, object, container) in [
            (0_u8, None, None),
            (1, Some(0), Some(9)),
            (2, None, Some(2)),
            (3, Some(0), Some(3)),
            (5, Some(0), None),
            (6, None, Some(0)),
            (0xb, Some(0), Some(3)),
        ] {
            let parent = with_dacl(&list(&world, READ_CONTROL, flags), 0);
            for (is_container, expected) in [(false, object), (true, container)] {
                let made = assigned(&parent, &[], is_container, 0).unwrap();
                let expected = expected.map(|flags| list(&world, READ_CONTROL, flags));
                assert_eq!(
                    made.dacl,
                    expected.or(none.clone()),
                    "{flags:#x} {is_container}"
                );
            }
        }
    }

    #[test]
    fn assign_replaces_creator_owner() {
        let creator = Sid::new(3, &[0]);
        let parent = with_dacl(&list(&creator, GENERIC_READ, 2), 0);
        let made = assigned(&parent, &[], true, 0).unwrap();
        let here = list(&Sid::administrators(), MAPPING[0], 0);
        let further = list(&creator, GENERIC_READ, 0xa);
        assert_eq!(made.dacl, Some(inherit::join(&here, &further)));
    }

    #[test]
    fn assign_without_subject_returns_no_token() {
        let mut new = 1_u64;
        let arguments = [0, 0, address_mut(&mut new), 0, 0, address(&MAPPING), 1];
        assert_eq!(
            status(SeAssignSecurity, &arguments),
            nt_status::STATUS_NO_TOKEN
        );
        assert_eq!(new, 0);
    }
}

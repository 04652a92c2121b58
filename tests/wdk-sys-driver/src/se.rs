//! Security: descriptors, identifiers, and who is let in.

use core::{ptr, slice};

use wdk_sys::{
    ACCESS_ALLOWED_ACE, ACL, ACL_REVISION, FILE_ALL_ACCESS, FILE_READ_DATA, FILE_WRITE_DATA,
    GENERIC_MAPPING, GENERIC_READ, GENERIC_WRITE, KPROCESSOR_MODE, POOL_FLAG_PAGED,
    SECURITY_DESCRIPTOR, SECURITY_DESCRIPTOR_REVISION, SECURITY_SUBJECT_CONTEXT, SID,
    SID_IDENTIFIER_AUTHORITY, STATUS_ACCESS_DENIED, STATUS_BUFFER_TOO_SMALL, STATUS_SUCCESS,
    STATUS_UNKNOWN_REVISION,
    ntddk::{
        RtlAbsoluteToSelfRelativeSD, RtlAddAccessAllowedAce, RtlCreateAcl,
        RtlCreateSecurityDescriptor, RtlEqualSid, RtlGetDaclSecurityDescriptor, RtlInitializeSid,
        RtlLengthSecurityDescriptor, RtlLengthSid, RtlMapGenericMask, RtlSetDaclSecurityDescriptor,
        RtlSetGroupSecurityDescriptor, RtlSetOwnerSecurityDescriptor, RtlSubAuthoritySid,
        RtlValidSecurityDescriptor, SeAccessCheck, SeCaptureSubjectContext,
        SeReleaseSubjectContext, SeSinglePrivilegeCheck, SeValidSecurityDescriptor,
    },
};

use crate::{
    check::{Case, Checks, Outcome, ok},
    kernel::{FALSE, KERNEL_MODE, TRUE, USER_MODE},
    owned::{Block, Finally},
};

pub const CASES: &[Case] = &[
    (c"Identifiers", identifiers),
    (c"Descriptors", descriptors),
    (c"Masks", masks),
    (c"Access", access),
    (c"Privileges", privileges),
];

/// Rights of files.
const MAPPING: GENERIC_MAPPING = GENERIC_MAPPING {
    GenericRead: 0x0012_0089,
    GenericWrite: 0x0012_0116,
    GenericExecute: 0x0012_00A0,
    GenericAll: FILE_ALL_ACCESS,
};

/// An identifier of `S-1-AUTHORITY-…`, of at most two parts.
#[repr(C, align(4))]
struct Identifier([u8; 16]);

impl Identifier {
    fn new(authority: u8, parts: &[u32]) -> Result<Self, i32> {
        let mut identifier = Self([0; 16]);
        let mut authority = SID_IDENTIFIER_AUTHORITY {
            Value: [0, 0, 0, 0, 0, authority],
        };
        let count = parts.len().to_le_bytes()[0];
        // SAFETY: the room is enough for two parts.
        unsafe {
            ok(RtlInitializeSid(
                identifier.get(),
                &raw mut authority,
                count,
            ))?;
            for (index, part) in (0..).zip(parts) {
                RtlSubAuthoritySid(identifier.get(), index).write(*part);
            }
        }
        Ok(identifier)
    }

    fn get(&mut self) -> wdk_sys::PSID {
        self.0.as_mut_ptr().cast()
    }
}

/// `BUILTIN\Administrators`.
fn administrators() -> Result<Identifier, i32> {
    Identifier::new(5, &[32, 544])
}

/// `Everyone`.
fn everyone() -> Result<Identifier, i32> {
    Identifier::new(1, &[0])
}

fn identifiers(checks: &mut Checks) -> Outcome {
    let mut first = administrators()?;
    let mut second = administrators()?;
    let mut other = everyone()?;
    check!(checks, first.0[..8] == [1, 2, 0, 0, 0, 0, 0, 5]);
    check!(checks, first.0[8..] == [32, 0, 0, 0, 0x20, 2, 0, 0]);
    // SAFETY: all of them live in this frame.
    unsafe {
        check!(checks, RtlLengthSid(first.get()) == 16);
        check!(checks, RtlLengthSid(other.get()) == 12);
        check!(checks, RtlEqualSid(first.get(), second.get()) != 0);
        check!(checks, RtlEqualSid(first.get(), other.get()) == 0);
        check!(checks, size_of::<SID>() == 12);
    }
    Ok(())
}

/// A list that allows `mask` to an identifier.
fn allowing(acl: &mut [u32; 16], mask: u32, who: &mut Identifier) -> Outcome {
    // SAFETY: the list has room for an entry.
    unsafe {
        ok(RtlCreateAcl(acl.as_mut_ptr().cast(), 64, ACL_REVISION))?;
        ok(RtlAddAccessAllowedAce(
            acl.as_mut_ptr().cast(),
            ACL_REVISION,
            mask,
            who.get(),
        ))
    }
}

fn descriptors(checks: &mut Checks) -> Outcome {
    object!(descriptor: SECURITY_DESCRIPTOR);
    let mut acl = [0_u32; 16];
    let mut owner = administrators()?;
    allowing(&mut acl, FILE_READ_DATA, &mut owner)?;
    let acl = acl.as_mut_ptr().cast::<ACL>();
    let (mut present, mut defaulted, mut found) = (0, 0, ptr::null_mut());
    // SAFETY: descriptor, list and identifier live in this frame.
    unsafe {
        let revision = RtlCreateSecurityDescriptor(descriptor.cast(), 2);
        returns!(checks, revision, STATUS_UNKNOWN_REVISION);
        ok(RtlCreateSecurityDescriptor(
            descriptor.cast(),
            SECURITY_DESCRIPTOR_REVISION,
        ))?;
        ok(RtlSetDaclSecurityDescriptor(
            descriptor.cast(),
            TRUE,
            acl,
            FALSE,
        ))?;
        ok(RtlSetOwnerSecurityDescriptor(
            descriptor.cast(),
            owner.get(),
            FALSE,
        ))?;
        ok(RtlSetGroupSecurityDescriptor(
            descriptor.cast(),
            owner.get(),
            FALSE,
        ))?;
        check!(checks, RtlValidSecurityDescriptor(descriptor.cast()) != 0);
        ok(RtlGetDaclSecurityDescriptor(
            descriptor.cast(),
            &raw mut present,
            &raw mut found,
            &raw mut defaulted,
        ))?;
        check!(checks, present != 0 && found == acl && defaulted == 0);
        check!(checks, (*acl).AceCount == 1 && (*acl).AclSize == 64);
        let entry = acl.add(1).cast::<ACCESS_ALLOWED_ACE>().read_unaligned();
        check!(
            checks,
            entry.Mask == FILE_READ_DATA && entry.Header.AceSize == 24
        );

        // The same in one piece.
        let mut length = 0;
        let none = ptr::null_mut();
        let short = RtlAbsoluteToSelfRelativeSD(descriptor.cast(), none, &raw mut length);
        returns!(checks, short, STATUS_BUFFER_TOO_SMALL);
        let piece = Block::new(POOL_FLAG_PAGED, length as usize)?;
        ok(RtlAbsoluteToSelfRelativeSD(
            descriptor.cast(),
            piece.get(),
            &raw mut length,
        ))?;
        check!(checks, RtlLengthSecurityDescriptor(piece.get()) == length);
        check!(checks, SeValidSecurityDescriptor(length, piece.get()) != 0);
        check!(
            checks,
            SeValidSecurityDescriptor(length - 1, piece.get()) == 0
        );
        let bytes = slice::from_raw_parts(piece.get::<u8>(), length as usize);
        // Revision, and that it is in one piece, with a list.
        check!(checks, bytes[0] == 1 && bytes[2..4] == [4, 0x80]);
    }
    Ok(())
}

fn masks(checks: &mut Checks) -> Outcome {
    let mut mapping = MAPPING;
    let mut mask = GENERIC_READ | FILE_WRITE_DATA;
    // SAFETY: both live in this frame.
    unsafe { RtlMapGenericMask(&raw mut mask, &raw mut mapping) };
    check!(checks, mask == MAPPING.GenericRead | FILE_WRITE_DATA);
    Ok(())
}

/// What somebody who starts drivers is granted under a descriptor.
unsafe fn granted(
    descriptor: *mut SECURITY_DESCRIPTOR,
    context: *mut SECURITY_SUBJECT_CONTEXT,
    wanted: u32,
    mode: KPROCESSOR_MODE,
) -> (bool, u32, i32) {
    let (mut granted, mut status, mut mapping) = (0, 0, MAPPING);
    let mut privileges = ptr::null_mut();
    // SAFETY: the caller's are there; the privileges are freed.
    unsafe {
        let yes = SeAccessCheck(
            descriptor.cast(),
            context,
            FALSE,
            wanted,
            0,
            &raw mut privileges,
            &raw mut mapping,
            mode,
            &raw mut granted,
            &raw mut status,
        );
        if !privileges.is_null() {
            wdk_sys::ntddk::ExFreePool(privileges.cast());
        }
        (yes != 0, granted, status)
    }
}

fn access(checks: &mut Checks) -> Outcome {
    object!(descriptor: SECURITY_DESCRIPTOR);
    object!(context: SECURITY_SUBJECT_CONTEXT);
    let mut acl = [0_u32; 16];
    let mut who = administrators()?;
    // Nobody has this identifier.
    let mut nobody = Identifier::new(5, &[32, 9999])?;
    // SAFETY: all of it lives in this frame; what is captured is released.
    unsafe {
        SeCaptureSubjectContext(context);
        let _release = Finally(|| SeReleaseSubjectContext(context));
        ok(RtlCreateSecurityDescriptor(
            descriptor.cast(),
            SECURITY_DESCRIPTOR_REVISION,
        ))?;
        ok(RtlSetOwnerSecurityDescriptor(
            descriptor.cast(),
            nobody.get(),
            FALSE,
        ))?;
        ok(RtlSetGroupSecurityDescriptor(
            descriptor.cast(),
            nobody.get(),
            FALSE,
        ))?;
        // Without a list everybody may do everything.
        let none = ptr::null_mut();
        ok(RtlSetDaclSecurityDescriptor(
            descriptor.cast(),
            TRUE,
            none,
            FALSE,
        ))?;
        let answer = granted(descriptor, context, FILE_WRITE_DATA, USER_MODE);
        check!(checks, answer == (true, FILE_WRITE_DATA, STATUS_SUCCESS));
        let list = acl.as_mut_ptr().cast();
        ok(RtlSetDaclSecurityDescriptor(
            descriptor.cast(),
            TRUE,
            list,
            FALSE,
        ))?;
        allowing(&mut acl, FILE_READ_DATA, &mut who)?;
        let answer = granted(descriptor, context, FILE_READ_DATA, USER_MODE);
        check!(checks, answer == (true, FILE_READ_DATA, STATUS_SUCCESS));
        let answer = granted(descriptor, context, FILE_WRITE_DATA, USER_MODE);
        check!(
            checks,
            (answer.0, answer.2) == (false, STATUS_ACCESS_DENIED)
        );
        allowing(&mut acl, FILE_ALL_ACCESS, &mut nobody)?;
        let answer = granted(descriptor, context, FILE_READ_DATA, USER_MODE);
        check!(
            checks,
            (answer.0, answer.2) == (false, STATUS_ACCESS_DENIED)
        );
        // The kernel is let in whatever the list says.
        let answer = granted(descriptor, context, GENERIC_WRITE, KERNEL_MODE);
        check!(checks, answer.0 && answer.2 == STATUS_SUCCESS);
    }
    Ok(())
}

fn privileges(checks: &mut Checks) -> Outcome {
    // SeLoadDriverPrivilege, which the kernel always has.
    let load_driver = wdk_sys::LUID {
        LowPart: 10,
        HighPart: 0,
    };
    // SAFETY: the call takes a number.
    let held = unsafe { SeSinglePrivilegeCheck(load_driver, KERNEL_MODE) };
    check!(checks, held != 0);
    Ok(())
}

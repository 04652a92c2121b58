//! The access check, on descriptors made by hand.

use super::access::{AccessRequest, check};
use super::sd::{Descriptor, control};
use super::sid::Sid;
use super::token::Token;
use super::token_information::allow;

const FILE: [u32; 4] = [0x12_0089, 0x12_0116, 0x12_00a0, 0x1f_01ff];

/// An ordinary user, member of everyone.
fn user() -> Token {
    Token {
        user: Sid::nt(&[21, 7]),
        groups: vec![(Sid::world(), 7), (Sid::administrators(), 0x10)],
        privileges: vec![(23, 3)],
        owner: Sid::nt(&[21, 7]),
        user_denies_only: false,
        restricted: false,
        restricting: Vec::new(),
        id: 1,
        level: None,
    }
}

fn guarded(dacl: Vec<u8>) -> Descriptor {
    Descriptor {
        control: control::DACL_PRESENT,
        owner: Some(Sid::administrators()),
        dacl: Some(dacl),
        ..Descriptor::default()
    }
}

fn ask(descriptor: &Descriptor, desired: u32) -> Result<u32, u32> {
    let question = AccessRequest {
        desired,
        granted: 0,
        mapping: FILE,
    };
    check(descriptor, &user(), question)
}

#[test]
fn access_check_grants_what_dacl_allows() {
    let world_reads = guarded(allow(&[
        (&Sid::world(), 0x8000_0000),
        (&Sid::administrators(), 0x1000_0000),
    ]));
    assert_eq!(ask(&world_reads, 1), Ok(1));
    assert_eq!(ask(&world_reads, 3), Err(nt_status::STATUS_ACCESS_DENIED));
    assert_eq!(ask(&world_reads, 0x200_0000), Ok(FILE[0]));
    assert_eq!(ask(&world_reads, 0), Err(nt_status::STATUS_ACCESS_DENIED));
    let administrators = guarded(allow(&[(&Sid::administrators(), 0x1000_0000)]));
    assert_eq!(
        ask(&administrators, 1),
        Err(nt_status::STATUS_ACCESS_DENIED)
    );
    let nobody = guarded(allow(&[]));
    assert_eq!(ask(&nobody, 0x2_0000), Err(nt_status::STATUS_ACCESS_DENIED));
    assert_eq!(ask(&Descriptor::default(), 3), Ok(3));
    assert_eq!(
        ask(&world_reads, 0x100_0000),
        Err(nt_status::STATUS_PRIVILEGE_NOT_HELD)
    );
}

#[test]
fn access_check_deny_before_grant_wins() {
    let mut list = allow(&[(&Sid::administrators(), 2), (&Sid::world(), 3)]);
    // The first entry denies.
    list[8] = 1;
    let descriptor = guarded(list);
    assert_eq!(ask(&descriptor, 2), Err(nt_status::STATUS_ACCESS_DENIED));
    assert_eq!(ask(&descriptor, 1), Ok(1));
}

#[test]
fn access_check_owner_may_write_dacl() {
    let mut descriptor = guarded(allow(&[]));
    descriptor.owner = Some(Sid::nt(&[21, 7]));
    assert_eq!(ask(&descriptor, 0x4_0000), Ok(0x4_0000));
    assert_eq!(ask(&descriptor, 1), Err(nt_status::STATUS_ACCESS_DENIED));
}

#[test]
fn sid_text_has_standard_form() {
    assert_eq!(Sid::administrators().text(), "S-1-5-32-544");
    assert_eq!(Sid::world().text(), "S-1-1-0");
    assert_eq!(Sid::from_bytes(&[1, 2, 0, 0, 0, 0, 0, 5, 1]), None);
}

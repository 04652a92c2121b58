//! Structures of the security reference monitor.

use super::common::UnicodeString;
use super::structures;

structures! {
    /// `SECURITY_SUBJECT_CONTEXT`.
    SecuritySubjectContext {
        client_token: u64,
        impersonation_level: u32,
        reserved: u32,
        primary_token: u64,
        process_audit_id: u64,
    }
    /// `ACCESS_STATE`.
    AccessState {
        operation_id: u64,
        security_evaluated: u8,
        generate_audit: u8,
        generate_on_close: u8,
        privileges_allocated: u8,
        flags: u32,
        remaining_desired_access: u32,
        previously_granted_access: u32,
        original_desired_access: u32,
        reserved1: u32,
        subject_security_context: SecuritySubjectContext,
        security_descriptor: u64,
        aux_data: u64,
        /// An `INITIAL_PRIVILEGE_SET`.
        privileges: [u32; 11],
        audit_privileges: u8,
        reserved2: [u8; 3],
        object_name: UnicodeString,
        object_type_name: UnicodeString,
    }
    /// `GENERIC_MAPPING`.
    GenericMapping {
        generic_read: u32,
        generic_write: u32,
        generic_execute: u32,
        generic_all: u32,
    }
    /// The beginning of `AUX_ACCESS_DATA`, which is opaque: how long it is differs from
    /// version to version.
    AuxAccessData {
        privileges_used: u64,
        generic_mapping: GenericMapping,
        access_to_audit: u32,
        maximum_audit_mask: u32,
    }
    /// `LUID_AND_ATTRIBUTES`.
    LuidAndAttributes {
        low_part: u32,
        high_part: u32,
        attributes: u32,
    }
    /// `PRIVILEGE_SET`, without the privileges that follow it.
    PrivilegeSet {
        privilege_count: u32,
        control: u32,
    }
    /// `ACL`, without the entries that follow it.
    Acl {
        acl_revision: u8,
        sbz1: u8,
        acl_size: u16,
        ace_count: u16,
        sbz2: u16,
    }
    /// `ACE_HEADER`.
    AceHeader {
        ace_type: u8,
        ace_flags: u8,
        ace_size: u16,
    }
    /// `ACCESS_ALLOWED_ACE` and its relatives, without the SID that follows.
    AccessAce {
        header: AceHeader,
        mask: u32,
    }
    /// `SID`, without the subauthorities that follow it.
    Sid {
        revision: u8,
        sub_authority_count: u8,
        identifier_authority: [u8; 6],
    }
    /// `SECURITY_DESCRIPTOR`, the absolute form.
    SecurityDescriptor {
        revision: u8,
        sbz1: u8,
        control: u16,
        reserved: u32,
        owner: u64,
        group: u64,
        sacl: u64,
        dacl: u64,
    }
    /// `SECURITY_DESCRIPTOR_RELATIVE`.
    SecurityDescriptorRelative {
        revision: u8,
        sbz1: u8,
        control: u16,
        owner: u32,
        group: u32,
        sacl: u32,
        dacl: u32,
    }
}

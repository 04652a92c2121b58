//! Page protections as Windows writes them, `PAGE_…`, and what they allow.

use super::kernel_address_space::Protection;

/// `PAGE_NOACCESS`.
pub const NOACCESS: u32 = 0x01;
/// `PAGE_READONLY`.
pub const READONLY: u32 = 0x02;
/// `PAGE_READWRITE`.
pub const READWRITE: u32 = 0x04;
/// `PAGE_WRITECOPY`.
pub const WRITECOPY: u32 = 0x08;
/// `PAGE_EXECUTE`.
pub const EXECUTE: u32 = 0x10;
/// `PAGE_EXECUTE_READ`.
pub const EXECUTE_READ: u32 = 0x20;
/// `PAGE_EXECUTE_READWRITE`.
pub const EXECUTE_READWRITE: u32 = 0x40;
/// `PAGE_EXECUTE_WRITECOPY`.
pub const EXECUTE_WRITECOPY: u32 = 0x80;
/// `PAGE_GUARD`.
pub const GUARD: u32 = 0x100;
/// `PAGE_NOCACHE`.
pub const NOCACHE: u32 = 0x200;
/// `PAGE_WRITECOMBINE`.
pub const WRITECOMBINE: u32 = 0x400;

/// The kind of access, without its modifiers.
#[must_use]
pub fn kind(protect: u32) -> u32 {
    protect & 0xff
}

/// Whether this is a protection: one kind of access, and at most one modifier,
/// which a page without access cannot have.
#[must_use]
pub fn is_valid(protect: u32) -> bool {
    let modifiers = protect & !0xff;
    kind(protect).is_power_of_two()
        && matches!(modifiers, 0 | GUARD | NOCACHE | WRITECOMBINE)
        && (modifiers == 0 || kind(protect) != NOACCESS)
}

/// Whether the first write to a page makes a copy of it.
#[must_use]
pub fn copies_on_write(protect: u32) -> bool {
    matches!(kind(protect), WRITECOPY | EXECUTE_WRITECOPY)
}

/// What a page that was copied may be used for.
#[must_use]
pub fn after_copy(protect: u32) -> u32 {
    let kind = match kind(protect) {
        WRITECOPY => READWRITE,
        EXECUTE_WRITECOPY => EXECUTE_READWRITE,
        other => other,
    };
    kind | protect & !0xff
}

/// What an access to a page meets: nothing goes through a guard, and a page that
/// is copied on write is not written.
#[must_use]
pub fn access(protect: u32) -> Protection {
    if protect & GUARD != 0 {
        return Protection::NONE;
    }
    match kind(protect) {
        READONLY | WRITECOPY => Protection::READ,
        READWRITE => Protection::READ_WRITE,
        EXECUTE | EXECUTE_READ | EXECUTE_WRITECOPY => Protection::EXECUTE,
        EXECUTE_READWRITE => Protection::ALL,
        _ => Protection::NONE,
    }
}

/// The protection that allows what an access allows.
#[must_use]
pub fn of(access: Protection) -> u32 {
    match (access.read, access.write, access.execute) {
        (false, ..) => NOACCESS,
        (true, false, false) => READONLY,
        (true, true, false) => READWRITE,
        (true, false, true) => EXECUTE_READ,
        (true, true, true) => EXECUTE_READWRITE,
    }
}

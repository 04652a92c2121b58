//! What code of this program's own needs: a cache near it, a shadow for its data, and an
//! export to call.

use std::{arch::naked_asm, ops::Range};

use ntbox_translate::state;

use crate::executor::{SHADOW, memory::map};

/// A place for a cache near an address.
pub fn cache_near(address: u64) -> Range<u64> {
    let start = (address & !0xfff_ffff) - 0x1000_0000;
    start..start + (32 << 20)
}

/// Maps the shadow of memory that is not below two GiB; nothing in it is forbidden.
pub fn map_shadow(of: Range<u64>) {
    let start = (SHADOW.start + (of.start >> 3)) & !0xfff;
    let end = (SHADOW.start + (of.end >> 3)).next_multiple_of(0x1000);
    map(start..end, libc::PROT_READ | libc::PROT_WRITE);
}

/// An export that programs may call: it changes the lowest bit at RCX.
pub fn export_address() -> u64 {
    export as *const () as u64
}

/// The same, for calls from translated code: it returns by the table.
pub fn export_gate_address() -> u64 {
    export_gate as *const () as u64
}

/// # Safety
///
/// RCX is the address of a quadword.
#[unsafe(naked)]
pub unsafe extern "win64" fn export(lock: *mut u64) {
    naked_asm!("xor qword ptr [rcx], 1", "ret")
}

/// # Safety
///
/// As [`export`]; translated code jumps here.
#[unsafe(naked)]
unsafe extern "win64" fn export_gate() {
    naked_asm!(
        "xor qword ptr [rcx], 1",
        "mov gs:[{spills} + 80], r10",
        "mov gs:[{spills} + 88], r11",
        "pop r11",
        "movzx r10d, r11w",
        "jmp gs:[r10 * 8 + {table}]",
        spills = const state::SPILLS,
        table = const state::TABLE,
    )
}

//! The host stacks of threads, and the change from one to another.

use std::arch::naked_asm;

/// Bytes of a host stack. Only what is touched costs memory. A driver's stack of
/// 24 KiB has room for some two hundred calls inside each other, and each takes up
/// to 10 KiB of this one.
const HOST_STACK: usize = 4 << 20;
/// How much of it those calls may take. The rest is for the report.
pub const HOST_DEPTH: u64 = 3 << 20;

/// Pushes what a callee must preserve, stores the stack pointer at `save`, and
/// takes up `to`.
///
/// # Safety
/// `save` can be written, and `to` is what a call of this stored, or what
/// [`HostStack::prepare`] returned, for a thread that does not run.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn switch(save: *mut u64, to: u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// A host stack with an inaccessible page below.
pub struct HostStack {
    base: u64,
}

impl HostStack {
    /// Maps one; `None` without memory.
    pub fn new() -> Option<Self> {
        // SAFETY: a new anonymous mapping.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                HOST_STACK,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the lowest page of the mapping just made.
        let guarded = unsafe { libc::mprotect(base, 0x1000, libc::PROT_NONE) };
        (guarded == 0).then_some(Self { base: base as u64 })
    }

    /// Lays down the frame that [`switch`] takes up first, which enters `begin`.
    /// Returns its stack pointer.
    pub fn prepare(&self, begin: extern "sysv64" fn() -> !) -> u64 {
        // Six registers, the address to return to, and one word so that the
        // function begins as after a call.
        let top = self.base + HOST_STACK as u64 - 64;
        let frame = top as *mut [u64; 8];
        // SAFETY: the last 64 bytes of a stack that nobody uses yet.
        unsafe { frame.write([0, 0, 0, 0, 0, 0, begin as *const () as u64, 0]) };
        top
    }
}

impl Drop for HostStack {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; no thread stands on it any more.
        unsafe { libc::munmap(self.base as *mut libc::c_void, HOST_STACK) };
    }
}

//! The host stacks of threads, and the change from one to another.

use std::arch::naked_asm;
use std::sync::atomic::{AtomicU64, Ordering};

use super::kernel_cell;

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
/// [`HostStack::prepare`] laid down, for a thread that does not run.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch_stacks(save: *mut u64, to: u64) {
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

/// Where the stack pointer of a thread is saved while it does not run.
///
/// # Invariants
/// The value is 0, or a stack pointer that [`switch`] or [`HostStack::prepare`] saved
/// and nothing has taken up since, on a stack that is mapped.
#[derive(Debug, Clone, Copy)]
pub struct SavedStack(&'static AtomicU64);

impl SavedStack {
    /// A place for a thread that runs. It is never freed: 8 bytes a thread.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "each place is a leak, which a caller should mean"
    )]
    pub fn new() -> Self {
        Self(Box::leak(Box::new(AtomicU64::new(0))))
    }

    /// The saved stack pointer, which is taken up now.
    fn take(self) -> u64 {
        let target = self.0.swap(0, Ordering::Relaxed);
        assert_ne!(target, 0, "a thread that has no saved stack cannot run");
        target
    }
}

/// Saves the stack of the thread that runs in `from`, and takes up the one in `to`.
/// Returns when another thread takes up `from`.
///
/// # Panics
/// `to` has no saved stack: its thread runs, or has ended. Or state of the kernel is held.
pub fn switch(from: SavedStack, to: SavedStack) {
    kernel_cell::assert_none_held();
    let target = to.take();
    // SAFETY: the place is never freed. The target was saved and is taken up once, by
    // the invariant of `SavedStack`.
    unsafe { switch_stacks(from.0.as_ptr(), target) };
}

/// Leaves the thread that runs, which has ended, and takes up the one in `to`.
///
/// # Panics
/// As for [`switch`].
pub fn leave(to: SavedStack) -> ! {
    kernel_cell::assert_none_held();
    let target = to.take();
    let mut unused = 0;
    // SAFETY: the stack pointer is saved in this frame, where nobody reads it: nothing
    // takes up this thread again. The target is as in `switch`, saved and taken up once.
    unsafe { switch_stacks(&raw mut unused, target) };
    unreachable!("a thread that has ended was switched to")
}

/// A host stack with an inaccessible page below.
pub struct HostStack {
    base: u64,
    saved: SavedStack,
}

impl HostStack {
    /// Maps one; `None` without memory.
    #[must_use]
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
        let stack = Self {
            base: base as u64,
            saved: SavedStack::new(),
        };
        // Dropped, and so unmapped, without its inaccessible page.
        (guarded == 0).then_some(stack)
    }

    /// Lays down the frame that [`switch`] takes up first, which enters `begin`.
    /// Returns where its stack pointer is saved.
    pub fn prepare(&self, begin: extern "sysv64" fn() -> !) -> SavedStack {
        // Six registers, the address to return to, and one word so that the
        // function begins as after a call.
        let top = self.base + HOST_STACK as u64 - 64;
        let frame = top as *mut [u64; 8];
        // SAFETY: the last 64 bytes of a stack that nobody uses yet.
        unsafe { frame.write([0, 0, 0, 0, 0, 0, begin as *const () as u64, 0]) };
        self.saved.0.store(top, Ordering::Relaxed);
        self.saved
    }
}

impl Drop for HostStack {
    fn drop(&mut self) {
        self.saved.0.store(0, Ordering::Relaxed);
        // SAFETY: the mapping of `new`; no thread stands on it any more.
        unsafe { libc::munmap(self.base as *mut libc::c_void, HOST_STACK) };
    }
}

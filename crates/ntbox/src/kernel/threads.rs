//! The process and thread that a driver runs in: System, and one of its worker
//! threads. To a driver both are opaque objects whose address it may compare.

use std::sync::atomic::{AtomicU64, Ordering};

use super::mm::pool::{self, PoolKind};

/// Process id of System.
pub const SYSTEM_PROCESS_ID: u64 = 4;
/// Thread id of the worker thread that loads drivers.
pub const FIRST_THREAD_ID: u64 = 0x1c;
/// Bytes of an ETHREAD and of an EPROCESS; about those of Windows 10.
const OBJECT_SIZE: u64 = 0xa00;

static PROCESS: AtomicU64 = AtomicU64::new(0);
static THREAD: AtomicU64 = AtomicU64::new(0);

/// Makes the objects; returns the thread.
pub fn initialize() -> Option<u64> {
    let process = pool::allocate(PoolKind::NonPaged, OBJECT_SIZE, u32::from_le_bytes(*b"Proc"))?;
    let thread = pool::allocate(PoolKind::NonPaged, OBJECT_SIZE, u32::from_le_bytes(*b"Thre"))?;
    PROCESS.store(process, Ordering::Relaxed);
    THREAD.store(thread, Ordering::Relaxed);
    Some(thread)
}

/// The current process: its EPROCESS.
pub fn current_process() -> u64 {
    PROCESS.load(Ordering::Relaxed)
}

/// The current thread: its ETHREAD.
pub fn current_thread() -> u64 {
    THREAD.load(Ordering::Relaxed)
}

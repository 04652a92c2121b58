//! The process and thread that a driver runs in: System, and one of its worker
//! threads. To a driver both are opaque objects whose address it may compare.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::guest;
use super::layout::PCRS;
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

/// The process System, whose handles are the kernel's.
pub fn system_process() -> u64 {
    PROCESS.load(Ordering::Relaxed)
}

/// The current thread: its ETHREAD.
pub fn current_thread() -> u64 {
    THREAD.load(Ordering::Relaxed)
}

/// Says which thread runs: to this kernel and, behind GS, to the driver.
pub fn set_current(thread: u64) {
    THREAD.store(thread, Ordering::Relaxed);
    // The control region is mapped read-write for as long as the process lives.
    let _ = guest::write_u64(PCRS.base + 0x188, thread);
}

/// Mutexes and the threads that hold them.
static HELD: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

fn held<T>(work: impl FnOnce(&mut Vec<(u64, u64)>) -> T) -> T {
    work(&mut HELD.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Notes that a thread holds a mutex, however often it has taken it.
pub fn mutant_acquired(thread: u64, mutant: u64) {
    held(|list| {
        if !list.contains(&(thread, mutant)) {
            list.push((thread, mutant));
        }
    });
}

/// Notes that a thread no longer holds a mutex.
pub fn mutant_released(thread: u64, mutant: u64) {
    held(|list| list.retain(|entry| *entry != (thread, mutant)));
}

/// Mutexes that a thread holds.
pub fn mutants_of(thread: u64) -> Vec<u64> {
    held(|list| list.iter().filter(|(owner, _)| *owner == thread).map(|(_, mutant)| *mutant).collect())
}

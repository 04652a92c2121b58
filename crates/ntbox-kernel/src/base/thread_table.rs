//! Processes and threads: what the kernel knows of them beside the objects that
//! a driver sees, which are opaque to it but for the header that can be waited
//! for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ntbox_host::gate::NoReturn;
use ntbox_host::kernel_cell::KernelCell;

/// Process id of System.
pub const SYSTEM_PROCESS_ID: u64 = 4;

/// What the kernel keeps in the objects themselves, where Windows 10 has it.
pub mod offset {
    /// In an EPROCESS: when it was made.
    pub const CREATE_TIME: u64 = 0x468;
    /// In an EPROCESS: the beginning of its name, with a NUL.
    pub const IMAGE_FILE_NAME: u64 = 0x5a8;
    /// In an ETHREAD: the status that it ended with.
    pub const EXIT_STATUS: u64 = 0x548;
}

/// What is known of a thread.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they do not depend on each other"
)]
pub struct Thread {
    /// Its id.
    pub id: u64,
    /// The process that it belongs to.
    pub process: u64,
    /// The process whose memory it sees; another one while it is attached.
    pub attached: u64,
    /// How many attachments of it are not undone.
    pub attachments: u32,
    /// Lowest and first address past its kernel stack.
    pub stack: (u64, u64),
    /// Whether it came from user mode with its present request.
    pub user_mode: bool,
    /// Whether it never leaves the kernel.
    pub system: bool,
    /// Priority, 0 to 31, without a boost.
    pub priority: i32,
    /// The priority that boosts start from.
    pub base: i32,
    /// The priority that a boost has lifted it to; 0 without one.
    pub boosted: i32,
    /// Clock ticks of its quantum that it has used.
    pub ticks: u32,
    /// Clock ticks that found it running.
    pub ran: u64,
    /// The IRQL to go back to where it waits, if it has promised to wait next.
    pub wait_next: Option<u8>,
    /// How deep it is in critical regions; below 0 if it left more than it entered.
    pub critical: i32,
    /// How deep it is in guarded regions, in the same way.
    pub guarded: i32,
    /// Whether it has ended.
    pub ended: bool,
    /// Address of the routine that it began with; 0 for those of the kernel.
    pub start: u64,
    /// The system time when it was made.
    pub created: u64,
    /// Whether it only reads ahead, as it says itself.
    pub prefetching: bool,
}

/// What is known of a process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub id: u64,
    /// Name of its image.
    pub name: String,
    /// What it ended with, once it ends.
    pub exit_status: Option<u32>,
}

static PROCESSES: KernelCell<BTreeMap<u64, Process>> = KernelCell::new(BTreeMap::new());
static THREADS: KernelCell<BTreeMap<u64, Thread>> = KernelCell::new(BTreeMap::new());
static SYSTEM: AtomicU64 = AtomicU64::new(0);
static CURRENT: AtomicU64 = AtomicU64::new(0);
static NEXT_ID: AtomicU64 = AtomicU64::new(0x1c);

/// What is known of a process.
pub fn process(object: u64) -> Option<Process> {
    PROCESSES.lock().get(&object).cloned()
}

/// Notes what a process ends with. The first time counts.
pub fn process_ends(object: u64, status: u32) {
    if let Some(process) = PROCESSES.lock().get_mut(&object) {
        process.exit_status.get_or_insert(status);
    }
}

/// All processes: their objects and what is known of them.
pub fn processes() -> Vec<(u64, Process)> {
    let processes = PROCESSES.lock();
    let all = processes.iter();
    all.map(|(object, process)| (*object, process.clone()))
        .collect()
}

/// The threads of a process that have not ended.
pub fn threads_of(process: u64) -> Vec<Thread> {
    let threads = THREADS.lock();
    threads
        .values()
        .filter(|thread| thread.process == process && !thread.ended && thread.id != 0)
        .copied()
        .collect()
}

/// The process with an id.
pub fn process_by_id(id: u64) -> Option<u64> {
    let processes = PROCESSES.lock();
    processes
        .iter()
        .find(|(_, process)| process.id == id)
        .map(|(object, _)| *object)
}

/// What is known of a thread.
pub fn thread(object: u64) -> Option<Thread> {
    THREADS.lock().get(&object).copied()
}

/// The thread with an id.
pub fn thread_by_id(id: u64) -> Option<u64> {
    let threads = THREADS.lock();
    threads
        .iter()
        .find(|(_, thread)| thread.id == id && !thread.ended && id != 0)
        .map(|(object, _)| *object)
}

/// Changes what is known of a thread.
pub fn update<T>(object: u64, work: impl FnOnce(&mut Thread) -> T) -> Option<T> {
    THREADS.lock().get_mut(&object).map(work)
}

/// Threads that have not ended and began with a routine of a driver.
pub fn of_drivers() -> Vec<(u64, Thread)> {
    let threads = THREADS.lock();
    let running = threads
        .iter()
        .filter(|(_, thread)| !thread.ended && thread.start != 0);
    running.map(|(object, thread)| (*object, *thread)).collect()
}

/// The current thread, as it is known; the zero thread before there is one.
pub fn current() -> Option<Thread> {
    thread(current_thread())
}

/// The process whose memory is seen now: its EPROCESS.
pub fn current_process() -> u64 {
    current().map_or_else(system_process, |thread| thread.attached)
}

/// The process System, whose handles are the kernel's.
pub fn system_process() -> u64 {
    SYSTEM.load(Ordering::Relaxed)
}

/// The current thread: its ETHREAD.
pub fn current_thread() -> u64 {
    CURRENT.load(Ordering::Relaxed)
}

/// Mutexes and the threads that hold them.
static HELD: KernelCell<Vec<(u64, u64)>> = KernelCell::new(Vec::new());

fn held<T>(work: impl FnOnce(&mut Vec<(u64, u64)>) -> T) -> T {
    work(&mut HELD.lock())
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
    held(|list| {
        list.iter()
            .filter(|(owner, _)| *owner == thread)
            .map(|(_, mutant)| *mutant)
            .collect()
    })
}

/// The next free id of a process or thread.
pub fn allocate_id() -> u64 {
    NEXT_ID.fetch_add(4, Ordering::Relaxed)
}

/// Adds a process.
pub fn insert_process(object: u64, process: Process) {
    PROCESSES.lock().insert(object, process);
}

/// Adds a thread.
pub fn insert_thread(object: u64, thread: Thread) {
    THREADS.lock().insert(object, thread);
}

/// Sets the process System.
pub fn set_system_process(object: u64) {
    SYSTEM.store(object, Ordering::Relaxed);
}

/// Sets the current thread.
pub fn set_current_thread(object: u64) {
    CURRENT.store(object, Ordering::Relaxed);
}

/// What the table has of a thread.
///
/// # Errors
/// The address is not a thread: bug check `REFERENCE_BY_POINTER`.
pub fn require<T>(found: Option<T>, thread: u64) -> Result<T, NoReturn> {
    found.ok_or_else(|| {
        NoReturn::bug_check(
            0x18,
            [thread, 0, 0, 0],
            format!("{thread:#018x} is not a thread"),
        )
    })
}

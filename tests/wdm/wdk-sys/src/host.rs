//! The side that tests drive this kernel from: boot one, let a call fail, load a
//! driver, open its device, send requests, cancel them, and see at the end that
//! nothing is left.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
};

pub use crate::io::drive::{Driver, Handle, Reply, Sent};
use crate::{io, machine, pool, process, system};

/// Which kernel it pretends to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum System {
    /// Without `ExAllocatePool2` and the newer functions of lookaside lists.
    Windows7,
    /// With all of them.
    Windows11,
}

static SYSTEM: AtomicU8 = AtomicU8::new(0);

/// How many calls that can fail are left until one does; the highest number if none
/// is to.
static UNTIL_FAILURE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// What drivers have registered, by its address or handle.
static REGISTERED: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

/// There is one kernel at a time.
static BOOTED: Mutex<()> = Mutex::new(());

/// A kernel that runs. Dropping it looks for what was left behind.
#[derive(Debug)]
pub struct Kernel {
    _only: MutexGuard<'static, ()>,
}

impl Kernel {
    /// Windows 11, with everything.
    #[must_use]
    pub fn boot() -> Self {
        Self::boot_as(System::Windows11)
    }

    /// Waits for the end of the kernel that runs, if there is one.
    #[must_use]
    pub fn boot_as(system: System) -> Self {
        let only = BOOTED.lock().unwrap_or_else(PoisonError::into_inner);
        SYSTEM.store(u8::from(system == System::Windows11), Ordering::Relaxed);
        UNTIL_FAILURE.store(usize::MAX, Ordering::Relaxed);
        Self { _only: only }
    }

    /// Lets the call with this number fail, from now on and counted from 0, of those
    /// that can.
    pub fn fail_call(&self, number: usize) {
        UNTIL_FAILURE.store(number, Ordering::Relaxed);
    }

    /// Whether that call has come.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        UNTIL_FAILURE.load(Ordering::Relaxed) == usize::MAX
    }

    /// Runs `work` in another process than the system's.
    pub fn within<R>(&self, process: usize, work: impl FnOnce() -> R) -> R {
        process::within(process, work)
    }

    /// Ends a process: its observers are told, in it.
    pub fn end_process(&self, process: usize) {
        process::within(process, process::end);
    }

    /// Runs `work` with a program's memory.
    pub fn with_user_memory<R>(&self, memory: &mut [u8], work: impl FnOnce(usize) -> R) -> R {
        let len = memory.len();
        let start = memory.as_mut_ptr().expose_provenance();
        system::with_user_memory(start, len, || work(start))
    }

    /// The lines printed so far.
    #[must_use]
    pub fn take_lines(&self) -> Vec<String> {
        system::take_lines()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let level = machine::set_irql(0);
        let registered = REGISTERED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let registered = registered.map_or(0, |registered| registered.len());
        let (references, observers) = process::drain();
        assert_eq!(level, 0, "the IRQL is not what it was");
        assert_eq!(pool::held(), 0, "blocks of pool are left");
        assert_eq!(
            registered, 0,
            "MDLs, lists, mappings, handles or requests are left"
        );
        assert_eq!(references, 0, "references to processes are left");
        assert_eq!(observers, 0, "observers of processes are left");
        assert_eq!(io::left(), 0, "devices or links are left");
    }
}

pub(crate) fn system() -> System {
    if SYSTEM.load(Ordering::Relaxed) == 0 {
        System::Windows7
    } else {
        System::Windows11
    }
}

/// Whether the call that asks is to fail.
pub(crate) fn fails() -> bool {
    let count = |left: usize| match left {
        usize::MAX => None,
        0 => Some(usize::MAX),
        left => Some(left - 1),
    };
    UNTIL_FAILURE
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
        .is_ok_and(|left| left == 0)
}

pub(crate) fn registered(what: usize) {
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    *registered.get_or_insert_default().entry(what).or_default() += 1;
}

/// Panics if it is not registered: freed twice, completed twice, closed twice.
pub(crate) fn unregistered(what: usize) {
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    let registered = registered.get_or_insert_default();
    let count = registered.get_mut(&what).expect("what ends has not begun");
    *count -= 1;
    if *count == 0 {
        registered.remove(&what);
    }
}

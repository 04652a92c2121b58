//! What the tests have in common: a driver whose start is the test.
//!
//! Everything of `wdm` begins with a driver that is loaded, so that is where a test
//! runs: in the entry point, at `PASSIVE_LEVEL`, in the system's process. What it
//! returns is kept until the driver is unloaded.

use std::{
    any::Any,
    sync::{Mutex, PoisonError},
};

use wdk_sys::{
    DRIVER_OBJECT, NTSTATUS, UNICODE_STRING,
    host::{Driver, Kernel, System},
};
use wdm::{
    Status,
    driver::Context,
    irql::Passive,
    pool::{PoolBox, PoolTag},
};

/// The tag of everything that a test takes.
pub const TAG: PoolTag = wdm::pool_tag!(b"Test");

type Kept = Box<dyn Any + Send>;
type Start = Box<dyn FnOnce(&Context<'_>, &mut Passive) -> Result<Kept, Status> + Send>;

/// What the driver that is loaded next is to do.
static START: Mutex<Option<Start>> = Mutex::new(None);

struct Subject(#[expect(dead_code, reason = "it is dropped at the end")] Kept);

impl wdm::driver::Driver for Subject {
    fn start(context: &Context<'_>, passive: &mut Passive) -> Result<Self, Status> {
        let start = START.lock().unwrap_or_else(PoisonError::into_inner).take();
        start.ok_or(Status::UNSUCCESSFUL)?(context, passive).map(Self)
    }

    fn stop(self, _: &mut Passive) {}
}

wdm::driver!(Subject);

unsafe extern "C" {
    fn DriverEntry(object: *mut DRIVER_OBJECT, path: *const UNICODE_STRING) -> NTSTATUS;
}

/// Loads a driver that does `start`, and keeps what that returns.
///
/// # Errors
///
/// The status with which the driver does not start.
pub fn load<T: Any + Send>(
    _: &Kernel,
    start: impl FnOnce(&Context<'_>, &mut Passive) -> Result<T, Status> + Send + 'static,
) -> Result<Driver, Status> {
    let boxed = |context: &Context<'_>, passive: &mut Passive| {
        start(context, passive).map(|kept| Box::new(kept) as Kept)
    };
    *START.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(boxed));
    // SAFETY: the entry point is that of the one driver here, and a kernel runs one
    // test at a time.
    unsafe { Driver::load(DriverEntry) }.map_err(Status::from_raw)
}

/// Boots a kernel, and runs `work` in a driver that is loaded and unloaded.
///
/// # Panics
///
/// If something is left when the driver is gone.
pub fn in_driver(work: impl FnOnce(&mut Passive) + Send + 'static) {
    in_driver_on(System::Windows11, work);
}

/// [`in_driver`] on another kernel.
///
/// # Panics
///
/// As there.
pub fn in_driver_on(system: System, work: impl FnOnce(&mut Passive) + Send + 'static) {
    let kernel = Kernel::boot_as(system);
    let start = |_: &Context<'_>, passive: &mut Passive| {
        work(passive);
        Ok(())
    };
    let driver = load(&kernel, start).expect("the driver starts");
    driver.unload();
}

/// The token of a thread that has just begun.
///
/// # Panics
///
/// If it has raised its IRQL.
#[must_use]
pub fn passive() -> Passive {
    assert_eq!(wdk_sys::machine::irql(), 0);
    // SAFETY: the level was looked at just now, and tests raise it by tokens only.
    unsafe { Passive::assume() }
}

/// A box of pool, for which there is memory.
///
/// # Panics
///
/// If there is none.
pub fn boxed<T>(value: T) -> PoolBox<T> {
    match PoolBox::new(value, TAG) {
        Ok(boxed) => boxed,
        Err(rejected) => panic!("{}", rejected.error),
    }
}

/// Counts those of its kind that live.
pub struct Counted<'c>(&'c std::sync::atomic::AtomicUsize);

impl<'c> Counted<'c> {
    /// One more.
    pub fn new(count: &'c std::sync::atomic::AtomicUsize) -> Self {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

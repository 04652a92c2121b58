//! The driver's life cycle: entry point, driver state, unload routine.
//!
//! [`driver!`](crate::driver!) defines both routines for a type that implements
//! [`Driver`]. The unload routine is set once the driver has started; it moves the value
//! out and stops it. The driver's scope then removes every remaining registration, also
//! after a failed start.

use core::{cell::UnsafeCell, fmt};

use wdk_sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

use crate::{
    Result, Status,
    irql::{Apc, Passive},
    registry::Key,
    scope,
    string::UnicodeStr,
    system::{self, Version},
    utf16,
};

/// A driver: a value that exists from a successful start until unloading.
pub trait Driver: Send + Sized + 'static {
    /// Starts the driver; `DriverEntry` of the reference. An error unloads the
    /// image again, so whatever was taken has to be released, which dropping it
    /// does. What is registered with the kernel is undone in any case.
    ///
    /// Called at `PASSIVE_LEVEL` in the System process.
    ///
    /// # Errors
    ///
    /// The status of the failed load.
    fn start(context: &Context<'_>, passive: &mut Passive) -> Result<Self, Status>;

    /// Stops the driver; `DriverUnload` of the reference. What the value still
    /// holds is released by dropping it. What is registered with the kernel is undone
    /// afterwards in any case: devices first, then what tells of something.
    ///
    /// Called at `PASSIVE_LEVEL` in the System process.
    fn stop(self, passive: &mut Passive);
}

/// The arguments of DriverEntry, and the system's version.
pub struct Context<'a> {
    object: *mut DRIVER_OBJECT,
    registry_path: UnicodeStr<'a>,
    version: Result<Version>,
}

impl Context<'_> {
    /// The kernel's object for this driver, which has not started yet.
    pub(crate) const fn object(&self) -> *mut DRIVER_OBJECT {
        self.object
    }

    /// Path of the driver's service key, which ends in the service's name. The
    /// reference does not say that it is resident. IRQL: `<= APC_LEVEL`.
    #[must_use]
    pub const fn registry_path<'c>(&'c self, _: &'c Apc) -> UnicodeStr<'c> {
        self.registry_path
    }

    /// The version of the running system. IRQL: any.
    ///
    /// # Errors
    ///
    /// The status of `RtlGetVersion`, which is not known to fail.
    pub const fn version(&self) -> Result<Version> {
        self.version
    }

    /// Opens the `Parameters` key of the service, where a driver's settings belong.
    /// `None` if it does not exist. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `ZwOpenKey`.
    pub fn parameters(&self, passive: &Passive) -> Result<Option<Key>> {
        match Key::open(self.registry_path, passive)? {
            Some(service) => service.open_subkey(utf16!("Parameters"), passive),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the path, which may be absent from memory at this level.
        formatter.write_str("Context")
    }
}

/// Holds the driver between start and unload, for [`driver!`](crate::driver!).
#[doc(hidden)]
pub struct __Slot<D>(UnsafeCell<Option<D>>);

// SAFETY: the slot is only used by the entry and the unload routine, which the
// kernel calls once each, one after the other; `D` may change threads in between.
unsafe impl<D: Driver> Sync for __Slot<D> {}

impl<D: Driver> __Slot<D> {
    /// A slot without a driver.
    #[must_use]
    pub const fn empty() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// Starts the driver, keeps it here, and enters the unload routine.
    ///
    /// # Safety
    ///
    /// Called by the kernel's entry call alone, with its arguments.
    pub unsafe fn start(
        &self,
        object: *mut DRIVER_OBJECT,
        registry_path: *const UNICODE_STRING,
        unload: unsafe extern "C" fn(*mut DRIVER_OBJECT),
    ) -> NTSTATUS {
        // SAFETY: the kernel passes a path that is valid during the call.
        let path = unsafe { &*registry_path };
        // SAFETY: the kernel describes text that it does not change while the entry
        // routine runs.
        let path = unsafe { UnicodeStr::from_raw(path) };
        // SAFETY: the kernel calls the entry routine at PASSIVE_LEVEL.
        let mut passive = unsafe { Passive::assume() };
        scope::begin(&mut passive);
        let started = Self::try_start(object, path, &mut passive);
        if started.is_err() {
            // The image goes without a call of the unload routine.
            scope::end(&mut passive);
        }
        match started {
            Ok(driver) => {
                // SAFETY: nothing else uses the slot before the unload routine.
                unsafe { *self.0.get() = Some(driver) };
                // SAFETY: the kernel passes its object for this driver, which the
                // entry routine is to fill in.
                unsafe { (*object).DriverUnload = Some(unload) };
                Status::SUCCESS.raw()
            }
            // A driver that failed must not look to the kernel like one that runs.
            Err(status) if status.is_success() => Status::UNSUCCESSFUL.raw(),
            Err(status) => status.raw(),
        }
    }

    fn try_start(
        object: *mut DRIVER_OBJECT,
        registry_path: Option<UnicodeStr<'_>>,
        passive: &mut Passive,
    ) -> Result<D, Status> {
        let registry_path = registry_path.ok_or(Status::INVALID_PARAMETER)?;
        let version = system::initialise(passive);
        let context = Context {
            object,
            registry_path,
            version,
        };
        D::start(&context, passive)
    }

    /// Stops the driver.
    ///
    /// # Safety
    ///
    /// Called by the kernel's unload call alone.
    pub unsafe fn stop(&self) {
        // SAFETY: the kernel unloads after the entry routine has returned, once,
        // so this is the only access.
        let driver = unsafe { (*self.0.get()).take() };
        // SAFETY: the kernel calls the unload routine at PASSIVE_LEVEL.
        let mut passive = unsafe { Passive::assume() };
        if let Some(driver) = driver {
            driver.stop(&mut passive);
        }
        scope::end(&mut passive);
    }
}

#[doc(hidden)]
pub use wdk_sys::{
    DRIVER_OBJECT as __DriverObject, NTSTATUS as __Ntstatus, UNICODE_STRING as __UnicodeString,
};

/// Makes `DriverEntry` and the unload routine for a type that implements
/// [`Driver`]. Used once, in the crate that is linked as
/// the driver.
///
/// ```no_run
/// use wdm::{Status, driver::{Context, Driver}, irql::Passive};
///
/// struct Sample;
///
/// impl Driver for Sample {
///     fn start(_: &Context<'_>, _: &mut Passive) -> Result<Self, Status> {
///         Ok(Self)
///     }
///     fn stop(self, _: &mut Passive) {}
/// }
///
/// wdm::driver!(Sample);
/// ```
#[macro_export]
macro_rules! driver {
    ($driver:ty) => {
        const _: () = {
            static SLOT: $crate::driver::__Slot<$driver> = $crate::driver::__Slot::empty();

            // SAFETY: no other symbol of the image has the name that the kernel's
            // entry routine must have.
            #[unsafe(export_name = "DriverEntry")]
            unsafe extern "system" fn entry(
                object: *mut $crate::driver::__DriverObject,
                registry_path: *const $crate::driver::__UnicodeString,
            ) -> $crate::driver::__Ntstatus {
                // SAFETY: only the kernel calls the entry routine.
                unsafe { SLOT.start(object, registry_path, unload) }
            }

            unsafe extern "C" fn unload(_object: *mut $crate::driver::__DriverObject) {
                // SAFETY: only the kernel calls the unload routine.
                unsafe { SLOT.stop() }
            }
        };
    };
}

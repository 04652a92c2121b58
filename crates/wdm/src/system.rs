//! The kernel's version and features.
//!
//! A static import that the kernel lacks prevents the driver from loading, so functions
//! newer than Windows 7 are looked up by name, once, before the driver starts.

use core::{
    ffi::c_void,
    fmt,
    mem::transmute,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicBool, AtomicPtr, Ordering},
};

use wdk_sys::{
    POOL_FLAGS, PVOID, RTL_OSVERSIONINFOW, SIZE_T, ULONG,
    ntddk::{MmGetSystemRoutineAddress, RtlGetVersion},
};

use crate::{
    Error, Result, Status, arch, irql::Passive, memory::structure_size, string::UnicodeStr, utf16,
};

/// `ExAllocatePool2`, which kernels have from Windows 10 2004 on.
pub(crate) type AllocatePool2 = unsafe extern "system" fn(POOL_FLAGS, SIZE_T, ULONG) -> PVOID;

/// The kernel's `ExAllocatePool2`, or NULL.
static ALLOCATE_POOL2: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Whether memory can be asked for that code cannot be run from.
static NO_EXECUTE: AtomicBool = AtomicBool::new(false);

/// The version of the running system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    /// 10 for Windows 10 and 11.
    pub major: u32,
    /// Tells releases of one major version apart: Windows 7 is 6.1.
    pub minor: u32,
    /// Number of the build, which tells releases of Windows 10 and 11 apart.
    pub build: u32,
}

impl Version {
    /// Version of Windows 8, which brought memory that is not
    /// executable to pool and MDL mappings.
    const WINDOWS_8: Self = Self {
        major: 6,
        minor: 2,
        build: 0,
    };

    /// The version of the running system: `RtlGetVersion`.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `RtlGetVersion`, which is not known to fail.
    pub fn current(_: &Passive) -> Result<Self> {
        let mut info = RTL_OSVERSIONINFOW {
            dwOSVersionInfoSize: structure_size::<RTL_OSVERSIONINFOW>(),
            ..Default::default()
        };
        // SAFETY: the structure is ours, and its size field says what it is.
        let status = unsafe { RtlGetVersion(&raw mut info) };
        Error::check("RtlGetVersion", Status::from_raw(status))?;
        Ok(Self {
            major: info.dwMajorVersion,
            minor: info.dwMinorVersion,
            build: info.dwBuildNumber,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.build)
    }
}

/// The address of a function or variable that the kernel or the HAL exports:
/// `MmGetSystemRoutineAddress`. `None` if there is none of that name.
///
/// IRQL: `PASSIVE_LEVEL`.
#[must_use]
pub fn routine_address(name: UnicodeStr<'_>, _: &Passive) -> Option<NonNull<c_void>> {
    let mut name = name.to_raw();
    // SAFETY: `name` describes text that outlives the call and is only read.
    NonNull::new(unsafe { MmGetSystemRoutineAddress(name.as_mut_ptr()) })
}

/// Queries the kernel's features and version. A kernel without a version counts as
/// an old one. The entry point that
/// [`driver!`](crate::driver!) makes calls this first.
///
/// IRQL: `PASSIVE_LEVEL`.
///
/// # Errors
///
/// Those of [`Version::current`]; everything else is known by then.
pub(crate) fn initialise(passive: &Passive) -> Result<Version> {
    let pool2 = routine_address(utf16!("ExAllocatePool2"), passive);
    let pool2 = pool2.map_or(null_mut(), NonNull::as_ptr);
    ALLOCATE_POOL2.store(pool2, Ordering::Release);
    let version = Version::current(passive);
    let no_execute = version.is_ok_and(|version| version >= Version::WINDOWS_8);
    NO_EXECUTE.store(no_execute, Ordering::Release);
    version
}

/// The kernel's `ExAllocatePool2` if it has one. IRQL: any.
pub(crate) fn allocate_pool2() -> Option<AllocatePool2> {
    let address = NonNull::new(ALLOCATE_POOL2.load(Ordering::Acquire))?;
    // SAFETY: the address is that of the kernel's export of this name, whose
    // reference page gives this signature; code addresses never change.
    Some(unsafe { transmute::<*mut c_void, AllocatePool2>(address.as_ptr()) })
}

/// Whether pool and mappings can be asked for that code cannot be run from: the
/// request is only defined from Windows 8 on. IRQL: any.
#[must_use]
pub fn has_no_execute_memory() -> bool {
    NO_EXECUTE.load(Ordering::Acquire)
}

/// Whether the kernel has `ExAllocatePool2`; without it this crate allocates with
/// `ExAllocatePoolWithTag`. IRQL: any.
#[must_use]
pub fn has_allocate_pool2() -> bool {
    allocate_pool2().is_some()
}

/// Where user memory ends and the kernel's begins, as the kernel states it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressLimits {
    /// The last address of user memory: `MmHighestUserAddress`.
    pub highest_user: usize,
    /// The first address that a probe refuses: `MmUserProbeAddress`.
    pub user_probe: usize,
    /// Where the range that all processes share begins: `MmSystemRangeStart`.
    pub system_range_start: usize,
}

impl AddressLimits {
    /// Reads the three variables that the kernel exports. IRQL: any.
    #[must_use]
    pub fn current() -> Self {
        let [highest_user, user_probe, system_range_start] = arch::address_limits();
        Self {
            highest_user,
            user_probe,
            system_range_start,
        }
    }
}

//! The security descriptor of a control device: access for SYSTEM and administrators.
//!
//! The I/O manager's default descriptor lets everyone read and write. The WDK's
//! `IoCreateDeviceSecure` replaces it, but that is in a static library, not in the
//! kernel. This module does the same with documented calls: it opens a handle to the
//! device object and calls `ZwSetSecurityObject`.

use core::{ffi::c_void, ptr::NonNull};

use wdk_sys::{
    DACL_SECURITY_INFORMATION, DEVICE_OBJECT, HANDLE, OBJ_KERNEL_HANDLE, WRITE_DAC,
    ntddk::{ObOpenObjectByPointer, ZwClose, ZwSetSecurityObject},
};

use crate::{Error, Result, Status, irql::Passive};

/// `D:P(A;;GA;;;SY)(A;;GA;;;BA)` as a self-relative `SECURITY_DESCRIPTOR`: a
/// header, an access control list, and in it two entries that allow everything.
#[repr(C, align(4))]
struct Descriptor {
    revision: u8,
    reserved: u8,
    control: u16,
    owner: u32,
    group: u32,
    system_list: u32,
    list: u32,
    list_revision: u8,
    list_reserved: u8,
    list_size: u16,
    list_count: u16,
    list_reserved_2: u16,
    system: Entry<1>,
    administrators: Entry<2>,
}

/// An entry that allows: `ACCESS_ALLOWED_ACE`, with a SID of `N` numbers.
#[repr(C)]
struct Entry<const N: usize> {
    kind: u8,
    flags: u8,
    size: u16,
    mask: u32,
    revision: u8,
    count: u8,
    authority: [u8; 6],
    numbers: [u32; N],
}

/// `FILE_ALL_ACCESS`: what the generic right to everything means for a device.
const ALL_ACCESS: u32 = 0x001F_01FF;

/// The authority of the SIDs that begin with S-1-5.
const NT_AUTHORITY: [u8; 6] = [0, 0, 0, 0, 0, 5];

#[expect(clippy::cast_possible_truncation, reason = "sizes of a few bytes")]
static DESCRIPTOR: Descriptor = Descriptor {
    revision: 1,
    reserved: 0,
    // SE_DACL_PRESENT, SE_DACL_PROTECTED, SE_SELF_RELATIVE.
    control: 0x0004 | 0x1000 | 0x8000,
    owner: 0,
    group: 0,
    system_list: 0,
    list: core::mem::offset_of!(Descriptor, list_revision) as u32,
    list_revision: 2,
    list_reserved: 0,
    list_size: (size_of::<Descriptor>() - core::mem::offset_of!(Descriptor, list_revision)) as u16,
    list_count: 2,
    list_reserved_2: 0,
    // S-1-5-18.
    system: Entry::allowing([18]),
    // S-1-5-32-544.
    administrators: Entry::allowing([32, 544]),
};

impl<const N: usize> Entry<N> {
    #[expect(clippy::cast_possible_truncation, reason = "sizes of a few bytes")]
    const fn allowing(numbers: [u32; N]) -> Self {
        Self {
            kind: 0,
            flags: 0,
            size: size_of::<Self>() as u16,
            mask: ALL_ACCESS,
            revision: 1,
            count: N as u8,
            authority: NT_AUTHORITY,
            numbers,
        }
    }
}

// The layout that the reference gives.
const _: () = assert!(core::mem::offset_of!(Descriptor, list_revision) == 20);
const _: () = assert!(core::mem::offset_of!(Descriptor, system) == 28);
const _: () = assert!(size_of::<Entry<1>>() == 20);
const _: () = assert!(size_of::<Entry<2>>() == 24);
const _: () = assert!(size_of::<Descriptor>() == 72);

/// Lets SYSTEM and administrators open the device, and nobody else.
pub(super) fn restrict_to_administrators(
    device: NonNull<DEVICE_OBJECT>,
    _: &Passive,
) -> Result<()> {
    let mut handle: HANDLE = core::ptr::null_mut();
    // SAFETY: the device is there, the handle goes into a variable of ours, and no
    // access state is passed, which is what a caller without one does.
    let status = unsafe {
        ObOpenObjectByPointer(
            device.as_ptr().cast(),
            OBJ_KERNEL_HANDLE,
            core::ptr::null_mut(),
            WRITE_DAC,
            core::ptr::null_mut(),
            0,
            &raw mut handle,
        )
    };
    Error::check("ObOpenObjectByPointer", Status::from_raw(status))?;
    let descriptor: *const c_void = (&raw const DESCRIPTOR).cast();
    // SAFETY: the handle is open with WRITE_DAC; the descriptor is well formed and
    // only read.
    let status =
        unsafe { ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, descriptor.cast_mut()) };
    // SAFETY: the handle is open, and closed here only.
    let _ = unsafe { ZwClose(handle) };
    Error::check("ZwSetSecurityObject", Status::from_raw(status))
}

//! Control devices: device objects that programs open to send requests to a driver.
//!
//! [`ControlDevice`] creates the device object, restricts access to SYSTEM and
//! administrators, creates its symbolic link, and dispatches requests to a type that
//! implements [`Device`]. Dropping it waits for running requests and deletes both. The
//! driver's scope deletes them at the unload if the driver has not.

mod dispatch;
mod security;

use core::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use wdk_sys::{
    DEVICE_OBJECT, DO_DIRECT_IO, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, PDEVICE_OBJECT,
    ntddk::{IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink},
};

use self::dispatch::{Extension, VTable};
use crate::{
    Error, Result, Status,
    driver::Context,
    irp::{Completion, FileId, ProcessorMode, ReadWriteRequest, Request},
    irql::Passive,
    memory::structure_size,
    pool::{PoolBox, PoolTag},
    rundown::Rundown,
    scope::{Registration, RegistrationHandle, Stage},
    string::UnicodeStr,
};

/// The handlers of a control device. All requests share the value.
///
/// ```no_run
/// # use wdm::{Status, device::Device, irp::{Completion, ProcessorMode, Request}, irql::Passive, pool::PoolTag};
/// # struct Sample;
/// impl Device for Sample {
///     const TAG: PoolTag = wdm::pool_tag!(b"Smpl");
///     type File = ();
///
///     fn create(&self, _: ProcessorMode, _: &mut Passive) -> Result<(), Status> {
///         Ok(())
///     }
///
///     fn control<'r>(&self, request: Request<'r>, _: &mut Passive) -> Completion<'r> {
///         request.fail(Status::INVALID_DEVICE_REQUEST)
///     }
/// }
/// ```
pub trait Device: Send + Sync + Sized + 'static {
    /// The tag of the blocks that hold the device and its files.
    const TAG: PoolTag;

    /// What belongs to one open file: a handle and its duplicates. Dropped when
    /// the file is closed (`IRP_MJ_CLOSE`), at `PASSIVE_LEVEL`, in any process.
    type File: Send + Sync + 'static;

    /// Handles `IRP_MJ_CREATE`. Called at `PASSIVE_LEVEL` in
    /// the process that opens it; `requestor` says whether a program or a driver
    /// does (`RequestorMode`).
    ///
    /// # Errors
    ///
    /// The status of the failed open.
    fn create(&self, requestor: ProcessorMode, passive: &mut Passive)
    -> Result<Self::File, Status>;

    /// Handles `IRP_MJ_DEVICE_CONTROL`. Called at `PASSIVE_LEVEL`
    /// in the process that asks. The device stays until this returns; the file, as
    /// long as the request, which is how it is reached.
    fn control<'r>(
        &self,
        request: Request<'r, Self::File>,
        passive: &mut Passive,
    ) -> Completion<'r>;

    /// Handles `IRP_MJ_READ` and `IRP_MJ_WRITE`. Called at
    /// `PASSIVE_LEVEL`, in the process that asks. A device that does not say
    /// otherwise does neither.
    fn transfer<'r>(
        &self,
        transfer: ReadWriteRequest<'r, Self::File>,
        _passive: &mut Passive,
    ) -> Completion<'r> {
        transfer.fail(Status::INVALID_DEVICE_REQUEST)
    }

    /// The last handle of a file is closed, though requests may still wait:
    /// `IRP_MJ_CLEANUP`. Called at `PASSIVE_LEVEL` in the process that closes it,
    /// which need not be the one that opened it. Requests of the file that wait are
    /// to be ended: nobody else will. No more of them get into a
    /// [`CancelSafeQueue`](crate::irp::CancelSafeQueue).
    fn cleanup(&self, _file: &Self::File, _id: FileId, _passive: &mut Passive) {}

    /// A file is closed, and what belongs to it is dropped next: `IRP_MJ_CLOSE`.
    /// Called at `PASSIVE_LEVEL`, in any process. The device may be gone.
    fn close(_file: &Self::File, _passive: &mut Passive) {}
}

/// The names of a device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceNames {
    /// The device object's, such as `\Device\Sample`.
    pub device: UnicodeStr<'static>,
    /// The symbolic link's, such as `\DosDevices\Sample`, by which programs open
    /// it as `\\.\Sample`.
    pub link: UnicodeStr<'static>,
}

/// A device that exists. Dropping it deletes the link, waits for requests that are
/// being handled, and deletes the device: `IoDeleteSymbolicLink`,
/// `IoDeleteDevice`.
///
/// Dropped above `PASSIVE_LEVEL`, it lets no request in any more, and the rest
/// follows when the next request arrives, for whichever device, or at the unload. A
/// device that is never dropped goes before the image does. A device that is dropped
/// by one of its own routines at `PASSIVE_LEVEL` deadlocks.
///
/// IRQL: `PASSIVE_LEVEL`; dropping it: `<= DISPATCH_LEVEL`.
pub struct ControlDevice<D: Device> {
    link: UnicodeStr<'static>,
    #[expect(dead_code, reason = "dropping it is what it is for")]
    object: RegistrationHandle<Object<D>>,
}

impl<D: Device> ControlDevice<D> {
    /// Makes the device and its link: `IoCreateDevice`, `ZwSetSecurityObject`,
    /// `IoCreateSymbolicLink`. Nobody can open it before the driver has started:
    /// until then the I/O manager holds its flag `DO_DEVICE_INITIALIZING`.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// ```no_run
    /// # use wdm::{device::{ControlDevice, Device, DeviceNames}, driver::Context, irql::Passive, utf16};
    /// # fn example<Sample: Device>(context: &Context<'_>, sample: Sample, passive: &mut Passive) -> wdm::Result<()> {
    /// let names = DeviceNames {
    ///     device: utf16!(r"\Device\Sample"),
    ///     link: utf16!(r"\DosDevices\Sample"),
    /// };
    /// let device = ControlDevice::create(context, names, sample, passive)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The status of the function that failed, such as
    /// `STATUS_OBJECT_NAME_COLLISION` if a name is taken.
    pub fn create(
        context: &Context<'_>,
        names: DeviceNames,
        device: D,
        passive: &mut Passive,
    ) -> Result<Self> {
        let object = Object::create(context, names, device)?;
        let object = RegistrationHandle::new(object, D::TAG, passive, |object, passive| {
            security::restrict_to_administrators(object.start, passive)?;
            object.link(names)
        })?;
        Ok(Self {
            link: names.link,
            object,
        })
    }

    /// The link's name. IRQL: any.
    #[must_use]
    pub const fn link(&self) -> UnicodeStr<'static> {
        self.link
    }
}

impl<D: Device> fmt::Debug for ControlDevice<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "device {}", self.link)
    }
}

/// The device object and its link, with the `D` that it leads to.
///
/// Type invariant: until [`Registration::unregister`] the device object is there, with an
/// [`Extension`] that leads to `state`.
struct Object<D: Device> {
    start: NonNull<DEVICE_OBJECT>,
    link: UnicodeStr<'static>,
    /// Whether the link was made.
    is_linked: AtomicBool,
    /// Dropped when no request can get to it.
    #[expect(dead_code, reason = "requests reach it by the device's extension")]
    state: PoolBox<D>,
}

// SAFETY: a device object belongs to no thread, and `D` may change threads.
unsafe impl<D: Device> Send for Object<D> {}
// SAFETY: the kernel's functions order access to a device object; the rest may be
// shared.
unsafe impl<D: Device> Sync for Object<D> {}

impl<D: Device> Object<D> {
    /// The device without its link.
    fn create(context: &Context<'_>, names: DeviceNames, device: D) -> Result<Self> {
        const CALL: &str = "IoCreateDevice";
        let state = PoolBox::new(device, D::TAG).map_err(|rejected| rejected.error)?;
        let mut name = names.device.to_raw();
        let mut start: PDEVICE_OBJECT = core::ptr::null_mut();
        // SAFETY: the driver object is the kernel's for this driver, the name
        // outlives the call, and the result goes into a variable of ours.
        let status = unsafe {
            IoCreateDevice(
                context.object(),
                structure_size::<Extension>(),
                name.as_mut_ptr(),
                FILE_DEVICE_UNKNOWN,
                FILE_DEVICE_SECURE_OPEN,
                0,
                &raw mut start,
            )
        };
        Error::check(CALL, Status::from_raw(status))?;
        let start = NonNull::new(start).ok_or(Error::new(CALL, Status::UNSUCCESSFUL))?;
        let extension = Extension {
            rundown: Rundown::new(),
            state: state.start().cast(),
            functions: VTable::of::<D>(),
        };
        // SAFETY: the device is there.
        let place = unsafe { Extension::of(start) };
        // SAFETY: the extension is as large as this, and it is not in use before the
        // driver has started.
        unsafe { place.write(extension) };
        // SAFETY: the device is there, and no other code owns it yet.
        let flags = unsafe { &mut (*start.as_ptr()).Flags };
        *flags |= DO_DIRECT_IO;
        // SAFETY: every device of this driver has such an extension by now, for
        // this is the one place that makes devices.
        unsafe { dispatch::install(context.object()) };
        Ok(Self {
            start,
            link: names.link,
            is_linked: AtomicBool::new(false),
            state,
        })
    }

    /// Makes the link: `IoCreateSymbolicLink`.
    fn link(&self, names: DeviceNames) -> Result<()> {
        let mut link = names.link.to_raw();
        let mut device = names.device.to_raw();
        // SAFETY: both names outlive the call, which only reads them.
        let status = unsafe { IoCreateSymbolicLink(link.as_mut_ptr(), device.as_mut_ptr()) };
        Error::check("IoCreateSymbolicLink", Status::from_raw(status))?;
        self.is_linked.store(true, Ordering::Release);
        Ok(())
    }
}

impl<D: Device> Registration for Object<D> {
    const STAGE: Stage = Stage::Device;

    fn rundown(&self) -> &Rundown {
        // SAFETY: the device is there until it is undone.
        let extension = unsafe { Extension::of(self.start) };
        // SAFETY: the extension was written when the device was made, and goes with
        // it.
        unsafe { &extension.as_ref().rundown }
    }

    fn abandon(&self) {
        self.rundown().close();
    }

    fn unregister(&self, passive: &mut Passive) {
        if self.is_linked.swap(false, Ordering::AcqRel) {
            let mut link = self.link.to_raw();
            // Somebody else may have deleted it; then there is nothing to do.
            // SAFETY: the name outlives the call, which only reads it.
            let _ = unsafe { IoDeleteSymbolicLink(link.as_mut_ptr()) };
        }
        self.rundown().wait(passive);
        // SAFETY: the device is deleted once. While somebody has it open, the
        // kernel keeps it, and its extension, and this driver's code.
        unsafe { IoDeleteDevice(self.start.as_ptr()) };
    }
}

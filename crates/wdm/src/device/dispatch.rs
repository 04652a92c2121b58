//! Dispatch routines: route IRPs to the methods of [`Device`].
//!
//! The driver has one routine for each supported major function. It finds the methods
//! through the device extension. A request is rejected if the device is being removed, or
//! if it arrives above `PASSIVE_LEVEL`, for which the tokens would not hold.

use core::{ffi::c_void, ptr::NonNull};

use wdk_sys::{
    DEVICE_OBJECT, DRIVER_OBJECT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_DEVICE_CONTROL, IRP_MJ_READ, IRP_MJ_WRITE, NTSTATUS, PDRIVER_DISPATCH,
};

use crate::{
    Status,
    device::Device,
    irp::{
        Direction, FileId, ProcessorMode, ReadWriteRequest, Request,
        kernel::{File, FileContext, Irp, context},
    },
    irql::{Irql, Passive},
    pool::PoolBox,
    rundown::Rundown,
    scope,
};

/// What a device object of this crate carries.
pub(super) struct Extension {
    /// Held while a request uses `state`.
    pub rundown: Rundown,
    /// The device's value, of the type that `functions` were made for.
    pub state: NonNull<c_void>,
    pub functions: &'static VTable,
}

/// The methods of one `Device`, without its type.
pub(super) struct VTable {
    create: unsafe fn(NonNull<c_void>, NonNull<File>, ProcessorMode, &mut Passive) -> Status,
    control: unsafe fn(NonNull<c_void>, NonNull<File>, Irp, &mut Passive) -> Status,
    transfer: unsafe fn(NonNull<c_void>, NonNull<File>, Irp, Direction, &mut Passive) -> Status,
    cleanup: unsafe fn(NonNull<c_void>, NonNull<File>, FileId, &mut Passive),
    /// Needs no device: a file may be closed after it is gone.
    close: unsafe fn(NonNull<File>, &mut Passive),
}

impl Extension {
    /// Where the device's extension is.
    ///
    /// # Safety
    ///
    /// The device is there.
    pub(super) unsafe fn of(device: NonNull<DEVICE_OBJECT>) -> NonNull<Self> {
        // SAFETY: the caller vouches for the device.
        let start = unsafe { (*device.as_ptr()).DeviceExtension };
        // A device that was made with an extension has one.
        NonNull::new(start.cast()).unwrap_or(NonNull::dangling())
    }
}

impl VTable {
    /// The methods of `D`.
    pub(super) const fn of<D: Device>() -> &'static Self {
        &Self {
            create: create::<D>,
            control: control::<D>,
            transfer: transfer::<D>,
            cleanup: cleanup::<D>,
            close: close::<D>,
        }
    }
}

/// Enters the dispatch routines in the driver object.
///
/// # Safety
///
/// `driver` is the kernel's object for this driver, which has not started yet, and
/// all its devices have an [`Extension`].
pub(super) unsafe fn install(driver: *mut DRIVER_OBJECT) {
    const ROUTINES: [(u32, PDRIVER_DISPATCH); 6] = [
        (IRP_MJ_CREATE, Some(dispatch_create)),
        (IRP_MJ_CLOSE, Some(dispatch_close)),
        (IRP_MJ_CLEANUP, Some(dispatch_cleanup)),
        (IRP_MJ_DEVICE_CONTROL, Some(dispatch_control)),
        (IRP_MJ_READ, Some(dispatch_read)),
        (IRP_MJ_WRITE, Some(dispatch_write)),
    ];
    // SAFETY: the caller vouches for the object, which the kernel only reads.
    let table = unsafe { &mut (*driver).MajorFunction };
    for (function, routine) in ROUTINES {
        let place = usize::try_from(function).ok();
        if let Some(place) = place.and_then(|index| table.get_mut(index)) {
            *place = routine;
        }
    }
}

/// A request on its way in: everything that the four routines have in common.
struct DispatchContext<'a> {
    extension: &'a Extension,
    irp: Irp,
    file: NonNull<File>,
}

impl DispatchContext<'_> {
    /// # Safety
    ///
    /// The kernel has just passed this request for this device of the driver.
    unsafe fn new(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> Result<Self, NTSTATUS> {
        let (Some(device), Some(irp)) = (NonNull::new(device), NonNull::new(irp)) else {
            return Err(Status::INVALID_PARAMETER.raw());
        };
        // SAFETY: the kernel passes the request to the driver.
        let irp = unsafe { Irp::new(irp) };
        // SAFETY: every device of the driver has such an extension, and it is there
        // while a request for it is.
        let extension = unsafe { Extension::of(device) };
        // SAFETY: the extension was written when the device was made, and stays
        // while a request for it is there.
        let extension = unsafe { extension.as_ref() };
        match NonNull::new(irp.file()) {
            Some(file) if Irql::current() == Irql::PASSIVE => {
                // SAFETY: looked up just now.
                scope::drain_deferred(&mut unsafe { Passive::assume() });
                Ok(Self {
                    extension,
                    irp,
                    file,
                })
            }
            _ => Err(complete(irp, Status::INVALID_DEVICE_REQUEST)),
        }
    }

    /// Runs `work` with the device's value, unless the device is going.
    fn enter(&self, work: impl FnOnce(NonNull<c_void>, &mut Passive) -> Status) -> Option<Status> {
        let held = self.extension.rundown.acquire()?;
        // SAFETY: the level was looked at on dispatch.
        let status = work(self.extension.state, &mut unsafe { Passive::assume() });
        drop(held);
        Some(status)
    }
}

/// Completes a request that nobody has answered, without output.
fn complete(irp: Irp, status: Status) -> NTSTATUS {
    // SAFETY: the request has just arrived and is owned by no other code.
    unsafe { irp.complete(status, 0) };
    status.raw()
}

unsafe extern "C" fn dispatch_create(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: only the kernel calls this.
    let dispatch = match unsafe { DispatchContext::new(device, irp) } {
        Ok(dispatch) => dispatch,
        Err(status) => return status,
    };
    let create = dispatch.extension.functions.create;
    let status = dispatch.enter(|state, passive| {
        // SAFETY: the functions are those of the state's type, and the file is new.
        unsafe { create(state, dispatch.file, dispatch.irp.requestor(), passive) }
    });
    complete(dispatch.irp, status.unwrap_or(Status::DELETE_PENDING))
}

unsafe extern "C" fn dispatch_control(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: only the kernel calls this.
    let dispatch = match unsafe { DispatchContext::new(device, irp) } {
        Ok(dispatch) => dispatch,
        Err(status) => return status,
    };
    let control = dispatch.extension.functions.control;
    let status = dispatch.enter(|state, passive| {
        // SAFETY: the functions are those of the state's type, and requests come
        // for files that were created and are not closed.
        unsafe { control(state, dispatch.file, dispatch.irp, passive) }
    });
    match status {
        Some(status) => status.raw(),
        None => complete(dispatch.irp, Status::DELETE_PENDING),
    }
}

unsafe extern "C" fn dispatch_read(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: only the kernel calls this.
    unsafe { dispatch_transfer(device, irp, Direction::Read) }
}

unsafe extern "C" fn dispatch_write(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: only the kernel calls this.
    unsafe { dispatch_transfer(device, irp, Direction::Write) }
}

/// # Safety
///
/// The kernel has just passed this request, of this direction, for this device of
/// the driver.
unsafe fn dispatch_transfer(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    direction: Direction,
) -> NTSTATUS {
    // SAFETY: the caller vouches for the request.
    let dispatch = match unsafe { DispatchContext::new(device, irp) } {
        Ok(dispatch) => dispatch,
        Err(status) => return status,
    };
    let transfer = dispatch.extension.functions.transfer;
    let status = dispatch.enter(|state, passive| {
        // SAFETY: as for control requests.
        unsafe { transfer(state, dispatch.file, dispatch.irp, direction, passive) }
    });
    match status {
        Some(status) => status.raw(),
        None => complete(dispatch.irp, Status::DELETE_PENDING),
    }
}

unsafe extern "C" fn dispatch_cleanup(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: only the kernel calls this.
    let dispatch = match unsafe { DispatchContext::new(device, irp) } {
        Ok(dispatch) => dispatch,
        Err(status) => return status,
    };
    let cleanup = dispatch.extension.functions.cleanup;
    // A device that is gone has nothing to clean up.
    let _ = dispatch.enter(|state, passive| {
        // SAFETY: as for control requests.
        unsafe { cleanup(state, dispatch.file, FileId::of(dispatch.irp), passive) };
        Status::SUCCESS
    });
    complete(dispatch.irp, Status::SUCCESS)
}

unsafe extern "C" fn dispatch_close(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: only the kernel calls this.
    let dispatch = match unsafe { DispatchContext::new(device, irp) } {
        Ok(dispatch) => dispatch,
        Err(status) => return status,
    };
    // SAFETY: the level was looked at on dispatch.
    let mut passive = unsafe { Passive::assume() };
    // SAFETY: the file was created, and this is the last that is heard of it.
    unsafe { (dispatch.extension.functions.close)(dispatch.file, &mut passive) };
    complete(dispatch.irp, Status::SUCCESS)
}

/// # Safety
///
/// `state` is a `D`, and `file` one that is being created.
unsafe fn create<D: Device>(
    state: NonNull<c_void>,
    file: NonNull<File>,
    requestor: ProcessorMode,
    passive: &mut Passive,
) -> Status {
    // SAFETY: the caller vouches for the type.
    let device = unsafe { state.cast::<D>().as_ref() };
    let made = match device.create(requestor, passive) {
        Ok(made) => made,
        // A caller that gets no handle must not be told that it has one.
        Err(status) if status.is_success() => return Status::UNSUCCESSFUL,
        Err(status) => return status,
    };
    match PoolBox::new(FileContext::new(made), D::TAG) {
        Ok(boxed) => {
            // SAFETY: the caller vouches for the file.
            let place = unsafe { context(file) };
            // SAFETY: the file is new, and its context the driver's own.
            unsafe { place.write(boxed.into_raw().as_ptr().cast()) };
            Status::SUCCESS
        }
        Err(rejected) => rejected.error.status(),
    }
}

/// # Safety
///
/// `state` is a `D`, `file` one that [`create`] has seen and [`close`] has not, and
/// `irp` a control request that is owned by no other code.
unsafe fn control<D: Device>(
    state: NonNull<c_void>,
    file: NonNull<File>,
    irp: Irp,
    passive: &mut Passive,
) -> Status {
    // SAFETY: the caller vouches for the request.
    let Some(request) = (unsafe { request::<D>(file, irp) }) else {
        return Status::from_raw(complete(irp, Status::INVALID_DEVICE_REQUEST));
    };
    // SAFETY: the caller vouches for the type, and the device is there until the
    // caller lets go of it, whatever becomes of the request.
    let device = unsafe { state.cast::<D>().as_ref() };
    device.control(request, passive).status()
}

/// # Safety
///
/// As for [`control`], with a request of this direction.
unsafe fn transfer<D: Device>(
    state: NonNull<c_void>,
    file: NonNull<File>,
    irp: Irp,
    direction: Direction,
    passive: &mut Passive,
) -> Status {
    // SAFETY: the caller vouches for the request.
    let Some(request) = (unsafe { request::<D>(file, irp) }) else {
        return Status::from_raw(complete(irp, Status::INVALID_DEVICE_REQUEST));
    };
    // SAFETY: the caller vouches for the direction.
    let transfer = unsafe { ReadWriteRequest::new(request, direction) };
    // SAFETY: the caller vouches for the type, and the device is there until the
    // caller lets go of it, whatever becomes of the request.
    let device = unsafe { state.cast::<D>().as_ref() };
    device.transfer(transfer, passive).status()
}

/// # Safety
///
/// As for [`control`].
unsafe fn cleanup<D: Device>(
    state: NonNull<c_void>,
    file: NonNull<File>,
    id: FileId,
    passive: &mut Passive,
) {
    // SAFETY: the caller vouches for the type.
    let device = unsafe { state.cast::<D>().as_ref() };
    // SAFETY: the caller vouches for the file.
    if let Some(file) = unsafe { self::file::<D>(file) } {
        // SAFETY: the file is there until it is closed, which comes after this.
        let file = unsafe { file.as_ref() };
        file.close();
        device.cleanup(&file.data, id, passive);
    }
}

/// # Safety
///
/// `file` is one that [`create`] of this `D` has seen, and no request uses it.
unsafe fn close<D: Device>(file: NonNull<File>, passive: &mut Passive) {
    // SAFETY: the caller vouches for the file.
    let place = unsafe { context(file) };
    // SAFETY: the context is the driver's own.
    let boxed = unsafe { place.replace(core::ptr::null_mut()) };
    if let Some(boxed) = NonNull::new(boxed.cast::<FileContext<D::File>>()) {
        // SAFETY: `create` put the address there, and it has just been taken out.
        let boxed = unsafe { PoolBox::from_raw(boxed, D::TAG) };
        D::close(&boxed.data, passive);
    }
}

/// What belongs to a file; it is there until [`close`] has seen the file.
///
/// # Safety
///
/// `file` is one that [`create`] of this `D` has seen and [`close`] has not.
unsafe fn file<D: Device>(file: NonNull<File>) -> Option<NonNull<FileContext<D::File>>> {
    // SAFETY: the caller vouches for the file.
    let place = unsafe { context(file) };
    // SAFETY: the context is the driver's own, and changes on create and close only.
    NonNull::new(unsafe { place.read() }.cast())
}

/// A request, with what belongs to its file; `None` if nothing does.
///
/// # Safety
///
/// As for [`control`].
unsafe fn request<'r, D: Device>(file: NonNull<File>, irp: Irp) -> Option<Request<'r, D::File>> {
    // SAFETY: the caller vouches for the file.
    let file = unsafe { self::file::<D>(file) }?;
    // SAFETY: the file is there for as long as the request, and its context too.
    let data = unsafe { &raw mut (*file.as_ptr()).data };
    // SAFETY: the caller vouches for the request.
    NonNull::new(data).map(|data| unsafe { Request::new(irp, data) })
}

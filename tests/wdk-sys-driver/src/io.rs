//! The I/O manager: devices, their names and stacks, and what belongs to a driver.

use core::{
    ptr,
    sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst},
};

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _WORK_QUEUE_TYPE::DelayedWorkQueue,
    DEVICE_OBJECT, DISPATCH_LEVEL, DO_DEVICE_INITIALIZING, DRIVER_OBJECT, FILE_DEVICE_UNKNOWN,
    FILE_READ_DATA, IO_REMOVE_LOCK, KEVENT, NTSTATUS, PDEVICE_OBJECT, PIO_WORKITEM,
    PUNICODE_STRING, PVOID, STATUS_DELETE_PENDING, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS,
    ntddk::{
        IoAcquireRemoveLockEx, IoAllocateDriverObjectExtension, IoAllocateWorkItem,
        IoAttachDeviceToDeviceStack, IoCreateDevice, IoCreateNotificationEvent,
        IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink, IoDetachDevice, IoFreeWorkItem,
        IoGetAttachedDeviceReference, IoGetDeviceObjectPointer, IoGetDriverObjectExtension,
        IoGetStackLimits, IoInitializeRemoveLockEx, IoQueueWorkItem,
        IoRegisterShutdownNotification, IoReleaseRemoveLockAndWaitEx, IoReleaseRemoveLockEx,
        IoUnregisterShutdownNotification, KeInitializeEvent, KeReadStateEvent, KeSetEvent,
        ObfDereferenceObject, ZwClose,
    },
};

use crate::{
    DRIVER,
    check::{Case, Checks, Outcome, ok},
    irql,
    ke::wait,
    kernel::FALSE,
    owned::{Finally, TAG},
};

pub const CASES: &[Case] = &[
    (c"Devices", devices),
    (c"Links", links),
    (c"Stacks", stacks),
    (c"Pointers", pointers),
    (c"RemoveLocks", remove_locks),
    (c"WorkItems", work_items),
    (c"Extensions", extensions),
    (c"Shutdown", shutdown),
    (c"NamedEvents", named_events),
    (c"StackLimits", stack_limits),
];

/// A device of this driver.
pub struct Device(pub PDEVICE_OBJECT);

impl Device {
    /// `IoCreateDevice`, with an extension of that many bytes.
    pub fn new(name: PUNICODE_STRING, extension: u32) -> Result<Self, NTSTATUS> {
        let mut device = ptr::null_mut();
        let driver = DRIVER.load(Relaxed);
        // SAFETY: the driver is this one; name and room live as long as the call.
        let status = unsafe {
            IoCreateDevice(
                driver,
                extension,
                name,
                FILE_DEVICE_UNKNOWN,
                0,
                FALSE,
                &raw mut device,
            )
        };
        if status >= 0 {
            Ok(Self(device))
        } else {
            Err(status)
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: nobody uses the device any more.
        unsafe { IoDeleteDevice(self.0) };
    }
}

fn devices(checks: &mut Checks) -> Outcome {
    let mut name = unicode!("\\Device\\FamilyOne");
    let device = Device::new(&raw mut name, 24)?;
    // SAFETY: device and driver are there; the extension is that long.
    unsafe {
        let driver = DRIVER.load(Relaxed);
        check!(checks, (*device.0).Type == 3);
        check!(
            checks,
            usize::from((*device.0).Size) == size_of::<DEVICE_OBJECT>() + 24
        );
        check!(checks, (*device.0).DriverObject == driver);
        check!(checks, (*driver).DeviceObject == device.0);
        check!(checks, (*device.0).StackSize == 1);
        check!(checks, (*device.0).Flags & DO_DEVICE_INITIALIZING != 0);
        let extension = (*device.0).DeviceExtension.cast::<u64>();
        check!(checks, (0..3).all(|index| extension.add(index).read() == 0));
    }
    check!(
        checks,
        Device::new(&raw mut name, 0).err() == Some(STATUS_OBJECT_NAME_COLLISION)
    );
    let nameless = Device::new(ptr::null_mut(), 0)?;
    // SAFETY: both devices are there until their owners are dropped at the end of
    // this function; a driver's devices are chained from the newest on.
    unsafe {
        check!(checks, (*nameless.0).DeviceExtension.is_null());
        check!(checks, (*nameless.0).NextDevice == device.0);
    }
    Ok(())
}

fn links(checks: &mut Checks) -> Outcome {
    let mut name = unicode!("\\Device\\FamilyTwo");
    let mut link = unicode!("\\DosDevices\\FamilyTwo");
    let _device = Device::new(&raw mut name, 0)?;
    // SAFETY: the names live as long as the calls.
    unsafe {
        ok(IoCreateSymbolicLink(&raw mut link, &raw mut name))?;
        let again = IoCreateSymbolicLink(&raw mut link, &raw mut name);
        let deleted = IoDeleteSymbolicLink(&raw mut link);
        returns!(checks, again, STATUS_OBJECT_NAME_COLLISION);
        returns!(checks, deleted, STATUS_SUCCESS);
        let gone = IoDeleteSymbolicLink(&raw mut link);
        returns!(checks, gone, STATUS_OBJECT_NAME_NOT_FOUND);
    }
    Ok(())
}

fn stacks(checks: &mut Checks) -> Outcome {
    let lower = Device::new(ptr::null_mut(), 0)?;
    let upper = Device::new(ptr::null_mut(), 0)?;
    // SAFETY: both devices are this driver's; they are detached before they go.
    unsafe {
        (*lower.0).Flags &= !DO_DEVICE_INITIALIZING;
        let below = IoAttachDeviceToDeviceStack(upper.0, lower.0);
        if below.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        check!(checks, below == lower.0);
        check!(checks, (*upper.0).StackSize == 2);
        check!(checks, (*lower.0).AttachedDevice == upper.0);
        let top = IoGetAttachedDeviceReference(lower.0);
        check!(checks, top == upper.0);
        ObfDereferenceObject(top.cast());
        IoDetachDevice(lower.0);
        check!(checks, (*lower.0).AttachedDevice.is_null());
    }
    Ok(())
}

fn pointers(checks: &mut Checks) -> Outcome {
    let mut missing = unicode!("\\Device\\FamilyNobody");
    let mut directory = unicode!("\\Device");
    let mut file = ptr::null_mut();
    let mut device = ptr::null_mut();
    let mut look_for = |name| {
        // SAFETY: name and room live as long as the call.
        unsafe { IoGetDeviceObjectPointer(name, FILE_READ_DATA, &raw mut file, &raw mut device) }
    };
    returns!(
        checks,
        look_for(&raw mut missing),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    returns!(
        checks,
        look_for(&raw mut directory),
        STATUS_OBJECT_TYPE_MISMATCH
    );
    Ok(())
}

fn remove_locks(checks: &mut Checks) -> Outcome {
    object!(lock: IO_REMOVE_LOCK);
    #[expect(clippy::cast_possible_truncation, reason = "32")]
    let size = size_of::<IO_REMOVE_LOCK>() as u32;
    let tag: PVOID = ptr::without_provenance_mut(1);
    let acquire = |line| {
        // SAFETY: the lock lives in this frame.
        unsafe { IoAcquireRemoveLockEx(lock, tag, c"".as_ptr(), line, size) }
    };
    // SAFETY: the lock lives in this frame, and is released as often as it is
    // acquired.
    unsafe {
        IoInitializeRemoveLockEx(lock, TAG, 0, 0, size);
        ok(acquire(1))?;
        let again = acquire(2);
        returns!(checks, again, STATUS_SUCCESS);
        if again == STATUS_SUCCESS {
            IoReleaseRemoveLockEx(lock, tag, size);
        }
        IoReleaseRemoveLockAndWaitEx(lock, tag, size);
        returns!(checks, acquire(3), STATUS_DELETE_PENDING);
    }
    Ok(())
}

/// The IRQL of the work item's routine, and one.
static LEVEL: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn worker(_: PDEVICE_OBJECT, event: PVOID) {
    LEVEL.store(u32::from(irql::current()) + 1, SeqCst);
    // SAFETY: the context is an event that its owner waits for.
    unsafe { KeSetEvent(event.cast(), 0, FALSE) };
}

fn work_items(checks: &mut Checks) -> Outcome {
    let device = Device::new(ptr::null_mut(), 0)?;
    object!(event: KEVENT);
    // SAFETY: item and event are there until the routine has run.
    unsafe {
        let item: PIO_WORKITEM = IoAllocateWorkItem(device.0);
        if item.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        KeInitializeEvent(event, NotificationEvent, FALSE);
        // From where a driver would do it: a level at which the routine could not run.
        let before = irql::raise(DISPATCH_LEVEL);
        IoQueueWorkItem(item, Some(worker), DelayedWorkQueue, event.cast());
        irql::lower(before);
        returns!(checks, wait(event.cast(), 10_000), STATUS_SUCCESS);
        check!(checks, LEVEL.load(SeqCst) == 1);
        IoFreeWorkItem(item);
    }
    Ok(())
}

fn extensions(checks: &mut Checks) -> Outcome {
    let driver: *mut DRIVER_OBJECT = DRIVER.load(Relaxed);
    // Any address of the driver's names it.
    let client: PVOID = (&raw const LEVEL).cast_mut().cast();
    let mut extension = ptr::null_mut();
    // SAFETY: the extension goes with the driver object.
    unsafe {
        check!(checks, IoGetDriverObjectExtension(driver, client).is_null());
        ok(IoAllocateDriverObjectExtension(
            driver,
            client,
            64,
            &raw mut extension,
        ))?;
        check!(
            checks,
            IoGetDriverObjectExtension(driver, client) == extension
        );
        let bytes = extension.cast::<u8>();
        check!(checks, (0..64).all(|index| bytes.add(index).read() == 0));
        let again = IoAllocateDriverObjectExtension(driver, client, 64, &raw mut extension);
        returns!(checks, again, STATUS_OBJECT_NAME_COLLISION);
    }
    Ok(())
}

fn shutdown(_: &mut Checks) -> Outcome {
    let mut name = unicode!("\\Device\\FamilyThree");
    let device = Device::new(&raw mut name, 0)?;
    // SAFETY: what is registered is unregistered before the device goes.
    unsafe {
        ok(IoRegisterShutdownNotification(device.0))?;
        IoUnregisterShutdownNotification(device.0);
    }
    Ok(())
}

fn named_events(checks: &mut Checks) -> Outcome {
    let mut name = unicode!("\\BaseNamedObjects\\FamilyEvent");
    let mut handle = ptr::null_mut();
    // SAFETY: the name lives as long as the call.
    let event = unsafe { IoCreateNotificationEvent(&raw mut name, &raw mut handle) };
    if event.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: the handle keeps the event until it is closed.
    let _close = Finally(|| unsafe {
        let _ = ZwClose(handle);
    });
    // SAFETY: the handle keeps the event, which begins set, until the end of this
    // function.
    unsafe {
        check!(checks, KeReadStateEvent(event) != 0);
        let mut second = ptr::null_mut();
        let same = IoCreateNotificationEvent(&raw mut name, &raw mut second);
        check!(checks, same == event && second != handle);
        if !same.is_null() {
            let _ = ZwClose(second);
        }
    }
    Ok(())
}

fn stack_limits(checks: &mut Checks) -> Outcome {
    let (mut low, mut high) = (0, 0);
    let here = (&raw const low).addr() as u64;
    // SAFETY: the room lives as long as the call.
    unsafe { IoGetStackLimits(&raw mut low, &raw mut high) };
    check!(checks, low < here && here < high);
    check!(checks, low % 4096 == 0 && high % 4096 == 0);
    Ok(())
}

//! Devices and links.

use core::{mem::size_of, ptr::null_mut};
use std::alloc::{Layout, alloc_zeroed, dealloc};

use super::{Address, DeviceBlock, with_names};
use crate::{
    DO_DEVICE_INITIALIZING, STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, host,
    machine::{APC_LEVEL, PASSIVE_LEVEL, at_most},
    system::text,
    types::{
        BOOLEAN, DEVICE_OBJECT, DRIVER_OBJECT, NTSTATUS, PDEVICE_OBJECT, ULONG, UNICODE_STRING,
    },
};

pub unsafe extern "C" fn IoCreateDevice(
    driver: *mut DRIVER_OBJECT,
    extension: ULONG,
    name: *mut UNICODE_STRING,
    _: ULONG,
    _: ULONG,
    _: BOOLEAN,
    device: *mut PDEVICE_OBJECT,
) -> NTSTATUS {
    at_most(APC_LEVEL, "IoCreateDevice");
    if host::fails() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let name = text(name);
    with_names(|names| {
        if names.devices.contains_key(&name) {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        let size = (extension as usize).max(size_of::<usize>());
        let extension = Layout::from_size_align(size, 16).expect("an extension is small");
        let made = Box::into_raw(Box::new(DeviceBlock {
            device: DEVICE_OBJECT {
                DriverObject: driver,
                NextDevice: (*driver).DeviceObject,
                Flags: DO_DEVICE_INITIALIZING,
                DeviceExtension: alloc_zeroed(extension).cast(),
                ..DEVICE_OBJECT::default()
            },
            name: name.clone(),
            extension,
            is_deleted: false,
        }));
        (*driver).DeviceObject = made.cast();
        names.devices.insert(name, Address(made.cast()));
        names.objects += 1;
        device.write(made.cast());
        STATUS_SUCCESS
    })
}

pub unsafe extern "C" fn IoDeleteDevice(device: PDEVICE_OBJECT) {
    at_most(APC_LEVEL, "IoDeleteDevice");
    let block: *mut DeviceBlock = device.cast();
    let is_unused = with_names(|names| {
        assert!(!(*block).is_deleted, "a device deleted twice");
        (*block).is_deleted = true;
        names.devices.remove(&(*block).name);
        let mut link = &raw mut (*(*device).DriverObject).DeviceObject;
        while *link != device {
            assert!(!(*link).is_null(), "a device of another driver");
            link = &raw mut (**link).NextDevice;
        }
        *link = (*device).NextDevice;
        (*device).ReferenceCount == 0
    });
    if is_unused {
        free(block);
    }
}

/// Lets go of a device, for a file that is closed.
pub(super) unsafe fn dereference(device: PDEVICE_OBJECT) {
    let block: *mut DeviceBlock = device.cast();
    let is_unused = with_names(|_| {
        (*device).ReferenceCount -= 1;
        (*block).is_deleted && (*device).ReferenceCount == 0
    });
    if is_unused {
        free(block);
    }
}

unsafe fn free(block: *mut DeviceBlock) {
    dealloc((*block).device.DeviceExtension.cast(), (*block).extension);
    drop(Box::from_raw(block));
    with_names(|names| names.objects -= 1);
}

/// The device that a link leads to, referenced for a file that is opened.
pub(super) fn find(link: &str) -> PDEVICE_OBJECT {
    with_names(|names| {
        let device = names
            .links
            .get(link)
            .and_then(|name| names.devices.get(name));
        let Some(&Address(device)) = device else {
            return null_mut();
        };
        // SAFETY: what has a name is not freed, and the lock is held.
        unsafe { (*device).ReferenceCount += 1 };
        device
    })
}

pub unsafe extern "C" fn IoCreateSymbolicLink(
    link: *mut UNICODE_STRING,
    device: *mut UNICODE_STRING,
) -> NTSTATUS {
    at_most(PASSIVE_LEVEL, "IoCreateSymbolicLink");
    if host::fails() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let (link, device) = (text(link), text(device));
    with_names(|names| {
        if names.links.contains_key(&link) {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        names.links.insert(link, device);
        STATUS_SUCCESS
    })
}

pub unsafe extern "C" fn IoDeleteSymbolicLink(link: *mut UNICODE_STRING) -> NTSTATUS {
    at_most(PASSIVE_LEVEL, "IoDeleteSymbolicLink");
    let link = text(link);
    with_names(|names| match names.links.remove(&link) {
        Some(_) => STATUS_SUCCESS,
        None => STATUS_OBJECT_NAME_NOT_FOUND,
    })
}

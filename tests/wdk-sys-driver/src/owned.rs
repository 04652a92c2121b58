//! What a case takes, given back when it is dropped.

use core::ptr;

use wdk_sys::{
    HANDLE, NTSTATUS, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, POOL_FLAGS, PUNICODE_STRING, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, ULONG,
    ntddk::{ExFreePoolWithTag, ObfDereferenceObject, ZwClose},
};

use crate::imports::ExAllocatePool2;

/// The tag of all blocks.
pub const TAG: ULONG = u32::from_le_bytes(*b"Faml");

/// A block of pool.
pub struct Block(PVOID);

impl Block {
    /// `ExAllocatePool2`.
    pub fn new(flags: POOL_FLAGS, bytes: usize) -> Result<Self, NTSTATUS> {
        // SAFETY: the call takes any size, at up to DISPATCH_LEVEL.
        let block = unsafe { ExAllocatePool2(flags, bytes as u64, TAG) };
        if block.is_null() {
            Err(STATUS_INSUFFICIENT_RESOURCES)
        } else {
            Ok(Self(block))
        }
    }

    /// Its first byte, as something else.
    pub const fn get<T>(&self) -> *mut T {
        self.0.cast()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block came from the pool with this tag.
        unsafe { ExFreePoolWithTag(self.0, TAG) };
    }
}

/// `EVENT_ALL_ACCESS`, which the bindings lack.
pub const EVENT_ALL_ACCESS: u32 = 0x001F_0003;

/// A kernel handle.
pub struct Handle(HANDLE);

impl Handle {
    /// The handle that a call writes.
    pub fn from_call(call: impl FnOnce(*mut HANDLE) -> NTSTATUS) -> Result<Self, NTSTATUS> {
        let mut handle = ptr::null_mut();
        let status = call(&raw mut handle);
        if status >= 0 {
            Ok(Self(handle))
        } else {
            Err(status)
        }
    }

    /// Its value.
    pub const fn get(&self) -> HANDLE {
        self.0
    }

    /// `ZwClose`, with its status.
    pub fn close(self) -> NTSTATUS {
        let handle = self.0;
        core::mem::forget(self);
        // SAFETY: nobody else closes this handle.
        unsafe { ZwClose(handle) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: nobody else closes this handle.
        let _ = unsafe { ZwClose(self.0) };
    }
}

/// A reference to an object.
pub struct Object(PVOID);

impl Object {
    /// The object that a call writes.
    pub fn from_call(call: impl FnOnce(*mut PVOID) -> NTSTATUS) -> Result<Self, NTSTATUS> {
        let mut object = ptr::null_mut();
        let status = call(&raw mut object);
        if status >= 0 {
            Ok(Self(object))
        } else {
            Err(status)
        }
    }

    /// Its body.
    pub const fn get<T>(&self) -> *mut T {
        self.0.cast()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: this reference is given back once.
        unsafe { ObfDereferenceObject(self.0) };
    }
}

/// What calls itself when it is dropped: for what has no type of its own here.
pub struct Finally<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// `InitializeObjectAttributes` for a handle of the kernel.
pub fn attributes(name: PUNICODE_STRING, root: HANDLE, flags: u32) -> OBJECT_ATTRIBUTES {
    OBJECT_ATTRIBUTES {
        #[expect(clippy::cast_possible_truncation, reason = "48")]
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: root,
        ObjectName: name,
        Attributes: flags | OBJ_KERNEL_HANDLE,
        SecurityDescriptor: ptr::null_mut(),
        SecurityQualityOfService: ptr::null_mut(),
    }
}

/// Room for an object in the frame, zeroed, by its address.
macro_rules! object {
    ($name:ident: $type:ty) => {
        let mut $name = core::mem::MaybeUninit::<$type>::zeroed();
        let $name = $name.as_mut_ptr();
    };
}

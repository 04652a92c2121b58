//! The I/O manager: devices and links by name, files, and requests from the
//! dispatch routine to their completion.

pub mod api;
pub mod complete;
pub(crate) mod drive;

use core::sync::atomic::AtomicUsize;
use std::{
    alloc::Layout,
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::types::{DEVICE_OBJECT, FILE_OBJECT, IO_STACK_LOCATION, IRP, MDL, NTSTATUS};

/// What has a name. Objects are kept by their addresses.
pub(crate) struct Names {
    devices: HashMap<String, Address<DEVICE_OBJECT>>,
    links: HashMap<String, String>,
    /// Devices that are not freed yet.
    objects: usize,
}

/// An address that may be kept anywhere.
pub(crate) struct Address<T>(*mut T);

impl<T> Clone for Address<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Address<T> {}

// SAFETY: the I/O manager's own locks and counts order access to what is there.
unsafe impl<T> Send for Address<T> {}
// SAFETY: the address alone gives no access.
unsafe impl<T> Sync for Address<T> {}

static NAMES: Mutex<Option<Names>> = Mutex::new(None);

fn with_names<R>(work: impl FnOnce(&mut Names) -> R) -> R {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    work(names.get_or_insert_with(|| Names {
        devices: HashMap::new(),
        links: HashMap::new(),
        objects: 0,
    }))
}

/// Devices and links that are left, which are forgotten.
pub(crate) fn left() -> usize {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner).take();
    names.map_or(0, |names| names.objects + names.links.len())
}

/// A device object, and what belongs to it.
#[repr(C)]
struct DeviceBlock {
    device: DEVICE_OBJECT,
    name: String,
    extension: Layout,
    is_deleted: bool,
}

/// A file object. Its references are the handle's and those of requests.
#[repr(C)]
struct FileBlock {
    file: FILE_OBJECT,
    references: AtomicUsize,
}

/// A request, in memory that goes when it is completed.
#[repr(C)]
struct Packet {
    irp: IRP,
    stack: IO_STACK_LOCATION,
    /// Null for a request that holds no reference: to create, to close.
    file: *mut FileBlock,
    buffer: Option<Layout>,
    /// How much output a buffered request has room for.
    output_len: usize,
    mdl: *mut MDL,
    progress: Arc<Progress>,
}

/// What those who wait for a request or cancel it share with it.
struct Progress {
    state: Mutex<ProgressState>,
    done: Condvar,
}

struct ProgressState {
    /// Null once it is completed.
    packet: Address<Packet>,
    /// What was completed while somebody was cancelling it, to be freed by him.
    orphan: Address<Packet>,
    cancelling: usize,
    marked_pending: bool,
    reply: Option<(NTSTATUS, u64, Vec<u8>)>,
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

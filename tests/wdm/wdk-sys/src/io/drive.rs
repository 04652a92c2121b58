//! Programs: they load drivers, open devices, send requests and wait for them.

use core::{
    ptr::null_mut,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::{
    alloc::{Layout, alloc},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use super::{Address, FileBlock, Packet, Progress, ProgressState, api, complete};
use crate::{
    DO_DEVICE_INITIALIZING, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL,
    IRP_MJ_READ, IRP_MJ_WRITE, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_PENDING, STATUS_SUCCESS, host,
    machine::irql,
    mdl, process,
    types::{
        AssociatedIrp, ContextOrQueue, CurrentLocation, DRIVER_OBJECT, DeviceIoControl,
        DriverContext, EntryAndLocation, FILE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP,
        IoStatusWord, LARGE_INTEGER, LIST_ENTRY, NTSTATUS, PVOID, Parameters, Read, Tail,
        TailOverlay, UNICODE_STRING,
    },
};

/// `DriverEntry`.
pub type Entry = unsafe extern "C" fn(*mut DRIVER_OBJECT, *const UNICODE_STRING) -> NTSTATUS;

/// A driver that has started.
#[derive(Debug)]
pub struct Driver(*mut DRIVER_OBJECT);

impl Driver {
    /// Starts a driver.
    ///
    /// # Safety
    ///
    /// `entry` is the entry point of a driver that is not loaded.
    pub unsafe fn load(entry: Entry) -> Result<Self, NTSTATUS> {
        let object = Box::into_raw(Box::new(DRIVER_OBJECT::default()));
        let mut path: Vec<u16> = r"\Registry\Machine\Driver".encode_utf16().collect();
        let len = u16::try_from(path.len() * 2).expect("the path is short");
        let path = UNICODE_STRING {
            Length: len,
            MaximumLength: len,
            Buffer: path.as_mut_ptr(),
        };
        let status = entry(object, &raw const path);
        if status < 0 {
            assert!(
                (*object).DeviceObject.is_null(),
                "devices outlive their driver"
            );
            drop(Box::from_raw(object));
            return Err(status);
        }
        let mut device = (*object).DeviceObject;
        while !device.is_null() {
            (*device).Flags &= !DO_DEVICE_INITIALIZING;
            device = (*device).NextDevice;
        }
        Ok(Self(object))
    }

    /// Stops it.
    pub fn unload(self) {
        // SAFETY: the driver has started, and is unloaded once.
        unsafe {
            let unload = (*self.0).DriverUnload;
            unload.expect("a driver that can be unloaded")(self.0);
            let is_bare = (*self.0).DeviceObject.is_null();
            assert!(is_bare, "devices outlive their driver");
            drop(Box::from_raw(self.0));
        }
    }
}

/// An open file. Dropping it closes it.
#[derive(Debug)]
pub struct Handle {
    file: *mut FileBlock,
    is_closed: AtomicBool,
}

// SAFETY: a file's count and the driver order what is done with it.
unsafe impl Send for Handle {}
// SAFETY: requests are sent from any thread.
unsafe impl Sync for Handle {}

/// How a request ended: its status, its information, and the output of a buffered
/// one.
pub type Reply = (NTSTATUS, u64, Vec<u8>);

/// A request that was sent.
pub struct Sent {
    progress: Arc<Progress>,
    status: NTSTATUS,
}

impl Sent {
    /// What the dispatch routine returned.
    #[must_use]
    pub fn status(&self) -> NTSTATUS {
        self.status
    }

    /// Cancels it: `IoCancelIrp`.
    pub fn cancel(&self) {
        complete::cancel(&self.progress);
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(self) -> Reply {
        let mut state = self.progress.state();
        loop {
            if let Some(reply) = state.reply.take() {
                assert_eq!(
                    self.status == STATUS_PENDING,
                    state.marked_pending,
                    "a request is marked if and only if its routine says that it waits"
                );
                return reply;
            }
            assert_eq!(self.status, STATUS_PENDING, "a request that was forgotten");
            let waited = self.progress.done.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Handle {
    /// Opens a device by its link.
    pub fn open(link: &str) -> Result<Self, NTSTATUS> {
        let device = api::find(link);
        if device.is_null() {
            return Err(STATUS_OBJECT_NAME_NOT_FOUND);
        }
        let file = Box::into_raw(Box::new(FileBlock {
            file: FILE_OBJECT {
                DeviceObject: device,
                ..FILE_OBJECT::default()
            },
            references: AtomicUsize::new(1),
        }));
        let request = Message::new(IRP_MJ_CREATE);
        // SAFETY: the file is new, and its device referenced.
        let (status, ..) = unsafe { request.send(file, false) }.wait();
        if status < 0 {
            // SAFETY: a file that was not opened is nobody else's.
            unsafe { free(file) };
            return Err(status);
        }
        Ok(Self {
            file,
            is_closed: AtomicBool::new(false),
        })
    }

    /// Sends a control code, with data as its method says; `room` for a buffered
    /// answer.
    #[must_use]
    pub fn send(&self, code: u32, input: &[u8], room: usize) -> Sent {
        let mut message = Message::new(IRP_MJ_DEVICE_CONTROL);
        message.code = code;
        message.input = input;
        message.output_len = room;
        // SAFETY: the file is open while `self` is there.
        unsafe { message.send(self.file, true) }
    }

    /// Sends a control code and waits.
    #[must_use]
    pub fn control(&self, code: u32, input: &[u8], room: usize) -> Reply {
        self.send(code, input, room).wait()
    }

    /// Sends a control code with a direct buffer, and waits.
    #[must_use]
    pub fn control_direct(&self, code: u32, input: &[u8], memory: &mut [u8]) -> Reply {
        let mut message = Message::new(IRP_MJ_DEVICE_CONTROL);
        message.code = code;
        message.input = input;
        message.output_len = memory.len();
        message.direct = Some(memory);
        // SAFETY: the file is open, and the buffer is borrowed until the end.
        unsafe { message.send(self.file, true) }.wait()
    }

    /// Sends a control code with two addresses, and waits.
    #[must_use]
    pub fn control_neither(
        &self,
        code: u32,
        input: (usize, usize),
        output: (usize, usize),
    ) -> Reply {
        let mut message = Message::new(IRP_MJ_DEVICE_CONTROL);
        message.code = code;
        message.addresses = Some((input, output));
        // SAFETY: the file is open while `self` is there.
        unsafe { message.send(self.file, true) }.wait()
    }

    /// Sends a control code with two addresses for no thread, as a driver does that
    /// passes on what a program of another thread asked, and waits.
    #[must_use]
    pub fn pass_on_neither(
        &self,
        code: u32,
        input: (usize, usize),
        output: (usize, usize),
    ) -> Reply {
        let mut message = Message::new(IRP_MJ_DEVICE_CONTROL);
        message.code = code;
        message.addresses = Some((input, output));
        message.is_passed_on = true;
        // SAFETY: the file is open while `self` is there.
        unsafe { message.send(self.file, true) }.wait()
    }

    /// Reads, or writes, directly, and waits.
    #[must_use]
    pub fn transfer(&self, is_read: bool, offset: i64, memory: &mut [u8]) -> Reply {
        let mut message = Message::new(if is_read { IRP_MJ_READ } else { IRP_MJ_WRITE });
        message.offset = offset;
        message.output_len = memory.len();
        message.direct = Some(memory);
        // SAFETY: the file is open, and the buffer is borrowed until the end.
        unsafe { message.send(self.file, true) }.wait()
    }
}

impl Handle {
    /// Closes the file, perhaps while another thread's request is on its way in.
    /// Nothing is sent from then on.
    pub fn close(&self) {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let request = Message::new(IRP_MJ_CLEANUP);
        // SAFETY: the file is open, and closed here.
        let _ = unsafe { request.send(self.file, true) }.wait();
        // SAFETY: the handle's reference is given back once.
        unsafe { complete::dereference(self.file) };
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a system call has that has looked a handle up: the file, which stays although
/// the handle is closed before the request has a reference of its own.
pub struct Lookup<'h>(&'h Handle);

impl Handle {
    /// Looks the handle up, for a request that is sent while it may be closed.
    #[must_use]
    pub fn look_up(&self) -> Lookup<'_> {
        // SAFETY: the handle is open, and has a reference itself.
        unsafe { (*self.file).references.fetch_add(1, Ordering::Relaxed) };
        Lookup(self)
    }
}

impl Lookup<'_> {
    /// Sends a control code, and lets go of the file.
    #[must_use]
    pub fn send(self, code: u32) -> Sent {
        self.0.send(code, &[], 0)
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        // SAFETY: this value is a reference, which is given back once.
        unsafe { complete::dereference(self.0.file) };
    }
}

/// Sends `IRP_MJ_CLOSE`, and frees the file.
///
/// # Safety
///
/// The file's last reference is gone.
pub(super) unsafe fn close(file: *mut FileBlock) {
    let _ = Message::new(IRP_MJ_CLOSE).send(file, false).wait();
    free(file);
}

unsafe fn free(file: *mut FileBlock) {
    let device = (*file).file.DeviceObject;
    drop(Box::from_raw(file));
    api::dereference(device);
}

/// What a request is made of.
struct Message<'a> {
    major: u32,
    code: u32,
    offset: i64,
    input: &'a [u8],
    output_len: usize,
    direct: Option<&'a mut [u8]>,
    addresses: Option<((usize, usize), (usize, usize))>,
    /// Whether the request belongs to no thread.
    is_passed_on: bool,
}

impl Message<'_> {
    fn new(major: u32) -> Self {
        Self {
            major,
            code: 0,
            offset: 0,
            input: &[],
            output_len: 0,
            direct: None,
            addresses: None,
            is_passed_on: false,
        }
    }

    fn parameters(&self) -> Parameters {
        let len = |len: usize| u32::try_from(len).expect("a buffer is small");
        if self.major != IRP_MJ_DEVICE_CONTROL {
            return Parameters {
                Read: Read {
                    Length: len(self.output_len),
                    Key: 0,
                    ByteOffset: LARGE_INTEGER {
                        QuadPart: self.offset,
                    },
                },
            };
        }
        let (input, input_len, output_len) = match self.addresses {
            Some(((input, input_len), (_, output_len))) => (input, input_len, output_len),
            None => (0, self.input.len(), self.output_len),
        };
        Parameters {
            DeviceIoControl: DeviceIoControl {
                OutputBufferLength: len(output_len),
                InputBufferLength: len(input_len),
                IoControlCode: self.code,
                Type3InputBuffer: core::ptr::with_exposed_provenance_mut(input),
            },
        }
    }

    /// The kernel's copy of the input, with room for the output: uninitialised, as
    /// pool is.
    unsafe fn system_buffer(&self) -> (PVOID, Option<Layout>) {
        let room = if self.direct.is_some() {
            0
        } else {
            self.output_len
        };
        let size = self.input.len().max(room);
        if size == 0 {
            return (null_mut(), None);
        }
        let layout = Layout::from_size_align(size, 16).expect("a buffer is small");
        let buffer = alloc(layout);
        buffer.copy_from(self.input.as_ptr(), self.input.len());
        (buffer.cast(), Some(layout))
    }

    /// The caller's pages, locked.
    unsafe fn pages(&mut self) -> *mut crate::types::MDL {
        let Some(memory) = self.direct.as_mut().filter(|memory| !memory.is_empty()) else {
            return null_mut();
        };
        let len = u32::try_from(memory.len()).expect("a buffer is small");
        let list = mdl::IoAllocateMdl(memory.as_mut_ptr().cast(), len, 0, 0, null_mut());
        assert!(!list.is_null(), "the I/O manager has no memory");
        mdl::MmProbeAndLockPages(list, 1, 2);
        list
    }

    /// Passes the request to the driver.
    ///
    /// # Safety
    ///
    /// The file is there, and with `is_counted` gets a reference for the request.
    unsafe fn send(mut self, file: *mut FileBlock, is_counted: bool) -> Sent {
        assert_eq!(irql(), 0, "a program runs at PASSIVE_LEVEL");
        if is_counted {
            (*file).references.fetch_add(1, Ordering::Relaxed);
        }
        let progress = Arc::new(Progress {
            state: Mutex::new(ProgressState {
                packet: Address(null_mut()),
                orphan: Address(null_mut()),
                cancelling: 0,
                marked_pending: false,
                reply: None,
            }),
            done: Condvar::new(),
        });
        let device = (*file).file.DeviceObject;
        let (system_buffer, buffer) = self.system_buffer();
        let pages = self.pages();
        let packet = Box::into_raw(Box::new(Packet {
            irp: empty_irp(),
            stack: IO_STACK_LOCATION {
                MajorFunction: u8::try_from(self.major).expect("a function's number"),
                MinorFunction: 0,
                Flags: 0,
                Control: 0,
                Parameters: self.parameters(),
                DeviceObject: device,
                FileObject: &raw mut (*file).file,
            },
            file: if is_counted { file } else { null_mut() },
            buffer,
            output_len: if self.direct.is_some() {
                0
            } else {
                self.output_len
            },
            mdl: pages,
            progress: progress.clone(),
        }));
        let irp = &raw mut (*packet).irp;
        (*irp).AssociatedIrp.SystemBuffer = system_buffer;
        (*irp).MdlAddress = pages;
        if self.is_passed_on {
            (*irp).Tail.Overlay.Thread = null_mut();
        }
        if let Some((_, (output, _))) = self.addresses {
            (*irp).UserBuffer = core::ptr::with_exposed_provenance_mut(output);
        }
        let location = &raw mut (*irp).Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1;
        (*location).CurrentStackLocation = &raw mut (*packet).stack;
        host::registered(irp.addr());
        progress.state().packet = Address(packet);
        let table = &(*(*device).DriverObject).MajorFunction;
        let routine = table[self.major as usize].expect("a routine for this function");
        let status = routine(device, packet.cast());
        assert_eq!(irql(), 0, "a dispatch routine left the IRQL raised");
        Sent { progress, status }
    }
}

fn empty_irp() -> IRP {
    IRP {
        MdlAddress: null_mut(),
        AssociatedIrp: AssociatedIrp {
            SystemBuffer: null_mut(),
        },
        IoStatus: IO_STATUS_BLOCK {
            __bindgen_anon_1: IoStatusWord {
                Status: STATUS_SUCCESS,
            },
            Information: 0,
        },
        RequestorMode: 1,
        PendingReturned: 0,
        Cancel: 0,
        CancelIrql: 0,
        CancelRoutine: None,
        UserBuffer: null_mut(),
        Tail: Tail {
            Overlay: TailOverlay {
                __bindgen_anon_1: ContextOrQueue {
                    __bindgen_anon_1: DriverContext {
                        DriverContext: [null_mut(); 4],
                    },
                },
                Thread: process::current_thread(),
                __bindgen_anon_2: EntryAndLocation {
                    ListEntry: LIST_ENTRY::default(),
                    __bindgen_anon_1: CurrentLocation {
                        CurrentStackLocation: null_mut(),
                    },
                },
                OriginalFileObject: null_mut(),
            },
        },
    }
}

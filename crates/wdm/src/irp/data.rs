//! The buffers of a request, with the lengths of its stack location.
//!
//! The views record in the request how many bytes were written, so a driver cannot report
//! bytes that it has not written and disclose old contents of the system buffer. Memory
//! that the caller can change is available once, so it cannot be fetched twice.

use core::{ffi::c_void, ptr::NonNull, slice};

use wdk_sys::{_MEMORY_CACHING_TYPE::MmCached, MDL, ntddk::MmMapLockedPagesSpecifyCache};
use zerocopy::FromBytes;

use crate::{
    Result, Status,
    irp::{Direction, Method, Requestor, raw::Irp},
    mdl::MdlFlags,
    memory::SharedBytes,
    system,
    user::UserRange,
};

/// What has been done with the data of a request.
#[derive(Default)]
pub(super) struct DataState {
    /// Bytes moved so far: `Information`.
    pub(super) moved: usize,
    /// Whether the caller's own memory has been handed out.
    is_handed_out: bool,
}

/// What kind of request it is, which decides where its data is.
#[derive(Clone, Copy)]
pub(super) enum RequestKind {
    /// `IRP_MJ_DEVICE_CONTROL`: as its code says.
    Control,
    /// `IRP_MJ_READ` or `IRP_MJ_WRITE`: in locked pages.
    ReadWrite(Direction),
}

/// The way to the data of a request, for as long as the request is borrowed.
///
/// ```no_run
/// # use wdm::{Status, irp::{DirectReader, Request}};
/// # struct File;
/// # impl File {
/// #     fn keep(&self, _: DirectReader<'_>) -> Result<(), Status> {
/// #         Ok(())
/// #     }
/// # }
/// # fn example(mut request: Request<'_, File>) -> Result<(), wdm::Status> {
/// let (file, data) = request.split();
/// file.keep(data.direct()?.reader())?;
/// # Ok(())
/// # }
/// ```
pub struct RequestData<'q> {
    irp: Irp,
    kind: RequestKind,
    data_state: &'q mut DataState,
}

impl<'q> RequestData<'q> {
    /// # Safety
    ///
    /// During `'q` the request, which is of this kind, is not completed, and nobody
    /// else uses its data.
    pub(super) const unsafe fn new(
        irp: Irp,
        kind: RequestKind,
        data_state: &'q mut DataState,
    ) -> Self {
        Self {
            irp,
            kind,
            data_state,
        }
    }

    /// As [`Request::buffered`](super::Request::buffered).
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_DEVICE_REQUEST`: the code says `METHOD_NEITHER`, or it is no
    /// device control request.
    pub fn buffered(self) -> Result<SystemBuffer<'q>, Status> {
        match self.kind {
            // SAFETY: the caller of the constructor vouched for the request and its data.
            RequestKind::Control => unsafe {
                SystemBuffer::of(self.irp, &mut self.data_state.moved)
            },
            RequestKind::ReadWrite(_) => Err(Status::INVALID_DEVICE_REQUEST),
        }
    }

    /// As [`Request::direct`](super::Request::direct).
    ///
    /// # Errors
    ///
    /// As for that, and for [`ReadWriteRequest::direct`](super::ReadWriteRequest::direct).
    pub fn direct(self) -> Result<DirectBuffer<'q>, Status> {
        let is_output = match self.kind {
            RequestKind::ReadWrite(direction) => direction == Direction::Read,
            RequestKind::Control => match self.irp.control().code.method() {
                Method::OutDirect => true,
                Method::InDirect => false,
                Method::Buffered | Method::Neither => return Err(Status::INVALID_DEVICE_REQUEST),
            },
        };
        let moved = self.data_state.hand_out()?;
        let memory = match self.irp.mdl() {
            // SAFETY: the I/O manager has locked the pages of this MDL until the
            // request is completed, which it is not during `'q`.
            Some(mdl) => Some(unsafe { system_memory(mdl) }?),
            None => None,
        };
        Ok(DirectBuffer {
            memory,
            is_output,
            moved,
        })
    }

    /// As [`Request::neither`](super::Request::neither).
    ///
    /// # Errors
    ///
    /// As for that.
    pub fn neither(self) -> Result<UserBuffers<'q>, Status> {
        let control = match self.kind {
            RequestKind::Control => self.irp.control(),
            RequestKind::ReadWrite(_) => return Err(Status::INVALID_DEVICE_REQUEST),
        };
        if control.code.method() != Method::Neither {
            return Err(Status::INVALID_DEVICE_REQUEST);
        }
        // Elsewhere the addresses are those of another program, or of none.
        Requestor::of(self.irp)?;
        let (input, output) = self.irp.user_addresses();
        let input = UserRange::new(input, control.input_len)?;
        let output = UserRange::new(output, control.output_len)?;
        let moved = self.data_state.hand_out()?;
        Ok(UserBuffers {
            input,
            output: output.counted_in(moved),
        })
    }
}

impl DataState {
    /// Hands the caller's own memory out, once: what has been read and judged could
    /// be something else if it were read again.
    const fn hand_out(&mut self) -> Result<&mut usize, Status> {
        if self.is_handed_out {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        self.is_handed_out = true;
        Ok(&mut self.moved)
    }
}

/// The kernel's copy of the caller's data: input, and for `METHOD_BUFFERED` the
/// room for output, which is the same memory. Usable at `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # use zerocopy::IntoBytes;
/// # type Question = u32;
/// # fn example(mut request: wdm::irp::Request<'_>, answer: fn(&Question) -> u64) -> Result<(), wdm::Status> {
/// let mut buffer = request.buffered()?;
/// let question: Question = buffer.read()?;
/// buffer.write(answer(&question).as_bytes())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SystemBuffer<'q> {
    start: Option<NonNull<u8>>,
    input_len: usize,
    output_len: usize,
    /// How much output there is, in the request.
    written: &'q mut usize,
}

impl<'q> SystemBuffer<'q> {
    /// # Safety
    ///
    /// During `'q` the request, a device control request, is not completed and
    /// nothing else uses its buffer.
    pub(super) unsafe fn of(irp: Irp, written: &'q mut usize) -> Result<Self, Status> {
        let control = irp.control();
        let output_len = match control.code.method() {
            Method::Buffered => control.output_len,
            Method::InDirect | Method::OutDirect => 0,
            Method::Neither => return Err(Status::INVALID_DEVICE_REQUEST),
        };
        Ok(Self {
            start: irp.system_buffer(),
            input_len: control.input_len,
            output_len,
            written,
        })
    }

    /// Writes the output piece by piece, over the input, in place of what may have
    /// been written before.
    #[must_use]
    pub const fn writer(self) -> SystemBufferWriter<'q> {
        *self.written = 0;
        SystemBufferWriter { buffer: self }
    }
}

impl SystemBuffer<'_> {
    /// The input. After [`Self::write`] its beginning is what was written.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        match self.start {
            // SAFETY: the kernel has copied so many bytes of input there, and only
            // this view leads to them.
            Some(start) => unsafe { slice::from_raw_parts(start.as_ptr(), self.input_len) },
            None => &[],
        }
    }

    /// The input as a `T`, copied.
    ///
    /// # Errors
    ///
    /// `STATUS_INFO_LENGTH_MISMATCH`: the input is not as long as a `T`.
    pub fn read<T: FromBytes>(&self) -> Result<T, Status> {
        T::read_from_bytes(self.input()).map_err(|_| Status::INFO_LENGTH_MISMATCH)
    }

    /// Writes the output, in place of what may have been written before.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: the caller has no room for so much, or the method
    /// has no output here; nothing is written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Status> {
        self.put(0, bytes)?;
        *self.written = bytes.len();
        Ok(())
    }

    /// Copies bytes to a place of the output.
    fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Status> {
        let room = self.output_len.saturating_sub(offset);
        if bytes.len() > room {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        // There is room for something only where there is a buffer.
        let start = self.start.ok_or(Status::BUFFER_TOO_SMALL)?;
        // SAFETY: the buffer is as long as the longer of input and output, and the
        // bytes from `offset` on fit into the output, so the place lies in it.
        let place = unsafe { start.add(offset) };
        let source = NonNull::from(bytes).cast();
        // SAFETY: so many bytes are left there, and `bytes` is a reference to other
        // memory: only this view, borrowed mutably, leads to the buffer.
        unsafe { place.copy_from_nonoverlapping(source, bytes.len()) };
        Ok(())
    }
}

/// Output that is written piece by piece, to [`SystemBuffer`] memory.
/// Usable at `<= DISPATCH_LEVEL`.
#[derive(Debug)]
pub struct SystemBufferWriter<'q> {
    buffer: SystemBuffer<'q>,
}

impl SystemBufferWriter<'_> {
    /// How many bytes there is room for yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.buffer.output_len.saturating_sub(*self.buffer.written)
    }

    /// Writes all of these bytes behind those written before.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: the caller has no room for so much; nothing is
    /// written.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let written = *self.buffer.written;
        self.buffer.put(written, bytes)?;
        *self.buffer.written = written.saturating_add(bytes.len());
        Ok(())
    }
}

/// The caller's own pages, which it may be using meanwhile. Reading or writing
/// consumes the value: nothing is fetched twice. Usable at `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # fn example(mut request: wdm::irp::Request<'_>) -> Result<(), wdm::Status> {
/// request.direct()?.write(&[0; 64])?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DirectBuffer<'q> {
    memory: Option<SharedBytes<'q>>,
    is_output: bool,
    /// How much has been moved, in the request.
    moved: &'q mut usize,
}

impl<'q> DirectBuffer<'q> {
    /// The pages, for reading; and where to count what is read, if that is what the
    /// request reports.
    pub(super) fn into_input(self) -> (Option<SharedBytes<'q>>, Option<&'q mut usize>) {
        let counted = if self.is_output {
            None
        } else {
            Some(self.moved)
        };
        (self.memory, counted)
    }

    /// The pages, for writing, and where to count what is written.
    pub(super) fn into_output(self) -> Result<(Option<SharedBytes<'q>>, &'q mut usize), Status> {
        if self.is_output {
            Ok((self.memory, self.moved))
        } else {
            Err(Status::ACCESS_DENIED)
        }
    }

    /// How many bytes the buffer has. IRQL: any.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.memory {
            Some(memory) => memory.len(),
            None => 0,
        }
    }

    /// Whether the caller gave no buffer. IRQL: any.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the beginning of the buffer to `bytes`.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: the buffer has fewer bytes.
    pub fn read(self, bytes: &mut [u8]) -> Result<(), Status> {
        self.reader().read_bytes(bytes)
    }

    /// Writes the beginning of the buffer.
    ///
    /// # Errors
    ///
    /// * `STATUS_BUFFER_TOO_SMALL`: the buffer has fewer bytes.
    /// * `STATUS_ACCESS_DENIED`: the pages are locked for reading
    ///   (`METHOD_IN_DIRECT`).
    pub fn write(self, bytes: &[u8]) -> Result<(), Status> {
        self.writer()?.write_bytes(bytes)
    }
}

/// The two buffers of `METHOD_NEITHER`, in the memory of the program that asks.
///
/// ```no_run
/// # fn example(mut request: wdm::irp::Request<'_>) -> Result<(), wdm::Status> {
/// let memory = request.neither()?;
/// let mut reader = memory.input.reader();
/// let mut writer = memory.output.writer();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UserBuffers<'q> {
    /// `Type3InputBuffer`.
    pub input: UserRange<'q>,
    /// `UserBuffer`. What is written to it is the output that the request reports.
    pub output: UserRange<'q>,
}

/// `MmGetSystemAddressForMdlSafe`: where the pages are in system space, mapped
/// there if they are not. The I/O manager undoes it with the request.
///
/// # Safety
///
/// The MDL's pages are locked during `'q`, by the I/O manager for a request.
unsafe fn system_memory<'q>(mdl: NonNull<MDL>) -> Result<SharedBytes<'q>, Status> {
    const NORMAL_PAGE_PRIORITY: u32 = 16;
    const MDL_MAPPING_NO_EXECUTE: u32 = 0x4000_0000;
    // SAFETY: the MDL is the I/O manager's, which does not write to it while the driver
    // has the request.
    let header = unsafe { mdl.read() };
    let flags = MdlFlags::from_raw(header.MdlFlags);
    let (mapped, len) = (header.MappedSystemVa, header.ByteCount);
    let is_mapped = MdlFlags::MAPPED_TO_SYSTEM_VA.union(MdlFlags::SOURCE_IS_NONPAGED_POOL);
    let start: *mut c_void = if flags.intersects(is_mapped) {
        mapped
    } else {
        let no_execute = if system::has_no_execute_memory() {
            MDL_MAPPING_NO_EXECUTE
        } else {
            0
        };
        let priority = NORMAL_PAGE_PRIORITY | no_execute;
        // SAFETY: the pages are locked and have no system mapping.
        unsafe {
            MmMapLockedPagesSpecifyCache(
                mdl.as_ptr(),
                0,
                MmCached,
                core::ptr::null_mut(),
                0,
                priority as _,
            )
        }
    };
    let start = NonNull::new(start.cast()).ok_or(Status::INSUFFICIENT_RESOURCES)?;
    let len = usize::try_from(len).map_err(|_| Status::INVALID_PARAMETER)?;
    // SAFETY: the pages are mapped here until the request is completed. The caller
    // may be writing to them now; only volatile accesses are made.
    Ok(unsafe { SharedBytes::new(start, len) })
}

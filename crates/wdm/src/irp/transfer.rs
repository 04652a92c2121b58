//! The data of a request, with the lengths that the caller gave.
//!
//! How much output a request has is what was written through these views, so a
//! driver cannot report bytes that it never wrote and so show a caller what was in
//! the kernel's buffer before.

use core::{ffi::c_void, marker::PhantomData, ptr::NonNull, slice};

use wdk_sys::{_MEMORY_CACHING_TYPE::MmCached, MDL, ntddk::MmMapLockedPagesSpecifyCache};
use zerocopy::FromBytes;

use crate::{
    Result, Status,
    irp::{Method, Mode, raw::Irp},
    mdl::MdlFlags,
    memory::SharedBytes,
    system,
    user::UserRange,
};

/// How many bytes of a request's output have been written: `Information`.
#[derive(Clone, Copy, Debug)]
pub struct Written(usize);

impl Written {
    /// No output.
    pub const NOTHING: Self = Self(0);

    /// So many bytes, which have been written.
    pub(crate) const fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// The kernel's copy of the caller's data: input, and for `METHOD_BUFFERED` the
/// room for output, which is the same memory. Usable at `<= DISPATCH_LEVEL`.
///
/// ```ignore
/// let mut buffer = request.buffered()?;
/// let question: Question = buffer.read()?;
/// let written = buffer.write(answer(&question).as_bytes())?;
/// ```
#[derive(Debug)]
pub struct Buffered<'q> {
    start: Option<NonNull<u8>>,
    input_len: usize,
    output_len: usize,
    request: PhantomData<&'q mut Irp>,
}

impl Buffered<'_> {
    /// # Safety
    ///
    /// During `'q` the request is not completed and nobody else uses its buffer.
    pub(super) unsafe fn of(irp: Irp) -> Result<Self, Status> {
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
            request: PhantomData,
        })
    }

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

    /// Writes the beginning of the output.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: the caller has no room for so much, or the method
    /// has no output here.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Written, Status> {
        if bytes.len() > self.output_len {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        if let Some(start) = self.start {
            let source = NonNull::from(bytes).cast();
            // SAFETY: the buffer is as long as the longer of input and output, and
            // `bytes` is a reference to other memory: this view is borrowed mutably.
            unsafe { start.copy_from_nonoverlapping(source, bytes.len()) };
            Ok(Written(bytes.len()))
        } else {
            Ok(Written::NOTHING)
        }
    }
}

/// Output that is written piece by piece, to [`Buffered`] memory.
/// Usable at `<= DISPATCH_LEVEL`.
#[derive(Debug)]
pub struct BufferedWriter<'q> {
    buffer: Buffered<'q>,
    written: usize,
}

impl<'q> Buffered<'q> {
    /// Writes the output piece by piece, over the input.
    #[must_use]
    pub const fn writer(self) -> BufferedWriter<'q> {
        BufferedWriter {
            buffer: self,
            written: 0,
        }
    }
}

impl BufferedWriter<'_> {
    /// How many bytes there is room for yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.buffer.output_len.saturating_sub(self.written)
    }

    /// Writes all of these bytes behind those written before.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: the caller has no room for so much; nothing is
    /// written.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Status> {
        if bytes.len() > self.left() {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        // There is room for something only where there is a buffer.
        let start = self.buffer.start.ok_or(Status::BUFFER_TOO_SMALL)?;
        // SAFETY: the buffer is as long as the longer of input and output, so the
        // place lies in it.
        let place = unsafe { start.add(self.written) };
        let source = NonNull::from(bytes).cast();
        // SAFETY: so many bytes are left there, and `bytes` is a reference to other
        // memory: only this view leads to the buffer.
        unsafe { place.copy_from_nonoverlapping(source, bytes.len()) };
        self.written = self.written.saturating_add(bytes.len());
        Ok(())
    }

    /// What has been written, for the answer.
    #[must_use]
    pub const fn written(&self) -> Written {
        Written(self.written)
    }
}

/// The caller's own pages, which it may be using meanwhile.
/// Usable at `<= DISPATCH_LEVEL`.
///
/// ```ignore
/// let direct = request.direct()?;
/// let written = direct.write(&[0; 64])?;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Direct<'q> {
    memory: Option<SharedBytes<'q>>,
    is_output: bool,
}

impl<'q> Direct<'q> {
    pub(super) const fn memory(self) -> Option<SharedBytes<'q>> {
        self.memory
    }

    pub(super) const fn is_output(self) -> bool {
        self.is_output
    }
}

impl Direct<'_> {
    /// # Safety
    ///
    /// During `'q` the request is not completed.
    pub(super) unsafe fn of(irp: Irp) -> Result<Self, Status> {
        let is_output = match irp.control().code.method() {
            Method::OutDirect => true,
            Method::InDirect => false,
            Method::Buffered | Method::Neither => return Err(Status::INVALID_DEVICE_REQUEST),
        };
        // SAFETY: the caller vouches for the request.
        unsafe { Self::of_pages(irp, is_output) }
    }

    /// The pages of a request whose kind has such: for writing to if `is_output`.
    ///
    /// # Safety
    ///
    /// During `'q` the request is not completed.
    pub(super) unsafe fn of_pages(irp: Irp, is_output: bool) -> Result<Self, Status> {
        let memory = match irp.mdl() {
            // SAFETY: the I/O manager has locked the pages of this MDL until the
            // request is completed.
            Some(mdl) => Some(unsafe { system_memory(mdl) }?),
            None => None,
        };
        Ok(Self { memory, is_output })
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
    pub fn read(&self, bytes: &mut [u8]) -> Result<(), Status> {
        if bytes.len() > self.len() {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        if let Some(memory) = self.memory {
            let _ = memory.copy_to(bytes);
        }
        Ok(())
    }

    /// Writes the beginning of the buffer.
    ///
    /// # Errors
    ///
    /// * `STATUS_BUFFER_TOO_SMALL`: the buffer has fewer bytes.
    /// * `STATUS_ACCESS_DENIED`: the pages are locked for reading
    ///   (`METHOD_IN_DIRECT`).
    pub fn write(&self, bytes: &[u8]) -> Result<Written, Status> {
        if !self.is_output {
            return Err(Status::ACCESS_DENIED);
        }
        if bytes.len() > self.len() {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        if let Some(memory) = self.memory {
            let _ = memory.copy_from(bytes);
        }
        Ok(Written(bytes.len()))
    }
}

/// The two buffers of `METHOD_NEITHER`, in the memory of the program that asks.
///
/// ```ignore
/// let memory = request.neither()?;
/// let mut reader = memory.input.reader();
/// let mut writer = memory.output.writer();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Neither<'q> {
    /// `Type3InputBuffer`.
    pub input: UserRange<'q>,
    /// `UserBuffer`.
    pub output: UserRange<'q>,
}

impl Neither<'_> {
    pub(super) fn of(irp: Irp) -> Result<Self, Status> {
        let control = irp.control();
        if control.code.method() != Method::Neither {
            return Err(Status::INVALID_DEVICE_REQUEST);
        }
        if irp.requestor() == Mode::Kernel {
            return Err(Status::NOT_SUPPORTED);
        }
        let (input, output) = irp.user_addresses();
        Ok(Self {
            input: UserRange::new(input, control.input_len)?,
            output: UserRange::new(output, control.output_len)?,
        })
    }
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
    // SAFETY: the MDL is valid memory. So for the next two.
    let flags = MdlFlags::from_raw(unsafe { (*mdl.as_ptr()).MdlFlags });
    // SAFETY: as above.
    let mapped = unsafe { (*mdl.as_ptr()).MappedSystemVa };
    // SAFETY: as above.
    let len = unsafe { (*mdl.as_ptr()).ByteCount };
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
    // may be writing to them at this moment; only volatile accesses are made.
    Ok(unsafe { SharedBytes::new(start, len) })
}

//! Access to user memory.
//!
//! A program can unmap or change its memory at any time, so no reference to it is formed.
//! A [`UserReader`] copies bytes into the kernel, a [`UserWriter`] copies bytes out. An
//! access violation becomes a status. The cursor of either only moves forward, so
//! validated bytes cannot be fetched twice.
//!
//! The copy has an exception handler, and [`UserRange`] checks that the range is user
//! memory, which makes `ProbeForRead` and `ProbeForWrite` unnecessary.

use core::{fmt, marker::PhantomData, ptr};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Result, Status, irql::Apc, seh, system::AddressLimits};

/// Where a program says that it has memory: an address and a length, which lie in
/// the user range and promise nothing else. Reading or writing consumes the value:
/// nothing is fetched twice.
///
/// ```no_run
/// # type Header = [u32; 4];
/// # fn example(mut request: wdm::irp::Request<'_>, passive: &mut wdm::irql::Passive) -> Result<(), wdm::Status> {
/// let memory = request.neither()?;
/// let mut reader = memory.input.reader();
/// let header: Header = reader.read(passive)?;
/// # Ok(())
/// # }
/// ```
pub struct UserRange<'q> {
    start: usize,
    len: usize,
    /// Where a request counts what is written.
    written: Option<&'q mut usize>,
    /// The process is the current one while the request is handled, in the thread
    /// that handles it.
    request: PhantomData<(&'q (), *mut ())>,
}

impl UserRange<'_> {
    /// A range, if all of it lies in the user range. Zero bytes lie anywhere, as
    /// for `ProbeForRead`. IRQL: any.
    ///
    /// # Errors
    ///
    /// `STATUS_ACCESS_VIOLATION`: it reaches beyond `MmUserProbeAddress`, or wraps.
    pub(crate) fn new(start: usize, len: usize) -> Result<Self, Status> {
        let end = start.checked_add(len).ok_or(Status::ACCESS_VIOLATION)?;
        if len != 0 && end > AddressLimits::current().user_probe {
            return Err(Status::ACCESS_VIOLATION);
        }
        Ok(Self {
            start,
            len,
            written: None,
            request: PhantomData,
        })
    }

    /// How many bytes the program claims. IRQL: any.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it claims none. IRQL: any.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<'q> UserRange<'q> {
    /// The same range, as the output of a request: what is written to it counts.
    pub(crate) const fn counted_in(self, written: &'q mut usize) -> Self {
        Self {
            written: Some(written),
            start: self.start,
            len: self.len,
            request: self.request,
        }
    }

    /// Reads the range from its beginning, once. IRQL: any.
    #[must_use]
    pub const fn reader(self) -> UserReader<'q> {
        UserReader(self)
    }

    /// Writes the range from its beginning, once. IRQL: any.
    #[must_use]
    pub const fn writer(self) -> UserWriter<'q> {
        UserWriter(self)
    }

    /// Takes `len` bytes off the beginning and returns their address.
    fn advance(&mut self, len: usize) -> Result<usize, Status> {
        let left = self.len.checked_sub(len).ok_or(Status::BUFFER_TOO_SMALL)?;
        let start = self.start;
        self.len = left;
        // Stays within the range, which does not wrap.
        self.start = start.wrapping_add(len);
        Ok(start)
    }
}

impl fmt::Debug for UserRange<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} user bytes at {:#x}", self.len, self.start)
    }
}

/// Copies user memory into the kernel, from the beginning on. What has been read
/// is behind the cursor and cannot be read again.
///
/// ```no_run
/// # use wdm::{Status, irp::UserBuffers};
/// # fn example(memory: UserBuffers<'_>, passive: &mut wdm::irql::Passive, checked: fn(u32) -> Result<usize, Status>) -> Result<(), wdm::Status> {
/// # let mut buffer = [0; 64];
/// let mut reader = memory.input.reader();
/// let count: u32 = reader.read(passive)?;
/// reader.read_bytes(&mut buffer[..checked(count)?], passive)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UserReader<'q>(UserRange<'q>);

impl UserReader<'_> {
    /// How many bytes are left. IRQL: any.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.0.len
    }

    /// Fills `bytes`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_BUFFER_TOO_SMALL`: fewer bytes are left; none is read.
    /// * What the access raised, such as `STATUS_ACCESS_VIOLATION`; `bytes` may be
    ///   filled in part.
    pub fn read_bytes(&mut self, bytes: &mut [u8], _: &Apc) -> Result<(), Status> {
        let from = ptr::with_exposed_provenance(self.0.advance(bytes.len())?);
        // SAFETY: `bytes` is the kernel's, the other range was checked when it was
        // made, and the token says that faults may be taken.
        unsafe { seh::copy(bytes.as_mut_ptr(), from, bytes.len()) }
    }

    /// Reads a `T`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::read_bytes`].
    pub fn read<T: FromBytes + IntoBytes>(&mut self, irql: &Apc) -> Result<T, Status> {
        let mut value = T::new_zeroed();
        self.read_bytes(value.as_mut_bytes(), irql)?;
        Ok(value)
    }
}

/// Copies the kernel's memory to user memory, from the beginning on. What is
/// written to a request's output is what it reports.
///
/// ```no_run
/// # use wdm::irp::UserBuffers;
/// # fn example(memory: UserBuffers<'_>, reply: u32, passive: &mut wdm::irql::Passive) -> Result<(), wdm::Status> {
/// memory.output.writer().write(&reply, passive)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UserWriter<'q>(UserRange<'q>);

impl UserWriter<'_> {
    /// How many bytes are left. IRQL: any.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.0.len
    }

    /// Writes `bytes`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_BUFFER_TOO_SMALL`: there is no room for all; none is written.
    /// * What the access raised, such as `STATUS_ACCESS_VIOLATION`; some bytes may
    ///   be written.
    pub fn write_bytes(&mut self, bytes: &[u8], _: &Apc) -> Result<(), Status> {
        let to = ptr::with_exposed_provenance_mut(self.0.advance(bytes.len())?);
        // SAFETY: `bytes` is the kernel's, the other range was checked when it was
        // made, and the token says that faults may be taken.
        unsafe { seh::copy(to, bytes.as_ptr(), bytes.len()) }?;
        if let Some(written) = self.0.written.as_deref_mut() {
            *written = written.saturating_add(bytes.len());
        }
        Ok(())
    }

    /// Writes a `T`. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::write_bytes`].
    pub fn write<T: IntoBytes + Immutable>(&mut self, value: &T, irql: &Apc) -> Result<(), Status> {
        self.write_bytes(value.as_bytes(), irql)
    }
}

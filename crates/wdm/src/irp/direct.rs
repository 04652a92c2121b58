//! Cursors over the locked pages of a request. A cursor only moves forward, so bytes that
//! the caller may have changed are not read a second time.

use crate::{Result, Status, irp::DirectBuffer, memory::SharedBytes};

impl<'q> DirectBuffer<'q> {
    /// Reads the pages from the beginning, once. IRQL: any.
    #[must_use]
    pub fn reader(self) -> DirectReader<'q> {
        let (left, taken) = self.into_input();
        DirectReader {
            cursor: Cursor { left },
            taken,
        }
    }

    /// Writes the pages from the beginning. IRQL: any.
    ///
    /// # Errors
    ///
    /// `STATUS_ACCESS_DENIED`: the pages are locked for reading.
    pub fn writer(self) -> Result<DirectWriter<'q>, Status> {
        let (left, written) = self.into_output()?;
        Ok(DirectWriter {
            cursor: Cursor { left },
            written,
        })
    }
}

#[derive(Debug)]
struct Cursor<'q> {
    left: Option<SharedBytes<'q>>,
}

impl<'q> Cursor<'q> {
    const fn remaining(&self) -> usize {
        match self.left {
            Some(memory) => memory.len(),
            None => 0,
        }
    }

    /// Takes `len` bytes off the beginning.
    fn advance(&mut self, len: usize) -> Result<Option<SharedBytes<'q>>, Status> {
        let Some(left) = self.left else {
            return if len == 0 {
                Ok(None)
            } else {
                Err(Status::BUFFER_TOO_SMALL)
            };
        };
        let (taken, rest) = left.split_at(len).ok_or(Status::BUFFER_TOO_SMALL)?;
        self.left = Some(rest);
        Ok(Some(taken))
    }
}

/// Copies a caller's locked pages into the kernel, from the beginning on. What is
/// read of a request that has no output there is what it reports as moved.
///
/// IRQL: `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # fn example(mut request: wdm::irp::Request<'_>) -> Result<(), wdm::Status> {
/// let mut reader = request.direct()?.reader();
/// let mut header = [0; 16];
/// reader.read_bytes(&mut header)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DirectReader<'q> {
    cursor: Cursor<'q>,
    taken: Option<&'q mut usize>,
}

impl DirectReader<'_> {
    /// How many bytes are left. IRQL: any.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.cursor.remaining()
    }

    /// Fills `bytes`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: fewer bytes are left; none is read.
    pub fn read_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Status> {
        if let Some(memory) = self.cursor.advance(bytes.len())? {
            let _ = memory.copy_to(bytes);
        }
        if let Some(taken) = self.taken.as_deref_mut() {
            *taken = taken.saturating_add(bytes.len());
        }
        Ok(())
    }
}

/// Copies the kernel's memory to a caller's locked pages, from the beginning on.
/// What is written is what the request reports.
///
/// IRQL: `<= DISPATCH_LEVEL`.
#[derive(Debug)]
pub struct DirectWriter<'q> {
    cursor: Cursor<'q>,
    written: &'q mut usize,
}

impl DirectWriter<'_> {
    /// How many bytes are left. IRQL: any.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.cursor.remaining()
    }

    /// Writes `bytes`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: there is no room for all; none is written.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Status> {
        if let Some(memory) = self.cursor.advance(bytes.len())? {
            let _ = memory.copy_from(bytes);
        }
        *self.written = self.written.saturating_add(bytes.len());
        Ok(())
    }
}

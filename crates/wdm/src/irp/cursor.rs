//! Cursors over a caller's locked pages. They only move forward, so what has been
//! read and judged is not read a second time: the caller may have changed it.

use crate::{
    Result, Status,
    irp::{Direct, Written},
    memory::SharedBytes,
};

impl<'q> Direct<'q> {
    /// Reads the pages from the beginning, once. IRQL: any.
    #[must_use]
    pub const fn reader(self) -> DirectReader<'q> {
        DirectReader(Cursor {
            left: self.memory(),
            passed: 0,
        })
    }

    /// Writes the pages from the beginning. IRQL: any.
    ///
    /// # Errors
    ///
    /// `STATUS_ACCESS_DENIED`: the pages are locked for reading.
    pub const fn writer(self) -> Result<DirectWriter<'q>, Status> {
        if self.is_output() {
            Ok(DirectWriter(Cursor {
                left: self.memory(),
                passed: 0,
            }))
        } else {
            Err(Status::ACCESS_DENIED)
        }
    }
}

#[derive(Debug)]
struct Cursor<'q> {
    left: Option<SharedBytes<'q>>,
    passed: usize,
}

impl<'q> Cursor<'q> {
    const fn left(&self) -> usize {
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
        self.passed = self.passed.saturating_add(len);
        Ok(Some(taken))
    }
}

/// Copies a caller's locked pages into the kernel, from the beginning on.
///
/// IRQL: `<= DISPATCH_LEVEL`.
///
/// ```ignore
/// let mut reader = request.direct()?.reader();
/// let mut header = [0; 16];
/// reader.read_bytes(&mut header)?;
/// ```
#[derive(Debug)]
pub struct DirectReader<'q>(Cursor<'q>);

impl DirectReader<'_> {
    /// How many bytes are left. IRQL: any.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.0.left()
    }

    /// Fills `bytes`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: fewer bytes are left; none is read.
    pub fn read_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Status> {
        if let Some(memory) = self.0.advance(bytes.len())? {
            let _ = memory.copy_to(bytes);
        }
        Ok(())
    }

    /// How much has been read, for an answer that says how much was taken.
    /// IRQL: any.
    #[must_use]
    pub const fn taken(&self) -> Written {
        Written::new(self.0.passed)
    }
}

/// Copies the kernel's memory to a caller's locked pages, from the beginning on.
///
/// IRQL: `<= DISPATCH_LEVEL`.
#[derive(Debug)]
pub struct DirectWriter<'q>(Cursor<'q>);

impl DirectWriter<'_> {
    /// How many bytes are left. IRQL: any.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.0.left()
    }

    /// Writes `bytes`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_BUFFER_TOO_SMALL`: there is no room for all; none is written.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Status> {
        if let Some(memory) = self.0.advance(bytes.len())? {
            let _ = memory.copy_from(bytes);
        }
        Ok(())
    }

    /// How much has been written, for the answer. IRQL: any.
    #[must_use]
    pub const fn written(&self) -> Written {
        Written::new(self.0.passed)
    }
}

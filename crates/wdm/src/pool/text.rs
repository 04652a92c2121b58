//! [`UnicodeBuffer`]: a growing UTF-16 string in nonpaged pool.

use core::fmt;

use crate::{
    Error, Result, Status,
    pool::{PoolTag, PoolVec},
    string::UnicodeStr,
};

/// A buffer of UTF-16 text, at most 32,767 units: what a `UNICODE_STRING` can
/// describe.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
///
/// ```no_run
/// # use wdm::{pool::UnicodeBuffer, registry::Key, string::UnicodeStr};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example(registry_path: UnicodeStr<'_>, passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let mut path = UnicodeBuffer::new(TAG);
/// path.push(registry_path)?;
/// path.push_str(r"\Parameters")?;
/// let key = Key::open(path.as_unicode(), passive)?;
/// # Ok(())
/// # }
/// ```
pub struct UnicodeBuffer(PoolVec<u16>);

impl UnicodeBuffer {
    /// A buffer without text, which takes no memory yet. IRQL: any.
    #[must_use]
    pub const fn new(tag: PoolTag) -> Self {
        Self(PoolVec::new(tag))
    }

    /// Appends text. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The text is as before.
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    /// * `STATUS_BUFFER_OVERFLOW`: it would be too long for a `UNICODE_STRING`.
    pub fn push(&mut self, text: UnicodeStr<'_>) -> Result<()> {
        self.check(text.units().len())?;
        self.0.extend_from_slice(text.units())
    }

    /// Appends text in UTF-8. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::push`].
    pub fn push_str(&mut self, text: &str) -> Result<()> {
        let units = text.encode_utf16().count();
        self.check(units)?;
        self.0.reserve(units)?;
        for unit in text.encode_utf16() {
            self.0.push(unit).map_err(|rejected| rejected.error)?;
        }
        Ok(())
    }

    /// Whether the text stays short enough with so many units more.
    fn check(&self, more: usize) -> Result<()> {
        match self.0.len().checked_add(more) {
            Some(..=UnicodeStr::MAX_UNITS) => Ok(()),
            _ => Err(Error::new("ExAllocatePool2", Status::BUFFER_OVERFLOW)),
        }
    }

    /// The text. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn as_unicode(&self) -> UnicodeStr<'_> {
        // Never longer than what was checked.
        UnicodeStr::new(&self.0).unwrap_or(UnicodeStr::EMPTY)
    }
}

/// So that `write!` can fill the buffer; it fails as [`UnicodeBuffer::push_str`]
/// does, and then some of the text may be there.
impl fmt::Write for UnicodeBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for UnicodeBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_unicode().fmt(formatter)
    }
}

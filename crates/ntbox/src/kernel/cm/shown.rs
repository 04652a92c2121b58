//! Memory of the kernel that callbacks see: the structures that they are passed,
//! and the names in them. It lasts as long as the operation does.

use super::registered;
use crate::kernel::guest::{self, UnicodeString};
use crate::kernel::mm::pool::{self, PoolKind};
use crate::kernel::ob::Refusal;

/// Pool tag of this memory.
const TAG: u32 = u32::from_le_bytes(*b"CMcb");
/// Bytes of a `UNICODE_STRING`.
const STRING_SIZE: u64 = 16;

/// A block of this memory, freed with its owner.
#[derive(Debug)]
pub struct Shown(u64);

impl Shown {
    /// A block with these bytes.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        let block = pool::allocate(PoolKind::NonPaged, bytes.len() as u64, TAG);
        let shown = Self(block.ok_or(ntstatus::STATUS_INSUFFICIENT_RESOURCES)?);
        guest::write_bytes(shown.0, bytes)?;
        Ok(shown)
    }

    /// A `UNICODE_STRING` with its text, and a NUL, behind it.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn string(text: &[u16]) -> Result<Self, Refusal> {
        let mut bytes = vec![0; 16];
        bytes.extend(text.iter().chain([&0]).flat_map(|unit| unit.to_le_bytes()));
        let shown = Self::new(&bytes)?;
        // Names that are longer than a string can say are refused before.
        let length = u16::try_from(2 * text.len()).unwrap_or(u16::MAX - 3);
        let string = UnicodeString {
            length,
            maximum_length: length + 2,
            buffer: shown.0 + STRING_SIZE,
        };
        string.write(shown.0)?;
        Ok(shown)
    }

    /// The same if anybody hears of operations; else nothing, at address 0.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn name(text: &[u16]) -> Result<Self, Refusal> {
        if registered::any() {
            Self::string(text)
        } else {
            Ok(Self(0))
        }
    }

    /// Its address.
    pub fn at(&self) -> u64 {
        self.0
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.0 != 0 {
            pool::free(self.0);
        }
    }
}

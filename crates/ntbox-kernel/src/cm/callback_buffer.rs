//! Memory of the kernel that callbacks see: the structures that they are passed,
//! and the names in them. It lasts as long as the operation does.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};

use super::callback_list;
use crate::base::error::Refusal;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Pool tag of this memory.
const TAG: u32 = u32::from_le_bytes(*b"CMcb");
/// Bytes of a `UNICODE_STRING`.
const STRING_SIZE: usize = 16;

/// Room for a `UNICODE_STRING`, its text, and a NUL: what a block of it begins as,
/// until [`write_string`] knows where that is.
pub fn string_bytes(text: &[u16]) -> Vec<u8> {
    let units = text.iter().chain([&0]).flat_map(|unit| unit.to_le_bytes());
    [0; STRING_SIZE].into_iter().chain(units).collect()
}

/// Writes the `UNICODE_STRING` at the start of a block of [`string_bytes`].
///
/// # Errors
/// If the block cannot be written.
pub fn write_string(block: u64, text: &[u16]) -> Result<(), Fault> {
    // Names that are longer than a string can say are refused before.
    let length = u16::try_from(2 * text.len()).unwrap_or(u16::MAX - 3);
    let string = UnicodeString {
        length,
        maximum_length: length + 2,
        buffer: block + STRING_SIZE as u64,
    };
    string.write(block)
}

/// A block of this memory, freed when it is dropped.
#[derive(Debug)]
pub struct CallbackBuffer(u64);

impl CallbackBuffer {
    /// A block with these bytes.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        let block = pool::allocate(PoolKind::NonPaged, bytes.len() as u64, TAG);
        let shown = Self(block.ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?);
        driver_mem::write_bytes(shown.0, bytes)?;
        Ok(shown)
    }

    /// A `UNICODE_STRING` with its text, and a NUL, behind it.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn string(text: &[u16]) -> Result<Self, Refusal> {
        let shown = Self::new(&string_bytes(text))?;
        write_string(shown.0, text)?;
        Ok(shown)
    }

    /// The same if anybody hears of operations; else nothing, at address 0.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn name(text: &[u16]) -> Result<Self, Refusal> {
        if callback_list::any() {
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

impl Drop for CallbackBuffer {
    fn drop(&mut self) {
        if self.0 != 0 {
            pool::free(self.0);
        }
    }
}

//! How services answer into a buffer of the caller: all, the part that fits, or
//! only how much it would have been.

use ntbox_host::driver_mem;

use super::error::Refusal;

/// A buffer of the caller for information of variable length.
#[derive(Debug, Clone, Copy)]
pub struct Reply {
    /// Address of the buffer.
    pub buffer: u64,
    /// Its bytes.
    pub length: u32,
    /// Where the number of bytes of the information goes.
    pub result_length: u64,
}

impl Reply {
    /// Appends it to the fields of what callbacks of the registry see.
    #[must_use]
    pub fn show(&self, fields: Information) -> Information {
        let fields = fields.align(8).u64(self.buffer).u32(self.length);
        fields.align(8).u64(self.result_length)
    }

    /// Writes information whose first `fixed` bytes must fit.
    ///
    /// # Errors
    /// `STATUS_BUFFER_TOO_SMALL` if they do not, and nothing is written;
    /// `STATUS_BUFFER_OVERFLOW` if the rest does not, and what fits is written.
    pub fn write(&self, information: &[u8], fixed: usize) -> Result<(), Refusal> {
        driver_mem::write_u32(
            self.result_length,
            u32::try_from(information.len()).unwrap_or(u32::MAX),
        )?;
        let room = usize::try_from(self.length).unwrap_or(usize::MAX);
        if room < fixed {
            return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
        }
        driver_mem::write_bytes(self.buffer, &information[..information.len().min(room)])?;
        if room < information.len() {
            return Err(nt_status::STATUS_BUFFER_OVERFLOW.into());
        }
        Ok(())
    }
}

/// Information in the making: numbers and names one after the other.
#[derive(Debug, Default)]
pub struct Information(Vec<u8>);

impl Information {
    /// Appends 32 bits.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends 64 bits.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends the number of bytes that something has.
    #[must_use]
    pub fn size(self, bytes: usize) -> Self {
        self.u32(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// Appends text.
    #[must_use]
    pub fn name(mut self, name: &[u16]) -> Self {
        self.0
            .extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
        self
    }

    /// Appends bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Appends zeros up to a multiple of `unit`.
    #[must_use]
    pub fn align(mut self, unit: usize) -> Self {
        self.0.resize(self.0.len().next_multiple_of(unit), 0);
        self
    }

    /// What was appended.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

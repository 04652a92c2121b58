//! Pointers to structures in the driver's memory, by type instead of by offset:
//!
//! ```ignore
//! let irp: DriverPtr<Irp> = DriverPtr::new(address);
//! let status = irp.get(|irp| &irp.io_status.status)?;
//! irp.set(|irp| &irp.pending_returned, 1)?;
//! let list = irp.at(|irp| &irp.thread_list_entry); // a DriverPtr<ListEntry>
//! ```
//!
//! Each access reads or writes exactly the bytes of its field, in one instruction where
//! the field has the size of a register.

use std::fmt;
use std::marker::PhantomData;

use nt_layout::IoStackLocation;
use ntbox_host::driver_mem::{self, Fault};
use ntbox_host::gate::Register;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

/// The address of a `T` in the driver's memory. Nothing is known of it until it is used.
pub struct DriverPtr<T> {
    address: u64,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for DriverPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for DriverPtr<T> {}

impl<T> PartialEq for DriverPtr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<T> Eq for DriverPtr<T> {}

impl<T> fmt::Debug for DriverPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

impl<T> fmt::LowerHex for DriverPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.address, f)
    }
}

/// Exports have pointers as arguments and results.
impl<T> Register for DriverPtr<T> {
    fn from_register(value: u64) -> Self {
        Self::new(value)
    }

    fn into_register(self) -> u64 {
        self.address
    }
}

impl<T> DriverPtr<T> {
    /// Bytes of the structure.
    pub const SIZE: u64 = size_of::<T>() as u64;

    /// The same in 16 bits, as structures have their size in a field.
    #[allow(clippy::cast_possible_truncation, reason = "it is checked")]
    pub const SIZE_FIELD: u16 = {
        assert!(size_of::<T>() <= 0xffff, "the size has more than 16 bits");
        size_of::<T>() as u16
    };

    /// A pointer to this address.
    pub const fn new(address: u64) -> Self {
        Self {
            address,
            of: PhantomData,
        }
    }

    /// The address.
    pub const fn address(self) -> u64 {
        self.address
    }

    /// The same address as a pointer to another type.
    pub const fn cast<U>(self) -> DriverPtr<U> {
        DriverPtr::new(self.address)
    }

    /// The structure `n` places behind this one in an array.
    pub const fn next(self, n: u64) -> Self {
        Self::new(self.address.wrapping_add(n.wrapping_mul(Self::SIZE)))
    }

    /// The structure whose field has this address
    /// (`CONTAINING_RECORD`).
    pub fn containing<U: FromZeros>(self, select: impl FnOnce(&U) -> &T) -> DriverPtr<U> {
        let offset = DriverPtr::<U>::new(0).at(select).address;
        DriverPtr::new(self.address.wrapping_sub(offset))
    }

    /// Whether it is NULL.
    pub const fn is_null(self) -> bool {
        self.address == 0
    }
}

impl<T: FromBytes + IntoBytes + Immutable + Copy> DriverPtr<T> {
    /// Reads all of it.
    pub fn read(self) -> Result<T, Fault> {
        let mut value = T::new_zeroed();
        let bytes = value.as_mut_bytes();
        match bytes.len() {
            1 => bytes.copy_from_slice(&driver_mem::read_u8(self.address)?.to_le_bytes()),
            2 => bytes.copy_from_slice(&driver_mem::read_u16(self.address)?.to_le_bytes()),
            4 => bytes.copy_from_slice(&driver_mem::read_u32(self.address)?.to_le_bytes()),
            8 => bytes.copy_from_slice(&driver_mem::read_u64(self.address)?.to_le_bytes()),
            _ => driver_mem::read_bytes(self.address, bytes)?,
        }
        Ok(value)
    }

    /// Reads all of it and writes what `change` makes of it.
    pub fn update(self, change: impl FnOnce(T) -> T) -> Result<(), Fault> {
        self.write(change(self.read()?))
    }

    /// Writes all of it.
    #[expect(
        clippy::same_functions_in_if_condition,
        reason = "each tries another length"
    )]
    pub fn write(self, value: T) -> Result<(), Fault> {
        let bytes = value.as_bytes();
        if let Ok(byte) = bytes.try_into() {
            driver_mem::write_u8(self.address, u8::from_le_bytes(byte))
        } else if let Ok(word) = bytes.try_into() {
            driver_mem::write_u16(self.address, u16::from_le_bytes(word))
        } else if let Ok(long) = bytes.try_into() {
            driver_mem::write_u32(self.address, u32::from_le_bytes(long))
        } else if let Ok(quad) = bytes.try_into() {
            driver_mem::write_u64(self.address, u64::from_le_bytes(quad))
        } else {
            driver_mem::write_bytes(self.address, bytes)
        }
    }
}

impl DriverPtr<IoStackLocation> {
    /// The parameters, in the form that they have for the function of the request.
    pub fn parameters<T>(self) -> DriverPtr<T> {
        self.at(|location| &location.parameters).cast()
    }
}

impl<T: FromZeros> DriverPtr<T> {
    /// A pointer to the field that `select` returns of a structure.
    pub fn at<F>(self, select: impl FnOnce(&T) -> &F) -> DriverPtr<F> {
        // A structure of zeros, of which only addresses are used.
        let model = T::new_zeroed();
        let field = std::ptr::from_ref(select(&model)).addr();
        let offset = field.wrapping_sub(std::ptr::from_ref(&model).addr());
        assert!(
            offset
                .checked_add(size_of::<F>())
                .is_some_and(|end| end <= size_of::<T>()),
            "`select` returns no field of the structure"
        );
        DriverPtr::new(self.address.wrapping_add(offset as u64))
    }

    /// Reads a field.
    pub fn get<F: FromBytes + IntoBytes + Immutable + Copy>(
        self,
        select: impl FnOnce(&T) -> &F,
    ) -> Result<F, Fault> {
        self.at(select).read()
    }

    /// Writes a field.
    pub fn set<F: FromBytes + IntoBytes + Immutable + Copy>(
        self,
        select: impl FnOnce(&T) -> &F,
        value: F,
    ) -> Result<(), Fault> {
        self.at(select).write(value)
    }
}

#[cfg(test)]
mod tests {
    use nt_layout::{IoStatusBlock, Irp};

    use super::*;
    use crate::test_support::{NOWHERE, address_mut};

    #[test]
    fn set_of_field_changes_its_bytes_only() {
        let mut memory = [0xffff_ffff_u32; size_of::<Irp>() / 4];
        let irp: DriverPtr<Irp> = DriverPtr::new(address_mut(&mut memory));
        irp.set(|irp| &irp.flags, 0x1234_5678).expect("memory");
        assert_eq!(irp.get(|irp| &irp.flags), Ok(0x1234_5678));
        let at = core::mem::offset_of!(Irp, flags) / 4;
        for (n, word) in memory.iter().enumerate() {
            assert_eq!(*word == 0xffff_ffff, n != at, "word {n}");
        }
    }

    #[test]
    #[should_panic(expected = "no field of the structure")]
    fn at_of_non_field_reference_panics() {
        static OTHER: u64 = 0;
        let _: DriverPtr<u64> = DriverPtr::<Irp>::new(0x1000).at(|_| &OTHER);
    }

    #[test]
    fn at_of_nested_field_adds_all_offsets() {
        let irp: DriverPtr<Irp> = DriverPtr::new(0x1000);
        let status: DriverPtr<IoStatusBlock> = irp.at(|irp| &irp.io_status);
        assert_eq!(
            status.address(),
            0x1000 + core::mem::offset_of!(Irp, io_status) as u64
        );
        assert_eq!(
            irp.at(|irp| &irp.io_status.information).address(),
            status.address() + core::mem::offset_of!(IoStatusBlock, information) as u64
        );
    }

    #[test]
    fn get_at_invalid_address_faults_at_the_field() {
        let irp: DriverPtr<Irp> = DriverPtr::new(NOWHERE);
        let fault = irp.get(|irp| &irp.flags).expect_err("nothing is there");
        assert_eq!(
            fault.address,
            NOWHERE + core::mem::offset_of!(Irp, flags) as u64
        );
    }
}

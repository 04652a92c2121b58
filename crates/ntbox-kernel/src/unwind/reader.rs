//! Where unwinding reads from: the image that a frame belongs to and the stack.
//!
//! Both belong to the driver and can be damaged in any way. What cannot be is
//! told as [`Damage`], which goes into the report; nothing here faults or loops.
//! Unwinding itself is a function of memory and registers, so that its tests
//! run on bytes made by hand.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

/// Memory that unwinding reads.
pub trait Memory {
    /// Fills `into` from `va` on.
    fn read(&self, va: u64, into: &mut [u8]) -> Result<(), Fault>;

    /// Reads eight bytes.
    fn read_u64(&self, va: u64) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read(va, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// The memory of the driver that is running.
#[derive(Debug, Clone, Copy)]
pub struct Driver;

impl Memory for Driver {
    fn read(&self, va: u64, into: &mut [u8]) -> Result<(), Fault> {
        driver_mem::read_bytes(va, into)
    }

    fn read_u64(&self, va: u64) -> Result<u64, Fault> {
        driver_mem::read_u64(va)
    }
}

/// An image, as far as unwinding knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Where it lies.
    pub base: u64,
    /// Bytes in memory.
    pub size: u64,
    /// RVA and size of the function table.
    pub pdata: (u32, u32),
}

impl Image {
    /// The address of an RVA, if `length` bytes from there lie in the image.
    pub fn address(&self, rva: u32, length: u64, what: &'static str) -> Result<u64, Damage> {
        if u64::from(rva) + length > self.size {
            return Err(Damage::Outside { what, rva });
        }
        Ok(self.base + u64::from(rva))
    }

    /// Fills `into` from an RVA on.
    pub fn read(
        &self,
        memory: &impl Memory,
        rva: u32,
        into: &mut [u8],
        what: &'static str,
    ) -> Result<(), Damage> {
        let address = self.address(rva, into.len() as u64, what)?;
        memory
            .read(address, into)
            .map_err(|_| Damage::Unreadable { what, address })
    }

    /// The distance of an address from the base, as 32 bits; code outside of the
    /// image gives an offset that no function has.
    pub fn offset(&self, address: u64) -> u32 {
        u32::try_from(address.wrapping_sub(self.base)).unwrap_or(u32::MAX)
    }
}

/// What keeps a frame from being unwound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A part of the unwind data is said to lie where the image is not.
    #[error("{what} is said to lie at image offset {rva:#x}, outside of the image")]
    Outside {
        /// The part.
        what: &'static str,
        /// Where it is said to lie.
        rva: u32,
    },
    /// Memory that is not there.
    #[error("{what} at {address:#x} cannot be read")]
    Unreadable {
        /// What it should hold.
        what: &'static str,
        /// Its address.
        address: u64,
    },
    /// Unwind information of a version that this kernel does not know.
    #[error(
        "the unwind information at image offset {rva:#x} has version {version}; 1 and 2 are known"
    )]
    Version {
        /// Where it lies.
        rva: u32,
        /// What it says.
        version: u8,
    },
    /// An operation that does not exist.
    #[error("the unwind information at image offset {rva:#x} has the unknown operation {code}")]
    Operation {
        /// Where it lies.
        rva: u32,
        /// Number of the operation.
        code: u8,
    },
    /// An operation that needs more slots than there are.
    #[error("the last operation of the unwind information at image offset {rva:#x} is cut off")]
    Cut {
        /// Where it lies.
        rva: u32,
    },
    /// Chained entries that do not end.
    #[error("the chain of unwind information that begins at image offset {rva:#x} has no end")]
    Chain {
        /// Where it begins.
        rva: u32,
    },
    /// The caller's frame would not lie above on the same stack.
    #[error(
        "unwinding gives the stack pointer {found:#x} after {before:#x}; the stack ends at {top:#x}"
    )]
    Stack {
        /// Stack pointer of the frame.
        before: u64,
        /// Stack pointer that its caller would have.
        found: u64,
        /// End of this stretch of the stack.
        top: u64,
    },
}

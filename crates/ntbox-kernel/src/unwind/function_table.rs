//! The function table of an image (`.pdata`): which function an address belongs
//! to, and where its unwind information is.

use super::reader::{Damage, Image, Memory};

/// Most steps along indirect or chained entries, as on Windows.
pub const CHAIN_LIMIT: usize = 32;

/// `RUNTIME_FUNCTION`: begin and end of a function, or of a part of one, and its
/// unwind information, all as RVAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionEntry {
    /// First byte.
    pub begin: u32,
    /// First byte past the end.
    pub end: u32,
    /// Unwind information; with bit 0 set, another entry.
    pub unwind: u32,
}

impl FunctionEntry {
    /// Bytes of the structure.
    pub const SIZE: u32 = 12;

    /// Reads an entry at an RVA.
    pub fn read(memory: &impl Memory, image: &Image, rva: u32) -> Result<Self, Damage> {
        let mut bytes = [0; Self::SIZE as usize];
        image.read(memory, rva, &mut bytes, "an entry of the function table")?;
        Ok(Self::from_bytes(bytes))
    }

    /// From the bytes of the structure.
    pub fn from_bytes(bytes: [u8; Self::SIZE as usize]) -> Self {
        let field = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            begin: field(0),
            end: field(4),
            unwind: field(8),
        }
    }

    /// Whether an offset from the image's base lies inside.
    pub fn contains(&self, offset: u32) -> bool {
        (self.begin..self.end).contains(&offset)
    }
}

/// An entry and the address at which it lies, which is what drivers see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocatedEntry {
    /// The entry.
    pub entry: FunctionEntry,
    /// Its address.
    pub address: u64,
}

/// Finds the entry for an address; `None` for a leaf function, which has none.
pub fn lookup(
    memory: &impl Memory,
    image: &Image,
    pc: u64,
) -> Result<Option<LocatedEntry>, Damage> {
    let offset = image.offset(pc);
    let (table, size) = image.pdata;
    let (mut low, mut high) = (0, size / FunctionEntry::SIZE);
    while low < high {
        let middle = low + (high - low) / 2;
        let rva = table.wrapping_add(middle * FunctionEntry::SIZE);
        let entry = FunctionEntry::read(memory, image, rva)?;
        if offset < entry.begin {
            high = middle;
        } else if offset >= entry.end {
            low = middle + 1;
        } else {
            return direct(memory, image, entry, rva).map(Some);
        }
    }
    Ok(None)
}

/// Follows an entry that only refers to another one.
fn direct(
    memory: &impl Memory,
    image: &Image,
    first: FunctionEntry,
    rva: u32,
) -> Result<LocatedEntry, Damage> {
    let (mut entry, mut rva, begin) = (first, rva, rva);
    for _ in 0..CHAIN_LIMIT {
        if entry.unwind & 1 == 0 {
            let address = image.address(rva, FunctionEntry::SIZE.into(), "a function entry")?;
            return Ok(LocatedEntry { entry, address });
        }
        rva = entry.unwind & !1;
        entry = FunctionEntry::read(memory, image, rva)?;
    }
    Err(Damage::Chain { rva: begin })
}

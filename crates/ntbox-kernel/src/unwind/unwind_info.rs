//! `UNWIND_INFO`: what a function's prologue did, as the compiler wrote it down.

use super::function_table::{CHAIN_LIMIT, FunctionEntry};
use super::reader::{Damage, Image, Memory};

/// `UNW_FLAG_EHANDLER`: the function has an exception handler.
pub const EHANDLER: u8 = 1;
/// `UNW_FLAG_UHANDLER`: the function has a termination handler.
pub const UHANDLER: u8 = 2;
/// `UNW_FLAG_CHAININFO`: another entry continues this one.
const CHAININFO: u8 = 4;

/// What one operation of a prologue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Pushed a register.
    Push(usize),
    /// Took stack, in bytes.
    Allocate(u32),
    /// Set the frame register.
    SetFrame,
    /// Stored a register at an offset from the frame's base.
    Save {
        /// The register.
        register: usize,
        /// Bytes from the base.
        offset: u32,
    },
    /// Stored an XMM register at an offset from the frame's base.
    SaveXmm {
        /// The register.
        register: usize,
        /// Bytes from the base.
        offset: u32,
    },
    /// An interrupt pushed its frame, with an error code or without.
    MachineFrame {
        /// Whether the error code lies below the frame.
        error_code: bool,
    },
    /// Describes epilogues, or nothing: the prologue has no such operation.
    None,
}

/// One operation of a prologue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Offset in the function of the instruction after the one that did it.
    pub offset: u8,
    /// What it did.
    pub effect: Effect,
}

/// The structure, copied out of the image.
#[derive(Debug, Clone, Copy)]
pub struct UnwindInfo {
    /// Where it lies.
    rva: u32,
    /// Version, 1 or 2.
    pub version: u8,
    flags: u8,
    /// Bytes of the prologue.
    pub prologue: u8,
    count: u8,
    /// Frame register, if the function uses one.
    pub frame_register: Option<usize>,
    /// Distance of the frame register from the stack pointer when it was set.
    pub frame_offset: u64,
    codes: [u16; 256],
}

impl UnwindInfo {
    /// Reads and checks what lies at an RVA.
    pub fn read(memory: &impl Memory, image: &Image, rva: u32) -> Result<Self, Damage> {
        const WHAT: &str = "unwind information";
        let mut head = [0; 4];
        image.read(memory, rva, &mut head, WHAT)?;
        let [kind, prologue, count, frame] = head;
        let (version, flags) = (kind & 7, kind >> 3);
        if !(1..=2).contains(&version) {
            return Err(Damage::Version { rva, version });
        }
        let mut bytes = [0; 512];
        let bytes = &mut bytes[..2 * usize::from(count)];
        image.read(memory, rva.saturating_add(4), bytes, WHAT)?;
        let mut codes = [0; 256];
        for (code, pair) in codes.iter_mut().zip(bytes.chunks_exact(2)) {
            *code = u16::from_le_bytes([pair[0], pair[1]]);
        }
        Ok(Self {
            rva,
            version,
            flags,
            prologue,
            count,
            frame_register: (frame & 15 != 0).then_some(usize::from(frame & 15)),
            frame_offset: 16 * u64::from(frame >> 4),
            codes,
        })
    }

    /// The operations, in the order in which they are undone.
    pub fn operations(&self) -> Operations<'_> {
        Operations {
            rva: self.rva,
            codes: &self.codes[..usize::from(self.count)],
        }
    }

    /// The raw slots of the operations.
    pub fn codes(&self) -> &[u16] {
        &self.codes[..usize::from(self.count)]
    }

    /// Whether the information continues in another entry.
    pub fn is_chained(&self) -> bool {
        self.flags & CHAININFO != 0
    }

    /// RVA of what follows the operations, whose number is rounded up to even.
    fn tail(&self) -> u32 {
        self.rva
            .saturating_add(4 + 2 * u32::from(self.count).next_multiple_of(2))
    }

    /// The entry that continues this information.
    pub fn parent(
        &self,
        memory: &impl Memory,
        image: &Image,
    ) -> Result<Option<FunctionEntry>, Damage> {
        if !self.is_chained() {
            return Ok(None);
        }
        FunctionEntry::read(memory, image, self.tail()).map(Some)
    }

    /// The language handler, if it is of one of the kinds asked for, and its data.
    pub fn handler(
        &self,
        memory: &impl Memory,
        image: &Image,
        kinds: u8,
    ) -> Result<Option<Handler>, Damage> {
        if self.is_chained() || self.flags & kinds == 0 {
            return Ok(None);
        }
        let mut rva = [0; 4];
        image.read(
            memory,
            self.tail(),
            &mut rva,
            "the address of a language handler",
        )?;
        let routine = image.address(u32::from_le_bytes(rva), 1, "a language handler")?;
        Ok(Some(Handler {
            routine,
            data: image.base + u64::from(self.tail()) + 4,
        }))
    }
}

/// A language handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handler {
    /// Its address.
    pub routine: u64,
    /// Address of the data that the compiler wrote for it.
    pub data: u64,
}

/// Follows chained information to the entry that begins the function.
pub fn primary(
    memory: &impl Memory,
    image: &Image,
    entry: FunctionEntry,
) -> Result<FunctionEntry, Damage> {
    let mut current = entry;
    for _ in 0..CHAIN_LIMIT {
        match UnwindInfo::read(memory, image, current.unwind)?.parent(memory, image)? {
            Some(parent) => current = parent,
            None => return Ok(current),
        }
    }
    Err(Damage::Chain { rva: entry.unwind })
}

/// Iterator over the operations of a prologue.
#[derive(Debug, Clone)]
pub struct Operations<'a> {
    rva: u32,
    codes: &'a [u16],
}

impl Operations<'_> {
    fn take(&mut self) -> Result<u16, Damage> {
        let (first, rest) = self
            .codes
            .split_first()
            .ok_or(Damage::Cut { rva: self.rva })?;
        self.codes = rest;
        Ok(*first)
    }

    fn take_scaled(&mut self, scale: u32) -> Result<u32, Damage> {
        Ok(u32::from(self.take()?) * scale)
    }

    fn take_far(&mut self) -> Result<u32, Damage> {
        Ok(u32::from(self.take()?) | u32::from(self.take()?) << 16)
    }

    fn operation(&mut self) -> Result<Operation, Damage> {
        let [offset, kind] = self.take()?.to_le_bytes();
        let (code, info) = (kind & 15, kind >> 4);
        let register = usize::from(info);
        let effect = match code {
            0 => Effect::Push(register),
            1 if info == 0 => Effect::Allocate(self.take_scaled(8)?),
            1 => Effect::Allocate(self.take_far()?),
            2 => Effect::Allocate(8 * u32::from(info) + 8),
            3 => Effect::SetFrame,
            4 => Effect::Save {
                register,
                offset: self.take_scaled(8)?,
            },
            5 => Effect::Save {
                register,
                offset: self.take_far()?,
            },
            // Epilogues, written in pairs.
            6 => {
                self.take()?;
                Effect::None
            }
            // Reserved, with the three slots that its predecessor had.
            7 => {
                self.take_far()?;
                Effect::None
            }
            8 => Effect::SaveXmm {
                register,
                offset: self.take_scaled(16)?,
            },
            9 => Effect::SaveXmm {
                register,
                offset: self.take_far()?,
            },
            10 => Effect::MachineFrame {
                error_code: info != 0,
            },
            code => {
                return Err(Damage::Operation {
                    rva: self.rva,
                    code,
                });
            }
        };
        Ok(Operation { offset, effect })
    }
}

impl Iterator for Operations<'_> {
    type Item = Result<Operation, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.codes.is_empty() {
            return None;
        }
        let result = self.operation();
        if result.is_err() {
            self.codes = &[];
        }
        Some(result)
    }
}

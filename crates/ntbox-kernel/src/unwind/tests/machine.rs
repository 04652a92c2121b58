//! Memory, an image and a stack made by hand.

use ntbox_host::context::{Context, RSP};
use ntbox_host::driver_mem::Fault;

use crate::unwind::epilogue::CodePosition;
use crate::unwind::function_table::FunctionEntry;
use crate::unwind::reader::{Damage, Image, Memory};
use crate::unwind::virtual_unwind::{SavedRegisters, UnwoundFrame};
use crate::unwind::{function_table, virtual_unwind};

/// Where the image lies.
pub const BASE: u64 = 0x1_0000;
/// Bytes of the image.
pub const SIZE: usize = 0x1000;
/// Where the stack lies.
pub const STACK: u64 = 0x8_0000;
/// Bytes of the stack.
pub const STACK_SIZE: usize = 0x2000;
/// RVA of the function table.
const TABLE: u32 = 0x800;

/// An image and a stack, and nothing else.
#[derive(Debug, Clone)]
pub struct Machine {
    pub image: Vec<u8>,
    pub stack: Vec<u8>,
    entries: u32,
}

impl Memory for Machine {
    fn read(&self, va: u64, into: &mut [u8]) -> Result<(), Fault> {
        let regions = [(BASE, &self.image), (STACK, &self.stack)];
        for (start, bytes) in regions {
            let from = va
                .checked_sub(start)
                .and_then(|offset| usize::try_from(offset).ok());
            let part = from.and_then(|from| bytes.get(from..from.checked_add(into.len())?));
            if let Some(part) = part {
                into.copy_from_slice(part);
                return Ok(());
            }
        }
        Err(Fault {
            address: va,
            write: false,
        })
    }
}

impl Machine {
    /// An image without functions, and a stack whose words are all different.
    pub fn new() -> Self {
        let stack = (0..STACK_SIZE / 8)
            .flat_map(|n| stack_word(n).to_le_bytes())
            .collect();
        Self {
            image: vec![0xcc; SIZE],
            stack,
            entries: 0,
        }
    }

    /// Puts bytes into the image.
    pub fn put(&mut self, rva: u32, bytes: &[u8]) {
        let at = rva as usize;
        self.image[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Adds an entry to the function table; entries must come in order.
    pub fn entry(&mut self, begin: u32, end: u32, unwind: u32) -> FunctionEntry {
        let entry = FunctionEntry { begin, end, unwind };
        self.put(TABLE + FunctionEntry::SIZE * self.entries, &bytes(entry));
        self.entries += 1;
        entry
    }

    /// Adds a function with these unwind codes and no handler, at 0x100.
    pub fn function(&mut self, head: [u8; 4], codes: &[u16]) -> FunctionEntry {
        self.unwind_info(0x400, head, codes);
        self.entry(0x100, 0x200, 0x400)
    }

    /// Puts unwind information at an RVA; returns the RVA behind its codes.
    pub fn unwind_info(&mut self, rva: u32, head: [u8; 4], codes: &[u16]) -> u32 {
        self.put(rva, &head);
        for (at, code) in (rva + 4..).step_by(2).zip(codes) {
            self.put(at, &code.to_le_bytes());
        }
        rva + 4 + 2 * u32::try_from(codes.len().next_multiple_of(2)).expect("few codes")
    }

    /// The image as unwinding sees it.
    pub fn view(&self) -> Image {
        Image {
            base: BASE,
            size: SIZE as u64,
            pdata: (TABLE, FunctionEntry::SIZE * self.entries),
        }
    }

    /// Unwinds out of the function at `rva`.
    pub fn unwind(
        &self,
        rva: u32,
        context: &mut Context,
        kinds: u8,
    ) -> Result<UnwoundFrame, Damage> {
        self.unwind_saving(rva, context, kinds, &mut SavedRegisters::default())
    }

    /// The same, telling where registers were found.
    pub fn unwind_saving(
        &self,
        rva: u32,
        context: &mut Context,
        kinds: u8,
        saved: &mut SavedRegisters,
    ) -> Result<UnwoundFrame, Damage> {
        let image = self.view();
        let pc = BASE + u64::from(rva);
        let found = function_table::lookup(self, &image, pc)?.expect("a function at the address");
        let place = CodePosition {
            memory: self,
            image: &image,
            entry: found.entry,
            pc,
        };
        virtual_unwind::virtual_unwind(&place, kinds, context, saved)
    }
}

/// The bytes of an entry.
pub fn bytes(entry: FunctionEntry) -> Vec<u8> {
    [entry.begin, entry.end, entry.unwind]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect()
}

/// What word `n` of the stack holds.
pub fn stack_word(n: usize) -> u64 {
    0x5000_0000_0000 + n as u64
}

/// What lies at an offset from the stack's low end.
pub fn word_at(offset: u64) -> u64 {
    stack_word(usize::try_from(offset / 8).expect("small"))
}

/// Registers with marks, the stack pointer `offset` above the stack's low end.
pub fn registers(offset: u64) -> Context {
    let mut context = Context::zeroed();
    for (n, slot) in (0..).zip(&mut context.registers) {
        *slot = 0xaa00 + n;
    }
    context.registers[RSP] = STACK + offset;
    context
}

/// An unwind code: offset in the prologue, operation and its details.
pub fn code(offset: u8, operation: u8, info: u8) -> u16 {
    u16::from_le_bytes([offset, operation | info << 4])
}

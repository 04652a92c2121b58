//! A driver's code as the translator sees it.

use std::ops::Range;

use ntbox_translate::{CodeSource, Function, Gpr};

use super::code_map::CodeMap;
use crate::memory_map::NT;
use crate::{driver_mem, modules};

/// Bytes of a `RUNTIME_FUNCTION`.
const ENTRY: u64 = 12;

/// The driver's memory, of which the map says what is code.
pub struct Source<'a>(pub &'a CodeMap);

impl CodeSource for Source<'_> {
    fn code(&self, address: u64) -> &[u8] {
        let range = self.0.from(address);
        let Ok(length) = usize::try_from(range.end - range.start) else {
            return &[];
        };
        if length == 0 {
            return &[];
        }
        // SAFETY: the map has ranges that are mapped and can be read; they are taken out
        // of it before that ends. Neither the driver nor the kernel runs while the
        // translator has the slice.
        unsafe { std::slice::from_raw_parts(address as *const u8, length) }
    }

    fn function(&self, address: u64) -> Option<Function> {
        let image = modules::find(address)?;
        let rva = u32::try_from(address - image.base).ok()?;
        let table = image.base + u64::from(image.pdata.0);
        let (mut low, mut high) = (0, u64::from(image.pdata.1) / ENTRY);
        while low < high {
            let middle = low.midpoint(high);
            let at = table + middle * ENTRY;
            let begin = driver_mem::read_u32(at).ok()?;
            let end = driver_mem::read_u32(at + 4).ok()?;
            if rva < begin {
                high = middle;
            } else if rva >= end {
                low = middle + 1;
            } else {
                let info = driver_mem::read_u32(at + 8).ok()?;
                let frame = driver_mem::read_u8(image.base + u64::from(info & !3) + 3).ok()?;
                let number = u64::from(frame & 0xf);
                return Some(Function {
                    range: image.base + u64::from(begin)..image.base + u64::from(end),
                    frame_register: Gpr::all()
                        .find(|gpr| number != 0 && u64::from(gpr.number()) == number),
                });
            }
        }
        None
    }

    fn pointer(&self, address: u64) -> Option<u64> {
        modules::find(address)?;
        driver_mem::read_u64(address).ok()
    }

    fn image(&self, address: u64) -> Range<u64> {
        match modules::find(address) {
            Some(image) => image.base..image.base + image.size,
            None if NT.contains(address) => NT.base..NT.end(),
            None => address..address,
        }
    }
}

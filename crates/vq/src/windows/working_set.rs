//! How much of a block is in physical memory: `QueryWorkingSetEx`.

use windows_sys::Win32::System::ProcessStatus::K32QueryWorkingSetEx;

use super::{Process, last};
use crate::working_set::{Resident, WorkingSet};
use crate::{Block, Error};

/// Pages of one question.
const BATCH: usize = 1024;
const PAGE: u64 = 0x1000;
/// Bits of `PSAPI_WORKING_SET_EX_BLOCK`.
const VALID: u64 = 1;
const SHARED: u64 = 1 << 15;

impl WorkingSet for &Process {
    fn resident(&mut self, block: &Block) -> Result<Resident, Error> {
        let mut sum = Resident::default();
        let mut at = block.base;
        // PSAPI_WORKING_SET_EX_INFORMATION: an address, and what is there.
        let mut pages: Vec<[u64; 2]> = Vec::with_capacity(BATCH);
        while at < block.end() {
            pages.clear();
            while at < block.end() && pages.len() < BATCH {
                pages.push([at, 0]);
                at += PAGE;
            }
            let bytes = u32::try_from(size_of_val(pages.as_slice())).unwrap_or(0);
            // SAFETY: the process is open, and the array is as long as said.
            let told =
                unsafe { K32QueryWorkingSetEx(self.raw(), pages.as_mut_ptr().cast(), bytes) };
            if told == 0 {
                return Err(last("QueryWorkingSetEx"));
            }
            for [_, what] in &pages {
                if what & VALID != 0 {
                    sum.bytes += PAGE;
                    sum.shared += if what & SHARED == 0 { 0 } else { PAGE };
                }
            }
        }
        Ok(sum)
    }
}

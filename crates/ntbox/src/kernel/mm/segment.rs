//! Segments: the pages behind sections and files. Views of a section, a second
//! section of the same file, and reading or writing that file all meet the same
//! page frames, so they cannot disagree.

use std::collections::BTreeMap;

use super::phys::{Pfn, Physical};
use crate::kernel::layout::PAGE_SIZE;

/// Pages that views share.
#[derive(Debug, Default)]
struct Segment {
    /// Committed pages.
    pages: BTreeMap<u64, Pfn>,
    /// Sections, views and files that need it.
    references: u64,
}

/// All segments, by number.
#[derive(Debug, Default)]
pub struct Segments {
    list: BTreeMap<u64, Segment>,
    next: u64,
}

impl Segments {
    /// Makes a segment without pages and with one reference.
    pub fn create(&mut self) -> u64 {
        self.next += 1;
        let segment = Segment {
            references: 1,
            ..Segment::default()
        };
        self.list.insert(self.next, segment);
        self.next
    }

    /// Takes a reference.
    pub fn reference(&mut self, number: u64) {
        if let Some(segment) = self.list.get_mut(&number) {
            segment.references += 1;
        }
    }

    /// Gives a reference back; with the last one the pages go.
    pub fn release(&mut self, number: u64, physical: &mut Physical) {
        let Some(segment) = self.list.get_mut(&number) else {
            return;
        };
        segment.references -= 1;
        if segment.references == 0
            && let Some(segment) = self.list.remove(&number)
        {
            let frames: Vec<Pfn> = segment.pages.into_values().collect();
            physical.give(&frames);
        }
    }

    /// The frame of a page, if it is committed.
    pub fn frame(&self, number: u64, page: u64) -> Option<Pfn> {
        self.list.get(&number)?.pages.get(&page).copied()
    }

    /// Commits pages that are not committed yet, zeroed. False if there is no
    /// memory for all of them; then none is.
    pub fn commit(
        &mut self,
        number: u64,
        pages: std::ops::Range<u64>,
        physical: &mut Physical,
    ) -> bool {
        let Some(segment) = self.list.get_mut(&number) else {
            return false;
        };
        let missing: Vec<u64> = pages
            .filter(|page| !segment.pages.contains_key(page))
            .collect();
        let Some(frames) = physical.take_zeroed(missing.len() as u64) else {
            return false;
        };
        segment.pages.extend(missing.into_iter().zip(frames));
        true
    }

    /// Copies bytes out of committed pages; what is not committed reads as zeros.
    pub fn read(&self, number: u64, offset: u64, into: &mut [u8], physical: &Physical) {
        for (at, part) in parts(offset, into.len()) {
            let Some(piece) = into.get_mut(part) else {
                return;
            };
            match self.frame(number, at / PAGE_SIZE) {
                Some(pfn) => physical.read(pfn, at % PAGE_SIZE, piece),
                None => piece.fill(0),
            }
        }
    }

    /// Copies bytes into pages, which are committed.
    pub fn write(&self, number: u64, offset: u64, from: &[u8], physical: &Physical) {
        for (at, part) in parts(offset, from.len()) {
            let piece = from.get(part);
            if let (Some(pfn), Some(piece)) = (self.frame(number, at / PAGE_SIZE), piece) {
                physical.write(pfn, at % PAGE_SIZE, piece);
            }
        }
    }
}

/// Cuts a range of bytes where pages end: offsets, and which bytes.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let at = offset + done as u64;
        let room = usize::try_from(PAGE_SIZE - at % PAGE_SIZE).ok()?;
        let end = length.min(done + room);
        let part = done..end;
        done = end;
        Some((at, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::mm;
    use crate::kernel::testing::processor;

    #[test]
    fn bytes_cross_pages_and_unset_ones_are_zero() {
        processor();
        mm::with(|memory| {
            let before = memory.physical.available();
            let segment = memory.segments.create();
            assert!(memory.segments.commit(segment, 0..2, &mut memory.physical));
            let text: Vec<u8> = (0..100).collect();
            memory
                .segments
                .write(segment, PAGE_SIZE - 40, &text, &memory.physical);
            let mut read = vec![0xff; 100];
            memory
                .segments
                .read(segment, PAGE_SIZE - 40, &mut read, &memory.physical);
            assert_eq!(read, text);
            memory
                .segments
                .read(segment, 2 * PAGE_SIZE - 4, &mut read[..8], &memory.physical);
            assert_eq!(read[..8], [0; 8]);
            memory.segments.reference(segment);
            memory.segments.release(segment, &mut memory.physical);
            assert!(memory.segments.frame(segment, 1).is_some());
            memory.segments.release(segment, &mut memory.physical);
            assert!(memory.segments.frame(segment, 1).is_none());
            assert_eq!(memory.physical.available(), before);
        });
    }
}

//! Segments: the pages behind sections and files. Views of a section, a second
//! section of the same file, and reading or writing that file all meet the same
//! page frames, so they cannot disagree.

use std::collections::BTreeMap;

use ntbox_host::pfn::{Pfn, Physical};

use super::section_table::Image;

/// Pages that views share.
#[derive(Debug, Default)]
struct Segment {
    /// Committed pages.
    pages: BTreeMap<u64, Pfn>,
    /// Sections, views and files that need it.
    references: u64,
    /// What is known of it if it is an image.
    image: Option<Image>,
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

    /// Says that a segment is an image.
    pub fn set_image(&mut self, number: u64, image: Image) {
        if let Some(segment) = self.list.get_mut(&number) {
            segment.image = Some(image);
        }
    }

    /// What is known of a segment if it is an image.
    pub fn image(&self, number: u64) -> Option<&Image> {
        self.list.get(&number)?.image.as_ref()
    }

    /// How many references there are.
    pub fn references(&self, number: u64) -> u64 {
        self.list
            .get(&number)
            .map_or(0, |segment| segment.references)
    }

    /// How many pages are committed.
    pub fn committed(&self, number: u64) -> u64 {
        self.list
            .get(&number)
            .map_or(0, |segment| segment.pages.len() as u64)
    }

    /// Gives the pages from number `pages` on back. Nobody may have them mapped.
    pub fn truncate(&mut self, number: u64, pages: u64, physical: &mut Physical) {
        if let Some(segment) = self.list.get_mut(&number) {
            let frames: Vec<Pfn> = segment.pages.split_off(&pages).into_values().collect();
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
}

#[cfg(test)]
mod tests {
    use crate::mm;
    use crate::test_support::processor;

    #[test]
    fn segment_pages_live_until_last_reference() {
        processor();
        mm::with(|memory| {
            let before = memory.physical.available();
            let segment = memory.segments.create();
            assert!(memory.segments.commit(segment, 0..2, &mut memory.physical));
            let first = memory.segments.frame(segment, 0);
            assert!(memory.segments.commit(segment, 0..3, &mut memory.physical));
            assert_eq!(memory.segments.frame(segment, 0), first);
            assert!(memory.segments.frame(segment, 3).is_none());
            memory.segments.reference(segment);
            memory.segments.release(segment, &mut memory.physical);
            assert!(memory.segments.frame(segment, 2).is_some());
            memory.segments.release(segment, &mut memory.physical);
            assert!(memory.segments.frame(segment, 2).is_none());
            assert_eq!(memory.physical.available(), before);
        });
    }
}

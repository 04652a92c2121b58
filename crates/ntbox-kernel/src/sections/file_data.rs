//! The data of a file. It is kept in a segment of the memory manager, so that a
//! view of a section and a read of the file meet in the same page frames.

use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::pfn::Pfn;

use crate::mm;

/// Bytes that the volume has for data.
pub const CAPACITY: u64 = 1 << 30;
/// Bytes of a cluster.
pub const CLUSTER: u64 = PAGE_SIZE;

/// The data of a file.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Its pages; those that were never written are missing and count as zeros.
    pub segment: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes taken for it, whole clusters.
    pub allocation: u64,
}

impl Content {
    /// An empty file.
    pub fn new() -> Self {
        Self {
            segment: mm::with(|memory| memory.segments.create()),
            size: 0,
            allocation: 0,
        }
    }

    /// Gives its pages back, as far as no section needs them.
    pub fn release(self) {
        mm::with(|memory| memory.segments.release(self.segment, &mut memory.physical));
    }

    /// Bytes from an offset, up to the end of the file.
    pub fn read(&self, offset: u64, length: u64) -> Vec<u8> {
        let length = length.min(self.size.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.each_page(offset, &mut bytes, |memory, pfn, at, part| {
            memory.physical.read(pfn, at, part);
        });
        bytes
    }

    /// Writes bytes, which may make the file longer. False if there is no room:
    /// then nothing is written.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let end = offset + bytes.len() as u64;
        if offset > self.size {
            self.clear_tail();
        }
        let pages = offset / PAGE_SIZE..end.div_ceil(PAGE_SIZE);
        let committed = mm::with(|memory| {
            memory
                .segments
                .commit(self.segment, pages, &mut memory.physical)
        });
        if !committed {
            return false;
        }
        let mut copy = bytes.to_vec();
        self.each_page(offset, &mut copy, |memory, pfn, at, part| {
            memory.physical.write(pfn, at, part);
        });
        self.size = self.size.max(end);
        self.allocation = self.allocation.max(end.next_multiple_of(CLUSTER));
        true
    }

    /// Commits every page, for a section. False if there is no memory.
    pub fn commit(&self, size: u64) -> bool {
        let pages = 0..size.div_ceil(PAGE_SIZE);
        mm::with(|memory| {
            memory
                .segments
                .commit(self.segment, pages, &mut memory.physical)
        })
    }

    /// Cuts the data, or makes it longer with zeros.
    pub fn resize(&mut self, size: u64) {
        let shrinks = size < self.size;
        if shrinks {
            let pages = size.div_ceil(PAGE_SIZE);
            mm::with(|memory| {
                memory
                    .segments
                    .truncate(self.segment, pages, &mut memory.physical);
            });
        } else {
            self.clear_tail();
        }
        self.size = size;
        self.allocation = size.next_multiple_of(CLUSTER);
        if shrinks {
            self.clear_tail();
        }
    }

    /// Zeros what lies behind the end in the last page: a view may have written
    /// there, and it was data once.
    fn clear_tail(&self) {
        let tail = self.size.next_multiple_of(PAGE_SIZE) - self.size;
        let mut zeros = vec![0; usize::try_from(tail).unwrap_or(0)];
        self.each_page(self.size, &mut zeros, |memory, pfn, at, part| {
            memory.physical.write(pfn, at, part);
        });
    }

    /// Changes what is taken for it; what no longer fits is cut off.
    pub fn allocate(&mut self, bytes: u64) {
        if bytes < self.size {
            self.resize(bytes);
        }
        self.allocation = bytes.next_multiple_of(CLUSTER);
    }

    /// Whether sections or views have its pages.
    pub fn is_mapped(&self) -> bool {
        mm::with(|memory| memory.segments.references(self.segment) > 1)
    }

    /// Goes through the pages behind a buffer that are there.
    fn each_page(
        &self,
        offset: u64,
        bytes: &mut [u8],
        work: impl Fn(&mut mm::Memory, Pfn, u64, &mut [u8]),
    ) {
        mm::with(|memory| {
            let mut at = offset;
            let mut rest = bytes;
            while !rest.is_empty() {
                let inside = at % PAGE_SIZE;
                let count = (PAGE_SIZE - inside).min(rest.len() as u64);
                let (part, behind) = rest.split_at_mut(usize::try_from(count).unwrap_or(0));
                if let Some(pfn) = memory.segments.frame(self.segment, at / PAGE_SIZE) {
                    work(memory, pfn, inside, part);
                }
                at += count;
                rest = behind;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::processor;

    #[test]
    fn content_write_reads_back_with_zeros_elsewhere() {
        processor();
        let mut content = Content::new();
        assert!(content.write(PAGE_SIZE - 2, b"abcd"));
        assert_eq!(
            (content.size, content.allocation),
            (PAGE_SIZE + 2, 2 * PAGE_SIZE)
        );
        assert_eq!(content.read(PAGE_SIZE - 4, 100), b"\0\0abcd");
        assert_eq!(content.read(PAGE_SIZE + 2, 1), b"");
        content.resize(PAGE_SIZE + 1);
        content.resize(3 * PAGE_SIZE);
        assert_eq!(content.read(PAGE_SIZE - 1, 4), b"bc\0\0");
        content.allocate(1);
        assert_eq!((content.size, content.allocation), (1, PAGE_SIZE));
        assert!(!content.is_mapped());
        let segment = content.segment;
        content.release();
        assert_eq!(mm::with(|memory| memory.segments.references(segment)), 0);
    }

    #[test]
    fn content_write_without_memory_writes_nothing() {
        processor();
        let mut content = Content::new();
        let left = mm::with(|memory| memory.physical.available());
        let taken = mm::with(|memory| memory.physical.take(left)).expect("there are so many");
        assert!(!content.write(0, b"x"));
        assert_eq!((content.size, content.allocation), (0, 0));
        mm::with(|memory| memory.physical.give(&taken));
        content.release();
    }
}

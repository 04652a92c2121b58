//! Physical memory: one shared memory object, whose pages are page frames.
//!
//! A page of the object can be mapped at any number of addresses, so a second
//! mapping of an MDL is a second mapping, not an imitation. Page frame numbers
//! are offsets into the object plus [`FIRST_PFN`].

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::memory_map::{EXECUTABLE_POOL, NONPAGED_POOL, PAGE_SHIFT, PAGE_SIZE, PAGED_POOL};

/// Page frame number of the first page: the first MiB belongs to firmware.
pub const FIRST_PFN: u64 = 0x100;
/// Bytes of physical memory. Only what is touched costs real memory.
pub const SIZE: u64 = 2 << 30;

/// A page frame number.
pub type Pfn = u64;

/// The machine's page frames.
#[derive(Debug)]
pub struct Physical {
    object: OwnedFd,
    /// Next frame that was never given out.
    next: Pfn,
    /// Frames given back; their content is what it was.
    free: Vec<Pfn>,
    /// Frames that may still be given out.
    left: u64,
}

impl Physical {
    /// Makes the memory object. Its first frames are those of the pools, which
    /// are mapped as a whole.
    ///
    /// # Errors
    /// The host refuses it, and why.
    pub fn new() -> Result<Self, String> {
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(c"physical-memory".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            let error = std::io::Error::last_os_error();
            return Err(format!("memfd_create failed: {error}"));
        }
        // SAFETY: the descriptor was just made and nobody else has it.
        let object = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the descriptor is open.
        let result = unsafe { libc::ftruncate(fd, SIZE.cast_signed()) };
        if result != 0 {
            let error = std::io::Error::last_os_error();
            return Err(format!(
                "a memory object of {} MiB cannot be made: {error}; `ulimit -f` must allow it",
                SIZE >> 20
            ));
        }
        let pools = (NONPAGED_POOL.size + PAGED_POOL.size + EXECUTABLE_POOL.size) >> PAGE_SHIFT;
        Ok(Self {
            object,
            next: FIRST_PFN + pools,
            free: Vec::new(),
            left: (SIZE >> PAGE_SHIFT) - pools,
        })
    }

    /// First frame of nonpaged pool.
    #[must_use]
    pub const fn nonpaged_pool() -> Pfn {
        FIRST_PFN
    }

    /// First frame of paged pool.
    #[must_use]
    pub const fn paged_pool() -> Pfn {
        FIRST_PFN + (NONPAGED_POOL.size >> PAGE_SHIFT)
    }

    /// First frame of executable pool.
    #[must_use]
    pub const fn executable_pool() -> Pfn {
        Self::paged_pool() + (PAGED_POOL.size >> PAGE_SHIFT)
    }

    /// Offset of a frame in the memory object.
    #[must_use]
    pub const fn offset(pfn: Pfn) -> u64 {
        (pfn - FIRST_PFN) * PAGE_SIZE
    }

    /// Whether a number is that of a frame of this machine.
    #[must_use]
    pub const fn exists(pfn: Pfn) -> bool {
        pfn >= FIRST_PFN && pfn - FIRST_PFN < SIZE >> PAGE_SHIFT
    }

    /// Highest physical address.
    #[must_use]
    pub const fn highest_address() -> u64 {
        (FIRST_PFN << PAGE_SHIFT) + SIZE - 1
    }

    /// Descriptor of the memory object, for mapping.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.object.as_raw_fd()
    }

    /// Frames that can still be taken.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.left
    }

    /// Takes `count` frames, adjacent ones where there are; none if not all.
    pub fn take(&mut self, count: u64) -> Option<Vec<Pfn>> {
        if count > self.left {
            return None;
        }
        self.left -= count;
        let fresh = (FIRST_PFN + (SIZE >> PAGE_SHIFT) - self.next).min(count);
        let mut frames: Vec<Pfn> = (self.next..self.next + fresh).collect();
        self.next += fresh;
        let from_free = frames.len();
        while (frames.len() as u64) < count {
            frames.push(self.free.pop()?);
        }
        // Those that lie side by side are mapped in one piece, of which the host
        // allows a process some ten thousands.
        frames[from_free..].sort_unstable();
        Some(frames)
    }

    /// Gives frames back.
    pub fn give(&mut self, frames: &[Pfn]) {
        self.left += frames.len() as u64;
        self.free.extend_from_slice(frames);
    }
}

impl Physical {
    /// Takes `count` frames that hold nothing but zeros.
    pub fn take_zeroed(&mut self, count: u64) -> Option<Vec<Pfn>> {
        // A frame that was never given out is zero already.
        let fresh = self.next;
        let frames = self.take(count)?;
        frames
            .iter()
            .filter(|pfn| **pfn < fresh)
            .for_each(|pfn| self.clear(*pfn));
        Some(frames)
    }

    /// Allocates `count` contiguous frames between two addresses. They cross no multiple of
    /// `boundary` frames, unless that is 0.
    pub fn take_contiguous(
        &mut self,
        count: u64,
        (lowest, highest): (Pfn, Pfn),
        boundary: u64,
    ) -> Option<Vec<Pfn>> {
        if count == 0 || count > self.left {
            return None;
        }
        let mut free = self.free.clone();
        free.sort_unstable();
        let fits = |first: Pfn| {
            let last = first + count - 1;
            first >= lowest
                && last <= highest
                && (boundary == 0 || first / boundary == last / boundary)
        };
        let among_freed = free
            .windows(usize::try_from(count).ok()?)
            .find(|run| run[run.len() - 1] - run[0] == count - 1 && fits(run[0]))
            .map(|run| run[0]);
        let first = if let Some(first) = among_freed {
            self.free
                .retain(|pfn| !(first..first + count).contains(pfn));
            first
        } else {
            let end = FIRST_PFN + (SIZE >> PAGE_SHIFT);
            let first =
                (self.next.max(lowest)..=end.checked_sub(count)?).find(|first| fits(*first))?;
            self.free.extend(self.next..first);
            self.next = first + count;
            first
        };
        self.left -= count;
        Some((first..first + count).collect())
    }

    /// Reads from a frame, `offset` bytes into it.
    pub fn read(&self, pfn: Pfn, offset: u64, into: &mut [u8]) {
        let at = (Self::offset(pfn) + offset).cast_signed();
        // SAFETY: the descriptor is open and the buffer has the length passed.
        let count =
            unsafe { libc::pread(self.descriptor(), into.as_mut_ptr().cast(), into.len(), at) };
        assert_eq!(
            usize::try_from(count),
            Ok(into.len()),
            "a page frame cannot be read"
        );
    }

    /// Writes into a frame, `offset` bytes into it.
    pub fn write(&self, pfn: Pfn, offset: u64, from: &[u8]) {
        let at = (Self::offset(pfn) + offset).cast_signed();
        // SAFETY: the descriptor is open and the buffer has the length passed.
        let count =
            unsafe { libc::pwrite(self.descriptor(), from.as_ptr().cast(), from.len(), at) };
        assert_eq!(
            usize::try_from(count),
            Ok(from.len()),
            "a page frame cannot be written"
        );
    }

    /// Fills a frame with zeros.
    pub fn clear(&self, pfn: Pfn) {
        let flags = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let page = PAGE_SIZE.cast_signed();
        // SAFETY: the descriptor is open and the range lies inside the object.
        let result = unsafe {
            libc::fallocate(
                self.descriptor(),
                flags,
                Self::offset(pfn).cast_signed(),
                page,
            )
        };
        assert_eq!(
            result,
            0,
            "a page frame cannot be cleared: {}",
            std::io::Error::last_os_error()
        );
    }
}

/// Reads and writes frames, wherever they are mapped.
impl Physical {
    /// Copies the content of a frame.
    pub fn copy(&self, from: Pfn, to: Pfn) {
        const PAGE: usize = 0x1000;
        let mut page = [0; PAGE];
        self.read(from, 0, &mut page);
        self.write(to, 0, &page);
    }
}

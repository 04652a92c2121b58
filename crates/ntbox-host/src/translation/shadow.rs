//! The shadow of memory, which checks in translated code look at: a byte describes eight
//! bytes. It is there for the zones of drivers and for the usual memory of processes;
//! an access elsewhere always asks.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::memory_map::{
    EXECUTABLE_POOL, GUEST_END, IMAGES, MAPPING_ADDRESSES, NONPAGED_POOL, NT, PAGED_POOL, PCRS,
    SHARED_DATA, STACKS, SYSTEM_PTES, Zone,
};

/// Memory of processes that has a shadow.
const USER: Zone = Zone {
    base: 0x0000_0010_0000_0000,
    size: 16 << 30,
};

/// What has a shadow.
const ZONES: [Zone; 11] = [
    USER,
    NONPAGED_POOL,
    EXECUTABLE_POOL,
    PAGED_POOL,
    SYSTEM_PTES,
    MAPPING_ADDRESSES,
    IMAGES,
    STACKS,
    NT,
    PCRS,
    SHARED_DATA,
];

/// Bytes that a byte describes, as a shift.
const SHIFT: u32 = 3;
/// No byte of the eight may be accessed.
const CLOSED: u8 = 0xff;
/// The same; they were freed, and the kernel does not access them either.
const FREED: u8 = 0xfd;

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether there is a shadow, and translated code looks at it.
#[inline]
#[must_use]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Whether addresses belong to the shadow, so that no process can have them.
#[must_use]
pub fn overlaps(start: u64, end: u64) -> bool {
    let all = USER.base >> SHIFT..GUEST_END >> SHIFT;
    is_on()
        && start < all.end
        && end > all.start
        && ZONES
            .iter()
            .any(|zone| start < zone.end() >> SHIFT && end > zone.base >> SHIFT)
}

/// Maps the shadow: everything may be accessed.
///
/// # Errors
/// The process has too little address space.
pub fn initialize() -> Result<(), String> {
    for zone in ZONES {
        let start = (zone.base >> SHIFT) & !0xfff;
        let end = (zone.end() >> SHIFT).next_multiple_of(0x1000);
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        // SAFETY: a new mapping; the flag refuses to replace one that exists.
        let at = unsafe {
            libc::mmap(
                start as *mut libc::c_void,
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_NORESERVE
                    | libc::MAP_FIXED_NOREPLACE,
                -1,
                0,
            )
        };
        if at as u64 != start {
            return Err(
                "the process has too little address space for the shadow of memory: `ulimit -v` must allow 16 GiB"
                    .to_owned(),
            );
        }
    }
    IS_ON.store(true, Ordering::Relaxed);
    Ok(())
}

/// Lets accesses to whole groups of eight bytes ask; others of the range stay.
pub fn close(range: Range<u64>) {
    let start = range.start.next_multiple_of(1 << SHIFT);
    let end = range.end & !((1 << SHIFT) - 1);
    fill(start..end, CLOSED);
}

/// Lets accesses of the driver to whole groups of eight bytes ask, and those of the kernel
/// fail.
pub fn free(range: Range<u64>) {
    fill(range, FREED);
}

/// The first freed byte of a range.
#[must_use]
pub fn first_freed(start: u64, length: u64) -> Option<u64> {
    if !is_on() || length == 0 {
        return None;
    }
    let last = start.checked_add(length - 1)?;
    let pools = [NONPAGED_POOL, PAGED_POOL];
    let zone = pools.iter().find(|zone| zone.contains(start))?;
    let last = last.min(zone.end() - 1);
    let groups = start >> SHIFT..=last >> SHIFT;
    let first = groups.into_iter().find(|group| {
        // SAFETY: a byte of the shadow of a zone, which is mapped for the life of the
        // process and to which no reference points.
        unsafe { (*group as *const u8).read() == FREED }
    })?;
    Some((first << SHIFT).max(start))
}

/// Lets accesses to a range pass. It begins at a multiple of eight; what follows its end
/// in the last group of eight asks.
pub fn open(range: Range<u64>) {
    let end = range.end & !((1 << SHIFT) - 1);
    fill(range.start..end, 0);
    if let Ok(rest @ 1..) = u8::try_from(range.end - end) {
        fill(end..end + (1 << SHIFT), rest);
    }
}

/// Sets the shadow of whole groups.
fn fill(range: Range<u64>, value: u8) {
    if !is_on() || range.is_empty() {
        return;
    }
    let has_shadow = |zone: &Zone| zone.base <= range.start && range.end <= zone.end();
    if !ZONES.iter().any(has_shadow) {
        return;
    }
    let start = range.start >> SHIFT;
    let length = usize::try_from((range.end >> SHIFT) - start).unwrap_or(0);
    // SAFETY: the shadow of a zone, which is mapped for the life of the process and to
    // which no reference points.
    unsafe { std::ptr::write_bytes(start as *mut u8, value, length) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_shadows_apart_from_what_they_describe() {
        for zone in ZONES {
            for other in ZONES {
                let shadow = zone.base >> SHIFT..zone.end() >> SHIFT;
                assert!(shadow.end <= other.base || shadow.start >= other.end());
            }
        }
    }
}

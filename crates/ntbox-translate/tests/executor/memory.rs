//! Memory at fixed addresses: below two GiB, where this process has nothing of its own.

use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use ntbox_translate::state;

/// The state block.
pub const STATE: Range<u64> = 0x1000_0000..0x1000_0000 + state::SIZE as u64;
/// Code of the program.
pub const CODE: Range<u64> = 0x2000_0000..0x2010_0000;
/// Data of the program.
pub const DATA: Range<u64> = 0x2800_0000..0x2820_0000;
/// The stack of the program.
pub const STACK: Range<u64> = 0x2900_0000..0x2904_0000;
/// The cache.
pub const CACHE: Range<u64> = 0x3000_0000..0x3200_0000;
/// The shadow of everything below two GiB.
pub const SHADOW: Range<u64> = 0x4000_0000..0x5000_0000;

static MAPPED: Once = Once::new();

/// Maps everything, once.
pub fn map_all() {
    MAPPED.call_once(|| {
        let data = libc::PROT_READ | libc::PROT_WRITE;
        for (range, protection) in [
            (STATE, data),
            (CODE, data | libc::PROT_EXEC),
            (DATA, data),
            (STACK, data),
            (SHADOW, data),
        ] {
            map(range, protection);
        }
    });
}

/// Maps memory where nothing is.
pub fn map(range: Range<u64>, protection: i32) {
    let flags =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    let length = usize::try_from(range.end - range.start).unwrap();
    // SAFETY: a new anonymous mapping; the flag refuses to replace one that exists.
    let at = unsafe {
        libc::mmap(
            std::ptr::without_provenance_mut(range.start as usize),
            length,
            protection,
            flags,
            -1,
            0,
        )
    };
    assert_eq!(
        at as u64,
        range.start,
        "mapping {range:x?}: {}",
        std::io::Error::last_os_error()
    );
}

/// The bytes of a range that is mapped: one of this module's, or code of the program.
pub fn bytes(range: Range<u64>) -> &'static [u8] {
    let length = usize::try_from(range.end - range.start).unwrap();
    // SAFETY: callers name mapped memory, which is never unmapped. Tests read it only
    // while no program runs, so nothing writes it as long as they look.
    unsafe {
        std::slice::from_raw_parts(
            std::ptr::with_exposed_provenance(range.start as usize),
            length,
        )
    }
}

/// Caches mapped so far.
static CACHES: Mutex<Vec<Range<u64>>> = Mutex::new(Vec::new());

fn caches() -> MutexGuard<'static, Vec<Range<u64>>> {
    CACHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Maps a cache, if that is not done.
pub fn map_cache(range: &Range<u64>) {
    let mut caches = caches();
    if !caches.contains(range) {
        map(
            range.clone(),
            libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        );
        caches.push(range.clone());
    }
}

fn is_ours(address: u64, length: usize) -> bool {
    let end = address + length as u64;
    let within = |range: &Range<u64>| range.start <= address && end <= range.end;
    [STATE, CODE, DATA, STACK, SHADOW].iter().any(within) || caches().iter().any(within)
}

/// Writes bytes to memory of this module.
pub fn write(address: u64, bytes: &[u8]) {
    assert!(is_ours(address, bytes.len()), "write to {address:#x}");
    // SAFETY: the range was just found to be mapped by this module, writable, and no
    // Rust object lies in it.
    unsafe {
        std::ptr::copy_nonoverlapping(
            bytes.as_ptr(),
            std::ptr::with_exposed_provenance_mut(address as usize),
            bytes.len(),
        );
    }
}

/// Writes a quadword.
pub fn write_u64(address: u64, value: u64) {
    write(address, &value.to_le_bytes());
}

/// Reads a doubleword.
pub fn read_u32(address: u64) -> u32 {
    u32::from_le_bytes(bytes(address..address + 4).try_into().unwrap())
}

/// Reads a quadword.
pub fn read_u64(address: u64) -> u64 {
    u64::from_le_bytes(bytes(address..address + 8).try_into().unwrap())
}

/// The registers that translated code keeps in the state block.
pub fn spills() -> [u64; 16] {
    std::array::from_fn(|number| read_u64(STATE.start + state::SPILLS as u64 + 8 * number as u64))
}

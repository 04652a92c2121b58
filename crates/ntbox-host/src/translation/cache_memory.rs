//! The memory of the code cache, mapped twice: to execute for the driver, to write for
//! the translator's host. And the state blocks of the processors.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use ntbox_translate::{Edit, state};

use super::{STATE_OFFSET, gates};
use crate::memory_map::CODE_CACHE;

/// Bytes of the cache.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the zone is far below 4 GiB"
)]
const SIZE: usize = CODE_CACHE.size as usize;

/// The memory.
pub struct CacheMemory {
    /// Where the host writes the cache.
    writable: u64,
    /// State blocks, by processor.
    blocks: Vec<u64>,
}

fn map(at: u64, length: usize, protection: i32, flags: i32, file: i32) -> io::Result<u64> {
    // SAFETY: a new mapping; where an address is given, the flags replace nothing or the
    // address is one of the memory map that is this module's alone.
    let mapped = unsafe { libc::mmap(at as *mut libc::c_void, length, protection, flags, file, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(mapped as u64)
}

impl CacheMemory {
    /// Maps the cache.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the name is a C string.
        let file = unsafe { libc::memfd_create(c"code-cache".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else has it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // SAFETY: the descriptor is open.
        let sized = unsafe { libc::ftruncate(file.as_raw_fd(), CODE_CACHE.size.cast_signed()) };
        if sized != 0 {
            return Err(io::Error::last_os_error());
        }
        let shared = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let (read, write) = (libc::PROT_READ, libc::PROT_WRITE);
        let fd = file.as_raw_fd();
        let writable = map(0, SIZE, read | write, shared, fd)?;
        let executable = read | libc::PROT_EXEC;
        map(
            CODE_CACHE.base,
            SIZE,
            executable,
            shared | libc::MAP_FIXED,
            fd,
        )?;
        Ok(Self {
            writable,
            blocks: Vec::new(),
        })
    }

    /// Maps and fills the state block of a processor, by its control region.
    pub fn add_processor(&mut self, region: u64, miss: u64) {
        let block = region + u64::from(STATE_OFFSET.unsigned_abs());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let data = libc::PROT_READ | libc::PROT_WRITE;
        map(block, state::SIZE, data, flags, -1)
            .expect("a processor has memory for the state of translated code");
        self.blocks.push(block);
        let fields = [
            (
                state::DISPATCH_GATE,
                gates::dispatch_gate as *const () as u64,
            ),
            (state::CHECK_GATE, gates::check_gate as *const () as u64),
            (state::TRAP_GATE, gates::trap_gate as *const () as u64),
        ];
        for (field, value) in fields {
            write(block + u64::from(field.unsigned_abs()), value);
        }
        for entry in 0..state::TABLE_ENTRIES as u64 {
            write(
                block + u64::from(state::TABLE.unsigned_abs()) + 8 * entry,
                miss,
            );
        }
    }

    /// Does what the translator asks for.
    pub fn apply(&self, edits: &[Edit]) {
        for edit in edits {
            match edit {
                Edit::Code { address, bytes } => {
                    let offset = address - CODE_CACHE.base;
                    assert!(
                        CODE_CACHE.contains(*address)
                            && offset + bytes.len() as u64 <= CODE_CACHE.size
                    );
                    // SAFETY: inside the writable mapping of the cache, see above. The
                    // one thread that executes it is here.
                    unsafe {
                        std::ptr::copy_nonoverlapping(
                            bytes.as_ptr(),
                            (self.writable + offset) as *mut u8,
                            bytes.len(),
                        );
                    }
                }
                Edit::Table { slot, address } => {
                    assert!((*slot as usize) < state::TABLE_ENTRIES);
                    for block in &self.blocks {
                        let table = block + u64::from(state::TABLE.unsigned_abs());
                        write(table + 8 * u64::from(*slot), *address);
                    }
                }
            }
        }
    }
}

/// Writes a quadword of a state block.
fn write(at: u64, value: u64) {
    // SAFETY: callers name an aligned quadword of a state block, which stays mapped for
    // the life of the process and to which no reference points.
    unsafe { (at as *mut u64).write(value) };
}

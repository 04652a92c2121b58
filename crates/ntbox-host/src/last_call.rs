//! What the caller's process still knows when this one has died.
//!
//! A driver runs in this very process, and may end it: by a system call of the
//! host, or by a structure that this program trusts too far. Then no report comes.
//! So the kernel notes each call in memory that it shares with its caller, who
//! reads there what was the last.

use std::ffi::c_void;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Descriptor at which the kernel process finds the memory.
const KERNEL_END: RawFd = 1;
/// Bytes of the text that tells why this program gave up.
const TEXT: usize = 1000;
/// Where the names of the exports begin, each with a NUL behind it.
const NAMES: usize = 4096;
/// Bytes of the memory.
const SIZE: u64 = 256 << 10;

/// What is noted.
#[repr(C)]
struct Record {
    /// Number of the export that was called last, plus 1; 0 before the first.
    export: AtomicU32,
    /// Whether that call has returned.
    has_returned: AtomicU32,
    /// Address that it returns to.
    caller: AtomicU64,
    /// The routine of the driver that the kernel called last; 0 before the first.
    routine: AtomicU64,
    /// Bytes of the text.
    length: AtomicU32,
    text: [AtomicU8; TEXT],
}

const _: () = assert!(size_of::<Record>() <= NAMES);

/// The memory of this process, if it is a kernel.
static RECORD: OnceLock<&'static Record> = OnceLock::new();

/// Begins to note, in the kernel process.
///
/// # Errors
/// The caller did not pass the memory.
pub fn open(exports: impl Iterator<Item = &'static str>) -> io::Result<()> {
    let length = usize::try_from(SIZE).map_err(io::Error::other)?;
    // SAFETY: a new mapping, at an address that the system chooses.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut::<c_void>(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            KERNEL_END,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let record = NonNull::new(memory.cast::<Record>()).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the mapping is longer than the record, aligned to a page, zero, which
    // is a value of each field, and is never undone. All fields are atomics: the other process only reads the file.
    let record = unsafe { record.as_ref() };
    let _ = RECORD.set(record);
    let mut names = Vec::new();
    for export in exports {
        names.extend(export.as_bytes());
        names.push(0);
    }
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    file.write_all_at(&names, NAMES as u64)
}

/// A call of an export begins.
pub fn begins(export: usize, caller: u64) {
    if let Some(record) = RECORD.get() {
        let number = u32::try_from(export).map_or(0, |export| export.wrapping_add(1));
        record.caller.store(caller, Ordering::Relaxed);
        record.export.store(number, Ordering::Relaxed);
        record.has_returned.store(0, Ordering::Relaxed);
    }
}

/// It returns.
pub fn returns() {
    if let Some(record) = RECORD.get() {
        record.has_returned.store(1, Ordering::Relaxed);
    }
}

/// Address that the call returns to which began last; 0 if it is not known.
pub fn caller() -> u64 {
    let record = RECORD.get();
    record.map_or(0, |record| record.caller.load(Ordering::Relaxed))
}

/// The kernel calls a routine of the driver.
pub fn enters(routine: u64) {
    if let Some(record) = RECORD.get() {
        record.routine.store(routine, Ordering::Relaxed);
    }
}

/// Notes why this program gives up. Allocates nothing, for it may be called in a
/// signal. False if there is nowhere to note it.
pub fn gives_up(why: &dyn fmt::Display) -> bool {
    struct Text<'a>(&'a Record, usize);
    impl fmt::Write for Text<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for byte in text.bytes() {
                let Some(slot) = self.0.text.get(self.1) else {
                    return Err(fmt::Error);
                };
                slot.store(byte, Ordering::Relaxed);
                self.1 += 1;
            }
            Ok(())
        }
    }
    let Some(record) = RECORD.get() else {
        return false;
    };
    let mut text = Text(record, 0);
    // What does not fit is cut off.
    let _ = write!(text, "{why}");
    let length = u32::try_from(text.1).unwrap_or(0);
    record.length.store(length, Ordering::Relaxed);
    true
}

/// The last call of a kernel that has died.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LastCall {
    /// Name of the export, and whether it has returned; `None` before the first.
    pub export: Option<(String, bool)>,
    /// Address that it returns to.
    pub caller: u64,
    /// The routine of the driver that was called last; 0 before the first.
    pub routine: u64,
    /// Why this program gave up, if it did.
    pub reason: Option<String>,
}

impl LastCall {
    /// Makes the memory; the file is to be the kernel's standard output.
    ///
    /// # Errors
    /// The host has none.
    pub fn create() -> io::Result<File> {
        // SAFETY: the name is a string that ends with NUL.
        let descriptor = unsafe { libc::memfd_create(c"ntbox".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just made the descriptor, which nobody else has.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
        file.set_len(SIZE)?;
        Ok(file)
    }

    /// Reads what a kernel process has noted. A driver may have overwritten it.
    ///
    /// # Errors
    /// The memory cannot be read.
    pub fn read(file: &File) -> io::Result<Self> {
        let mut memory = vec![0; usize::try_from(SIZE).map_err(io::Error::other)?];
        file.read_exact_at(&mut memory, 0)?;
        Ok(Self::parse(&memory))
    }

    fn parse(memory: &[u8]) -> Self {
        let bytes = |at: usize, count: usize| memory.get(at..at + count).unwrap_or_default();
        let word = |at| bytes(at, 4).try_into().map_or(0, u32::from_le_bytes);
        let long = |at| bytes(at, 8).try_into().map_or(0, u64::from_le_bytes);
        let number = word(std::mem::offset_of!(Record, export)) as usize;
        let length = word(std::mem::offset_of!(Record, length)) as usize;
        let text = bytes(std::mem::offset_of!(Record, text), length.min(TEXT));
        let names = memory.get(NAMES..).unwrap_or_default();
        let name = number.checked_sub(1).and_then(|number| {
            let name = names.split(|byte| *byte == 0).nth(number)?;
            (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
        });
        let has_returned = word(std::mem::offset_of!(Record, has_returned)) != 0;
        Self {
            export: name.map(|name| (name, has_returned)),
            caller: long(std::mem::offset_of!(Record, caller)),
            routine: long(std::mem::offset_of!(Record, routine)),
            reason: (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_of_zeroed_memory_has_no_call() {
        assert_eq!(LastCall::parse(&[0; 8192]), LastCall::default());
    }

    #[test]
    fn parse_finds_the_name_of_the_export() {
        let mut memory = vec![0; 8192];
        memory[0] = 2;
        memory[4] = 1;
        memory[8] = 0x10;
        memory[4096..4108].copy_from_slice(b"First\0Second");
        let last = LastCall::parse(&memory);
        assert_eq!(last.export, Some(("Second".to_owned(), true)));
        assert_eq!(last.caller, 0x10);
    }

    #[test]
    fn parse_of_overwritten_memory_has_reason() {
        let last = LastCall::parse(&[0xff; 8192]);
        assert_eq!(last.export, None);
        assert!(last.reason.is_some_and(|text| !text.is_empty()));
        assert_eq!(LastCall::parse(&[]), LastCall::default());
    }
}

//! `ZwQuerySystemInformation`: what drivers ask of the machine as a whole.
//!
//! A class that no Windows has gets the status that Windows gives. One that
//! Windows has and this kernel does not stops the driver with its number: an
//! invented answer would be worse than none.

use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::gate::{Export, NoReturn};
use ntbox_host::memory_map::{HIGHEST_USER_ADDRESS, NT, PAGE_SHIFT, PAGE_SIZE};
use ntbox_host::pfn::Physical;
use ntbox_host::{driver_mem, modules, pfn};

use super::base::error::Refusal;
use super::base::info_buffer::Information;
use super::base::processor_mode::Mode;
use super::base::{clock, thread_table};
use super::kd::debugger;
use super::ke::{processor as processors, processor};
use super::{base, ob};
use crate::base::export::exports;

/// `SYSTEM_INFORMATION_CLASS`.
mod class {
    pub const BASIC: u32 = 0;
    pub const PROCESSOR: u32 = 1;
    pub const TIME_OF_DAY: u32 = 3;
    pub const PROCESS: u32 = 5;
    pub const PROCESSOR_PERFORMANCE: u32 = 8;
    pub const MODULE: u32 = 11;
    pub const KERNEL_DEBUGGER: u32 = 35;
    pub const CODE_INTEGRITY: u32 = 103;
    /// The first number that Windows 10 gives to none.
    pub const END: u32 = 0xe0;
}

/// Bytes of a `SYSTEM_PROCESS_INFORMATION` without its threads.
const PROCESS_SIZE: usize = 0x100;
/// Bytes of a `SYSTEM_THREAD_INFORMATION`.
const THREAD_SIZE: usize = 0x50;
/// Bytes of the name in an `RTL_PROCESS_MODULE_INFORMATION`.
const MODULE_NAME_SIZE: usize = 256;
/// `MM_ALLOCATION_GRANULARITY`.
const GRANULARITY: u32 = 0x1_0000;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[EXPORTS];

exports! {
    /// `ZwQuerySystemInformation`.
    fn ZwQuerySystemInformation(class: u32, buffer: u64, length: u32, return_length: u64) -> u32
        [max PASSIVE_LEVEL, page "windows/win32/api/winternl/nf-winternl-ntquerysysteminformation",
            partial "classes 0, 1, 3, 5, 8, 11, 35 and 103"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        Mode::Kernel.status(query(class, buffer, length, return_length, Mode::Kernel))
    }

    /// `NtQuerySystemInformation`.
    fn NtQuerySystemInformation(class: u32, buffer: u64, length: u32, return_length: u64) -> u32
        [max PASSIVE_LEVEL, page "windows/win32/api/winternl/nf-winternl-ntquerysysteminformation",
            partial "classes 0, 1, 3, 5, 8, 11, 35 and 103"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::previous();
        mode.status(query(class, buffer, length, return_length, mode))
    }
}

fn query(
    class: u32,
    buffer: u64,
    length: u32,
    return_length: u64,
    mode: Mode,
) -> Result<(), Refusal> {
    mode.probe(buffer, u64::from(length), 4)?;
    mode.probe_optional(return_length, 4, 4)?;
    // Structures of a fixed size want exactly that size, lists at least theirs.
    let (information, is_list) = match class {
        class::BASIC => (basic(), false),
        class::PROCESSOR => (processor(), false),
        class::TIME_OF_DAY => (time_of_day(), true),
        class::PROCESS => (processes(buffer), true),
        class::PROCESSOR_PERFORMANCE => (processor_performance(), true),
        class::MODULE => (modules(), true),
        // Enabled, not present.
        class::KERNEL_DEBUGGER => {
            let attached = u8::from(debugger::is_attached());
            (vec![attached, 1 - attached], false)
        }
        class::CODE_INTEGRITY if length == 8 => (code_integrity(buffer)?, false),
        class::CODE_INTEGRITY => return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into()),
        class::END.. => return Err(nt_status::STATUS_INVALID_INFO_CLASS.into()),
        other => {
            let what = format!(
                "ZwQuerySystemInformation was asked for class {other:#x}, which this kernel does not know"
            );
            return Err(NoReturn::bug_check(0xe2, [u64::from(other), 0, 0, 0], what).into());
        }
    };
    let size = u32::try_from(information.len()).unwrap_or(u32::MAX);
    // A date may be asked for in part.
    let partial = class == class::TIME_OF_DAY && length <= size;
    if return_length != 0 {
        driver_mem::write_u32(return_length, if partial { length } else { size })?;
    }
    let fits = if is_list {
        length >= size
    } else {
        length == size
    };
    if partial {
        return Ok(driver_mem::write_bytes(
            buffer,
            &information[..length as usize],
        )?);
    }
    if !fits || class == class::TIME_OF_DAY && length > size {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    Ok(driver_mem::write_bytes(buffer, &information)?)
}

/// `SYSTEM_BASIC_INFORMATION`.
fn basic() -> Vec<u8> {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let pages = pfn::SIZE >> PAGE_SHIFT;
    Information::default()
        .u32(0)
        .u32(number(clock::TICK))
        .u32(number(PAGE_SIZE))
        .u32(number(pages))
        .u32(number(pfn::FIRST_PFN))
        .u32(number(Physical::highest_address() >> PAGE_SHIFT))
        .u32(GRANULARITY)
        .align(8)
        .u64(u64::from(GRANULARITY))
        .u64(HIGHEST_USER_ADDRESS)
        .u64(processor::mask())
        .u64(u64::from(processor::active()))
        .finish()
}

/// `SYSTEM_PROCESSOR_INFORMATION`: an x64 processor, model and stepping of the
/// host's.
fn processor() -> Vec<u8> {
    /// `PROCESSOR_ARCHITECTURE_AMD64`.
    const AMD64: u32 = 9;
    let leaf = std::arch::x86_64::__cpuid(1).eax;
    let family = leaf >> 8 & 0xf;
    let level = if family == 0xf {
        family + (leaf >> 20 & 0xff)
    } else {
        family
    };
    let model = leaf >> 4 & 0xf | leaf >> 12 & 0xf0;
    let revision = model << 8 | leaf & 0xf;
    Information::default()
        .u32(AMD64 | level << 16)
        .u32(revision | 1 << 16)
        .u32(0)
        .finish()
}

/// `SYSTEM_TIMEOFDAY_INFORMATION`: the time zone is UTC.
fn time_of_day() -> Vec<u8> {
    let (now, up) = (clock::system_time(), clock::interrupt_time());
    Information::default()
        .u64(now - up)
        .u64(now)
        .u64(0)
        .u32(0)
        .u32(0)
        .u64(0)
        .u64(0)
        .finish()
}

/// `SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION` of each processor: it spends all its
/// time in the kernel.
fn processor_performance() -> Vec<u8> {
    let up = clock::interrupt_time();
    let each = |list: Information, _| list.u64(0).u64(up).u64(0).u64(0).u64(0).u64(0);
    let processors = 0..processors::active();
    processors.fold(Information::default(), each).finish()
}

/// `SYSTEM_CODEINTEGRITY_INFORMATION`: the length is the caller's to set; nothing
/// checks signatures here.
fn code_integrity(buffer: u64) -> Result<Vec<u8>, Refusal> {
    const SIZE: u32 = 8;
    if driver_mem::read_u32(buffer)? != SIZE {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    Ok(Information::default().u32(SIZE).u32(0).finish())
}

/// `RTL_PROCESS_MODULES`: the kernel first, then the drivers.
fn modules() -> Vec<u8> {
    let kernel = ("ntoskrnl.exe".to_owned(), NT.base, NT.size);
    let drivers = modules::all()
        .into_iter()
        .map(|image| (image.name, image.base, image.size));
    let all: Vec<_> = std::iter::once(kernel).chain(drivers).collect();
    let mut list = Information::default().size(all.len()).align(8);
    for (n, (name, base, size)) in all.into_iter().enumerate() {
        let folder = if n == 0 {
            r"\SystemRoot\system32\"
        } else {
            r"\SystemRoot\System32\drivers\"
        };
        let mut path: Vec<u8> = folder.bytes().chain(name.bytes()).collect();
        path.truncate(MODULE_NAME_SIZE - 1);
        path.resize(MODULE_NAME_SIZE, 0);
        let index = u32::try_from(n).unwrap_or(0);
        list = list
            .u64(0)
            .u64(0)
            .u64(base)
            .u32(u32::try_from(size).unwrap_or(u32::MAX))
            // Flags; load order and initialisation order; load count and where
            // the file name begins.
            .u32(0)
            .u32(index)
            .u32(1 | u32::try_from(folder.len()).unwrap_or(0) << 16)
            .bytes(&path);
    }
    list.finish()
}

/// `SYSTEM_PROCESS_INFORMATION` of every process as it lies at `at`, with its
/// threads and its name behind it.
fn processes(at: u64) -> Vec<u8> {
    let all = thread_table::processes();
    let mut list: Vec<u8> = Vec::new();
    for (n, (object, process)) in all.iter().enumerate() {
        let threads = thread_table::threads_of(*object);
        let name = base::utf16::wide(&process.name);
        let name_at = PROCESS_SIZE + threads.len() * THREAD_SIZE;
        let size = (name_at + 2 * name.len() + 2).next_multiple_of(8);
        let ends = n + 1 == all.len();
        let bytes = u32::try_from(2 * name.len()).unwrap_or(0);
        let text = at + (list.len() + name_at) as u64;
        let mut entry = Information::default()
            .size(if ends { 0 } else { size })
            .size(threads.len())
            .bytes(&[0; 0x30])
            .u32(bytes | (bytes + 2) << 16)
            .align(8)
            .u64(text)
            .u32(8)
            .align(8)
            .u64(process.id)
            .u64(0)
            .u32(u32::try_from(ob::handles::count(*object)).unwrap_or(u32::MAX))
            .u32(0)
            .finish();
        entry.resize(PROCESS_SIZE, 0);
        for thread in threads {
            entry.extend(thread_information(&thread, process.id));
        }
        entry.extend(Information::default().name(&name).name(&[0]).finish());
        entry.resize(size, 0);
        list.extend(entry);
    }
    list
}

/// `SYSTEM_THREAD_INFORMATION`; a thread that does not run is said to wait.
fn thread_information(thread: &thread_table::Thread, process: u64) -> Vec<u8> {
    const RUNNING: u32 = 2;
    const WAITING: u32 = 5;
    let runs = thread_table::current().is_some_and(|current| current.id == thread.id);
    Information::default()
        .u64(0)
        .u64(0)
        .u64(0)
        .u64(0)
        .u64(thread.start)
        .u64(process)
        .u64(thread.id)
        .u32(thread.priority.cast_unsigned())
        .u32(thread.priority.cast_unsigned())
        .u32(0)
        .u32(if runs { RUNNING } else { WAITING })
        .u64(0)
        .finish()
}

//! What else is known of a process: threads with their stacks, environment blocks,
//! heaps. Structures of user mode, read from the process as what they are there:
//! numbers that it may have changed.

use std::mem;
use std::os::windows::io::AsRawHandle;

use windows_sys::Wdk::System::Threading::{
    NtQueryInformationProcess, NtQueryInformationThread, ProcessBasicInformation,
    ThreadBasicInformation,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::Threading::{OpenThread, THREAD_QUERY_INFORMATION};

use super::{Process, last, owned};
use crate::Error;
use crate::groups::{Landmarks, Thread};

/// `PEB.ProcessHeap`, `PEB.NumberOfHeaps` and `PEB.ProcessHeaps`, for 64 bits.
const PROCESS_HEAP: u64 = 0x30;
const NUMBER_OF_HEAPS: u64 = 0xE8;
const PROCESS_HEAPS: u64 = 0xF0;
/// `NT_TIB.StackBase`, where a thread's block begins.
const STACK_BASE: u64 = 8;
/// More heaps than this, no program has.
const MOST_HEAPS: u64 = 4096;

/// What can be had of a process; less, where this user may not look.
#[must_use]
pub fn landmarks(process: &Process) -> Landmarks {
    let peb = peb(process);
    let threads = threads(process.id()).unwrap_or_default();
    Landmarks {
        threads: threads
            .into_iter()
            .filter_map(|id| thread(process, id))
            .collect(),
        peb,
        heaps: peb.map(|peb| heaps(process, peb)).unwrap_or_default(),
    }
}

fn peb(process: &Process) -> Option<u64> {
    // PROCESS_BASIC_INFORMATION: status, PEB, affinity, priority, two numbers.
    let mut information = [0_u64; 6];
    // SAFETY: the process is open, and the buffer is as long as said.
    let status = unsafe {
        NtQueryInformationProcess(
            process.raw(),
            ProcessBasicInformation,
            information.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&information)).ok()?,
            std::ptr::null_mut(),
        )
    };
    (status >= 0 && information[1] != 0).then_some(information[1])
}

/// Numbers of the threads of a process.
///
/// # Errors
///
/// The system does not tell.
pub(super) fn threads(process: u32) -> Result<Vec<u32>, Error> {
    const CALL: &str = "CreateToolhelp32Snapshot";
    // SAFETY: the function takes any numbers; what it returns is ours.
    let snapshot = unsafe { owned(CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0)) };
    let snapshot = snapshot.ok_or_else(|| last(CALL))?;
    // SAFETY: a structure of numbers, for which zero is a value.
    let mut entry: THREADENTRY32 = unsafe { mem::zeroed() };
    entry.dwSize = u32::try_from(size_of::<THREADENTRY32>()).unwrap_or(0);
    let mut threads = Vec::new();
    // SAFETY: the snapshot is open, and the entry says how large it is.
    let mut more = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) };
    while more != 0 {
        if entry.th32OwnerProcessID == process {
            threads.push(entry.th32ThreadID);
        }
        // SAFETY: the snapshot is still open, and the entry is the one that the
        // first call filled.
        more = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) };
    }
    Ok(threads)
}

fn thread(process: &Process, id: u32) -> Option<Thread> {
    // SAFETY: the function takes any numbers; what it returns is ours.
    let handle = unsafe { owned(OpenThread(THREAD_QUERY_INFORMATION, 0, id)) }?;
    // THREAD_BASIC_INFORMATION: status, TEB, process, thread, affinity, priorities.
    let mut information = [0_u64; 6];
    // SAFETY: the thread is open, and the buffer is as long as said.
    let status = unsafe {
        NtQueryInformationThread(
            handle.as_raw_handle(),
            ThreadBasicInformation,
            information.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&information)).ok()?,
            std::ptr::null_mut(),
        )
    };
    let teb = information[1];
    (status >= 0 && teb != 0).then_some(())?;
    let stack_base = process.word(teb.checked_add(STACK_BASE)?)?;
    Some(Thread {
        id,
        teb,
        stack_base,
    })
}

fn heaps(process: &Process, peb: u64) -> Vec<u64> {
    let word = |offset: u64| process.word(peb.checked_add(offset)?);
    let mut heaps: Vec<u64> = word(PROCESS_HEAP).into_iter().collect();
    let count = word(NUMBER_OF_HEAPS).unwrap_or(0) & 0xFFFF_FFFF;
    let array = word(PROCESS_HEAPS).unwrap_or(0);
    for number in 0..count.min(MOST_HEAPS) {
        let heap = array
            .checked_add(8 * number)
            .and_then(|at| process.word(at));
        match heap {
            Some(heap) if heap != 0 && !heaps.contains(&heap) => heaps.push(heap),
            Some(_) => {}
            None => break,
        }
    }
    heaps
}

//! A process that is asked by `VirtualQueryEx`.

use std::ffi::c_void;
use std::io;
use std::mem;
use std::os::windows::io::{AsRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{STILL_ACTIVE, WAIT_TIMEOUT};
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Memory::{MEMORY_BASIC_INFORMATION, VirtualQueryEx};
use windows_sys::Win32::System::ProcessStatus::K32GetMappedFileNameW;
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, IsWow64Process, OpenProcess, PROCESS_QUERY_INFORMATION,
    PROCESS_SYNCHRONIZE, PROCESS_VM_READ, WaitForSingleObject,
};

use super::{ACCESS_DENIED, INVALID_PARAMETER, last, owned};
use crate::block::Raw;
use crate::groups::Look;
use crate::{Block, Error, Source};

/// A process and the name of its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its number.
    pub id: u32,
    /// The file's name, without its folder.
    pub name: String,
}

/// All processes that there are.
///
/// # Errors
///
/// The system does not tell.
pub fn all() -> Result<Vec<Named>, Error> {
    const CALL: &str = "CreateToolhelp32Snapshot";
    // SAFETY: the function takes any numbers; what it returns is ours.
    let snapshot = unsafe { owned(CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0)) };
    let snapshot = snapshot.ok_or_else(|| last(CALL))?;
    let size = size_of::<PROCESSENTRY32W>();
    // SAFETY: a structure of numbers, for which zero is a value.
    let mut entry: PROCESSENTRY32W = unsafe { mem::zeroed() };
    entry.dwSize = u32::try_from(size).unwrap_or(0);
    let mut processes = Vec::new();
    // SAFETY: the snapshot is open, and the entry says how large it is.
    let mut more = unsafe { Process32FirstW(snapshot.as_raw_handle(), &raw mut entry) };
    while more != 0 {
        let end = entry.szExeFile.iter().position(|unit| *unit == 0);
        let name = &entry.szExeFile[..end.unwrap_or(entry.szExeFile.len())];
        processes.push(Named {
            id: entry.th32ProcessID,
            name: String::from_utf16_lossy(name),
        });
        // SAFETY: the snapshot is still open, and the entry is the one that the
        // first call filled.
        more = unsafe { Process32NextW(snapshot.as_raw_handle(), &raw mut entry) };
    }
    Ok(processes)
}

/// The process that somebody means by a number, or the name of a program with or
/// without `.exe`.
///
/// # Errors
///
/// There is none, or more than one.
pub fn find(text: &str) -> Result<Named, Error> {
    let mut processes = all()?;
    if let Ok(id) = text.parse::<u32>() {
        let known = processes.into_iter().find(|process| process.id == id);
        return known.ok_or_else(|| Error::NoSuchProcess(text.to_owned()));
    }
    let whole = format!("{text}.exe");
    processes.retain(|process| {
        process.name.eq_ignore_ascii_case(text) || process.name.eq_ignore_ascii_case(&whole)
    });
    match processes.len() {
        0 => Err(Error::NoSuchProcess(format!("named {text}"))),
        1 => Ok(processes.remove(0)),
        _ => Err(Error::Ambiguous {
            name: text.to_owned(),
            ids: processes.iter().map(|process| process.id).collect(),
        }),
    }
}

/// A process that is open.
#[derive(Debug)]
pub struct Process {
    handle: OwnedHandle,
    id: u32,
}

impl Process {
    /// Opens a process: with the right to look at its headers if that is to be had.
    ///
    /// # Errors
    ///
    /// There is none, or this user may not.
    pub fn open(id: u32) -> Result<Self, Error> {
        let usual = PROCESS_QUERY_INFORMATION | PROCESS_SYNCHRONIZE;
        for access in [usual | PROCESS_VM_READ, usual, PROCESS_QUERY_INFORMATION] {
            // SAFETY: the function takes any numbers; what it returns is ours.
            let handle = unsafe { owned(OpenProcess(access, 0, id)) };
            if let Some(handle) = handle {
                return Ok(Self { handle, id });
            }
        }
        let error = io::Error::last_os_error();
        Err(match error.raw_os_error() {
            Some(INVALID_PARAMETER) => Error::NoSuchProcess(id.to_string()),
            Some(ACCESS_DENIED) => Error::AccessDenied {
                process: id,
                help: "an elevated prompt (Run as administrator) helps, except with protected \
                       processes, which only the kernel tells of: --kernel",
            },
            _ => super::failed("OpenProcess", &error),
        })
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn raw(&self) -> *mut c_void {
        self.handle.as_raw_handle()
    }

    /// Whether it is a 32-bit process.
    #[must_use]
    pub fn is_32_bit(&self) -> bool {
        let mut is = 0;
        // SAFETY: the process is open, and the answer goes into a variable of ours.
        let answered = unsafe { IsWow64Process(self.raw(), &raw mut is) };
        answered != 0 && is != 0
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        // SAFETY: the process is open; without the right to wait the call fails.
        let waited = unsafe { WaitForSingleObject(self.raw(), 0) };
        if waited == 0 || waited == WAIT_TIMEOUT {
            return waited == 0;
        }
        let mut code = 0;
        // SAFETY: the process is open, and the answer goes into a variable of ours.
        let answered = unsafe { GetExitCodeProcess(self.raw(), &raw mut code) };
        answered != 0 && code != STILL_ACTIVE.cast_unsigned()
    }

    /// A number of 64 bits in its memory.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.read(address, 8);
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    fn read(&self, address: u64, most: usize) -> Vec<u8> {
        let mut bytes = vec![0_u8; most];
        let mut read = 0;
        // SAFETY: the process is open, and the buffer is as long as said.
        let done = unsafe {
            ReadProcessMemory(
                self.raw(),
                pointer(address),
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                &raw mut read,
            )
        };
        bytes.truncate(if done == 0 { 0 } else { read });
        bytes
    }
}

/// An address of another process, which is never used as one here.
pub(super) fn pointer(address: u64) -> *const c_void {
    let address = usize::try_from(address).unwrap_or(usize::MAX);
    std::ptr::without_provenance(address)
}

impl Source for &Process {
    fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
        let mut information = MEMORY_BASIC_INFORMATION::default();
        let size = size_of::<MEMORY_BASIC_INFORMATION>();
        // SAFETY: the process is open, and the structure is as large as said.
        let filled =
            unsafe { VirtualQueryEx(self.raw(), pointer(address), &raw mut information, size) };
        if filled == 0 {
            let error = io::Error::last_os_error();
            if self.has_ended() {
                return Err(Error::Gone {
                    process: self.id,
                    at: address,
                });
            }
            // What is beyond the last address of a process.
            if error.raw_os_error() == Some(INVALID_PARAMETER) {
                return Ok(None);
            }
            return Err(super::failed("VirtualQueryEx", &error));
        }
        let raw = Raw {
            allocation_base: information.AllocationBase.addr() as u64,
            base: information.BaseAddress.addr() as u64,
            size: information.RegionSize as u64,
            state: information.State,
            kind: information.Type,
            protection: information.Protect,
            allocation_protection: information.AllocationProtect,
        };
        let block = Block::from_raw(&raw).ok_or_else(|| Error::Nonsense {
            address,
            what: format!("{raw:x?}"),
        })?;
        Ok(Some(block))
    }
}

impl Look for &Process {
    fn file(&mut self, address: u64) -> Option<String> {
        let mut units = [0_u16; 1024];
        let room = u32::try_from(units.len()).ok()?;
        // SAFETY: the process is open, and the buffer is as long as said.
        let length = unsafe {
            K32GetMappedFileNameW(self.raw(), pointer(address), units.as_mut_ptr(), room)
        };
        let name = units.get(..usize::try_from(length).ok()?)?;
        (!name.is_empty()).then(|| String::from_utf16_lossy(name))
    }

    fn bytes(&mut self, address: u64, most: usize) -> Vec<u8> {
        self.read(address, most)
    }
}

//! What the code of a process does with its own memory.

use ntbox_api::request::Reply;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::kernel_address_space::Protection;
use ntbox_host::memory_map::is_system;

use crate::mm;
use crate::mm::process_address_space;
use crate::mm::vad::Kind;

/// `VirtualAlloc`.
pub fn allocate(process: u64, bytes: u64) -> Reply {
    match process_address_space::allocate(process, bytes, Protection::READ_WRITE) {
        Some(va) => Reply {
            information: va,
            ..Reply::status(0)
        },
        None => Reply::status(nt_status::STATUS_INSUFFICIENT_RESOURCES),
    }
}

/// `VirtualFree`.
pub fn free(process: u64, address: u64) -> Reply {
    let begins_there = mm::with(|memory| {
        memory
            .users
            .of(process)
            .find(address)
            .is_some_and(|(start, vad)| start == address && vad.kind == Kind::Private)
    });
    if begins_there {
        process_address_space::free(process, address);
        Reply::status(0)
    } else {
        Reply::status(nt_status::STATUS_MEMORY_NOT_ALLOCATED)
    }
}

/// Whether code of user mode may name a range at all.
fn reachable(address: u64, length: usize) -> bool {
    address
        .checked_add(length as u64)
        .is_some_and(|end| !is_system(address) && !is_system(end))
}

/// A read.
pub fn load(address: u64, length: u32) -> Reply {
    let mut output = vec![0; length as usize];
    if !reachable(address, output.len()) {
        return Reply::status(nt_status::STATUS_ACCESS_VIOLATION);
    }
    match driver_mem::read_bytes(address, &mut output) {
        Ok(()) => Reply {
            output,
            ..Reply::status(0)
        },
        Err(fault) => faulted(&fault),
    }
}

/// What the process gets for a fault: the first touch of a guard page makes an
/// ordinary page of it.
fn faulted(fault: &Fault) -> Reply {
    Reply::status(process_address_space::status_of_touch(fault.address))
}

/// A write.
pub fn store(address: u64, data: &[u8]) -> Reply {
    if !reachable(address, data.len()) {
        return Reply::status(nt_status::STATUS_ACCESS_VIOLATION);
    }
    match driver_mem::write_bytes(address, data) {
        Ok(()) => Reply::status(0),
        Err(fault) => faulted(&fault),
    }
}

//! The host layer: the only unsafe code of ntbox. Memory of the driver and access to it
//! with fault recovery, the gate for calls from the driver, upcalls into it, context
//! switches, signals, the timer, and the start and end of the kernel process.
//!
//! It knows nothing of the kernel above it: that registers its entries
//! ([`kernel_entry`]) and functions ([`hook`]).

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(unsafe_code, reason = "the host layer has all unsafe code of ntbox")]
#![allow(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "the kernel is the only user; an error is a fault of the driver's memory, a panic a fault of the kernel"
)]

pub mod asm_exports;
pub mod bug_check;
pub mod channel;
pub mod context;
pub mod context_switch;
pub mod cpu;
pub mod driver_mem;
pub mod gate;
pub mod hook;
pub mod kernel_address_space;
pub mod kernel_cell;
pub mod kernel_entry;
pub mod last_call;
#[cfg(any(test, feature = "test-support"))]
pub mod libc_scan;
pub mod memory_map;
pub mod modules;
pub mod pe;
pub mod pfn;
pub mod process;
pub mod protection;
pub mod routine;
pub mod seh_asm;
pub mod signals;
pub mod timer;
pub mod translation;
pub mod trap;
pub mod upcall;

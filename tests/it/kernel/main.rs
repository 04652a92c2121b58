//! The embedded kernel as drivers see it: drivers in C, the driver on the raw bindings
//! in `tests/wdk-sys-driver`, and images made by hand.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod attach_process;
mod bug_checks;
mod calling_convention;
mod cm;
mod dbg_print;
mod deterministic_scheduling;
mod device_requests;
mod ex;
mod file_object_lifetime;
mod files;
mod invalid_structures;
mod io;
mod irp_status;
mod ke;
mod loader;
mod multiprocessor;
mod rtl;
mod sample_drivers;
mod seh;
mod stack_and_flags;
mod third_party_drivers;
mod threads;
mod translated;
mod wdk_sys_driver;
mod windows_behavior;
mod zw;

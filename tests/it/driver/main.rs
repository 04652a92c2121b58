//! Drivers written with `wdm`, run by the embedded kernel: `ntmem.sys`, the drivers in
//! `examples`, and the one in `tests/wdm-misuse-driver`. Also the transcripts of their
//! runs in the documents.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod address_space;
mod control_device;
mod driver_scope;
mod examples;
mod fault_injection;
mod fault_injection_ioctl;
mod io_methods;
mod ioctl_fuzz;
mod lifecycle;
mod log_mutations;
mod parameters;
mod scenarios;
mod selftest;
mod transcripts;
mod user_mappings;
mod wdm_misuse;

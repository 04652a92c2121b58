//! What only the processor and the linker know: the IRQL in CR8, the fast fail, the
//! page that the kernel shares, the import slots of variables, and the functions
//! that catch exceptions.
//!
//! Everything else of this crate is plain Rust. So it also runs on the host, where a
//! stand-in for `wdk-sys` has these too (`tests/wdm`), and Miri can look at it.

#[cfg(not(windows))]
pub(crate) use wdk_sys::machine::{
    address_limits, fast_fail, guarded_call, guarded_copy, irql, system_time,
};
#[cfg(windows)]
pub(crate) use x64::{address_limits, fast_fail, guarded_call, guarded_copy, irql, system_time};

#[cfg(windows)]
mod x64;

//! Processor-specific functions: the IRQL in CR8, the fast fail, the shared user data
//! page, the import slots of exported variables, and calls with an exception handler.
//!
//! The rest of this crate is portable. Tests on the host link a stand-in for `wdk-sys`
//! that provides these functions, which lets Miri run the crate.

#[cfg(not(windows))]
pub(crate) use wdk_sys::machine::{
    address_limits, fast_fail, guarded_call, guarded_copy, irql, system_time,
};
#[cfg(windows)]
pub(crate) use x64::{address_limits, fast_fail, guarded_call, guarded_copy, irql, system_time};

#[cfg(windows)]
mod x64;

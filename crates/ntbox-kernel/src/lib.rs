//! The NT kernel, as components in layers. A component uses those before it in this
//! order, never those after it; `tests/layers.rs` checks it:
//!
//! `unwind`, `base`, `mm`, `ke`, `ob`, `ex`, `rtl`, `seh`, `se`, `ps`, `sections`, `cm`,
//! `kd`, `etw`, `io`, `po`, `pnp`, `fsrtl`, `ramfs`, `sysinfo`, `loader`, `um`,
//! `verifier`, `trap`, `exports`, `init`.
//!
//! A component that needs behaviour of one above it declares a
//! [`Hook`](ntbox_host::hook::Hook); what others observe is an
//! [event](ntbox_host::hook::Event). `init::wiring` connects them.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![forbid(unsafe_code)]

mod base;
mod cm;
mod etw;
mod ex;
mod exports;
mod fsrtl;
mod init;
mod io;
mod kd;
mod ke;
mod loader;
mod mm;
mod ob;
mod pnp;
mod po;
mod ps;
mod ramfs;
mod rtl;
mod se;
mod sections;
mod seh;
mod sysinfo;
#[cfg(test)]
mod test_support;
mod trap;
mod um;
mod unwind;
mod verifier;

pub use crate::base::known_modules::describe as describe_module;
pub use crate::base::missing;
pub use crate::exports::{data_exports, functions, native_functions};
pub use crate::init::{VARIABLE, run_if_asked};
pub use crate::loader::{imports, is_kernel};

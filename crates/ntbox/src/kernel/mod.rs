//! The NT kernel, as components in layers. A component uses those before it in this
//! order, never those after it; `tests/layers.rs` checks it:
//!
//! `unwind`, `base`, `mm`, `ke`, `ob`, `ex`, `rtl`, `seh`, `se`, `ps`, `sections`, `cm`,
//! `kd`, `etw`, `io`, `po`, `pnp`, `fsrtl`, `ramfs`, `sysinfo`, `loader`, `um`,
//! `verifier`, `trap`, `exports`, `init`.
//!
//! A component that needs behaviour of one above it declares a
//! [`Hook`](crate::host::hook::Hook); what others observe is an
//! [event](crate::host::hook::Event). `init::wiring` connects them.

#![forbid(unsafe_code)]

pub mod base;
mod cm;
mod etw;
mod ex;
pub mod exports;
pub mod fsrtl;
pub mod init;
mod io;
mod kd;
mod ke;
pub mod loader;
mod mm;
mod ob;
pub mod pnp;
mod po;
mod ps;
mod ramfs;
mod rtl;
mod se;
pub mod sections;
pub mod seh;
pub mod sysinfo;
#[cfg(test)]
pub mod test_support;
pub mod trap;
mod um;
pub mod unwind;
pub mod verifier;

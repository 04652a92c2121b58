//! The kernel process: everything that runs beside the driver.
//!
//! One folder for each prefix of the kernel's functions; around them what a
//! processor and a boot loader are on a real machine.

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

//! The kernel process: everything that runs beside the driver.
//!
//! One folder for each prefix of the kernel's functions; around them what a
//! processor and a boot loader are on a real machine.

mod altitude;
mod boot;
mod call;
mod callout;
mod cm;
mod cpu;
mod dbg;
mod driver;
mod etw;
mod ex;
mod exclusive;
pub mod exports;
pub mod foreign;
mod fs;
mod guest;
mod io;
mod ke;
pub mod last_call;
mod layout;
mod list_walk;
pub mod loader;
mod log;
pub mod missing;
mod mm;
mod native;
mod ob;
pub mod partial;
mod po;
mod privileged;
mod ps;
mod registrations;
mod repeats;
mod routine;
mod rtl;
mod se;
mod seh;
mod shared_data;
pub mod signals;
pub mod since;
pub mod stop;
#[cfg(test)]
mod testing;
mod threads;
mod tick;
mod user;
pub mod variables;
mod verify;
mod version;
pub mod wire;
mod zw;

pub use boot::{VARIABLE, link};

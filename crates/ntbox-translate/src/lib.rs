//! Translates x64 code of a driver into a code cache, with checks written into it.
//!
//! The crate turns bytes into bytes and tables. It knows nothing of a kernel and owns
//! no memory: the host that embeds it gives the code ([`CodeSource`]) and the places
//! ([`Layout`]), applies what comes back ([`Edit`]), and provides three gates, to which
//! translated code jumps.
//!
//! # What the host provides
//!
//! - **The cache**: memory at [`Layout::cache`], executable for the driver. It begins
//!   with the edits of [`Translator::start`].
//! - **The state block** of each processor ([`state`]): all entries of its table
//!   [`Translator::miss`] at first, and the addresses of the gates. A gate saves
//!   all registers and flags, vector registers too, asks the translator or decides, puts
//!   everything back and jumps.
//!   - *Dispatch*: RDX holds the original address to go on at; RCX and RDX of the
//!     program are in [`state::SPILLS`]. The host does what it postponed
//!     ([`state::POLL`]), with a context whose RIP is that address; looks whether it
//!     belongs to an export ([`Translator::bind`]); else calls
//!     [`Translator::translate`] with [`state::ARRIVAL`], applies the edits and jumps to the entry with the
//!     program's registers. An address without code is a fault at that address.
//!   - *Check*: [`state::SITE`] has the number of the [`Site`], [`state::ADDRESS`] the
//!     address. The registers of the program follow from [`Site::spilled`] as from
//!     [`Location`]. Code goes on at [`Site::resume`] with the registers as they came.
//!   - *Trap*: [`state::SITE`] as before; all registers are the program's.
//! - **Signals**: a fault at an address in the cache is at [`Translator::locate`];
//!   its registers come from [`Location::registers`]. A fault of a check goes on at the
//!   `ask` of [`Phase::Check`] instead. A tick in the cache only sets
//!   [`state::POLL`].
//! - **Ways in and out**: code of the host that returns to the driver, or calls it,
//!   looks the original address up ([`Translator::lookup`]), or does what a translated
//!   `ret` does: R10 and R11 to [`state::SPILLS`], the address to R11, and a jump
//!   through the entry of [`state::TABLE`] that its lower 16 bits name.
//!
//! # What stays true
//!
//! Stacks and registers hold original addresses only, and the program's values at each
//! instruction that may fault. Live flags never change. No bytes make translation
//! fail: what cannot be carried over becomes a trap with a name.

#![forbid(unsafe_code)]

mod assembler;
mod branch;
mod cache;
mod chains;
mod check_code;
mod checks;
mod cold;
mod edges;
mod edit;
mod emit;
mod graph;
mod instruction;
mod layout;
mod liveness;
mod location;
mod loops;
mod policy;
mod range;
mod registers;
mod scratch;
mod site;
mod source;
mod stub;
mod translator;
mod trap;

pub use edit::Edit;
pub use layout::{Base, Layout, state};
pub use location::{Location, Phase};
pub use policy::{Coverage, MemoryChecks, Policy, Unit};
pub use registers::{Gpr, RegisterSet};
pub use site::{AccessExtent, InstructionName, Site, SiteKind};
pub use source::{CodeSource, Function};
pub use stub::Arrival;
pub use translator::{Counter, Statistics, TranslateError, Translation, Translator};
pub use trap::TrapReason;

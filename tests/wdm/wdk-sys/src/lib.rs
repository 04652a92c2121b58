//! A stand-in for wdk-sys: the types, constants and functions that `wdm` uses, and a
//! kernel behind them that is just large enough to run `wdm` on the host.
//!
//! It is no emulation. It keeps the contracts that soundness depends on (who owns
//! what, at which IRQL, who waits for whom), allocates everything from the host's
//! heap, so that Miri sees each access, and panics, which ends the process, where a
//! kernel would stop. [`host`] is the side that tests drive it from.

mod constants;
pub mod host;
mod io;
mod lists;
mod lookaside;
pub mod machine;
mod mdl;
mod pool;
mod process;
mod remove_lock;
mod sync;
mod system;
mod types;

pub use constants::*;
pub use types::*;

/// The functions, where the bindings have them.
pub mod ntddk {
    pub use crate::{
        io::{api::*, complete::*},
        lists::*,
        mdl::*,
        process::*,
        remove_lock::*,
        sync::*,
        system::*,
    };
}

//! Filters of handles: what drivers register to hear of handles to processes and
//! threads that are opened or copied, and to take rights away from them before
//! they are.
//!
//! | file | what |
//! |---|---|
//! | `registration` | `ObRegisterCallbacks` and its kin |
//! | `operation` | a handle that is opened or copied, with all who hear of it |

mod operation;
pub mod registration;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use ntbox_host::kernel_cell::KernelCell;

pub use super::callbacks::operation::{HandleParams, open};
pub use super::callbacks::registration::leaks;
use super::types::Type;
use crate::base::altitude::Altitude;

/// What a driver has registered for one type of object.
#[derive(Debug, Clone)]
struct Filter {
    /// The registration that it belongs to.
    handle: u64,
    altitude: Altitude,
    kind: Type,
    /// `OB_OPERATION_…` flags.
    operations: u32,
    /// Routine that is called before; 0 for none.
    before: u64,
    /// Routine that is called after; 0 for none.
    after: u64,
    /// What they are passed.
    context: u64,
    /// Address that the call which registered it returns to.
    caller: u64,
}

#[derive(Debug, Default)]
struct State {
    /// From the highest altitude to the lowest.
    filters: Vec<Filter>,
    /// Registrations whose routines run, once for each call.
    running: Vec<u64>,
}

static STATE: KernelCell<State> = KernelCell::new(State {
    filters: Vec::new(),
    running: Vec::new(),
});

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(&mut STATE.lock())
}

impl State {
    /// Enters filters in their places.
    fn add(&mut self, new: Vec<Filter>) {
        self.filters.extend(new);
        self.filters
            .sort_by(|one, other| Reverse(&one.altitude).cmp(&Reverse(&other.altitude)));
    }
}

/// What those are parked on who wait until a registration's routines do not run.
fn idle_key(handle: u64) -> u64 {
    0xffff_fc00_0000_0000 ^ handle
}

//! Structured exceptions: hardware faults and raised statuses find their
//! handlers through the unwind data of the driver's image, as on x64 Windows.
//!
//! [`raise`] begins with the registers at the place of the exception. The search
//! ([`dispatch`]) walks the driver's frames ([`walk`]), which are unwound by
//! [`unwind`] with the help of [`function_table`], [`unwind_info`] and
//! [`epilogue`], and calls their language handlers. [`c_handler`] is the one for
//! C; when a filter says yes, [`target`] unwinds to the `__except` block.

mod c_handler;
mod context;
mod dispatch;
mod dispatcher;
mod epilogue;
mod exports;
mod function_table;
mod guarded;
mod jump;
mod memory;
mod native;
mod repeat;
mod target;
#[cfg(test)]
mod tests;
mod unhandled;
mod unwind;
mod unwind_info;
mod walk;

pub use context::{Context, ExceptionRecord};
pub use dispatch::{call_nowhere, is_canonical, raise, resume};
pub use guarded::is_guarded;
pub use native::NATIVE;
pub use unhandled::kernel_exception;
pub use walk::{Slots, Trace, backtrace, trace};

use super::call::Export;

/// All exports of exception handling, but those of [`NATIVE`].
pub const TABLES: &[&[Export]] = &[exports::EXPORTS];

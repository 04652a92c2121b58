//! Structured exceptions: hardware faults and raised statuses find their
//! handlers through the unwind data of the driver's image, as on x64 Windows.
//!
//! [`raise`] begins with the registers at the place of the exception. The search
//! ([`dispatch`]) walks the driver's frames with the help of
//! [`unwind`](crate::unwind) and calls their language handlers. [`c_handler`]
//! is the one for C; when a filter accepts the exception, [`unwind_ex`] unwinds to the
//! `__except` block.

mod c_handler;
mod dispatch;
mod dispatcher;
mod exports;
mod has_handler;
mod repeat;
mod setjmp;
mod unhandled;
mod unwind_ex;

use ntbox_host::gate::Export;

pub use super::seh::dispatch::{call_nowhere, is_canonical, raise, resume};
pub use super::seh::has_handler::is_guarded;
pub use super::seh::unhandled::kernel_exception;

/// The exports of this component, except those in assembly.
pub const TABLES: &[&[Export]] = &[exports::EXPORTS];

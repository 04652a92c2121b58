//! The configuration manager's side of registry filters: drivers register
//! callbacks, which hear of every operation on the registry before and after it
//! and may refuse it, carry it out themselves or change its outcome.
//!
//! | file | what |
//! |---|---|
//! | `registered` | the callbacks, their order, and calls of them |
//! | `registration` | `CmRegisterCallbackEx` and its kin |
//! | `notice` | what they can hear of |
//! | `operation` | an operation with all who hear of it |
//! | `create` | making and opening a key, likewise |
//! | `context` | `CmSetCallbackObjectContext` |
//! | `key_id` | `CmCallbackGetKeyObjectID` and its kin |
//! | `shown` | the memory that callbacks see |

mod context;
pub mod create;
mod key_id;
pub mod notice;
mod operation;
mod registered;
mod registration;
pub mod shown;
#[cfg(test)]
mod tests;

pub use operation::{key_ends, on_key};
pub use registered::any;
pub use registration::take_left_behind;

use super::call::Export;

/// The exports of this folder.
pub const TABLES: &[&[Export]] = &[context::EXPORTS, key_id::EXPORTS, registration::EXPORTS];

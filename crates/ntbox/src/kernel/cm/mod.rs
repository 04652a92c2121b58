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

pub mod callback_buffer;
mod callback_exports;
mod callback_list;
mod callout;
mod context;
pub mod create;
pub mod hive;
mod key_id;
pub mod key_object;
pub mod notify_class;
pub mod nt_key;
pub mod nt_notify_key;
pub mod nt_query_key;
pub mod nt_query_multiple_values;
pub mod nt_query_value;
pub mod nt_rename_key;
pub mod nt_set_value;
pub mod query_registry_values;
pub mod rtl_registry;
#[cfg(test)]
pub mod tests;

pub use super::cm::callback_exports::take_left_behind;
pub use super::cm::callback_list::any;
pub use super::cm::callout::on_key;
use crate::host::gate::Export;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    callback_exports::EXPORTS,
    context::EXPORTS,
    key_id::EXPORTS,
    nt_key::EXPORTS,
    nt_notify_key::EXPORTS,
    nt_query_key::EXPORTS,
    nt_query_multiple_values::EXPORTS,
    nt_query_value::EXPORTS,
    nt_rename_key::EXPORTS,
    nt_set_value::EXPORTS,
    query_registry_values::EXPORTS,
    rtl_registry::EXPORTS,
];

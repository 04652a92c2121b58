//! The configuration manager: the registry with its Nt services, and registry callbacks,
//! which are called before and after each operation and may refuse it, execute it
//! themselves or change its result.

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

use ntbox_host::gate::Export;

pub use super::cm::callback_list::any;
pub use super::cm::callout::on_key;
use crate::base::leak_check::LeakCheck;

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[callback_exports::leaks];

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

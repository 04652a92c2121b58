//! System services as drivers call them: handles, the registry, names of
//! objects; and the run-time library's way to the registry.
//!
//! | file | what |
//! |---|---|
//! | `handle` | `ZwClose`, `ZwDuplicateObject` |
//! | `key` | `ZwOpenKey`, `ZwCreateKey`, `ZwDeleteKey`, `ZwFlushKey` |
//! | `key_information` | `ZwQueryKey`, `ZwEnumerateKey` |
//! | `value` | `ZwQueryValueKey`, `ZwEnumerateValueKey` |
//! | `value_change` | `ZwSetValueKey`, `ZwDeleteValueKey` |
//! | `rtl_registry` | `RtlWriteRegistryValue` and its kin |
//! | `query_values` | `RtlQueryRegistryValues` |
//! | `registry` | the keys and values themselves |
//! | `reply` | how a service answers into a buffer |

mod handle;
mod key;
mod key_information;
mod query_values;
pub mod registry;
mod reply;
mod rtl_registry;
#[cfg(test)]
mod tests;
mod value;
mod value_change;

use super::call::Export;

/// The exports of this folder.
pub const TABLES: &[&[Export]] = &[
    handle::EXPORTS,
    key::EXPORTS,
    key_information::EXPORTS,
    query_values::EXPORTS,
    rtl_registry::EXPORTS,
    value::EXPORTS,
    value_change::EXPORTS,
];

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
//! | `multiple_values` | `ZwQueryMultipleValueKey` |
//! | `rename_key` | `ZwRenameKey` |
//! | `notify_key` | `ZwNotifyChangeKey` |
//! | `rtl_registry` | `RtlWriteRegistryValue` and its kin |
//! | `query_values` | `RtlQueryRegistryValues` |
//! | `event`, `timer` | events and timers with handles |
//! | `wait` | `ZwWaitForSingleObject`, `ZwWaitForMultipleObjects` |
//! | `luid` | `ZwAllocateLocallyUniqueId` |
//! | `transaction` | `ZwCreateTransaction` and its kin, refused |
//! | `system` | `ZwQuerySystemInformation` |
//! | `mode` | what `Nt…` checks and `Zw…` does not |
//! | `object` | `ZwMakeTemporaryObject`, `ZwQueryObject`, `ZwDuplicateObject` |
//! | `driver_service` | `ZwLoadDriver`, `ZwUnloadDriver` |
//! | `directory` | directories of the namespace |
//! | `symbolic_link` | its links |
//! | `registry` | the keys and values themselves |
//! | `reply` | how a service answers into a buffer |

mod directory;
mod driver_service;
pub mod event;
mod handle;
pub mod key;
mod key_information;
pub mod luid;
pub mod mode;
mod multiple_values;
pub mod notify_key;
mod object;
mod process;
mod query_values;
pub mod registry;
mod rename_key;
pub mod reply;
mod rtl_registry;
mod symbolic_link;
mod system;
#[cfg(test)]
pub mod tests;
pub mod timer;
mod transaction;
mod value;
mod value_change;
pub mod wait;

use super::call::Export;

/// The exports of this folder.
pub const TABLES: &[&[Export]] = &[
    directory::EXPORTS,
    driver_service::EXPORTS,
    event::EXPORTS,
    handle::EXPORTS,
    key::EXPORTS,
    key_information::EXPORTS,
    luid::EXPORTS,
    notify_key::EXPORTS,
    object::EXPORTS,
    multiple_values::EXPORTS,
    process::EXPORTS,
    rename_key::EXPORTS,
    query_values::EXPORTS,
    rtl_registry::EXPORTS,
    symbolic_link::EXPORTS,
    system::EXPORTS,
    timer::EXPORTS,
    transaction::EXPORTS,
    value::EXPORTS,
    value_change::EXPORTS,
    wait::EXPORTS,
];

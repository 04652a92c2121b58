//! The `FsRtl` library: what file system drivers and filters link. Name rules, map
//! control blocks, tunnels, byte-range locks, change notification, contexts.

pub mod cancellable_wait;
pub mod contexts;
pub mod extent_map;
pub mod file_lock;
pub mod file_lock_exports;
pub mod filter_callbacks;
pub mod lock;
pub mod mcb;
pub mod misc;
pub mod name_in_expression;
pub mod name_rules;
pub mod notify;
pub mod notify_exports;
pub mod reparse;
pub mod tunnel;

use ntbox_host::gate::Export;
/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    cancellable_wait::EXPORTS,
    contexts::EXPORTS,
    file_lock_exports::EXPORTS,
    filter_callbacks::EXPORTS,
    mcb::EXPORTS,
    mcb::small::EXPORTS,
    misc::EXPORTS,
    name_in_expression::EXPORTS,
    name_rules::EXPORTS,
    notify_exports::EXPORTS,
    reparse::EXPORTS,
    tunnel::EXPORTS,
];

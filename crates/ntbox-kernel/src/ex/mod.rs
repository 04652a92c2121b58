//! The executive.

pub mod callback;
pub mod fast_mutex;
mod firmware;
pub mod guarded_mutex;
pub mod interlocked;
mod lock_wait;
pub mod lookaside;
pub mod luid;
pub mod nt_event;
pub mod nt_timer;
pub mod pool;
mod previous_mode;
pub mod push_lock;
pub mod resource;
pub mod rundown;
pub mod slist;
pub mod spinlock;
mod sysinfo;
pub mod tracked_structs;
pub mod transaction;
pub mod uuid;
pub mod work_item;
pub mod worker;

use ntbox_host::gate::Export;

use crate::base::leak_check::LeakCheck;

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[callback::leaks, tracked_structs::leaks];

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    callback::EXPORTS,
    fast_mutex::EXPORTS,
    firmware::EXPORTS,
    guarded_mutex::EXPORTS,
    interlocked::EXPORTS,
    lookaside::classic::EXPORTS,
    lookaside::extended::EXPORTS,
    luid::EXPORTS,
    nt_event::EXPORTS,
    nt_timer::EXPORTS,
    pool::EXPORTS,
    previous_mode::EXPORTS,
    push_lock::EXPORTS,
    resource::EXPORTS,
    rundown::EXPORTS,
    slist::EXPORTS,
    spinlock::EXPORTS,
    sysinfo::EXPORTS,
    transaction::EXPORTS,
    uuid::EXPORTS,
    work_item::EXPORTS,
];

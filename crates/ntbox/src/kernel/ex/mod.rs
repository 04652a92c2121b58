//! The executive.

pub mod active;
mod blocking;
pub mod callback;
pub mod fast_mutex;
mod firmware;
pub mod interlocked;
pub mod list;
pub mod lookaside;
mod mode;
pub mod pool;
pub mod push_lock;
pub mod resource;
pub mod rundown;
pub mod slist;
pub mod spinlock;
mod system;
pub mod timer;
pub mod uuid;
pub mod work_item;
pub mod worker;

use super::call::Export;

/// All exports of the executive.
pub const TABLES: &[&[Export]] = &[
    callback::EXPORTS,
    fast_mutex::EXPORTS,
    firmware::EXPORTS,
    interlocked::EXPORTS,
    lookaside::CLASSIC,
    lookaside::EXTENDED,
    mode::EXPORTS,
    pool::EXPORTS,
    push_lock::EXPORTS,
    resource::EXPORTS,
    rundown::EXPORTS,
    slist::EXPORTS,
    spinlock::EXPORTS,
    system::EXPORTS,
    timer::EXPORTS,
    uuid::EXPORTS,
    work_item::EXPORTS,
];

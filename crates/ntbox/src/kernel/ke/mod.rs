//! The kernel proper: IRQL, threads and time, waiting, timers and DPCs, bug
//! checks.

pub mod apc;
pub mod attach;
pub mod bugcheck;
pub mod bugcheck_callback;
pub mod clock;
pub mod device_queue;
pub mod dpc;
mod facts;
mod generic_dpc;
pub mod guarded_mutex;
pub mod hal_dispatch;
mod hardware;
pub mod held;
mod initialized;
pub mod ipi;
pub mod irql;
pub mod lock_order;
pub mod mutex;
mod node;
mod numbered_spinlock;
pub mod object;
pub mod pageable;
pub mod priority;
pub mod processor;
pub mod queue;
pub mod queued_spinlock;
pub mod sched;
pub mod schedule;
pub mod spinlock;
mod stack;
#[cfg(test)]
mod tests;
pub mod thread;
mod thread_hints;
pub mod timer;
mod topology;
pub mod wait;
mod wait_next;

pub use self::sched::HOST_DEPTH;
use super::call::Export;

/// All exports of the kernel proper.
pub const TABLES: &[&[Export]] = &[
    apc::EXPORTS,
    attach::EXPORTS,
    bugcheck::EXPORTS,
    bugcheck_callback::EXPORTS,
    device_queue::EXPORTS,
    dpc::EXPORTS,
    facts::EXPORTS,
    generic_dpc::EXPORTS,
    guarded_mutex::EXPORTS,
    hardware::EXPORTS,
    irql::EXPORTS,
    mutex::EXPORTS,
    node::EXPORTS,
    numbered_spinlock::EXPORTS,
    priority::EXPORTS,
    processor::EXPORTS,
    queue::EXPORTS,
    queued_spinlock::EXPORTS,
    spinlock::EXPORTS,
    stack::EXPORTS,
    thread::EXPORTS,
    thread_hints::EXPORTS,
    timer::EXPORTS,
    topology::EXPORTS,
    wait::EXPORTS,
];

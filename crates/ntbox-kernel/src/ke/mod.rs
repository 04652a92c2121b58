//! The kernel proper: IRQL, threads and time, waiting, timers and DPCs, bug
//! checks.

pub mod apc;
pub mod attach;
pub mod bugcheck;
pub mod bugcheck_callback;
pub mod clock_interrupt;
pub mod critical_region;
pub mod device_queue;
pub mod dpc;
pub mod ex_timer;
mod generic_dpc;
mod global_queued_spinlock;
pub mod hal_dispatch;
mod hardware;
pub mod ipi;
pub mod irp_cancel_lock;
pub mod irql;
pub mod kuser_shared_data;
pub mod lock_owner;
pub mod mutex;
mod node;
pub mod object;
pub mod priority;
pub mod processor;
pub mod queue;
pub mod queued_spinlock;
pub mod sched;
pub mod seeded_schedule;
pub mod spinlock;
mod stack;
#[cfg(test)]
mod tests;
pub mod thread_hints;
pub mod timer;
mod topology;
pub mod wait;
mod wait_flag;

use ntbox_host::gate::Export;

use crate::base::leak_check::LeakCheck;

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[timer::leaks, lock_owner::leaks];

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    critical_region::EXPORTS,
    ex_timer::EXPORTS,
    apc::EXPORTS,
    attach::EXPORTS,
    bugcheck::EXPORTS,
    bugcheck_callback::EXPORTS,
    device_queue::EXPORTS,
    dpc::EXPORTS,
    generic_dpc::EXPORTS,
    global_queued_spinlock::EXPORTS,
    hardware::EXPORTS,
    irp_cancel_lock::EXPORTS,
    irql::EXPORTS,
    mutex::EXPORTS,
    node::EXPORTS,
    priority::EXPORTS,
    processor::EXPORTS,
    queue::EXPORTS,
    queued_spinlock::EXPORTS,
    spinlock::EXPORTS,
    stack::EXPORTS,
    thread_hints::EXPORTS,
    timer::EXPORTS,
    topology::EXPORTS,
    wait::EXPORTS,
];

//! How processors take turns.
//!
//! One thread of the host is all of them. A turn ends when the clock interrupts
//! the driver, at any IRQL, when the processor has nothing to run, and when it
//! spins: on a lock, say, that another processor holds. If every processor either
//! spins or has nothing to run, and no timer is due that could change it, the
//! driver has locked the machine. With a schedule that is drawn from a seed, the
//! points at which it ends are those of [`seeded_schedule`] instead of the clock's.

use ntbox_host::process;

use super::{Scheduler, change, next_due, with};
use crate::base::clock;
use crate::ke::{dpc, ipi, lock_owner, seeded_schedule};

/// What a processor spins on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spin {
    /// A spin lock.
    Lock {
        /// Its address.
        lock: u64,
        /// Address that the call which wants it returns to.
        caller: u64,
    },
    /// The cancel spin lock, by the call that returns to this address.
    CancelLock(u64),
    /// A queued spin lock that goes by its number.
    Numbered {
        /// The number.
        number: usize,
        /// Address that the call which wants it returns to.
        caller: u64,
    },
    /// Other processors, which are to call a routine.
    Call,
    /// The DPCs of other processors.
    Dpcs,
}

impl Spin {
    fn describe(self) -> String {
        match self {
            Self::Lock { lock, caller } => {
                format!(
                    "{} for {}",
                    lock_owner::place(caller),
                    lock_owner::describe(lock)
                )
            }
            Self::CancelLock(caller) => {
                format!("{} for the cancel spin lock", lock_owner::place(caller))
            }
            Self::Numbered { number, caller } => {
                format!(
                    "{} for the queued spin lock {number}",
                    lock_owner::place(caller)
                )
            }
            Self::Call => "for a routine that all processors are to call".to_owned(),
            Self::Dpcs => "for the DPCs of other processors".to_owned(),
        }
    }
}

impl Scheduler {
    /// Whether a turn would let a processor get any further.
    fn is_busy(&self, number: usize, is_due: bool) -> bool {
        let Some(processor) = self.processors.get(number) else {
            return false;
        };
        if ipi::pending_on(number) {
            return true;
        }
        if processor.idling {
            return is_due || dpc::pending_on(number) || self.has_ready(number);
        }
        processor
            .spins
            .is_none_or(|(_, looked)| looked != self.progress)
    }

    /// The next processor after this one that has something to run, or any if the
    /// schedule is drawn.
    fn next_busy(&self, is_due: bool) -> Option<usize> {
        let count = self.processors.len();
        let others = (1..count).map(|n| (self.here + n) % count);
        let mut busy = others.filter(|number| self.is_busy(*number, is_due));
        if seeded_schedule::is_drawn() {
            let among = busy.clone().count();
            return busy.nth(seeded_schedule::choose(among));
        }
        busy.next()
    }
}

/// Notes that the processor is not looking for something to do any more.
pub(super) fn busy(scheduler: &mut Scheduler) {
    let here = scheduler.here;
    if let Some(processor) = scheduler.processors.get_mut(here) {
        processor.idling = false;
    }
}

fn is_due() -> bool {
    next_due().is_some_and(|due| due <= clock::interrupt_time())
}

/// Gives the turn to the next processor that has something to run, and returns when
/// it is back here. False if there is none. No lock may be held.
pub fn rotate() -> bool {
    if with(|scheduler| scheduler.processors.len() < 2) || process::is_stopping() {
        return false;
    }
    let is_due = is_due();
    let next = with(|scheduler| {
        scheduler.progress += 1;
        scheduler.next_busy(is_due)
    });
    if let Some(next) = next {
        go_to(next);
    }
    next.is_some()
}

fn go_to(next: usize) {
    let (from, to) = with(|scheduler| (scheduler.current(), scheduler.processors[next].current));
    change(from, next, to);
    with(busy);
    ipi::answer();
}

/// A processor that spins until its condition holds.
#[derive(Debug)]
pub struct SpinWait(Spin);

impl SpinWait {
    /// Begins to spin.
    pub fn on(what: Spin) -> Self {
        with(|scheduler| scheduler.progress += 1);
        Self(what)
    }

    /// Lets the other processors get on, after a look that did not find it. If none
    /// of them can, this says what each of them spins on.
    ///
    /// # Errors
    /// None of them can.
    pub fn turn(&self) -> Result<(), String> {
        if process::is_overdue() || process::is_stopping() {
            return Err(locked_up());
        }
        let is_due = is_due();
        let (next, any_idle) = with(|scheduler| {
            let (here, progress) = (scheduler.here, scheduler.progress);
            if let Some(processor) = scheduler.processors.get_mut(here) {
                processor.spins = Some((self.0, progress));
            }
            let mut processors = scheduler.processors.iter();
            let any_idle = processors.any(|processor| processor.idling);
            (scheduler.next_busy(is_due), any_idle)
        });
        if let Some(next) = next {
            go_to(next);
            return Ok(());
        }
        match next_due() {
            Some(due) if any_idle => {
                clock::skip_to(due);
                Ok(())
            }
            _ => Err(locked_up()),
        }
    }
}

impl Drop for SpinWait {
    fn drop(&mut self) {
        with(|scheduler| {
            scheduler.progress += 1;
            let here = scheduler.here;
            if let Some(processor) = scheduler.processors.get_mut(here) {
                processor.spins = None;
            }
        });
    }
}

/// What each processor does, when none gets any further.
fn locked_up() -> String {
    let all: Vec<Option<Spin>> = with(|scheduler| {
        let processors = scheduler.processors.iter();
        processors
            .map(|processor| processor.spins.map(|(spin, _)| spin))
            .collect()
    });
    let each: Vec<String> = all
        .into_iter()
        .enumerate()
        .map(|(n, spin)| match spin {
            Some(spin) => format!("processor {n} spins {}", spin.describe()),
            None => format!("processor {n} has nothing to run"),
        })
        .collect();
    each.join("; ")
}

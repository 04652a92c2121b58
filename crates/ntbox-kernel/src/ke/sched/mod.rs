//! Threads of the kernel, on simulated processors that take turns.
//!
//! Each is a coroutine with two stacks: the driver's, of kernel size, and one
//! for the kernel's own frames. A thread runs until it waits, ends, or is
//! preempted below `DISPATCH_LEVEL`: by one of higher priority as soon as that is
//! ready, by one of its own at the clock's interrupt ([`preempt()`]). A processor that has nothing to run runs its idle thread, which gives the turn to
//! another one ([`virtual_cpu`]). When all are idle, time jumps to the next thing that
//! is due; when nothing is due, the threads have locked each other out, and that
//! is reported.

use ntbox_host::context_switch::{HostStack, SavedStack, leave, switch};
use ntbox_host::kernel_cell::{Guard, KernelCell};
use ntbox_host::upcall::Callouts;
use ntbox_host::{cpu, kernel_entry, upcall};

pub use super::sched::preempt::{is_preempted, preempt, reprioritized, round_robin, yield_here};
use super::sched::ready::Ready;
pub use super::sched::virtual_cpu::{Spin, SpinWait, rotate};
use super::{clock_interrupt, dpc, ipi, priority, processor, wait};
use crate::base::{clock, thread_table};
use crate::mm;

mod preempt;
mod ready;
mod virtual_cpu;

/// Why a parked thread resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    /// Somebody woke it.
    Signal,
    /// Its deadline has passed.
    Timeout,
}

/// Number of a thread in this module; never used twice.
pub type Id = u64;

/// What a thread does, on its host stack.
type Body = Box<dyn FnOnce() + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ThreadState {
    /// Waits for its turn, or runs.
    Ready,
    /// Waits for `wake` of its key, or its deadline.
    Parked { key: u64, deadline: Option<u64> },
}

struct Thread {
    id: Id,
    /// Its ETHREAD.
    object: u64,
    state: ThreadState,
    woken: WakeReason,
    /// Host stack pointer while it does not run.
    saved: SavedStack,
    /// Host stack, unless it is the process's own.
    stack: Option<HostStack>,
    body: Option<Body>,
    callouts: Callouts,
    host_rsp: u64,
    irql: u8,
}

/// A processor, as far as threads are concerned.
struct Processor {
    current: Id,
    /// The thread that runs when there is no other.
    idle: Id,
    /// Whether the idle thread looks for something to do; it also runs DPCs.
    idling: bool,
    /// What the processor spins on, and [`Scheduler::progress`] when it last looked.
    spins: Option<(Spin, u64)>,
}

/// All threads. The current ones and those of idle processors are in the list, too.
#[derive(Default)]
struct Scheduler {
    threads: Vec<Thread>,
    ready: Ready,
    /// The thread that speaks for the outside, while it lets all others run
    /// ([`yield_to_all`]).
    outside: Option<Id>,
    processors: Vec<Processor>,
    /// The processor that has its turn.
    here: usize,
    /// Grows whenever a processor may have done something that another one spins
    /// for.
    progress: u64,
    next: Id,
    /// Stacks of ended threads; a thread cannot free the one it stands on.
    ended: Vec<HostStack>,
}

static SCHEDULER: KernelCell<Option<Scheduler>> = KernelCell::new(None);

fn lock() -> Guard<'static, Option<Scheduler>> {
    SCHEDULER.lock()
}

fn with<T>(work: impl FnOnce(&mut Scheduler) -> T) -> T {
    work(lock().get_or_insert_with(Scheduler::default))
}

impl Scheduler {
    fn thread(&mut self, id: Id) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.id == id)
    }

    /// The thread that runs; 0 before there is one.
    fn current(&self) -> Id {
        let here = self.processors.get(self.here);
        here.map_or(0, |processor| processor.current)
    }

    /// Whether the affinity of a thread lets it run on a processor.
    fn may_run(&self, id: Id, on: usize) -> bool {
        let mut threads = self.threads.iter();
        self.processors.len() < 2
            || threads
                .find(|thread| thread.id == id)
                .is_some_and(|thread| processor::allows(thread.object, on))
    }

    /// Whether a thread waits for its turn that a processor may run.
    fn has_ready(&self, on: usize) -> bool {
        let may_run = |id| self.may_run(id, on);
        self.ready.highest(may_run).is_some() || self.outside.is_some_and(may_run)
    }

    /// Takes the next thread that may run here.
    fn take_ready(&mut self) -> Option<Id> {
        let here = self.here;
        if let Some(place) = self.ready.first(|id| self.may_run(id, here)) {
            return self.ready.take(place);
        }
        let may_run = self.outside.is_some_and(|id| self.may_run(id, here));
        if may_run { self.outside.take() } else { None }
    }

    /// The priority of a thread.
    fn priority(&self, id: Id) -> usize {
        let mut threads = self.threads.iter();
        let thread = threads.find(|thread| thread.id == id);
        thread.map_or(0, |thread| priority::of(thread.object))
    }

    fn add(&mut self, object: u64, start: Option<(HostStack, Body)>) -> Id {
        let id = self.next;
        self.next += 1;
        let (stack, body) = start.unzip();
        self.threads.push(Thread {
            id,
            object,
            state: ThreadState::Ready,
            woken: WakeReason::Signal,
            saved: stack
                .as_ref()
                .map_or_else(SavedStack::new, |stack| stack.prepare(begin)),
            stack,
            body,
            callouts: Callouts::default(),
            host_rsp: 0,
            irql: 0,
        });
        id
    }

    fn make_ready(&mut self, id: Id, woken: WakeReason) {
        if let Some(thread) = self.thread(id) {
            thread.state = ThreadState::Ready;
            thread.woken = woken;
            self.let_run(id);
        }
    }

    /// Earliest deadline of a parked thread.
    fn next_deadline(&self) -> Option<u64> {
        self.threads
            .iter()
            .filter_map(|thread| match thread.state {
                ThreadState::Parked { deadline, .. } => deadline,
                ThreadState::Ready => None,
            })
            .min()
    }

    fn expire(&mut self, now: u64) {
        let due: Vec<Id> = self
            .threads
            .iter()
            .filter(|thread| matches!(thread.state, ThreadState::Parked { deadline: Some(at), .. } if at <= now))
            .map(|thread| thread.id)
            .collect();
        for id in due {
            self.make_ready(id, WakeReason::Timeout);
        }
    }
}

/// Makes the thread that the process runs on the first thread of the kernel, on the
/// first of so many processors as there are objects of idle threads.
///
/// # Errors
/// Without memory.
pub fn initialize(object: u64, idle: &[u64]) -> Result<(), String> {
    with(|scheduler| {
        let first = scheduler.add(object, None);
        for (n, object) in idle.iter().enumerate() {
            let stack = HostStack::new().ok_or("no memory for an idle thread")?;
            let idle = scheduler.add(*object, Some((stack, Box::new(run_idle))));
            scheduler.processors.push(Processor {
                current: if n == 0 { first } else { idle },
                idle,
                idling: n != 0,
                spins: None,
            });
        }
        Ok(())
    })
}

/// Adds a thread that begins with `body`; it runs when its turn comes.
pub fn spawn(object: u64, body: Body) -> Option<Id> {
    let stack = HostStack::new()?;
    clock_interrupt::start();
    Some(with(|scheduler| {
        let id = scheduler.add(object, Some((stack, body)));
        scheduler.let_run(id);
        id
    }))
}

/// The thread that runs.
pub fn current() -> Id {
    with(|scheduler| scheduler.current())
}

/// When the next parked thread or timer is due, in interrupt time.
pub fn next_due() -> Option<u64> {
    let parked = with(|scheduler| scheduler.next_deadline());
    [parked, super::timer::next_due()]
        .into_iter()
        .flatten()
        .min()
}

/// Blocks the current thread until [`wake`] of `key` or the deadline. It may
/// return early: callers look at their condition again.
pub fn park(key: u64, deadline: Option<u64>) -> WakeReason {
    with(|scheduler| {
        let current = scheduler.current();
        if let Some(thread) = scheduler.thread(current) {
            thread.state = ThreadState::Parked { key, deadline };
        }
    });
    switch_away();
    with(|scheduler| {
        let current = scheduler.current();
        scheduler
            .thread(current)
            .map_or(WakeReason::Signal, |thread| thread.woken)
    })
}

/// Lets all threads that are parked on `key` go on.
pub fn wake(key: u64) {
    with(|scheduler| {
        let parked: Vec<Id> = scheduler
            .threads
            .iter()
            .filter(
                |thread| matches!(thread.state, ThreadState::Parked { key: on, .. } if on == key),
            )
            .map(|thread| thread.id)
            .collect();
        for id in parked {
            scheduler.make_ready(id, WakeReason::Signal);
        }
    });
}

/// Lets one thread go on, wherever it is parked.
pub fn wake_thread(id: Id) {
    with(|scheduler| {
        if scheduler
            .thread(id)
            .is_some_and(|thread| thread.state != ThreadState::Ready)
        {
            scheduler.make_ready(id, WakeReason::Signal);
        }
    });
}

/// Gives other threads a turn: those that are ready and whose priority is not
/// lower, or what other processors run. False if there is nothing else to run.
pub fn yield_now() -> bool {
    yield_here() || rotate()
}

/// Gives all that could run a turn, whatever its priority, on behalf of the
/// outside, which has none. False if there is nothing else to run.
pub fn yield_to_all() -> bool {
    let others = with(|scheduler| {
        let others = scheduler.has_ready(scheduler.here);
        if others {
            scheduler.outside = Some(scheduler.current());
        }
        others
    });
    if others {
        switch_away();
    }
    others || rotate()
}

/// Takes the current thread to a processor that its affinity names, if this is not
/// one. The IRQL must be below `DISPATCH_LEVEL`.
pub fn leave_processor() {
    let leaves = with(|scheduler| {
        let current = scheduler.current();
        let leaves = !scheduler.may_run(current, scheduler.here);
        if leaves {
            scheduler.let_run(current);
        }
        leaves
    });
    if leaves {
        switch_away();
    }
}

/// Ends the current thread.
pub fn exit() -> ! {
    with(|scheduler| {
        let current = scheduler.current();
        if let Some(at) = scheduler
            .threads
            .iter()
            .position(|thread| thread.id == current)
        {
            let thread = scheduler.threads.remove(at);
            processor::forget(thread.object);
            scheduler.ended.extend(thread.stack);
        }
    });
    switch_away();
    unreachable!("a thread that has ended was switched to")
}

/// Chooses the next thread and switches to it: the idle one if there is no other,
/// or if DPCs have to run first.
fn switch_away() {
    expire();
    let change_to = with(|scheduler| {
        let ready = if dpc::pending() {
            None
        } else {
            scheduler.take_ready()
        };
        let processor = scheduler.processors.get_mut(scheduler.here)?;
        let to = ready.unwrap_or(processor.idle);
        Some((std::mem::replace(&mut processor.current, to), to))
    });
    match change_to {
        Some((from, to)) if from != to => change(from, cpu::index(), to),
        Some(_) => {}
        None => deadlock(),
    }
}

/// What an idle thread does: it looks for something to run, here or on another
/// processor.
fn run_idle() {
    loop {
        with(virtual_cpu::busy);
        ipi::answer();
        expire();
        if dpc::pending() {
            dpc::deliver(None);
            continue;
        }
        let ready = with(|scheduler| {
            let ready = scheduler.take_ready();
            let here = scheduler.here;
            let processor = scheduler.processors.get_mut(here)?;
            let from = processor.current;
            processor.idling = ready.is_none();
            processor.current = ready.unwrap_or(from);
            ready.map(|id| (from, id))
        });
        if let Some((from, to)) = ready {
            change(from, cpu::index(), to);
            continue;
        }
        if !rotate() {
            match next_due() {
                Some(due) => clock::skip_to(due),
                None => deadlock(),
            }
        }
    }
}

/// Lets everything happen that is due by now.
pub fn expire() {
    let now = clock::interrupt_time();
    with(|scheduler| scheduler.expire(now));
    super::timer::expire(now);
}

fn deadlock() -> ! {
    let count = with(|scheduler| scheduler.threads.len() - scheduler.processors.len());
    kernel_entry::bug_check(
        0x133,
        [1, count as u64, 0, 0],
        format!(
            "all {count} threads wait and nothing is due that would wake one: the driver waits for ever{}",
            wait::describe()
        ),
        None,
    )
}

/// Saves the state of one thread and takes up another's, on a processor.
fn change(from: Id, processor: usize, to: Id) {
    let (mut save, mut target) = (None, None);
    with(|scheduler| {
        let left = cpu::current();
        if let Some(thread) = scheduler.thread(from) {
            thread.callouts = upcall::take();
            thread.host_rsp = left.host_rsp.get();
            thread.irql = left.irql.get();
            save = Some(thread.saved);
        }
        if scheduler.here != processor {
            scheduler.here = processor;
            cpu::become_processor(u32::try_from(processor).unwrap_or(0));
        }
        let entered = cpu::current();
        if let Some(thread) = scheduler.thread(to) {
            upcall::put(std::mem::take(&mut thread.callouts));
            entered.host_rsp.set(thread.host_rsp);
            entered.irql.set(thread.irql);
            if thread.irql >= cpu::DISPATCH_LEVEL {
                mm::force_irql::raised();
            }
            target = Some(thread.saved);
            set_current(thread.object);
        }
        // The frames of ended threads are not needed, except of the one that
        // switches away just now.
        let standing = scheduler.threads.iter().all(|thread| thread.id != from);
        let keep = usize::from(standing).min(scheduler.ended.len());
        let free = scheduler.ended.len() - keep;
        scheduler.ended.drain(..free);
    });
    match (save, target) {
        (Some(save), Some(target)) => switch(save, target),
        // The thread has ended.
        (None, Some(target)) => leave(target),
        (_, None) => unreachable!("a thread that does not exist was chosen to run"),
    }
}

/// Where a new thread begins, on its own stack.
extern "sysv64" fn begin() -> ! {
    let body = with(|scheduler| {
        let current = scheduler.current();
        scheduler
            .thread(current)
            .and_then(|thread| thread.body.take())
    });
    if let Some(body) = body {
        body();
    }
    exit()
}
/// Says which thread runs: to this kernel and, behind GS, to the driver.
fn set_current(thread: u64) {
    thread_table::set_current_thread(thread);
    mm::process_address_space::see(thread_table::current_process());
    // The control region is mapped read-write for as long as the process lives.
    let _ = cpu::set_thread(thread);
}

//! Threads of the kernel, on one simulated processor.
//!
//! Each is a coroutine with two stacks: the driver's, of kernel size, and one
//! for the kernel's own frames. A thread runs until it waits, ends, or is
//! preempted by the timer while it runs driver code below `DISPATCH_LEVEL`. When
//! all wait, time jumps to the next thing that is due; when nothing is due, the
//! threads have locked each other out, and that is reported.

use std::arch::naked_asm;
use std::collections::VecDeque;

use super::{clock, dpc};
use crate::kernel::callout::Callouts;
use crate::kernel::exclusive::{Exclusive, Guard};
use crate::kernel::{callout, cpu, stop, threads, tick};

/// Why a parked thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Somebody woke it.
    Signal,
    /// Its deadline has passed.
    Timeout,
}

/// Number of a thread in this module; never used twice.
pub type Id = u64;

/// What a thread does, on its host stack.
type Body = Box<dyn FnOnce() + Send>;

/// Bytes of a host stack. Only what is touched costs memory.
const HOST_STACK: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for its turn, or runs.
    Ready,
    /// Waits for `wake` of its key, or its deadline.
    Parked { key: u64, deadline: Option<u64> },
}

struct Thread {
    id: Id,
    /// Its ETHREAD.
    object: u64,
    state: State,
    woken: Woken,
    /// Host stack pointer while it does not run.
    rsp: u64,
    /// Host stack, unless it is the process's own.
    stack: Option<HostStack>,
    body: Option<Body>,
    callouts: Callouts,
    host_rsp: u64,
    irql: u8,
}

/// All threads. The current one is in the list, too.
#[derive(Default)]
struct Scheduler {
    threads: Vec<Thread>,
    ready: VecDeque<Id>,
    current: Id,
    next: Id,
    /// Stacks of ended threads; a thread cannot free the one it stands on.
    ended: Vec<HostStack>,
}

static SCHEDULER: Exclusive<Option<Scheduler>> = Exclusive::new(None);

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

    fn make_ready(&mut self, id: Id, woken: Woken) {
        if let Some(thread) = self.thread(id) {
            thread.state = State::Ready;
            thread.woken = woken;
            self.ready.push_back(id);
        }
    }

    /// Earliest deadline of a parked thread.
    fn next_deadline(&self) -> Option<u64> {
        self.threads
            .iter()
            .filter_map(|thread| match thread.state {
                State::Parked { deadline, .. } => deadline,
                State::Ready => None,
            })
            .min()
    }

    fn expire(&mut self, now: u64) {
        let due: Vec<Id> = self
            .threads
            .iter()
            .filter(|thread| matches!(thread.state, State::Parked { deadline: Some(at), .. } if at <= now))
            .map(|thread| thread.id)
            .collect();
        for id in due {
            self.make_ready(id, Woken::Timeout);
        }
    }
}

/// Makes the thread that the process runs on the first thread of the kernel.
pub fn initialize(object: u64) {
    with(|scheduler| {
        scheduler.threads.push(Thread {
            id: 0,
            object,
            state: State::Ready,
            woken: Woken::Signal,
            rsp: 0,
            stack: None,
            body: None,
            callouts: Callouts::default(),
            host_rsp: 0,
            irql: 0,
        });
        scheduler.next = 1;
    });
}

/// Adds a thread that begins with `body`; it runs when its turn comes.
pub fn spawn(object: u64, body: Body) -> Option<Id> {
    let stack = HostStack::new()?;
    tick::start();
    let rsp = stack.prepare();
    Some(with(|scheduler| {
        let id = scheduler.next;
        scheduler.next += 1;
        scheduler.threads.push(Thread {
            id,
            object,
            state: State::Ready,
            woken: Woken::Signal,
            rsp,
            stack: Some(stack),
            body: Some(body),
            callouts: Callouts::default(),
            host_rsp: 0,
            irql: 0,
        });
        scheduler.ready.push_back(id);
        id
    }))
}

/// The thread that runs.
pub fn current() -> Id {
    with(|scheduler| scheduler.current)
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
pub fn park(key: u64, deadline: Option<u64>) -> Woken {
    with(|scheduler| {
        let current = scheduler.current;
        if let Some(thread) = scheduler.thread(current) {
            thread.state = State::Parked { key, deadline };
        }
    });
    switch_away();
    with(|scheduler| {
        let current = scheduler.current;
        scheduler
            .thread(current)
            .map_or(Woken::Signal, |thread| thread.woken)
    })
}

/// Lets all threads that are parked on `key` go on.
pub fn wake(key: u64) {
    with(|scheduler| {
        let parked: Vec<Id> = scheduler
            .threads
            .iter()
            .filter(|thread| matches!(thread.state, State::Parked { key: on, .. } if on == key))
            .map(|thread| thread.id)
            .collect();
        for id in parked {
            scheduler.make_ready(id, Woken::Signal);
        }
    });
}

/// Lets one thread go on, wherever it is parked.
pub fn wake_thread(id: Id) {
    with(|scheduler| {
        if scheduler
            .thread(id)
            .is_some_and(|thread| thread.state != State::Ready)
        {
            scheduler.make_ready(id, Woken::Signal);
        }
    });
}

/// Gives the other ready threads a turn.
pub fn yield_now() -> bool {
    let others = with(|scheduler| {
        let current = scheduler.current;
        let others = !scheduler.ready.is_empty();
        if others {
            scheduler.ready.push_back(current);
        }
        others
    });
    if others {
        switch_away();
    }
    others
}

/// Ends the current thread.
pub fn exit() -> ! {
    with(|scheduler| {
        let current = scheduler.current;
        if let Some(at) = scheduler
            .threads
            .iter()
            .position(|thread| thread.id == current)
        {
            let thread = scheduler.threads.remove(at);
            scheduler.ended.extend(thread.stack);
        }
    });
    switch_away();
    unreachable!("a thread that has ended was switched to")
}

/// Chooses the next thread, waiting for it if need be, and switches to it.
fn switch_away() {
    let (from, to) = loop {
        expire();
        if dpc::pending() {
            dpc::deliver(None);
            continue;
        }
        let choice = with(|scheduler| {
            let id = scheduler.ready.pop_front()?;
            let from = std::mem::replace(&mut scheduler.current, id);
            Some((from, id))
        });
        if let Some(choice) = choice {
            break choice;
        }
        match next_due() {
            Some(due) => clock::skip_to(due),
            None => deadlock(),
        }
    };
    if from != to {
        change(from, to);
    }
}

/// Lets everything happen that is due by now.
pub fn expire() {
    let now = clock::interrupt_time();
    with(|scheduler| scheduler.expire(now));
    super::timer::expire(now);
}

fn deadlock() -> ! {
    let count = with(|scheduler| scheduler.threads.len());
    stop::bug_check(
        0x133,
        [1, count as u64, 0, 0],
        format!(
            "all {count} threads wait and nothing is due that would wake one: the driver waits for ever"
        ),
        None,
    )
}

/// Saves the state of one thread and takes up another's.
fn change(from: Id, to: Id) {
    let cpu = cpu::current();
    let (mut unused, mut target) = (0_u64, 0_u64);
    let mut save: *mut u64 = &raw mut unused;
    with(|scheduler| {
        if let Some(thread) = scheduler.thread(from) {
            thread.callouts = callout::take();
            thread.host_rsp = cpu.host_rsp.get();
            thread.irql = cpu.irql.get();
            save = &raw mut thread.rsp;
        }
        if let Some(thread) = scheduler.thread(to) {
            callout::put(std::mem::take(&mut thread.callouts));
            cpu.host_rsp.set(thread.host_rsp);
            cpu.irql.set(thread.irql);
            target = thread.rsp;
            threads::set_current(thread.object);
        }
        // The frames of ended threads are not needed, except of the one that
        // switches away just now.
        let standing = scheduler.threads.iter().all(|thread| thread.id != from);
        let keep = usize::from(standing).min(scheduler.ended.len());
        let free = scheduler.ended.len() - keep;
        scheduler.ended.drain(..free);
    });
    // SAFETY: `target` is the saved stack pointer of a thread that does not run;
    // its frames were laid down by this very function or by `prepare`. `save` is
    // written before anything can move the thread that it belongs to.
    unsafe { switch(save, target) };
}

/// Pushes what a callee must preserve, stores the stack pointer at `save`, and
/// takes up `to`.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch(save: *mut u64, to: u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Where a new thread begins, on its own stack.
extern "sysv64" fn begin() -> ! {
    let body = with(|scheduler| {
        let current = scheduler.current;
        scheduler
            .thread(current)
            .and_then(|thread| thread.body.take())
    });
    if let Some(body) = body {
        body();
    }
    exit()
}

/// A host stack with an inaccessible page below.
struct HostStack {
    base: u64,
}

impl HostStack {
    fn new() -> Option<Self> {
        // SAFETY: a new anonymous mapping.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                HOST_STACK,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the lowest page of the mapping just made.
        let guarded = unsafe { libc::mprotect(base, 0x1000, libc::PROT_NONE) };
        (guarded == 0).then_some(Self { base: base as u64 })
    }

    /// Lays down the frame that [`switch`] takes up first. Returns its stack
    /// pointer.
    fn prepare(&self) -> u64 {
        // Six registers, the address to return to, and one word so that the
        // function begins as after a call.
        let top = self.base + HOST_STACK as u64 - 64;
        let frame = top as *mut [u64; 8];
        // SAFETY: the last 64 bytes of a stack that nobody uses yet.
        unsafe { frame.write([0, 0, 0, 0, 0, 0, begin as *const () as u64, 0]) };
        top
    }
}

impl Drop for HostStack {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; no thread stands on it any more.
        unsafe { libc::munmap(self.base as *mut libc::c_void, HOST_STACK) };
    }
}

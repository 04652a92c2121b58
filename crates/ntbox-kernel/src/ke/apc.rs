//! Asynchronous procedure calls: routines that a thread runs as soon as it may.
//! Special ones only need an IRQL below `APC_LEVEL` outside of guarded regions;
//! normal ones also that the thread is in no critical region and not in another
//! normal one. Those for user mode stay queued, for there is no user code here:
//! they only end waits, and are run down with their thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use nt_layout::Kapc;
use ntbox_api::rules;
use ntbox_host::context::Context;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::hook::Hook;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use ntbox_host::upcall::{Purpose, call_driver_for};
use ntbox_host::{cpu, driver_mem, kernel_entry, routine};

use super::{queue, wait};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{diag, thread_table};

/// `ApcObject`, the type in the first byte.
const APC_OBJECT: u8 = 18;
/// `STATUS_USER_APC`: a wait is over because of an APC for user mode.
const USER_APC: u32 = 0xc0;
/// `STATUS_ALERTED`: a wait is over because the thread was alerted.
const ALERTED: u32 = 0x101;
/// `UserMode` as a processor mode.
pub const USER_MODE: u8 = 1;

/// The APCs that are queued to a thread.
#[derive(Debug, Default)]
struct ApcQueues {
    special: VecDeque<u64>,
    normal: VecDeque<u64>,
    user: VecDeque<u64>,
    /// Whether it is in a normal one.
    in_progress: bool,
    /// Whether it was alerted, by processor mode.
    alerted: [bool; 2],
    /// Whether one for user mode is to be delivered.
    user_pending: bool,
}

impl ApcQueues {
    fn queues(&mut self) -> [&mut VecDeque<u64>; 3] {
        [&mut self.special, &mut self.normal, &mut self.user]
    }
}

static STATES: KernelCell<BTreeMap<u64, ApcQueues>> = KernelCell::new(BTreeMap::new());
/// Kernel APCs that are queued, of all threads.
static QUEUED: AtomicUsize = AtomicUsize::new(0);

fn with<T>(thread: u64, work: impl FnOnce(&mut ApcQueues) -> T) -> T {
    let mut states = STATES.lock();
    work(states.entry(thread).or_default())
}

/// The fields of the KAPC at an address.
const fn kapc(apc: u64) -> DriverPtr<Kapc> {
    DriverPtr::new(apc)
}

/// Whether there are kernel APCs for any thread, to be asked cheaply.
pub fn pending() -> bool {
    QUEUED.load(Ordering::Relaxed) > 0
}

/// Where in the driver APCs are delivered.
#[derive(Debug)]
pub enum DeliveryPoint<'a> {
    /// In a call of the kernel.
    Call(CallContext<'a>),
    /// Interrupted.
    Interrupted(Box<Context>),
}

impl DeliveryPoint<'_> {
    fn stack(&self) -> u64 {
        match self {
            Self::Call(caller) => caller.stack(),
            Self::Interrupted(context) => context.rsp(),
        }
    }

    fn origin(&self) -> Option<Context> {
        match self {
            Self::Call(caller) => caller.origin(),
            Self::Interrupted(context) => Some(**context),
        }
    }

    fn call(&self, below: u64, routine: Routine, arguments: &[u64]) {
        let stack = self.stack().wrapping_sub(below);
        call_driver_for(Purpose::Interrupt, routine, arguments, stack, self.origin());
    }
}

/// Runs the kernel APCs that the current thread may run now.
pub fn deliver(place: &DeliveryPoint<'_>) {
    let thread = thread_table::current_thread();
    while let Some(apc) = take(thread) {
        if run(thread, apc, place).is_err() {
            let what = format!("the APC at {apc:#018x} was queued and its memory is gone");
            // IRQL_NOT_LESS_OR_EQUAL, as for a fault at APC_LEVEL in the kernel.
            kernel_entry::bug_check(0x0a, [apc, 1, 0, 0], what, place.origin().as_ref());
        }
    }
}

/// Takes the next kernel APC that a thread may run at this IRQL.
fn take(thread: u64) -> Option<u64> {
    let info = thread_table::thread(thread)?;
    if cpu::irql() >= APC_LEVEL || info.guarded != 0 {
        return None;
    }
    let apc = with(thread, |state| {
        state.special.pop_front().or_else(|| {
            let may = !state.in_progress && info.critical == 0;
            may.then(|| state.normal.pop_front()).flatten()
        })
    })?;
    QUEUED.fetch_sub(1, Ordering::Relaxed);
    Some(apc)
}

fn run(thread: u64, apc: u64, place: &DeliveryPoint<'_>) -> Result<(), Fault> {
    /// The slots below the stack pointer that the kernel routine may change.
    const SLOTS: u64 = 0x40;
    let fields = kapc(apc);
    let kernel_routine = fields.get(|apc| &apc.kernel_routine)?;
    let registrar = routine::registrar_of(apc);
    let slots = (place.stack() & !15).wrapping_sub(SLOTS);
    let from = [
        fields.at(|apc| &apc.normal_routine),
        fields.at(|apc| &apc.normal_context),
        fields.at(|apc| &apc.system_argument1),
        fields.at(|apc| &apc.system_argument2),
    ];
    for (n, field) in (0..).zip(from) {
        driver_mem::write_u64(slots + 8 * n, field.read()?)?;
    }
    kapc(apc).set(|apc| &apc.inserted, 0)?;
    let below = place.stack().wrapping_sub(slots);
    let before = cpu::set_irql(APC_LEVEL);
    // One of a timer with a handle has none.
    if kernel_routine != 0 {
        let arguments = [apc, slots, slots + 8, slots + 16, slots + 24];
        let routine = Routine::new(kernel_routine, "kernel routine").held_by(apc, "KAPC");
        place.call(below, routine, &arguments);
        check_irql(APC_LEVEL, kernel_routine);
    }
    let normal = driver_mem::read_u64(slots)?;
    if normal != 0 {
        let argument = |n: u64| driver_mem::read_u64(slots + 8 * n);
        let arguments = [argument(1)?, argument(2)?, argument(3)?];
        with(thread, |state| state.in_progress = true);
        cpu::set_irql(PASSIVE_LEVEL);
        let routine = Routine::new(normal, "normal routine").registered_by(registrar);
        place.call(below, routine, &arguments);
        check_irql(PASSIVE_LEVEL, normal);
        with(thread, |state| state.in_progress = false);
    }
    cpu::set_irql(before);
    Ok(())
}

fn check_irql(expected: u8, routine: u64) {
    let after = cpu::irql();
    if after != expected {
        let what = format!("an APC routine called at IRQL {expected} returned at IRQL {after}");
        diag::violation_of(routine, rules::IRQL_CHANGED_ON_RETURN.without_stop(), what);
    }
}

/// Whether a wait of the thread ends now, and with which status, because it was
/// alerted or has an APC for user mode.
pub fn ends_wait(thread: u64, alertable: bool, mode: u8) -> Option<u32> {
    let user = mode == USER_MODE;
    with(thread, |state| {
        if alertable {
            let own = &mut state.alerted[usize::from(user)];
            if std::mem::take(own) {
                return Some(ALERTED);
            }
            if user && !state.user.is_empty() {
                state.user_pending = true;
                return Some(USER_APC);
            }
            return std::mem::take(&mut state.alerted[0]).then_some(ALERTED);
        }
        (user && state.user_pending).then_some(USER_APC)
    })
}

/// Ends the waits on behalf of the program of a thread that is to end, as an APC
/// for user mode would.
pub fn end_waits_of_program(thread: u64) {
    with(thread, |state| state.user_pending = true);
    wait::disturb(thread);
}

/// Forgets a thread that ends. Its APCs for user mode, which never ran, are run
/// down: by their own routines, or their memory is freed.
pub fn end_thread(thread: u64, stack: u64) -> Result<(), NoReturn> {
    let state = STATES.lock().remove(&thread);
    let Some(state) = state else { return Ok(()) };
    QUEUED.fetch_sub(state.special.len() + state.normal.len(), Ordering::Relaxed);
    for apc in state.special.into_iter().chain(state.normal) {
        kapc(apc).set(|apc| &apc.inserted, 0)?;
    }
    for apc in state.user {
        kapc(apc).set(|apc| &apc.inserted, 0)?;
        let routine = kapc(apc).get(|apc| &apc.rundown_routine)?;
        if routine == 0 {
            (FREE_POOL.get())(apc, "the end of a thread with an APC")?;
        } else {
            let routine = Routine::new(routine, "rundown routine").held_by(apc, "KAPC");
            call_driver_for(Purpose::Ordinary, routine, &[apc], stack, None);
        }
    }
    Ok(())
}

/// Frees the block at an address for the function named.
type FreePool = fn(u64, &str) -> Result<(), NoReturn>;

/// Frees a pool block for a function, as `ExFreePool` does.
pub static FREE_POOL: Hook<FreePool> = Hook::new();

/// What an APC calls, and with what.
#[derive(Debug, Default)]
pub struct Routines {
    /// Called first, at `APC_LEVEL`.
    pub kernel: u64,
    /// Called if the thread ends before.
    pub rundown: u64,
    /// Called after it; 0 makes a special APC.
    pub normal: u64,
    /// First argument of the normal one.
    pub context: u64,
}

/// Writes an APC that is not queued.
pub fn initialize(
    apc: u64,
    thread: u64,
    environment: u32,
    mode: u8,
    routines: &Routines,
) -> Result<(), Fault> {
    const SIZE: u8 = DriverPtr::<Kapc>::SIZE_FIELD.to_le_bytes()[0];
    driver_mem::fill(apc, 0, DriverPtr::<Kapc>::SIZE)?;
    kapc(apc).set(|apc| &apc.kind, APC_OBJECT)?;
    kapc(apc).set(|apc| &apc.size, SIZE)?;
    let special = routines.normal == 0;
    let (mode, context) = if special {
        (0, 0)
    } else {
        (mode, routines.context)
    };
    let fields = kapc(apc);
    fields.set(|apc| &apc.thread, thread)?;
    fields.set(|apc| &apc.kernel_routine, routines.kernel)?;
    fields.set(|apc| &apc.rundown_routine, routines.rundown)?;
    fields.set(|apc| &apc.normal_routine, routines.normal)?;
    fields.set(|apc| &apc.normal_context, context)?;
    let attached = thread_table::thread(thread).is_some_and(|info| info.attached != info.process);
    // `CurrentApcEnvironment` is the one that the thread is in.
    let environment = if environment == 2 {
        u32::from(attached)
    } else {
        environment
    };
    kapc(apc).set(
        |apc| &apc.apc_state_index,
        u8::try_from(environment).unwrap_or(0),
    )?;
    kapc(apc).set(|apc| &apc.apc_mode, mode)
}

/// Takes an APC out of its queue; whether it was in one.
pub fn remove(apc: u64) -> Result<bool, Fault> {
    let thread = kapc(apc).get(|apc| &apc.thread)?;
    let (removed, kernel) = with(thread, |state| {
        let before: Vec<usize> = state.queues().map(|queue| queue.len()).to_vec();
        for queue in state.queues() {
            queue.retain(|entry| *entry != apc);
        }
        let after: Vec<usize> = state.queues().map(|queue| queue.len()).to_vec();
        (before != after, before[..2] != after[..2])
    });
    if kernel {
        QUEUED.fetch_sub(1, Ordering::Relaxed);
    }
    if removed {
        kapc(apc).set(|apc| &apc.inserted, 0)?;
    }
    Ok(removed)
}

/// Queues an APC; false if it is queued or its thread has ended.
pub fn insert(apc: u64, argument1: u64, argument2: u64) -> Result<bool, Fault> {
    let thread = kapc(apc).get(|apc| &apc.thread)?;
    let inserted = kapc(apc).at(|apc| &apc.inserted);
    let alive = thread_table::thread(thread).is_some_and(|info| !info.ended);
    if !alive || inserted.read()? != 0 {
        return Ok(false);
    }
    kapc(apc).set(|apc| &apc.system_argument1, argument1)?;
    kapc(apc).set(|apc| &apc.system_argument2, argument2)?;
    inserted.write(1)?;
    let normal = kapc(apc).get(|apc| &apc.normal_routine)? != 0;
    let user = kapc(apc).get(|apc| &apc.apc_mode)? == USER_MODE;
    with(thread, |state| {
        let queue = match (normal, user) {
            (false, _) => &mut state.special,
            (true, false) => &mut state.normal,
            (true, true) => &mut state.user,
        };
        queue.push_back(apc);
    });
    if !(normal && user) {
        QUEUED.fetch_add(1, Ordering::Relaxed);
    }
    disturb(thread);
    Ok(true)
}

/// Lets a thread that waits look at what came for it.
fn disturb(thread: u64) {
    wait::disturb(thread);
    queue::disturb(thread);
}

exports! {
    /// `KeInitializeApc`: without a normal routine it is a special one, for kernel
    /// mode.
    fn KeInitializeApc<call>(
        apc: u64, thread: u64, environment: u32, kernel: u64, rundown: u64, normal: u64, mode: u8, context: u64,
    ) -> () [max HIGH_LEVEL, undocumented] {
        routine::note_registrar(apc, call.return_address());
        initialize(apc, thread, environment, mode, &Routines { kernel, rundown, normal, context })?;
        Ok(())
    }

    /// `KeInsertQueueApc`: FALSE if it is queued already, or its thread has ended.
    fn KeInsertQueueApc(apc: u64, argument1: u64, argument2: u64, increment: i32) -> bool
        [max DISPATCH_LEVEL, undocumented] {
        Ok(insert(apc, argument1, argument2)?)
    }

    /// `KeRemoveQueueApc`: whether it was queued.
    fn KeRemoveQueueApc(apc: u64) -> bool [max DISPATCH_LEVEL, undocumented] {
        Ok(remove(apc)?)
    }

    /// `KeAlertThread`: ends an alertable wait; whether it was alerted before.
    fn KeAlertThread(thread: u64, mode: u8) -> bool [max DISPATCH_LEVEL, undocumented] {
        let user = usize::from(mode == USER_MODE);
        let before = with(thread, |state| std::mem::replace(&mut state.alerted[user], true));
        disturb(thread);
        Ok(before)
    }

    /// `KeTestAlertThread`: whether the current thread was alerted; an APC for user
    /// mode is then to be delivered.
    fn KeTestAlertThread(mode: u8) -> bool [max DISPATCH_LEVEL, undocumented] {
        let user = mode == USER_MODE;
        Ok(with(thread_table::current_thread(), |state| {
            let alerted = std::mem::take(&mut state.alerted[usize::from(user)]);
            if !alerted && user && !state.user.is_empty() {
                state.user_pending = true;
            }
            alerted
        }))
    }

    /// `KeAreApcsDisabled`: whether the thread is in a critical or guarded region.
    fn KeAreApcsDisabled() -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(thread_table::current().is_some_and(|thread| thread.critical != 0 || thread.guarded != 0))
    }

    /// `KeAreAllApcsDisabled`: a guarded region, or the IRQL.
    fn KeAreAllApcsDisabled() -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(cpu::irql() >= APC_LEVEL || thread_table::current().is_some_and(|thread| thread.guarded != 0))
    }
}

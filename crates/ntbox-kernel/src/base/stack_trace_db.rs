//! What the kernel remembers for a driver that is watched as Driver Verifier does
//! it, or whose calls are to be made to fail one after the other: the call stacks
//! of its calls, each once.
//!
//! A stack is noted when the call begins, by [`note`]. What takes or frees
//! something then asks for the [`current`] one and keeps its number.

use std::sync::OnceLock;

use ntbox_api::Verify;
use ntbox_api::config::Config;
use ntbox_api::ipc::Event;
use ntbox_api::report::{FaultPoint, HistoryEntry, Location};
use ntbox_api::rules::Rule;
use ntbox_host::channel;
use ntbox_host::context::Context;
use ntbox_host::gate::{Call, Export};
use ntbox_host::kernel_cell::KernelCell;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::unwind::stack_walk;
use crate::unwind::stack_walk::{Slots, Trace};

/// Frames of a stack that are kept.
const DEPTH: usize = 24;
/// Call stacks of one place in the driver that a report tells.
const TOLD: usize = 4;

/// A call stack that is kept; 0 is none.
pub type StackId = u32;

#[derive(Debug, Default)]
struct Stacks {
    /// Return addresses, innermost first; a stack's number is its place here.
    list: Vec<Vec<u64>>,
    numbers: FxHashMap<Vec<u64>, StackId>,
    /// Stacks of each place that calls, by the return address.
    by_caller: FxHashMap<u64, Vec<StackId>>,
    /// What was walked from a return address with a stack pointer: the stack, and
    /// the return addresses that it was made of. While these lie where they were,
    /// it is not walked again.
    walked: FxHashMap<(u64, u64), (StackId, Slots)>,
    /// The stack of the latest call.
    latest: StackId,
    /// What was reported as a point of failure.
    points: FxHashSet<(&'static str, StackId)>,
}

/// What is watched.
#[derive(Debug, Clone)]
struct Watch {
    verify: Verify,
    ignored: Vec<String>,
    list_faults: bool,
}

static WATCH: OnceLock<Watch> = OnceLock::new();
static STACKS: KernelCell<Option<Stacks>> = KernelCell::new(None);

/// Takes from the configuration what is to be watched. Once, when the machine is
/// set up.
pub fn initialize(config: &Config) {
    let watch = Watch {
        verify: config.verify,
        ignored: config.ignored_rules.clone(),
        list_faults: config.list_faults,
    };
    if WATCH.set(watch).is_ok() && (config.verify != Verify::Off || config.list_faults) {
        let mut stacks = Stacks::default();
        stacks.list.push(Vec::new());
        *STACKS.lock() = Some(stacks);
    }
}

/// Whether the driver is watched as Driver Verifier does it.
pub fn is_on() -> bool {
    WATCH.get().is_some_and(|watch| watch.verify != Verify::Off)
}

/// Whether the strict rules are checked, and what may be meant is reported.
pub fn is_strict() -> bool {
    WATCH
        .get()
        .is_some_and(|watch| watch.verify == Verify::Strict)
}

/// Whether a rule is reported: it belongs to the set that was chosen, and was not
/// left out.
pub fn reports(rule: &Rule) -> bool {
    let Some(watch) = WATCH.get() else {
        return true;
    };
    rule.set <= watch.verify && !watch.ignored.iter().any(|ignored| ignored == rule.id)
}

/// Notes the stack of a call, its `number`th, that begins.
pub fn note(call: &Call<'_>, export: &Export, number: u32) {
    let Some(watch) = WATCH
        .get()
        .filter(|watch| watch.list_faults || watch.verify != Verify::Off)
    else {
        return;
    };
    let new = {
        let mut guard = STACKS.lock();
        let Some(stacks) = guard.as_mut() else {
            return;
        };
        stacks.latest = stacks.of(call);
        let point = (export.name, stacks.latest);
        let reported = !watch.list_faults || export.failure.is_none();
        (!reported && stacks.points.insert(point)).then_some(stacks.latest)
    };
    if let Some(id) = new {
        channel::send(&Event::FaultPoint(FaultPoint {
            export: export.name.to_owned(),
            nth: number,
            stack: places(id),
        }));
    }
}

impl Stacks {
    /// The stack of a call.
    fn of(&mut self, call: &Call<'_>) -> StackId {
        let place = (call.return_address(), call.frame().rsp);
        if let Some((id, slots)) = self.walked.get(&place)
            && Trace::holds(slots)
        {
            return *id;
        }
        let context = Context::after_call(call.frame(), call.return_address());
        let Trace { addresses, slots } = stack_walk::trace(&context, DEPTH);
        let id = self.number(addresses);
        match slots {
            Some(slots) => self.walked.insert(place, (id, slots)),
            None => self.walked.remove(&place),
        };
        id
    }

    fn number(&mut self, stack: Vec<u64>) -> StackId {
        if let Some(id) = self.numbers.get(&stack) {
            return *id;
        }
        let id = StackId::try_from(self.list.len()).unwrap_or(0);
        if let Some(caller) = stack.first() {
            self.by_caller.entry(*caller).or_default().push(id);
        }
        self.numbers.insert(stack.clone(), id);
        self.list.push(stack);
        id
    }
}

/// The stack of the call in progress that returns to `caller`; 0 if none was
/// noted for it.
pub fn current(caller: u64) -> StackId {
    let guard = STACKS.lock();
    guard.as_ref().map_or(0, |stacks| {
        let latest = stacks.list.get(stacks.latest as usize);
        let is_it = latest.is_some_and(|stack| stack.first() == Some(&caller));
        if is_it { stacks.latest } else { 0 }
    })
}

/// A stack as places.
fn places(id: StackId) -> Vec<Location> {
    let stack = STACKS
        .lock()
        .as_ref()
        .and_then(|stacks| stacks.list.get(id as usize).cloned())
        .unwrap_or_default();
    stack
        .into_iter()
        .filter_map(super::diag::location)
        .collect()
}

/// What was done by the call with that stack; `None` if it was not kept.
pub fn past(what: impl Into<String>, id: StackId) -> Option<HistoryEntry> {
    (id != 0).then(|| HistoryEntry {
        event: what.into(),
        stack: places(id),
    })
}

/// The stacks with which the place that returns to `caller` was reached: one, or
/// as many as a report tells.
pub fn history_of_caller(caller: u64) -> Vec<HistoryEntry> {
    let ids = {
        let guard = STACKS.lock();
        let known = guard.as_ref().and_then(|all| all.by_caller.get(&caller));
        known.cloned().unwrap_or_default()
    };
    let what = match ids.len() {
        0 | 1 => "called".to_owned(),
        count => format!("called, by one of {count} ways"),
    };
    let told = ids.into_iter().take(TOLD);
    told.filter_map(|id| past(what.clone(), id)).collect()
}

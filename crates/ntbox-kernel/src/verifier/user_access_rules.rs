//! What a watched driver must do with memory of a process beside covering each access
//! with a handler: probe the pointers of a request that it gets as they are
//! (`METHOD_NEITHER`), stay below `DISPATCH_LEVEL`, lock pages as the user that they
//! belong to, and lock them where an exception is handled. And a handler that takes
//! everything must not hide a null pointer of the driver's own.
//!
//! A driver may also compare a pointer with the end of user memory itself. One that
//! imports that end is not asked for probes.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_api::rules::{self, Rule};
use ntbox_host::context::Context;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Call;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::is_system;
use ntbox_host::{cpu, driver_mem, modules};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::base::io_layout::{irp, major, stack};
use crate::base::{diag, events, stack_trace_db, thread_table};
use crate::io::transfer::Method;
use crate::mm::mdl::View;
use crate::mm::{locking, with};
use crate::seh;

/// Variables of the kernel that a driver compares pointers with.
const LIMITS: [&str; 3] = [
    "MmUserProbeAddress",
    "MmHighestUserAddress",
    "MmSystemRangeStart",
];
/// What an exception record has in place of an address that is not canonical.
const NOT_CANONICAL: u64 = u64::MAX;
/// Addresses below are never memory of a process on Windows.
const LOWEST_USER: u64 = 0x1_0000;

/// A request that a thread carries out.
#[derive(Debug, Default)]
struct Request {
    /// What its pointers, which nobody has looked at, point to.
    pointers: Vec<Range<u64>>,
    /// What was probed, or locked, since.
    probed: Vec<Range<u64>>,
}

#[derive(Debug, Default)]
struct State {
    requests: FxHashMap<u64, Request>,
    /// Places that were reported, by rule.
    reported: FxHashSet<(u64, &'static str)>,
}

static STATE: KernelCell<Option<State>> = KernelCell::new(None);
/// Whether the driver imports the end of user memory.
static COMPARES: AtomicBool = AtomicBool::new(false);

fn state<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(STATE.lock().get_or_insert_default())
}

/// Notes what the driver imports.
fn import_bound(name: &str) {
    if LIMITS.contains(&name) {
        COMPARES.store(true, Ordering::Relaxed);
    }
}

/// A thread begins to carry out a request of a program.
pub fn begin_request(thread: u64, packet: u64, place: u64) -> Result<(), Fault> {
    let pointers = pointers(packet, place)?;
    let request = Request {
        pointers,
        probed: Vec::new(),
    };
    state(|state| state.requests.insert(thread, request));
    Ok(())
}

/// The dispatch routine has returned.
pub fn end_request(thread: u64) {
    state(|state| state.requests.remove(&thread));
}

/// What a request points to that the driver gets as it is.
fn pointers(packet: u64, place: u64) -> Result<Vec<Range<u64>>, Fault> {
    let buffer = driver_mem::read_u64(packet + irp::USER_BUFFER)?;
    let range = |start: u64, length: u32| start..start.saturating_add(length.into());
    let ranges = match driver_mem::read_u8(place + stack::MAJOR)? {
        major::DEVICE_CONTROL => {
            let code = driver_mem::read_u32(place + stack::control::CODE)?;
            if Method::of(code) != Method::Neither {
                return Ok(Vec::new());
            }
            let input = driver_mem::read_u64(place + stack::control::TYPE3_INPUT)?;
            let input_length = driver_mem::read_u32(place + stack::control::INPUT_LENGTH)?;
            let output_length = driver_mem::read_u32(place + stack::control::OUTPUT_LENGTH)?;
            vec![range(input, input_length), range(buffer, output_length)]
        }
        major::READ | major::WRITE => {
            let buffered = driver_mem::read_u32(packet + irp::FLAGS)? & irp::flag::BUFFERED_IO != 0;
            if buffered || driver_mem::read_u64(packet + irp::MDL_ADDRESS)? != 0 {
                return Ok(Vec::new());
            }
            let length = driver_mem::read_u32(place + stack::transfer::LENGTH)?;
            vec![range(buffer, length)]
        }
        _ => Vec::new(),
    };
    Ok(ranges)
}

/// Notes a call that probes, or locks.
pub fn note_call(call: &Call<'_>, export: &str) {
    let [first, second, ..] = call.frame().registers;
    let range = match export {
        "ProbeForRead" | "ProbeForWrite" => first..first.saturating_add(second),
        "MmProbeAndLockPages" => {
            let Ok(view) = View::read(first) else { return };
            let start = view.start.wrapping_add(view.offset.into());
            start..start.saturating_add(view.bytes.into())
        }
        _ => return,
    };
    state(|state| {
        if let Some(request) = state.requests.get_mut(&thread_table::current_thread()) {
            request.probed.push(range);
        }
    });
}

/// Whether a place is to be reported for a rule: the first time.
pub fn is_first(place: u64, rule: &'static Rule) -> bool {
    state(|state| state.reported.insert((place, rule.id)))
}

/// The rule that an access of the driver breaks, if it does, and why. `guarded` is
/// whether a handler covers it.
pub fn broken_by_access(
    range: &Range<u64>,
    place: u64,
    guarded: bool,
) -> Option<(&'static Rule, String)> {
    let irql = cpu::irql();
    let is_high = irql >= cpu::DISPATCH_LEVEL;
    if is_high && with(|memory| memory.mdls.locked_within(range.start, 1).is_some()) {
        return None;
    }
    // One finding an access; a rule that is left out does not hide the next one.
    let (rule, why) = if is_high && stack_trace_db::reports(rules::USER_ACCESS_IRQL) {
        let why = format!("at IRQL {irql}, maximum is 1; an absent page cannot be fetched there");
        (rules::USER_ACCESS_IRQL, why)
    } else if !guarded && stack_trace_db::reports(rules::USER_ACCESS_WITHOUT_SEH) {
        let why = "outside of an exception handler; a program can free its memory at any time";
        (rules::USER_ACCESS_WITHOUT_SEH, why.to_owned())
    } else if !COMPARES.load(Ordering::Relaxed) && is_unprobed(range.start) {
        let why = "through a pointer of the request that was not probed; it can be an address of the kernel";
        (rules::USER_ACCESS_NOT_PROBED, why.to_owned())
    } else {
        return None;
    };
    is_first(place, rule).then_some((rule, why))
}

/// Whether an address is one of the request's own pointers, which nobody has probed. It
/// counts as probed from then on.
fn is_unprobed(address: u64) -> bool {
    state(|state| {
        let Some(request) = state.requests.get_mut(&thread_table::current_thread()) else {
            return false;
        };
        let mut pointers = request.pointers.iter();
        let Some(range) = pointers.find(|range| range.contains(&address)).cloned() else {
            return false;
        };
        let probed = request.probed.iter().any(|range| range.contains(&address));
        request.probed.push(range);
        !probed
    })
}

/// Looks at how pages of a process are locked.
fn pages_locking(view: &View, user: bool, call: &Call<'_>) {
    let base = view.start.wrapping_add(view.offset.into());
    let of_system = thread_table::current_process() == thread_table::system_process();
    if !stack_trace_db::is_on() || is_system(base) || of_system {
        return;
    }
    let caller = call.return_address();
    let (rule, why) = if !user {
        let why = "with KernelMode, so that the access of the program is not checked";
        (rules::USER_MEMORY_LOCKED_AS_KERNEL, why)
    } else if !seh::is_guarded(&Context::after_call(call.frame(), caller)) {
        let why = "outside of an exception handler; it raises an exception if the range is invalid";
        (rules::LOCK_PAGES_WITHOUT_SEH, why)
    } else {
        return;
    };
    if is_first(caller, rule) {
        let what = format!("MmProbeAndLockPages called for user memory at {base:#018x} {why}");
        diag::violation(rule, what, caller);
    }
}

/// A handler takes an exception: reports one that came of a null pointer which the
/// request did not bring along.
fn exception_handling(record: u64) -> Result<(), Fault> {
    if !stack_trace_db::is_on()
        || driver_mem::read_u32(record)? != nt_status::STATUS_ACCESS_VIOLATION
    {
        return Ok(());
    }
    let place = driver_mem::read_u64(record + 0x10)?;
    let count = driver_mem::read_u32(record + 0x18)?;
    let address = driver_mem::read_u64(record + 0x28)?;
    let is_wild = address == NOT_CANONICAL;
    if count < 2 || address >= LOWEST_USER && !is_wild || modules::find(place).is_none() {
        return Ok(());
    }
    if is_wild {
        let rule = rules::INVALID_ADDRESS_HANDLED;
        if is_first(place, rule) {
            let what = "exception of an access to an address that is not canonical handled: the handler hides a mistake";
            diag::violation_of(place, rule, what);
        }
        return Ok(());
    }
    let brought = state(|state| {
        let request = state.requests.get(&thread_table::current_thread());
        request.is_some_and(|request| {
            let mut ranges = request.pointers.iter().chain(&request.probed);
            ranges.any(|range| range.start < LOWEST_USER && address <= range.end.max(LOWEST_USER))
        })
    });
    let rule = rules::NULL_DEREFERENCE_HANDLED;
    if !brought && is_first(place, rule) {
        let what = format!(
            "exception of an access to {address:#018x} handled, a null pointer that did not come from the request: the handler hides a mistake"
        );
        diag::violation_of(place, rule, what);
    }
    Ok(())
}

/// Subscribes to what a driver does with memory of processes.
pub fn subscribe() {
    events::IMPORT_BOUND.subscribe(import_bound);
    events::EXCEPTION_HANDLING.set(exception_handling);
    locking::PAGES_LOCKING.subscribe(pages_locking);
}

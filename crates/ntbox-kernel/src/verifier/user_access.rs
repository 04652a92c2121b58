//! Memory of processes while a driver is watched. The host keeps all of it
//! inaccessible, so that each access by the driver is a fault that is seen: whether
//! a handler covers it, for a program may take its memory away at any time, and
//! whether the same request has read it before and decided something by it, for a
//! program may change it.
//!
//! For the driver a page is opened for one instruction. For the kernel it stays
//! open until the driver runs again.
//!
//! Where the driver's code is translated with checks, its checks are what sees the
//! accesses, and all memory stays accessible.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_api::rules::{self, Rule};
use ntbox_host::context::Context;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Call;
use ntbox_host::kernel_address_space::{Protection, Space};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::{GUEST_END, PAGE_SIZE, is_system};
use ntbox_host::translation::{CheckedAccess, shadow};
use rustc_hash::FxHashMap;

use super::fetch_use::Decision;
use super::{fetch_use, user_access_rules};
use crate::base::{diag, events, stack_trace_db, thread_table};
use crate::seh;

/// The flag that makes the processor trap after one instruction.
const TRAP_FLAG: i64 = 0x100;
/// What a request has read of a process: a range, and the place that read it.
#[derive(Debug, Clone, Copy)]
struct Read {
    start: u64,
    end: u64,
    place: u64,
    /// Whether a call read it, which does not show what becomes of it.
    by_call: bool,
}

impl Read {
    /// Whether the bytes decided something, as far as that is seen; `is_loop` is
    /// whether the same instruction read others too. Where such a scan ends, it has
    /// counted, and what it has counted does not change.
    fn has_decided(&self, is_loop: bool) -> bool {
        match fetch_use::decision(self.place) {
            Decision::Amount => true,
            Decision::Equality => !is_loop,
            Decision::Nothing => false,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// What may be done with each page that is seen.
    pages: BTreeMap<u64, Protection>,
    /// Pages that are open for one instruction.
    stepping: Vec<u64>,
    /// Where that instruction is.
    instruction: u64,
    /// Pages that the kernel has opened for itself.
    opened: Vec<u64>,
    /// What each thread has read in the request that it carries out.
    reads: FxHashMap<u64, Vec<Read>>,
}

static ON: AtomicBool = AtomicBool::new(false);
/// Whether pages are open for one instruction.
static STEPPING: AtomicBool = AtomicBool::new(false);
/// Whether the kernel has opened pages.
static OPENED: AtomicBool = AtomicBool::new(false);
static STATE: KernelCell<Option<State>> = KernelCell::new(None);

/// Begins to watch. Before there is a process.
pub fn initialize() {
    *STATE.lock() = Some(State::default());
    ON.store(true, Ordering::Relaxed);
}

/// Whether memory of processes is watched.
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

fn with<T>(work: impl FnOnce(&mut State) -> T) -> Option<T> {
    STATE.lock().as_mut().map(work)
}

/// Pages are not seen any more.
fn pages_unmapped(start: u64, end: u64) {
    if is_on() {
        with(|state| {
            let mut tail = state.pages.split_off(&start);
            state.pages.append(&mut tail.split_off(&end));
        });
    }
}

/// Pages are about to be seen: what the host is to allow.
fn pages_mapping(start: u64, pages: u64, access: Protection) -> Protection {
    if !is_on() {
        return access;
    }
    with(|state| {
        let all = (0..pages).map(|n| (start + n * PAGE_SIZE, access));
        state.pages.extend(all);
    });
    if shadow::is_on() {
        shadow::close(start..start + pages * PAGE_SIZE);
        return access;
    }
    Protection::NONE
}

/// Whether pages are open for one instruction, which must not be interrupted.
pub fn is_stepping() -> bool {
    STEPPING.load(Ordering::Relaxed)
}

/// A page that cannot be touched was: opens it if the process may. `state` are the
/// registers at the fault. False if the fault is one for the driver, too.
pub fn lent(context: &mut libc::ucontext_t, address: u64, write: bool, state: &Context) -> bool {
    if !is_on() || shadow::is_on() || is_system(address) {
        return false;
    }
    let page = address & !(PAGE_SIZE - 1);
    let by_driver = state.rip < GUEST_END;
    let opened = with(|all| {
        let access = all.pages.get(&page).copied()?;
        if !access.read || write && !access.write || all.stepping.contains(&page) {
            return None;
        }
        Space::set_host_protection(page, 1, access).ok()?;
        if by_driver {
            all.instruction = state.rip;
            all.stepping.push(page);
            STEPPING.store(true, Ordering::Relaxed);
        } else {
            all.opened.push(page);
            OPENED.store(true, Ordering::Relaxed);
        }
        Some(())
    });
    if opened.flatten().is_none() {
        return false;
    }
    if by_driver {
        context.uc_mcontext.gregs[libc::REG_EFL as usize] |= TRAP_FLAG;
        let guarded = || seh::is_guarded(state);
        let length = fetch_use::decode(state.rip).map_or(1, |instruction| {
            fetch_use::bytes_accessed(&instruction, state)
        });
        let range = address..address.saturating_add(length);
        touched(guarded, state.rip, range, write, false);
    }
    true
}

/// A check of translated code has not let an access to user memory pass.
pub fn checked(access: &CheckedAccess<'_>) {
    let Range { start, end } = access.range;
    let accessible = with(|state| {
        let mut page = start & !(PAGE_SIZE - 1);
        while page < end {
            match state.pages.get(&page) {
                Some(allowed) if allowed.read && (allowed.write || !access.write) => {}
                _ => break,
            }
            page += PAGE_SIZE;
        }
        page
    });
    // What follows is a fault of the driver's.
    let end = end.min(accessible.unwrap_or(0));
    if start < end {
        let guarded = || seh::is_guarded(&access.context());
        touched(guarded, access.place, start..end, access.write, false);
    }
}

/// The processor has trapped. False if no page was open for the instruction before.
pub fn stepped(context: &mut libc::ucontext_t) -> bool {
    if !is_stepping() {
        return false;
    }
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned();
    // One that repeats is still there.
    if with(|state| state.instruction) != Some(rip) {
        abandon(context);
    }
    true
}

/// Closes what is open for one instruction, which is done or goes no further.
pub fn abandon(context: &mut libc::ucontext_t) {
    if !is_stepping() {
        return;
    }
    STEPPING.store(false, Ordering::Relaxed);
    context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
    let pages = with(|state| std::mem::take(&mut state.stepping));
    close(&pages.unwrap_or_default());
}

/// Closes what the kernel has opened. Before the driver runs.
pub fn close_opened() {
    // Looked at first, since it is asked at each call, and a swap locks the bus.
    if OPENED.load(Ordering::Relaxed) && OPENED.swap(false, Ordering::Relaxed) {
        let pages = with(|state| std::mem::take(&mut state.opened));
        close(&pages.unwrap_or_default());
    }
}

fn close(pages: &[u64]) {
    for page in pages {
        // One that is not seen any more is closed already.
        if with(|state| state.pages.contains_key(page)) == Some(true) {
            Space::clear_access(*page, 1);
        }
    }
}

/// A thread begins to carry out a request of a program.
fn request_beginning((thread, packet, place): (u64, u64, u64)) -> Result<(), Fault> {
    if is_on() {
        with(|state| state.reads.insert(thread, Vec::new()));
        user_access_rules::begin_request(thread, packet, place)?;
    }
    Ok(())
}

/// The dispatch routine has returned.
fn request_ended(thread: u64) {
    if is_on() {
        with(|state| state.reads.remove(&thread));
        user_access_rules::end_request(thread);
    }
}

/// A call of a function that copies, fills or compares memory: what it touches, the
/// driver touches.
pub fn note_call(call: &Call<'_>, export: &str) {
    if !is_on() {
        return;
    }
    user_access_rules::note_call(call, export);
    let [first, second, third, _] = call.frame().registers;
    let (written, read, also_read, length) = match export {
        "memcpy" | "memmove" | "RtlCopyMemory" | "RtlCopyMemoryNonTemporal" | "RtlMoveMemory" => {
            (Some(first), Some(second), None, third)
        }
        "memset" => (Some(first), None, None, third),
        "RtlFillMemory" | "RtlZeroMemory" => (Some(first), None, None, second),
        "memcmp" | "RtlCompareMemory" => (None, Some(first), Some(second), third),
        _ => return,
    };
    let place = call.return_address();
    let ranges = [(written, true), (read, false), (also_read, false)];
    for (start, write) in ranges
        .into_iter()
        .filter_map(|(start, write)| Some((start?, write)))
    {
        if !is_system(start) && length != 0 {
            let context = Context::after_call(call.frame(), place);
            let range = start..start.saturating_add(length);
            touched(|| seh::is_guarded(&context), place, range, write, true);
        }
    }
}

/// The driver touches memory of the process whose thread this is.
fn touched(
    is_guarded: impl FnOnce() -> bool,
    place: u64,
    range: Range<u64>,
    write: bool,
    call: bool,
) {
    // What the system process has belongs to drivers.
    if thread_table::current_process() == thread_table::system_process() {
        return;
    }
    let verb = if write { "written" } else { "read" };
    let guarded = is_guarded();
    if let Some((rule, why)) = user_access_rules::broken_by_access(&range, place, guarded) {
        let what = format!("user memory at {:#018x} {verb} {why}", range.start);
        break_rule(rule, what, place, call);
    }
    if write {
        return;
    }
    let read = Read {
        start: range.start,
        end: range.end,
        place,
        by_call: call,
    };
    let Some(before) = read_before(read) else {
        return;
    };
    if user_access_rules::is_first(place, rules::DOUBLE_FETCH) {
        let by = match diag::location(before.place).filter(|_| before.by_call) {
            Some(place) => format!("by {}+{:#x}", place.module, place.offset),
            None => format!("at {:#018x}", before.place),
        };
        let what = format!(
            "user memory at {:#018x} read twice in one request, before {by}; a program can change it in between",
            range.start.max(before.start)
        );
        break_rule(rules::DOUBLE_FETCH, what, place, call);
    }
}

/// Notes what a request reads. Returns an earlier read of some of it, by which something
/// was decided. Of what a call has read nobody knows; the strict rules take it that the
/// driver has looked at it.
fn read_before(read: Read) -> Option<Read> {
    let earlier: Vec<(Read, bool)> = with(|state| {
        let reads = state.reads.get_mut(&thread_table::current_thread())?;
        let overlaps = |one: &&Read| one.start < read.end && read.start < one.end;
        let is_loop = |one: &Read| {
            let mut others = reads.iter().filter(|other| other.place == one.place);
            others.any(|other| other.start != one.start)
        };
        let found = reads.iter().filter(overlaps);
        let found = found.map(|one| (*one, is_loop(one))).collect();
        reads.push(read);
        Some(found)
    })
    .flatten()?;
    let has_decided = |(one, is_loop): &(Read, bool)| {
        if one.by_call {
            stack_trace_db::is_strict()
        } else {
            one.has_decided(*is_loop)
        }
    };
    earlier.into_iter().find(has_decided).map(|(one, _)| one)
}

fn break_rule(rule: &'static Rule, what: String, place: u64, call: bool) {
    if call {
        diag::violation(rule, what, place);
    } else {
        diag::violation_of(place, rule, what);
    }
}

/// Subscribes to mappings and requests of processes.
pub fn subscribe() {
    events::USER_PAGES_MAPPING.set(pages_mapping);
    events::USER_PAGES_UNMAPPED.subscribe(pages_unmapped);
    events::USER_REQUEST_BEGINNING.set(request_beginning);
    events::USER_REQUEST_ENDED.subscribe(request_ended);
}

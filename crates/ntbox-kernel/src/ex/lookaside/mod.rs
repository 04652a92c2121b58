//! Lookaside lists: entries of one size, kept for the next to ask.
//!
//! The structure (`GENERAL_LOOKASIDE`) is the driver's and fully visible: inline
//! code of the WDK before Windows 11 22H2 takes entries from it and calls its
//! routines without asking the kernel. So its counters, its list and its two
//! routines are kept there and nowhere else.

pub mod classic;
pub mod extended;

use nt_layout::GeneralLookaside;
use ntbox_api::rules;
use ntbox_host::gate::{Call, ExportResult, NoReturn};
use ntbox_host::memory_map::PAGED_POOL;
use ntbox_host::routine::{Routine, note_registrar};
use ntbox_host::{cpu, driver_mem};

use super::tracked_structs::Kind;
use super::{pool, slist, tracked_structs};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::{diag, export_table, list_entry, stack_trace_db};

/// Entries that a list holds at first (`ExMinimumLookasideDepth`). Windows
/// adjusts it to the demand from time to time; here it stays.
const MINIMUM_DEPTH: u16 = 4;
/// `EX_MAXIMUM_LOOKASIDE_DEPTH_BASE`.
const MAXIMUM_DEPTH: u16 = 256;
/// `LOOKASIDE_MINIMUM_BLOCK_SIZE`: an entry in the list holds a link.
const MINIMUM_SIZE: u64 = 8;
/// `PagedPool` in a `POOL_TYPE`.
const PAGED: u32 = 1;
/// `POOL_RAISE_IF_ALLOCATION_FAILURE`.
const RAISE: u32 = 0x10;
/// The routines that are called where the driver gives none.
const DEFAULT_ALLOCATE: &str = "ExAllocatePoolWithTag";
const DEFAULT_FREE: &str = "ExFreePool";

/// The fields of the list at an address: all three kinds begin with a
/// `GENERAL_LOOKASIDE`.
const fn lookaside(va: u64) -> DriverPtr<GeneralLookaside> {
    DriverPtr::new(va)
}

/// The parameters of a list.
#[derive(Debug, Clone, Copy)]
pub struct Parameters {
    /// Which kind of list.
    pub kind: Kind,
    /// The driver's routines; 0 for those of the pool.
    pub allocate: u64,
    /// The same, for freeing.
    pub free: u64,
    /// `POOL_TYPE` of the entries.
    pub pool_type: u32,
    /// Bytes of an entry.
    pub size: u64,
    /// Tag of the entries.
    pub tag: u32,
}

/// A routine of the driver, or the address of an export if it gives none.
fn routine(given: u64, default: &str) -> Result<u64, NoReturn> {
    if given != 0 {
        return Ok(given);
    }
    export_table::resolve(default)
        .ok_or_else(|| NoReturn::bug_check(0xe2, [0; 4], format!("{default} is not exported")))
}

/// Writes a list that has no entries.
pub fn initialize(va: u64, parameters: Parameters, caller: u64) -> Result<(), NoReturn> {
    let Parameters {
        kind,
        allocate,
        free,
        pool_type,
        size,
        tag,
    } = parameters;
    if PAGED_POOL.contains(va) {
        let what = format!(
            "the lookaside list {va:#018x} initialized in paged pool; its head must be resident"
        );
        diag::violation(rules::LOOKASIDE_HEAD_PAGED, what, caller);
    }
    if size < MINIMUM_SIZE {
        let what = format!(
            "the lookaside list {va:#018x} initialized for entries of {size} bytes, minimum is {MINIMUM_SIZE}"
        );
        diag::violation(rules::LOOKASIDE_ENTRY_TOO_SMALL, what, caller);
    }
    slist::initialize(va)?;
    driver_mem::fill(va, 0, DriverPtr::<GeneralLookaside>::SIZE)?;
    // A list of a watched driver keeps no entries of pool: each goes back to special
    // pool when it is freed. What its own routine frees is not pool for sure.
    let (depth, most) = if stack_trace_db::is_on() && free == 0 {
        (0, 0)
    } else {
        (MINIMUM_DEPTH, MAXIMUM_DEPTH)
    };
    lookaside(va).set(|list| &list.depth, depth)?;
    lookaside(va).set(|list| &list.maximum_depth, most)?;
    lookaside(va).set(|list| &list.kind, pool_type)?;
    lookaside(va).set(|list| &list.tag, tag)?;
    // The field has 32 bits.
    lookaside(va).set(
        |list| &list.size,
        u32::try_from(size.max(MINIMUM_SIZE)).unwrap_or(u32::MAX),
    )?;
    note_registrar(va, caller);
    lookaside(va).set(|list| &list.allocate, routine(allocate, DEFAULT_ALLOCATE)?)?;
    lookaside(va).set(|list| &list.free, routine(free, DEFAULT_FREE)?)?;
    // The system's list of all lookaside lists is kept elsewhere; an entry that
    // points at itself can be checked.
    list_entry::initialize(lookaside(va).at(|list| &list.list_entry).address())?;
    tracked_structs::begin(kind, va, caller);
    Ok(())
}

/// Reports a list that is used and was not initialised as what it is.
fn check_known(kind: Kind, va: u64, function: &str, caller: u64) {
    if !tracked_structs::is(kind, va) {
        let what = format!(
            "{function} called for {va:#018x}, where no lookaside list of this kind is in use"
        );
        diag::violation(
            rules::LOOKASIDE_NOT_INITIALIZED.without_stop(),
            what,
            caller,
        );
    }
}

/// Reports a paged entry that is handled where paged memory may not be touched.
fn check_irql(va: u64, function: &str, caller: u64) -> Result<u32, NoReturn> {
    let pool_type = lookaside(va).get(|list| &list.kind)?;
    let irql = cpu::irql();
    if pool_type & PAGED != 0 && irql > cpu::APC_LEVEL {
        let what = format!(
            "{function} called for the list {va:#018x}, whose entries are paged, at IRQL {irql}, maximum is 1"
        );
        diag::violation(rules::IRQL_TOO_HIGH.with_stop(0xc4, 1), what, caller);
    }
    Ok(pool_type)
}

/// Takes an entry from the list, or from the list's routine when there is none.
pub fn allocate(kind: Kind, va: u64, function: &str, call: &Call<'_>) -> ExportResult {
    let origin = CallContext::of(call);
    let caller = origin.address();
    check_known(kind, va, function, caller);
    let pool_type = check_irql(va, function, caller)?;
    driver_mem::add_u32(lookaside(va).at(|list| &list.total_allocates).address(), 1)?;
    let entry = slist::pop(va)?;
    if entry != 0 {
        return Ok(entry);
    }
    driver_mem::add_u32(lookaside(va).at(|list| &list.allocate_misses).address(), 1)?;
    let size = u64::from(lookaside(va).get(|list| &list.size)?);
    let tag = lookaside(va).get(|list| &list.tag)?;
    let routine = lookaside(va).get(|list| &list.allocate)?;
    if export_table::name_at(routine) == Some(DEFAULT_ALLOCATE) {
        // So that the block counts as taken by this call of the driver.
        return pool::by_type(pool_type, size, tag, false, caller, function);
    }
    let routine = Routine::new(routine, "Allocate routine").held_by(va, "lookaside list");
    Ok(origin.call(routine, &[u64::from(pool_type), size, u64::from(tag), va]))
}

/// Puts an entry into the list, or gives it to the list's routine when it is
/// full.
pub fn free(
    kind: Kind,
    va: u64,
    entry: u64,
    function: &str,
    call: &Call<'_>,
) -> Result<(), NoReturn> {
    let origin = CallContext::of(call);
    let caller = origin.address();
    check_known(kind, va, function, caller);
    check_irql(va, function, caller)?;
    check_absent(va, entry, function)?;
    driver_mem::add_u32(lookaside(va).at(|list| &list.total_frees).address(), 1)?;
    if slist::depth(va)? < lookaside(va).get(|list| &list.depth)? {
        slist::push(va, entry, caller)?;
        return Ok(());
    }
    driver_mem::add_u32(lookaside(va).at(|list| &list.free_misses).address(), 1)?;
    release(va, entry, function, &origin)
}

/// Gives an entry to the list's routine.
fn release(va: u64, entry: u64, function: &str, origin: &CallContext<'_>) -> Result<(), NoReturn> {
    let routine = lookaside(va).get(|list| &list.free)?;
    if export_table::name_at(routine) == Some(DEFAULT_FREE) {
        return pool::free(entry, None, origin.address(), function);
    }
    let routine = Routine::new(routine, "Free routine").held_by(va, "lookaside list");
    origin.call(routine, &[entry, va]);
    Ok(())
}

/// The stop for an entry that is in the list already: linked twice it would lead
/// to itself.
fn check_absent(va: u64, entry: u64, function: &str) -> Result<(), NoReturn> {
    let mut at = slist::first(va)?;
    for _ in 0..slist::depth(va)? {
        if at == entry && at != 0 {
            return Err(NoReturn::bug_check(
                0xc4,
                [0x13, va, entry, 0],
                format!(
                    "{function} was given {entry:#018x}, which is in the lookaside list {va:#018x} already: it was freed before"
                ),
            ));
        }
        if at == 0 {
            break;
        }
        at = driver_mem::read_u64(at)?;
    }
    Ok(())
}

/// Gives every entry of the list to its routine.
fn flush(va: u64, function: &str, origin: &CallContext<'_>) -> Result<(), NoReturn> {
    loop {
        match slist::pop(va)? {
            0 => return Ok(()),
            entry => release(va, entry, function, origin)?,
        }
    }
}

/// Ends the use of a list and gives its entries back.
pub fn delete(kind: Kind, va: u64, function: &str, call: &Call<'_>) -> Result<(), NoReturn> {
    let origin = CallContext::of(call);
    let caller = origin.address();
    if !tracked_structs::end(kind, va, caller) {
        return Ok(());
    }
    list_entry::remove(lookaside(va).at(|list| &list.list_entry).address())?;
    flush(va, function, &origin)
}

/// How taking an entry fails: as the list was told to.
fn failure(call: &mut Call<'_>) -> ExportResult {
    let va = call.argument(0)?;
    let raises = lookaside(va).get(|list| &list.kind)? & RAISE != 0;
    if raises {
        Err(NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
    } else {
        Ok(0)
    }
}

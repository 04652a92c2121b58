//! The table of everything that a driver can import, and the generated entries
//! that it imports.

pub mod data_exports;
pub mod missing;
pub mod partial;
pub mod since;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use rustc_hash::FxHashMap;

use super::base::call_context::Caller;
use super::base::os_version;
use super::trap::{clock_interrupt, host_signals};
use super::verifier::stack_trace_db;
use super::{ke, mm, rtl, trap, verifier};
use crate::api::config::Config;
use crate::api::report::CallCount;
use crate::host::asm_exports::Native;
use crate::host::context::Context;
use crate::host::gate::{Call, Export, Return};
use crate::host::kernel_address_space::{Protection, Use};
use crate::host::memory_map::{MISSING, NT, PAGE_SIZE};
use crate::host::{cpu, driver_mem, gate, last_call};

/// The tables of each family.
const FAMILIES: &[&[&[Export]]] = &[
    super::cm::TABLES,
    super::etw::TABLES,
    super::ex::TABLES,
    super::fsrtl::TABLES,
    super::init::TABLES,
    super::io::TABLES,
    super::kd::TABLES,
    ke::TABLES,
    mm::TABLES,
    super::ob::TABLES,
    super::pnp::TABLES,
    super::po::TABLES,
    super::ps::TABLES,
    super::ramfs::TABLES,
    rtl::TABLES,
    super::se::TABLES,
    super::sections::TABLES,
    super::seh::TABLES,
    super::sysinfo::TABLES,
];

/// Exports that are machine code.
const NATIVE: &[&[Native]] = &[crate::host::seh_asm::NATIVE];

/// Every function that drivers can import.
pub fn functions() -> impl Iterator<Item = &'static Export> {
    FAMILIES.iter().copied().flatten().copied().flatten()
}

/// Every function that is machine code.
pub fn native_functions() -> impl Iterator<Item = &'static Native> {
    NATIVE.iter().copied().flatten()
}

/// What fails without page table entries to map an MDL with.
const MAPPINGS: [&str; 3] = [
    "MmMapLockedPagesSpecifyCache",
    "MmMapIoSpace",
    "MmMapIoSpaceEx",
];

/// Bytes of one generated entry.
const ENTRY_SIZE: u64 = 16;

/// An export and what is counted of it.
struct Bound {
    export: Export,
    calls: AtomicU32,
    /// Order of the first call, from 1; 0 if never called.
    first: AtomicU32,
    /// Numbers of the calls that are to fail.
    fails: Vec<u32>,
    /// Whether all of them are.
    always: bool,
}

struct Table {
    bound: Vec<Bound>,
    /// Addresses and name of each export that is machine code.
    native: Vec<(Range<u64>, &'static str)>,
    by_name: FxHashMap<&'static str, u64>,
}

static TABLE: OnceLock<Table> = OnceLock::new();
static CALLED: AtomicU32 = AtomicU32::new(0);
/// Number of the export that was called last and has not returned.
static CURRENT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Imports that nothing provides; the index times 16 from the start of
/// [`MISSING`] is the address that stands for one.
static MISSING_NAMES: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

/// Bytes kept between two missing imports, so that data read from one is still
/// recognised.
const MISSING_STRIDE: u64 = 0x1_0000;

/// Writes the entries and variables into the kernel's zone.
///
/// # Errors
/// A fault rule that names what is no export, or an export that cannot fail.
pub fn initialize(config: &Config) -> Result<(), String> {
    let exports: Vec<Export> = functions().copied().collect();
    let mut by_name = FxHashMap::default();
    let mut code = entries(exports.len());
    let native = append_native(&mut code);
    let code_pages = (code.len() as u64).div_ceil(PAGE_SIZE);
    let data_va = NT.base + code_pages * PAGE_SIZE;
    let variables = data_exports::all();
    let words: usize = variables.iter().map(|(_, words)| words.len()).sum();
    let data_pages = (words as u64 * 8).div_ceil(PAGE_SIZE);
    mm::with(|memory| {
        memory.map_new(NT.base, code_pages, Protection::READ_WRITE, Use::Kernel)?;
        memory.map_new(data_va, data_pages, Protection::READ_WRITE, Use::Kernel)
    })
    .map_err(|_| "no memory for the kernel's entries".to_owned())?;

    driver_mem::write_bytes(NT.base, &code).map_err(|fault| format!("entries: {fault:?}"))?;
    for (n, export) in exports.iter().enumerate() {
        by_name.insert(export.name, NT.base + 8 + n as u64 * ENTRY_SIZE);
    }
    by_name.extend(native.iter().map(|(code, name)| (*name, code.start)));
    let mut va = data_va;
    for (name, words) in variables {
        by_name.insert(name, va);
        for word in words {
            driver_mem::write_u64(va, word).map_err(|fault| format!("variables: {fault:?}"))?;
            va += 8;
        }
    }
    mm::with(|memory| {
        memory.space.protect(NT.base, Protection::EXECUTE)?;
        memory.space.protect(data_va, Protection::READ)
    })
    .map_err(|_| "the kernel's entries cannot be protected".to_owned())?;

    let mut bound: Vec<Bound> = exports
        .into_iter()
        .map(|export| Bound {
            export,
            calls: AtomicU32::new(0),
            first: AtomicU32::new(0),
            fails: Vec::new(),
            always: config.no_mappings && MAPPINGS.contains(&export.name),
        })
        .collect();
    for fault in &config.faults {
        let entry = bound
            .iter_mut()
            .find(|entry| entry.export.name == fault.export)
            .ok_or_else(|| {
                format!(
                    "'{}' is not an export of this kernel, so no call of it can fail",
                    fault.export
                )
            })?;
        if entry.export.failure.is_none() {
            return Err(format!("'{}' cannot fail, by its reference", fault.export));
        }
        entry.fails.push(fault.nth);
    }
    let _ = TABLE.set(Table {
        bound,
        native,
        by_name,
    });
    Ok(())
}

/// Code of all entries: the address of [`call::ntbox_enter`], then for each
/// export `mov eax, number` and a jump through that address.
fn entries(count: usize) -> Vec<u8> {
    let mut code = (gate::ntbox_enter as *const () as u64)
        .to_le_bytes()
        .to_vec();
    for n in 0..count {
        let number = u32::try_from(n).unwrap_or(u32::MAX);
        code.push(0xb8);
        code.extend(number.to_le_bytes());
        // The displacement counts from the end of the jump, 11 bytes into the entry.
        let behind = 8 + n as u64 * ENTRY_SIZE + 11;
        code.extend([0xff, 0x25]);
        code.extend((-i32::try_from(behind).unwrap_or(0)).to_le_bytes());
        code.extend([0xcc; 5]);
    }
    code
}

/// Adds the exports that are machine code, aligned as code is; gives their
/// addresses and names.
fn append_native(code: &mut Vec<u8>) -> Vec<(Range<u64>, &'static str)> {
    let mut list = Vec::new();
    for native in NATIVE.iter().copied().flatten() {
        code.resize(code.len().next_multiple_of(16), 0xcc);
        let begin = NT.base + code.len() as u64;
        code.extend((native.code)());
        list.push((begin..NT.base + code.len() as u64, native.name));
    }
    list
}

fn table() -> &'static Table {
    TABLE
        .get()
        .expect("the export table is used before it is set up")
}

/// Address of an export, function or variable.
pub fn resolve(name: &str) -> Option<u64> {
    table().by_name.get(name).copied()
}

/// Address of an export that the version of Windows has which this kernel claims to be.
pub fn resolve_for_driver(name: &str) -> Option<u64> {
    match since::of(name) {
        Some(since) if os_version::get() < since => None,
        _ => resolve(name),
    }
}

/// Address that stands for an import which nothing provides. To touch it is a
/// report that names it.
pub fn missing(name: String) -> u64 {
    let mut names = MISSING_NAMES
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let index = names
        .iter()
        .position(|known| *known == name)
        .unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
    MISSING.base + index as u64 * MISSING_STRIDE + MISSING_STRIDE / 2
}

/// Name of the missing import behind an address.
pub fn missing_name(va: u64) -> Option<String> {
    if !MISSING.contains(va) {
        return None;
    }
    let index = usize::try_from((va - MISSING.base) / MISSING_STRIDE).ok()?;
    MISSING_NAMES
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .get(index)
        .cloned()
}

/// Name of the export whose entry holds an address.
pub fn name_at(va: u64) -> Option<&'static str> {
    let offset = va.checked_sub(NT.base + 8)?;
    let index = usize::try_from(offset / ENTRY_SIZE).ok()?;
    let entry = table().bound.get(index).map(|entry| entry.export.name);
    entry.or_else(|| {
        table()
            .native
            .iter()
            .find(|(code, _)| code.contains(&va))
            .map(|(_, name)| *name)
    })
}

/// Name of the export that a call is for.
pub fn name_of(index: u64) -> &'static str {
    usize::try_from(index)
        .ok()
        .and_then(|index| table().bound.get(index))
        .map_or("?", |entry| entry.export.name)
}

/// Name of the export that is being called; `?` if none is.
pub fn current() -> &'static str {
    let index = CURRENT.load(Ordering::Relaxed);
    let bound = TABLE.get().and_then(|table| table.bound.get(index));
    bound.map_or("?", |entry| entry.export.name)
}

/// Carries out a call: counts it, checks its IRQL, makes it fail if it is to.
pub fn invoke(call: &mut Call<'_>) -> Return {
    let index = usize::try_from(call.frame().index).unwrap_or(usize::MAX);
    let Some(entry) = table().bound.get(index) else {
        return Err(gate::Stop::bug_check(
            0xe2,
            [0; 4],
            "a call with a number that no export has",
        ));
    };
    // One thread counts, so nothing need be locked.
    let number = entry.calls.load(Ordering::Relaxed).wrapping_add(1);
    entry.calls.store(number, Ordering::Relaxed);
    if number == 1 {
        entry.first.store(
            CALLED.fetch_add(1, Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
    }
    let outer = CURRENT.swap(index, Ordering::Relaxed);
    last_call::begins(index, call.return_address());
    clock_interrupt::before_call();
    stack_trace_db::note(call, &entry.export, number);
    verifier::user_access::note_call(call, entry.export.name);
    rtl::counted::note_call(call, entry.export.name);
    verifier::pageable_object::look(call, entry.export.name);
    let irql = cpu::irql();
    if irql > entry.export.max_irql {
        too_high(entry.export, irql, call.return_address());
    }
    if let Some(failure) = entry.export.failure
        && (entry.always || entry.fails.contains(&number))
    {
        return failure(call);
    }
    let result = (entry.export.handler)(call);
    if host_signals::is_overdue() {
        overdue(call);
    }
    let ticked = clock_interrupt::postponed() || ke::seeded_schedule::ends_turn();
    if ticked || ke::dpc::pending() && cpu::irql() < cpu::DISPATCH_LEVEL {
        let origin = Some(Context::after_call(call.frame(), call.return_address()));
        if ticked {
            clock_interrupt::run(origin);
        } else {
            ke::dpc::deliver(origin);
        }
    }
    ke::processor::leave();
    ke::sched::preempt();
    if ke::apc::pending() && cpu::irql() < cpu::APC_LEVEL {
        ke::apc::deliver(&ke::apc::Place::Call(Caller::of(call)));
    }
    verifier::user_access::close_opened();
    last_call::returns();
    CURRENT.store(outer, Ordering::Relaxed);
    result
}

#[cold]
fn overdue(call: &Call<'_>) -> ! {
    let mut context = Context::after_call(call.frame(), call.return_address());
    context.flags |= trap::UNWOUND_TO_CALL;
    trap::hung(&context)
}

#[cold]
fn too_high(export: Export, irql: u8, caller: u64) {
    let first = match export.name {
        "MmProbeAndLockPages" => Some(0x70),
        "MmMapLockedPages" => Some(0x74),
        "MmMapLockedPagesSpecifyCache" => Some(0x76),
        "MmUnlockPages" => Some(0x78),
        "MmUnmapLockedPages" => Some(0x79),
        "KeSetEvent" => Some(0x80),
        name => name.starts_with("Zw").then_some(0xe6),
    };
    let verifier = first.map(|first| (0xc4, first));
    let what = format!(
        "{} was called at IRQL {irql}; it may be called at IRQL {} at most",
        export.name, export.max_irql
    );
    trap::violation("irql-too-high", verifier, what, caller);
}

/// How often each export was called, in the order of the first calls.
pub fn counts() -> Vec<CallCount> {
    let mut called: Vec<&Bound> = table()
        .bound
        .iter()
        .filter(|entry| entry.calls.load(Ordering::Relaxed) > 0)
        .collect();
    called.sort_by_key(|entry| entry.first.load(Ordering::Relaxed));
    called
        .into_iter()
        .map(|entry| CallCount {
            export: entry.export.name.to_owned(),
            count: entry.calls.load(Ordering::Relaxed),
            can_fail: entry.export.failure.is_some(),
        })
        .collect()
}

//! The table of everything that a driver can import, and the generated entries
//! that it imports.

pub mod data_exports;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use ntbox_api::config::Config;
use ntbox_api::rules;
use ntbox_host::asm_exports::Native;
use ntbox_host::context::Context;
use ntbox_host::gate::{Call, Export, ExportResult};
use ntbox_host::kernel_address_space::{Protection, Use};
use ntbox_host::memory_map::{NT, PAGE_SIZE};
use ntbox_host::{
    context, cpu, driver_mem, gate, kernel_entry, last_call, process, seh_asm, translation,
};
use rustc_hash::FxHashMap;

use super::base::call_context::CallContext;
use super::base::export_table::{Bound, CALLED, CURRENT, ENTRY_SIZE, TABLE, Table, table};
use super::base::{diag, stack_trace_db};
use super::ke::clock_interrupt;
use super::{ke, mm, rtl, verifier};

/// The tables of each family.
const FAMILIES: &[&[&[Export]]] = &[
    super::cm::TABLES,
    super::etw::TABLES,
    super::ex::TABLES,
    super::fsrtl::TABLES,
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
const NATIVE: &[&[Native]] = &[seh_asm::NATIVE];

/// Every function that drivers can import.
pub fn functions() -> impl Iterator<Item = &'static Export> {
    FAMILIES.iter().copied().flatten().copied().flatten()
}

/// Every function that is machine code.
pub fn native_functions() -> impl Iterator<Item = &'static Native> {
    NATIVE.iter().copied().flatten()
}

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
    for (range, _) in &native {
        translation::add_code(range.clone());
    }

    let mut bound: Vec<Bound> = exports
        .into_iter()
        .map(|export| Bound {
            export,
            calls: AtomicU32::new(0),
            first: AtomicU32::new(0),
            fails: Vec::new(),
            always: config.no_mappings && export.needs_mapping,
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

/// Code of all entries: the address of [`gate::ntbox_enter`], then for each
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

/// Carries out a call: counts it, checks its IRQL, makes it fail if it is to.
pub fn invoke(call: &mut Call<'_>) -> ExportResult {
    let index = usize::try_from(call.frame().index).unwrap_or(usize::MAX);
    let Some(entry) = table().bound.get(index) else {
        return Err(gate::NoReturn::bug_check(
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
    let result = match entry.export.failure {
        Some(failure) if entry.always || entry.fails.contains(&number) => failure(call),
        _ => (entry.export.handler)(call),
    };
    if process::is_overdue() {
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
        ke::apc::deliver(&ke::apc::DeliveryPoint::Call(CallContext::of(call)));
    }
    verifier::user_access::close_opened();
    last_call::returns();
    CURRENT.store(outer, Ordering::Relaxed);
    result
}

#[cold]
fn overdue(call: &Call<'_>) -> ! {
    let mut context = Context::after_call(call.frame(), call.return_address());
    context.flags |= context::UNWOUND_TO_CALL;
    (kernel_entry::get().watchdog_timeout)(&context)
}

#[cold]
fn too_high(export: Export, irql: u8, caller: u64) {
    // Driver Verifier has one code for all system services.
    let service = || export.name.starts_with("Zw").then_some((0xc4, 0xe6));
    let stop = export.verifier.or_else(service);
    let what = format!(
        "{} called at IRQL {irql}, maximum is {}",
        export.name, export.max_irql
    );
    let rule = rules::IRQL_TOO_HIGH;
    let broken = stop.map_or_else(
        || rule.without_stop(),
        |(code, first)| rule.with_stop(code, first),
    );
    diag::violation(broken, what, caller);
}

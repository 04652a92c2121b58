//! The bound exports: their addresses, names and counts of calls. The table is filled
//! once, before the driver is loaded, by the component that collects all exports.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use ntbox_api::report::CallCount;
use ntbox_host::gate::Export;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::{MISSING, NT};
use rustc_hash::FxHashMap;

use super::os_version;

/// Bytes of one generated entry.
pub const ENTRY_SIZE: u64 = 16;

/// Bytes kept between two missing imports, so that data read from one is still
/// recognised.
pub const MISSING_STRIDE: u64 = 0x1_0000;

/// An export and what is counted of it.
pub struct Bound {
    pub export: Export,
    pub calls: AtomicU32,
    /// Order of the first call, from 1; 0 if never called.
    pub first: AtomicU32,
    /// Numbers of the calls that are to fail.
    pub fails: Vec<u32>,
    /// Whether all of them are.
    pub always: bool,
}

pub struct Table {
    pub bound: Vec<Bound>,
    /// Addresses and name of each export that is machine code.
    pub native: Vec<(Range<u64>, &'static str)>,
    pub by_name: FxHashMap<&'static str, u64>,
}

pub static TABLE: OnceLock<Table> = OnceLock::new();

pub static CALLED: AtomicU32 = AtomicU32::new(0);

/// Number of the export that was called last and has not returned.
pub static CURRENT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Imports that nothing provides. The address that stands for one is its index times
/// [`MISSING_STRIDE`] from the start of [`MISSING`].
static MISSING_NAMES: KernelCell<Vec<String>> = KernelCell::new(Vec::new());

pub fn table() -> &'static Table {
    TABLE
        .get()
        .expect("the export table is used before it is set up")
}

/// Address of an export, function or variable.
pub fn resolve(name: &str) -> Option<u64> {
    table().by_name.get(name).copied()
}

/// The function of a name.
pub fn function(name: &str) -> Option<&'static Export> {
    let index = (resolve(name)? - NT.base - 8) / ENTRY_SIZE;
    let entry = table().bound.get(usize::try_from(index).ok()?)?;
    Some(&entry.export).filter(|export| export.name == name)
}

/// Address that stands for an import which nothing provides. To touch it is a
/// report that names it.
pub fn missing(name: String) -> u64 {
    let mut names = MISSING_NAMES.lock();
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
    MISSING_NAMES.lock().get(index).cloned()
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

/// Address of an export that the version of Windows has which this kernel claims to be.
pub fn resolve_for_driver(name: &str) -> Option<u64> {
    match function(name).and_then(|export| export.since) {
        Some(since) if os_version::get() < since => None,
        _ => resolve(name),
    }
}

/// The bound exports.
pub fn functions() -> impl Iterator<Item = &'static Export> {
    table().bound.iter().map(|entry| &entry.export)
}

//! Driver code that runs translated: what the translator of [`ntbox_translate`] needs of
//! a host. The code cache and its memory, the gates out of it, and the ways in.
//!
//! While translation is on, nothing that belongs to a driver is executable but the
//! cache. What the kernel sees of a driver (contexts, stacks, return addresses) is
//! original; the ways into the cache are [`place_context`] and the jump of `gates`, the ways
//! out of it in a signal are those of `interruption`.

mod cache_memory;
mod code_map;
pub(crate) mod gates;
pub(crate) mod interruption;
pub mod shadow;
mod source;
mod transfer;

pub use self::transfer::CheckedAccess;
pub(crate) use self::transfer::take_poll;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_translate::{
    Arrival, Base, Edit, Layout, MemoryChecks, Policy, TranslateError, Translation, Translator,
    state,
};

use self::cache_memory::CacheMemory;
use self::code_map::CodeMap;
use self::source::Source;
use super::context::Context;
use super::kernel_address_space::{Protection, Space};
use super::kernel_cell::KernelCell;
use super::memory_map::{CODE_CACHE, GUEST_END, NT, PAGE_SIZE};
use super::{process, upcall};

/// Offset of a processor's state block from its control region, which GS points at.
pub(crate) const STATE_OFFSET: i32 = 0x1_0000;

/// The flag that makes the processor trap after each instruction.
const TRAP_FLAG: u32 = 0x100;

/// The translator with what belongs to it.
struct Machine {
    translator: Translator,
    memory: CacheMemory,
    /// What a driver may execute.
    code: CodeMap,
    /// Addresses that lead out of the driver: exports, and where upcalls return.
    exits: Vec<u64>,
    /// Pages of writable code that cannot be written since something was translated from
    /// around them.
    sealed: BTreeSet<u64>,
    /// Whether indirect branches ask at the dispatch gate, for the clock.
    is_suspended: bool,
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static MACHINE: KernelCell<Option<Machine>> = KernelCell::new(None);

/// Whether driver code is translated.
#[inline]
#[must_use]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Turns translation on, with checks of memory accesses or without. Before the first
/// processor is prepared.
///
/// # Errors
/// There is no memory for the code cache, or the shadow.
pub fn initialize(has_checks: bool) -> Result<(), String> {
    let mut policy = Policy::default();
    if has_checks {
        shadow::initialize()?;
        policy.memory = MemoryChecks::Shadow;
    }
    let memory =
        CacheMemory::new().map_err(|error| format!("no memory for the code cache: {error}"))?;
    let layout = Layout {
        cache: CODE_CACHE.base..CODE_CACHE.end(),
        state: Base::Gs(STATE_OFFSET),
        shadow: Base::Absolute(0),
        counters: CODE_CACHE.end()..CODE_CACHE.end(),
    };
    let mut machine = Machine {
        translator: Translator::new(layout, policy),
        memory,
        code: CodeMap::default(),
        exits: vec![upcall::return_address()],
        sealed: BTreeSet::new(),
        is_suspended: false,
    };
    machine.begin();
    *MACHINE.lock() = Some(machine);
    IS_ON.store(true, Ordering::Relaxed);
    Ok(())
}

fn with<T>(work: impl FnOnce(&mut Machine) -> T) -> T {
    let mut machine = MACHINE.lock();
    work(machine.as_mut().expect("translation is on"))
}

/// Prepares the state block of the processor whose control region is at `region`.
/// False without translation.
///
/// # Panics
/// The host has no memory.
pub(crate) fn prepare_processor(region: u64) -> bool {
    if is_on() {
        with(|machine| {
            let miss = machine.translator.miss();
            machine.memory.add_processor(region, miss);
            // The table has what the other processors have from now on.
            machine.restart();
        });
    }
    is_on()
}

/// Protection that the host gives to memory at `va`.
pub(crate) fn host_protection(va: u64, protection: Protection) -> Protection {
    if is_on() && !NT.contains(va) {
        Protection {
            execute: false,
            ..protection
        }
    } else {
        protection
    }
}

/// Memory was mapped, or has another protection than before.
pub(crate) fn memory_changed(va: u64, pages: u64, protection: Protection) {
    if !is_on() || NT.contains(va) {
        return;
    }
    let range = va..va + pages * PAGE_SIZE;
    with(|machine| {
        if protection.execute && !protection.write && machine.code.has(&range, false) {
            return;
        }
        machine.sealed.retain(|page| !range.contains(page));
        if machine.code.remove(&range) {
            let edits = machine.translator.invalidate(range.clone());
            machine.memory.apply(&edits);
        }
        if protection.execute {
            machine.code.insert(range, protection.write);
        }
    });
}

/// A write has met an address: whether it failed because code was translated there, and
/// can be made again now.
pub(crate) fn unseal(address: u64) -> bool {
    let page = address & !(PAGE_SIZE - 1);
    is_on() && with(|machine| machine.unseal(page))
}

/// Code of the kernel's own that runs as a driver's does.
pub fn add_code(range: Range<u64>) {
    if is_on() {
        with(|machine| machine.code.insert(range, false));
    }
}

/// Lets branches to an export leave the cache without a look at it.
pub fn bind_export(address: u64) {
    if is_on() {
        with(|machine| {
            if NT.contains(address) && !machine.code.contains(address) {
                machine.bind(address);
            }
        });
    }
}

/// A context of the driver, as the processor takes it up: in the cache.
#[must_use]
pub fn place_context(context: &Context) -> Context {
    if is_on() && context.eflags & TRAP_FLAG != 0 {
        interruption::step_from(context.rip);
    }
    Context {
        rip: place(context.rip),
        ..*context
    }
}

/// Where the processor goes on for an original address, with all registers of the
/// driver: in the cache, or at the address itself if that is no code of a driver.
fn place(original: u64) -> u64 {
    if !is_on() || original >= GUEST_END || NT.contains(original) && !has_code(original) {
        return original;
    }
    with(|machine| machine.entry(original, Arrival::Direct)).unwrap_or(original)
}

fn has_code(address: u64) -> bool {
    with(|machine| machine.code.contains(address))
}

impl Machine {
    /// Writes what the empty cache holds.
    fn begin(&mut self) {
        let edits = self.translator.start();
        self.memory.apply(&edits);
        for exit in std::mem::take(&mut self.exits) {
            self.bind(exit);
        }
    }

    /// Begins anew with an empty cache. No processor is in it.
    fn restart(&mut self) {
        let edits = self.translator.flush();
        self.memory.apply(&edits);
        self.begin();
    }

    fn bind(&mut self, address: u64) {
        let edits = if address >= GUEST_END {
            self.translator.bind_keeping_flags(address, address)
        } else {
            self.translator.bind(address, address)
        };
        match edits {
            Ok(edits) => self.memory.apply(&edits),
            Err(error) => refuse(address, &error),
        }
        self.exits.push(address);
    }

    /// The entry for an original address; `None` if that is no code.
    fn entry(&mut self, original: u64, arrival: Arrival) -> Option<u64> {
        let translation = match self.translate(original, arrival) {
            Err(TranslateError::CacheFull) => {
                self.restart();
                self.translate(original, arrival)
            }
            other => other,
        };
        match translation {
            Ok(translation) => {
                self.memory.apply(&translation.edits);
                Some(translation.entry)
            }
            Err(TranslateError::NotCode) => None,
            Err(error) => refuse(original, &error),
        }
    }

    /// Lets no one write the code around an address unseen.
    fn seal(&mut self, original: u64) {
        let range = self.code.writable_around(original);
        for page in (range.start..range.end).step_by(0x1000) {
            if self.sealed.insert(page)
                && Space::set_host_access(page, 1, Protection::READ).is_err()
            {
                refuse(original, &"its pages cannot be protected against writes");
            }
        }
    }

    fn unseal(&mut self, page: u64) -> bool {
        if !self.sealed.remove(&page) {
            return false;
        }
        let edits = self.translator.invalidate(page..page + PAGE_SIZE);
        self.memory.apply(&edits);
        Space::set_host_access(page, 1, Protection::READ_WRITE).is_ok()
    }

    fn translate(
        &mut self,
        original: u64,
        arrival: Arrival,
    ) -> Result<Translation, TranslateError> {
        let source = Source(&self.code);
        let units = self.translator.statistics().units;
        let translation = self.translator.translate(&source, original, arrival);
        if self.translator.statistics().units != units {
            self.seal(original);
        }
        translation
    }

    /// Lets every indirect branch ask at the dispatch gate, or none.
    fn suspend(&mut self, suspended: bool) {
        if self.is_suspended == suspended {
            return;
        }
        self.is_suspended = suspended;
        let edits: Vec<Edit> = if suspended {
            self.translator.suspend_table()
        } else {
            self.translator.resume_table()
        };
        self.memory.apply(&edits);
    }
}

/// Ends the run: the code at an address cannot be translated.
fn refuse(address: u64, why: &dyn std::fmt::Display) -> ! {
    process::abandon(format_args!(
        "code at {} cannot run translated: {why}; run the driver without --instrument",
        named(address)
    ))
}

/// An address by image and offset.
fn named(address: u64) -> String {
    super::modules::find(address).map_or_else(
        || format!("{address:#018x}"),
        |image| format!("{}+{:#x}", image.name, address - image.base),
    )
}

/// Offset of a field of the state block from GS.
pub(crate) const fn from_gs(field: i32) -> i32 {
    STATE_OFFSET + field
}

const _: () =
    assert!(STATE_OFFSET.unsigned_abs() as u64 + state::SIZE as u64 <= super::cpu::PCR_STRIDE);

//! Runs code on this processor, as it is and translated, and says how it ended.
//!
//! A host for the translator, reduced to what tests need: memory at fixed addresses in
//! the lowest two GiB, the gates, signal handlers. All unsafe code of the crate's tests
//! is here. One [`Machine`] exists at a time, and it runs on the thread that made it.

#![expect(
    unsafe_code,
    reason = "a host maps memory, handles signals and jumps to code"
)]

mod gates;
pub mod memory;
mod signals;

use std::{
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicPtr, Ordering},
    },
};

use ntbox_translate::{
    Arrival, Base, CodeSource, Edit, Function, Layout, Policy, Site, SiteKind, Translator, state,
};

pub use gates::leave_address;
pub use memory::{CACHE, CODE, DATA, SHADOW, STACK, STATE};

/// The registers of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub struct Context {
    /// x87 and SSE, as `fxsave64` writes them.
    pub fx: [u8; 512],
    /// AVX registers, where there are any.
    pub ymm: [[u64; 4]; 16],
    /// General registers by number.
    pub gpr: [u64; 16],
    pub flags: u64,
}

impl Context {
    pub fn new() -> Self {
        let mut fx = [0; 512];
        fx[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
        fx[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
        let mut context = Self {
            fx,
            ymm: [[0; 4]; 16],
            gpr: [0; 16],
            flags: 0x202,
        };
        context.gpr[4] = STACK.end - 4096;
        context
    }
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// At [`leave_address`].
    Left,
    /// By a signal, at an instruction of the program.
    Fault { signal: i32, rip: u64, address: u64 },
    /// At the trap gate.
    Trap(Site),
}

/// A check that failed, and so called the check gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FailedCheck {
    pub rip: u64,
    pub address: u64,
    pub size: u16,
    pub write: bool,
    /// Registers of the program at that time.
    pub registers: [u64; 16],
}

/// Code in memory of this process.
pub struct Code {
    /// Executable ranges.
    pub ranges: Vec<Range<u64>>,
    /// Functions in it.
    pub functions: Vec<Function>,
    /// The image that all of it belongs to, unless each range is one.
    pub image: Option<Range<u64>>,
}

impl CodeSource for Code {
    fn code(&self, address: u64) -> &[u8] {
        self.ranges
            .iter()
            .find(|range| range.contains(&address))
            .map_or(&[], |range| memory::bytes(address..range.end))
    }

    fn function(&self, address: u64) -> Option<Function> {
        self.functions
            .iter()
            .find(|function| function.range.contains(&address))
            .cloned()
    }

    fn pointer(&self, address: u64) -> Option<u64> {
        self.image(address)
            .contains(&address)
            .then(|| memory::read_u64(address))
    }

    fn image(&self, address: u64) -> Range<u64> {
        if let Some(image) = &self.image {
            return image.clone();
        }
        self.ranges
            .iter()
            .find(|range| range.contains(&address))
            .cloned()
            .unwrap_or_default()
    }
}

/// The processor, and a translator for it.
pub struct Machine {
    pub translator: Translator,
    pub code: Code,
    pub asked: Vec<FailedCheck>,
    pub dispatches: usize,
    exit: Option<Exit>,
    context: *mut Context,
    /// What the host's poll does: counts, and stops after so many.
    pub polls: usize,
    pub polls_left: Option<usize>,
    counters: Range<u64>,
    /// At every so many dispatches, all translations are dropped.
    pub drop_every: Option<usize>,
    _only: MutexGuard<'static, ()>,
}

static ONLY: Mutex<()> = Mutex::new(());
static CURRENT: AtomicPtr<Machine> = AtomicPtr::new(std::ptr::null_mut());

/// How the state block is addressed in a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressing {
    Gs,
    Absolute,
}

impl Machine {
    /// Maps the memory, if that is not done, and takes the processor.
    pub fn new(policy: Policy, addressing: Addressing) -> Box<Self> {
        Self::with_cache(policy, addressing, CACHE)
    }

    /// With a cache at a place of the test's choice.
    pub fn with_cache(policy: Policy, addressing: Addressing, cache: Range<u64>) -> Box<Self> {
        let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
        memory::map_all();
        memory::map_cache(&cache);
        signals::install();
        let base = |absolute: u64| match addressing {
            Addressing::Gs => {
                Base::Gs(i32::try_from(absolute.cast_signed() - STATE.start.cast_signed()).unwrap())
            }
            Addressing::Absolute => Base::Absolute(i32::try_from(absolute).unwrap()),
        };
        // Counters lie at the end of the cache's memory.
        let counters = cache.end - 0x10_0000..cache.end;
        let counters_at = counters.clone();
        let layout = Layout {
            cache: cache.start..counters.start,
            state: base(STATE.start),
            shadow: base(SHADOW.start),
            counters,
        };
        let machine = Self {
            translator: Translator::new(layout, policy),
            code: Code {
                ranges: vec![CODE],
                functions: Vec::new(),
                image: None,
            },
            asked: Vec::new(),
            dispatches: 0,
            exit: None,
            context: std::ptr::null_mut(),
            polls: 0,
            polls_left: None,
            counters: counters_at,
            drop_every: None,
            _only: only,
        };
        gates::prepare();
        let mut machine = Box::new(machine);
        machine.start();
        machine
    }

    /// Empties table and cache.
    fn start(&mut self) {
        let entries = self
            .translator
            .miss()
            .to_le_bytes()
            .repeat(state::TABLE_ENTRIES);
        memory::write(STATE.start + state::TABLE as u64, &entries);
        let edits = self.translator.start();
        Self::apply(&edits);
        self.bind_leave();
    }

    /// Where the counters are.
    pub fn counters(&self) -> Range<u64> {
        self.counters.clone()
    }

    fn bind_leave(&mut self) {
        let edits = self
            .translator
            .bind_keeping_flags(leave_address(), leave_address())
            .unwrap();
        Self::apply(&edits);
    }

    /// Forgets all translations.
    pub fn flush(&mut self) {
        let edits = self.translator.flush();
        Self::apply(&edits);
        let edits = self.translator.start();
        Self::apply(&edits);
        self.bind_leave();
    }

    /// Does what the translator asks for.
    pub fn apply(edits: &[Edit]) {
        for edit in edits {
            match edit {
                Edit::Code { address, bytes } => memory::write(*address, bytes),
                Edit::Table { slot, address } => {
                    memory::write_u64(
                        STATE.start + state::TABLE as u64 + 8 * u64::from(*slot),
                        *address,
                    );
                }
            }
        }
    }

    /// Runs the program's own code.
    pub fn run_native(&mut self, context: &mut Context, target: u64) -> Exit {
        self.run(context, target)
    }

    /// Runs its translation.
    pub fn run_translated(&mut self, context: &mut Context, target: u64) -> Exit {
        match self.entry(target) {
            Some(entry) => self.run(context, entry),
            None => Exit::Fault {
                signal: libc::SIGSEGV,
                rip: target,
                address: target,
            },
        }
    }

    /// The translation of `target`.
    pub fn entry(&mut self, target: u64) -> Option<u64> {
        self.entry_for(target, Arrival::Direct)
    }

    fn entry_for(&mut self, target: u64, arrival: Arrival) -> Option<u64> {
        let translation = match self.translator.translate(&self.code, target, arrival) {
            Ok(translation) => translation,
            Err(ntbox_translate::TranslateError::CacheFull) => {
                self.flush();
                self.translator
                    .translate(&self.code, target, arrival)
                    .ok()?
            }
            Err(_) => return None,
        };
        Self::apply(&translation.edits);
        Some(translation.entry)
    }

    fn run(&mut self, context: &mut Context, address: u64) -> Exit {
        self.exit = None;
        self.context = context;
        CURRENT.store(self, Ordering::SeqCst);
        gates::enter(context, address);
        CURRENT.store(std::ptr::null_mut(), Ordering::SeqCst);
        self.context = std::ptr::null_mut();
        self.exit.take().unwrap_or(Exit::Left)
    }

    /// The dispatch gate: where to go on for `target`.
    fn dispatched(&mut self, target: u64) -> u64 {
        self.dispatches += 1;
        if self
            .drop_every
            .is_some_and(|every| self.dispatches.is_multiple_of(every))
        {
            let edits = self.translator.invalidate(CODE);
            Self::apply(&edits);
        }
        if memory::read_u32(STATE.start + state::POLL as u64) != 0 {
            self.polls += 1;
            match &mut self.polls_left {
                None => memory::write(STATE.start + state::POLL as u64, &[0; 4]),
                Some(0) => {
                    self.exit = Some(Exit::Fault {
                        signal: 0,
                        rip: target,
                        address: 0,
                    });
                    memory::write(STATE.start + state::POLL as u64, &[0; 4]);
                    return leave_address();
                }
                Some(left) => *left -= 1,
            }
            if let Some(entry) = self.translator.lookup(target) {
                // Once round the loop, and the poll asks again: the head is behind it.
                if self.polls_left.is_some() {
                    memory::write(STATE.start + state::POLL as u64, &[0; 4]);
                }
                return entry;
            }
        }
        let arrival = Arrival::from_number(memory::read_u32(STATE.start + state::ARRIVAL as u64));
        if let Some(entry) = self.entry_for(target, arrival) {
            return entry;
        }
        if (target.cast_signed() << 16 >> 16).cast_unsigned() == target {
            // The processor itself says what happens there.
            return target;
        }
        self.exit = Some(Exit::Fault {
            signal: libc::SIGSEGV,
            rip: target,
            address: 0,
        });
        leave_address()
    }

    /// The check gate: where to go on.
    fn checked(&mut self, site: u32, address: u64, processor: [u64; 16]) -> u64 {
        let Some(site) = self.translator.site(site).copied() else {
            return leave_address();
        };
        let SiteKind::Access { size, write, .. } = site.kind else {
            return leave_address();
        };
        let spills = memory::spills();
        let mut registers = processor;
        for gpr in site.spilled.registers() {
            registers[usize::from(gpr.number())] = spills[usize::from(gpr.number())];
        }
        self.asked.push(FailedCheck {
            rip: site.original,
            address,
            size,
            write,
            registers,
        });
        site.resume
    }

    /// Makes translated code ask for the dispatch gate.
    pub fn request_poll() {
        memory::write(STATE.start + state::POLL as u64, &[1, 0, 0, 0]);
    }
}

/// Writes code to translate.
pub fn write_code(address: u64, bytes: &[u8]) {
    memory::write(address, bytes);
}

/// Writes memory of the program.
pub fn write_data(address: u64, bytes: &[u8]) {
    memory::write(address, bytes);
}

/// Reads memory of the program.
pub fn memory_of(range: Range<u64>) -> Vec<u8> {
    memory::bytes(range).to_vec()
}

/// Sets the shadow of memory from `address` on.
pub fn write_shadow(address: u64, bytes: &[u8]) {
    memory::write(SHADOW.start + (address >> 3), bytes);
}

/// Whether all bytes may be accessed, by the shadow: what the first look and the exact
/// one must agree with.
pub fn may_access(address: u64, size: u64) -> bool {
    (address..address + size).all(|byte| {
        let at = SHADOW.start + (byte >> 3);
        let value = memory::bytes(at..at + 1)[0];
        value == 0 || (value < 0x80 && byte & 7 < u64::from(value))
    })
}

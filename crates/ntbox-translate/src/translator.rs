//! The translator itself: what to translate when, and what its host asks it.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
};

use crate::{
    Arrival, CodeSource, Edit, Gpr, Layout, Location, MemoryChecks, Policy, RegisterSet, Site,
    cache::Cache,
    emit::{Emitter, EntryPoint, Surroundings},
    graph::Graph,
    instruction::{Analyser, Control, Insn},
    liveness,
    stub::StubKind,
};

/// Why there is no translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TranslateError {
    /// There is no code at the address: a jump to nowhere.
    NotCode,
    /// The cache is full: see [`Translator::flush`].
    CacheFull,
    /// The code reads flags, and an indirect branch came to it that lost them: nothing
    /// that compilers write. The host ends the run.
    FlagsLost,
    /// An instruction of the translator's own could not be encoded: a defect of it.
    Internal,
}

impl fmt::Display for TranslateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCode => "address has no code",
            Self::CacheFull => "code cache is full",
            Self::FlagsLost => "code reads flags that an indirect branch did not keep",
            Self::Internal => "translated code could not be encoded",
        })
    }
}

impl std::error::Error for TranslateError {}

/// Where a translation begins, and what to write before it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The address in the cache. It expects all registers of the program.
    pub entry: u64,
    /// To be applied in this order.
    pub edits: Vec<Edit>,
}

/// What a byte of [`Layout::counters`] counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    /// The first instruction of a block, or the branch of an edge.
    pub original: u64,
    /// Whether it counts a taken branch.
    pub edge: bool,
}

/// How much was translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Units translated.
    pub units: usize,
    /// Instructions of the program in them.
    pub instructions: usize,
    /// Their bytes.
    pub bytes_in: usize,
    /// The bytes in the cache.
    pub bytes_out: usize,
}

/// Translates code; see the crate's documentation for what its host does.
pub struct Translator {
    layout: Layout,
    policy: Policy,
    analyser: Analyser,
    cache: Cache,
    /// Addresses of exports that find no flags, and their gates.
    natives: HashMap<u64, u64>,
    sites: Vec<Site>,
    counters: Vec<Counter>,
    /// Code was seen that passes flags on from a function to its caller, or back.
    flags_cross: bool,
    /// Code was seen that may set the direction flag.
    direction_may_be_down: bool,
    statistics: Statistics,
}

impl Translator {
    /// A translator with an empty cache.
    #[must_use]
    pub fn new(layout: Layout, policy: Policy) -> Self {
        let cache = Cache::new(layout.cache.clone(), layout.state);
        Self {
            analyser: Analyser::new(policy.memory != MemoryChecks::Off),
            cache,
            natives: HashMap::new(),
            layout,
            policy,
            sites: Vec::new(),
            counters: Vec::new(),
            flags_cross: policy.unit == crate::Unit::Block,
            direction_may_be_down: false,
            statistics: Statistics::default(),
        }
    }

    /// What the cache begins with.
    #[must_use]
    pub fn start(&self) -> Vec<Edit> {
        self.cache.prologue().into_iter().collect()
    }

    /// What all entries of [`state::TABLE`](crate::state::TABLE) are at first.
    #[must_use]
    pub fn miss(&self) -> u64 {
        self.cache.chains.miss
    }

    /// Makes every indirect branch ask for the dispatch gate: for a driver that loops
    /// without a direct branch backwards, so that [`state::POLL`](crate::state::POLL) is not read.
    #[must_use]
    pub fn suspend_table(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        self.cache.chains.suspend(&mut edits);
        edits
    }

    /// Undoes [`Self::suspend_table`].
    #[must_use]
    pub fn resume_table(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        self.cache.chains.resume(&mut edits);
        edits
    }

    /// The cache address of an original one that was translated.
    #[must_use]
    pub fn lookup(&self, original: u64) -> Option<u64> {
        self.cache.entry(original).map(|entry| entry.cache)
    }

    /// Translates what begins at `target`, if that is not done, and makes it known to
    /// indirect branches if it is one that asks.
    ///
    /// # Errors
    ///
    /// [`TranslateError::NotCode`] where `source` has no code;
    /// [`TranslateError::CacheFull`] when the translation does not fit;
    /// [`TranslateError::FlagsLost`] when the program cannot go on as it would have.
    pub fn translate(
        &mut self,
        source: &impl CodeSource,
        target: u64,
        arrival: Arrival,
    ) -> Result<Translation, TranslateError> {
        let mut edits = Vec::new();
        if self.lookup(target).is_none() {
            if source.code(target).is_empty() {
                return Err(TranslateError::NotCode);
            }
            self.translate_unit(source, target, &mut edits)?;
        }
        let point = self.cache.entry(target).ok_or(TranslateError::Internal)?;
        let kind = StubKind::for_target(point.live);
        if arrival == Arrival::IndirectWithoutFlags && kind == StubKind::KeepsFlags {
            return Err(TranslateError::FlagsLost);
        }
        if arrival != Arrival::Direct && !self.cache.chains.contains(target) {
            self.cache.add_stub(kind, target, &point, &mut edits)?;
        }
        Ok(Translation {
            entry: point.cache,
            edits,
        })
    }

    /// Makes branches to `target` go to `gate`, code of the host's: an export. The gate
    /// finds all registers as the driver left them, but not the arithmetic flags, which
    /// no function expects.
    ///
    /// # Errors
    ///
    /// [`TranslateError::CacheFull`].
    pub fn bind(&mut self, target: u64, gate: u64) -> Result<Vec<Edit>, TranslateError> {
        self.bind_kind(StubKind::Plain, target, gate)
    }

    /// As [`Self::bind`], for a gate that finds the flags too.
    ///
    /// # Errors
    ///
    /// [`TranslateError::CacheFull`].
    pub fn bind_keeping_flags(
        &mut self,
        target: u64,
        gate: u64,
    ) -> Result<Vec<Edit>, TranslateError> {
        self.bind_kind(StubKind::KeepsFlags, target, gate)
    }

    fn bind_kind(
        &mut self,
        kind: StubKind,
        target: u64,
        gate: u64,
    ) -> Result<Vec<Edit>, TranslateError> {
        let mut edits = Vec::new();
        if !self.cache.chains.contains(target) {
            self.cache.add_native(kind, target, gate, &mut edits)?;
            if kind == StubKind::Plain {
                self.natives.insert(target, gate);
            }
        }
        Ok(edits)
    }

    fn translate_unit(
        &mut self,
        source: &impl CodeSource,
        target: u64,
        edits: &mut Vec<Edit>,
    ) -> Result<(), TranslateError> {
        let mut graph = self.discover(source, target);
        let flags_cross = self.flags_cross || self.passes_flags_on(source, &graph);
        let down = self.direction_may_be_down || graph.insns.iter().any(Insn::may_set_direction);
        if (flags_cross, down) != (self.flags_cross, self.direction_may_be_down) {
            // What was translated before relied on the contrary.
            (self.flags_cross, self.direction_may_be_down) = (flags_cross, down);
            self.cache.invalidate(&(0..u64::MAX), edits);
            graph = self.discover(source, target);
        }
        let native_at = |address: u64| {
            let target = source.pointer(address).filter(|_| !self.flags_cross)?;
            Some((target, *self.natives.get(&target)?))
        };
        let mut around = Around {
            native_at: &native_at,
            image: source.image(target),
            frame_register: source
                .function(target)
                .and_then(|function| function.frame_register),
            direction_may_be_down: self.direction_may_be_down,
            first_site: u32::try_from(self.sites.len()).map_err(|_| TranslateError::CacheFull)?,
            layout: &self.layout,
            cache: &self.cache,
            counters: &mut self.counters,
        };
        let emitted = Emitter::new(
            self.cache.cursor,
            &graph,
            self.policy,
            &self.layout,
            &mut around,
        )
        .emit()
        .ok_or(TranslateError::Internal)?;
        self.statistics.units += 1;
        self.statistics.instructions += graph.insns.len();
        self.statistics.bytes_in += graph
            .insns
            .iter()
            .map(|insn| insn.instruction.len())
            .sum::<usize>();
        self.sites.extend_from_slice(&emitted.sites);
        self.cache.record(&graph, emitted, edits)
    }

    /// The unit that begins at `target`, with what each instruction reads.
    fn discover(&mut self, source: &impl CodeSource, target: u64) -> Graph {
        let Self {
            analyser,
            cache,
            policy,
            flags_cross,
            ..
        } = self;
        let mut graph = Graph::discover(target, source, policy.unit, analyser, |ip| {
            cache.contains(ip)
        });
        let known = |ip: u64| cache.entry(ip).map_or(RegisterSet::ALL, |entry| entry.live);
        liveness::compute(&mut graph, *flags_cross, policy.exact_flags, known);
        graph
    }

    /// Whether code of the unit expects flags from a function that it calls, or passes
    /// flags to one, against every calling convention.
    fn passes_flags_on(&mut self, source: &impl CodeSource, graph: &Graph) -> bool {
        let returned = graph.blocks.iter().any(|block| {
            block.returned_to
                && graph.insns[block.range.start]
                    .live_in
                    .intersects(RegisterSet::FLAGS)
        });
        let called: HashSet<u64> = graph
            .insns
            .iter()
            .filter_map(|insn| match insn.control {
                Control::Call(target) => Some(target),
                _ => None,
            })
            .collect();
        returned
            || called
                .into_iter()
                .any(|target| self.reads_flags(source, graph, target))
    }

    /// Whether the code at the start of a function reads flags.
    fn reads_flags(&mut self, source: &impl CodeSource, graph: &Graph, target: u64) -> bool {
        let flags = |live: RegisterSet| live.intersects(RegisterSet::FLAGS);
        if let Some(index) = graph.index_of(target) {
            return flags(graph.insns[index].live_in);
        }
        if let Some(entry) = self.cache.entry(target) {
            return flags(entry.live);
        }
        if source.code(target).is_empty() {
            return false;
        }
        let mut ahead = Graph::discover(
            target,
            source,
            crate::Unit::Block,
            &mut self.analyser,
            |_| false,
        );
        liveness::compute(&mut ahead, false, false, |_| RegisterSet::GENERAL);
        ahead.index_of(target).is_some_and(|index| {
            let insn = &ahead.insns[index];
            // A trap counts as reading everything, but nothing is lost at one.
            !matches!(insn.control, Control::Trap(_) | Control::JumpIndirect) && flags(insn.live_in)
        })
    }

    /// Drops the translations of code in `range`: it was written, discarded or unloaded.
    /// Nothing jumps to them any more, and their space is not used again before
    /// [`Self::flush`], so a processor inside them may go on to their end.
    pub fn invalidate(&mut self, range: Range<u64>) -> Vec<Edit> {
        let mut edits = Vec::new();
        self.cache.invalidate(&range, &mut edits);
        edits
    }

    /// Drops all translations and begins the cache anew. No processor may be in it, and
    /// what was bound is to be bound again. Numbers of sites stay valid for reports.
    pub fn flush(&mut self) -> Vec<Edit> {
        let mut edits = Vec::new();
        self.cache.clear(&mut edits);
        self.natives.clear();
        edits
    }

    /// What the program is doing while the processor is at `address` in the cache.
    #[must_use]
    pub fn locate(&self, address: u64) -> Option<Location> {
        self.cache.locate(address)
    }

    /// The site with a number.
    #[must_use]
    pub fn site(&self, number: u32) -> Option<&Site> {
        self.sites.get(usize::try_from(number).ok()?)
    }

    /// What the bytes of [`Layout::counters`] count, in their order.
    #[must_use]
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// How much was translated.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            bytes_out: usize::try_from(self.used()).unwrap_or(0),
            ..self.statistics
        }
    }

    /// How much of the cache is used.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.cache.used()
    }
}

/// What emission asks of the translator.
struct Around<'a> {
    native_at: &'a dyn Fn(u64) -> Option<(u64, u64)>,
    image: Range<u64>,
    frame_register: Option<Gpr>,
    direction_may_be_down: bool,
    first_site: u32,
    layout: &'a Layout,
    cache: &'a Cache,
    counters: &'a mut Vec<Counter>,
}

impl Surroundings for Around<'_> {
    fn entry(&self, original: u64) -> Option<EntryPoint> {
        self.cache.entry(original)
    }

    fn counter(&mut self, original: u64, edge: bool) -> Option<u64> {
        let address = self.layout.counters.start + self.counters.len() as u64;
        self.layout.counters.contains(&address).then(|| {
            self.counters.push(Counter { original, edge });
            address
        })
    }

    fn first_site(&self) -> u32 {
        self.first_site
    }

    fn chain_end(&self, kind: StubKind) -> u64 {
        self.cache.chains.end(kind)
    }

    fn is_own_image(&self, address: u64) -> bool {
        self.image.contains(&address)
    }

    fn frame_register(&self) -> Option<Gpr> {
        self.frame_register
    }

    fn native_at(&self, address: u64) -> Option<(u64, u64)> {
        (self.native_at)(address)
    }

    fn direction_may_be_down(&self) -> bool {
        self.direction_may_be_down
    }
}

//! The translator itself: which code has a translation, where it lies, how units are
//! linked, and what happens when code goes away.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
};

use crate::{
    Arrival, CodeSource, Edit, Gpr, Layout, Location, MemoryChecks, Policy, RegisterSet, Site,
    assembler::Assembler,
    chains::Chains,
    emit::{Emitted, Emitter, Link, Surroundings},
    graph::Graph,
    instruction::{Analyser, Control, Insn},
    liveness,
    location::{MapEntry, Phase},
    stub::{STUB_REGISTERS, Stub, StubKind, emit_exit, emit_prologue, emit_stub},
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

#[derive(Clone, Copy)]
struct Entry {
    cache: u64,
    live: RegisterSet,
    unit: usize,
}

struct Incoming {
    at: u64,
    exit: u64,
    unit: usize,
}

/// A piece of the cache: a unit's translation, or a stub.
struct UnitRecord {
    cache: Range<u64>,
    map: Vec<MapEntry>,
    /// The program's code in it; empty once it is dropped.
    code: Vec<Range<u64>>,
    entries: Vec<u64>,
    stubs: Vec<Stub>,
    targets: Vec<u64>,
    /// Entries of other units whose liveness was relied on.
    relied_on: Vec<u64>,
}

/// Translates code; see the crate's documentation for what its host does.
pub struct Translator {
    layout: Layout,
    policy: Policy,
    analyser: Analyser,
    cursor: u64,
    units: Vec<UnitRecord>,
    entries: HashMap<u64, Entry>,
    incoming: HashMap<u64, Vec<Incoming>>,
    chains: Chains,
    /// Addresses of the host's own code, and its gates for them.
    natives: HashMap<u64, u64>,
    sites: Vec<Site>,
    counters: Vec<Counter>,
    /// Code was seen that passes flags on from a function to its caller, or back.
    flags_cross: bool,
    /// Code was seen that may set the direction flag.
    direction_may_be_down: bool,
    statistics: Statistics,
}

/// The room at the start of the cache for where misses end.
const PROLOGUE: u64 = 128;

impl Translator {
    /// A translator with an empty cache.
    #[must_use]
    pub fn new(layout: Layout, policy: Policy) -> Self {
        let start = layout.cache.start;
        let miss_compared = emit_prologue(&mut Assembler::new(start, layout.state));
        let chains = Chains::new(start, miss_compared);
        Self {
            analyser: Analyser::new(policy.memory != MemoryChecks::Off),
            cursor: start + PROLOGUE,
            chains,
            natives: HashMap::new(),
            layout,
            policy,
            units: Vec::new(),
            entries: HashMap::new(),
            incoming: HashMap::new(),
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
        let mut asm = Assembler::new(self.layout.cache.start, self.layout.state);
        emit_prologue(&mut asm);
        let code = asm.finish();
        code.map(|code| Edit::Code {
            address: self.layout.cache.start,
            bytes: code.bytes,
        })
        .into_iter()
        .collect()
    }

    /// What all entries of [`state::TABLE`] are at first.
    #[must_use]
    pub fn miss(&self) -> u64 {
        self.chains.miss
    }

    /// Makes every indirect branch ask for the dispatch gate: for a driver that loops
    /// without a direct branch backwards, so that [`state::POLL`] is not read.
    #[must_use]
    pub fn suspend_table(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        self.chains.suspend(&mut edits);
        edits
    }

    /// Undoes [`Self::suspend_table`].
    #[must_use]
    pub fn resume_table(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        self.chains.resume(&mut edits);
        edits
    }

    /// The cache address of an original one that was translated.
    #[must_use]
    pub fn lookup(&self, original: u64) -> Option<u64> {
        self.entries.get(&original).map(|entry| entry.cache)
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
        let Some(Entry {
            cache: entry, live, ..
        }) = self.entries.get(&target).copied()
        else {
            return Err(TranslateError::Internal);
        };
        let kind = StubKind::for_target(live);
        if arrival == Arrival::IndirectWithoutFlags && kind == StubKind::KeepsFlags {
            return Err(TranslateError::FlagsLost);
        }
        if arrival != Arrival::Direct && !self.chains.contains(target) {
            self.add_stub(kind, target, Some(entry), &mut edits)?;
        }
        Ok(Translation { entry, edits })
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
        if !self.chains.contains(target) {
            self.natives.insert(target, gate);
            self.add_stub(kind, target, None, &mut edits)?;
        }
        Ok(edits)
    }

    /// Writes a stub that leads to an entry, or to a gate of the host's.
    fn add_stub(
        &mut self,
        kind: StubKind,
        target: u64,
        entry: Option<u64>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), TranslateError> {
        let mut asm = Assembler::new(self.cursor, self.layout.state);
        let stub = emit_stub(&mut asm, kind, target, self.chains.end(kind));
        for gpr in STUB_REGISTERS.registers() {
            asm.unspill(gpr);
        }
        asm.note(target, Phase::Instruction, RegisterSet::EMPTY, false);
        let mut links = Vec::new();
        if let Some(entry) = entry {
            let at = asm.jump_to(entry);
            links.push(Link {
                at,
                target,
                exit: asm.ip(),
            });
            emit_exit(&mut asm, target);
        } else {
            asm.jump_far(self.natives.get(&target).copied().unwrap_or(0));
        }
        let code = asm.finish().ok_or(TranslateError::Internal)?;
        let (bytes, map) = (code.bytes, code.map);
        let unit = self.place(bytes, map, edits)?;
        self.units[unit].targets = links.iter().map(|link| link.target).collect();
        self.add_links(links, unit);
        self.chains.insert(stub, edits);
        Ok(())
    }

    /// Puts code at the cursor.
    fn place(
        &mut self,
        bytes: Vec<u8>,
        map: Vec<MapEntry>,
        edits: &mut Vec<Edit>,
    ) -> Result<usize, TranslateError> {
        let start = self.cursor;
        let end = start + bytes.len() as u64;
        if end > self.layout.cache.end {
            return Err(TranslateError::CacheFull);
        }
        self.statistics.bytes_out += bytes.len();
        self.cursor = end.next_multiple_of(16);
        edits.push(Edit::Code {
            address: start,
            bytes,
        });
        self.units.push(UnitRecord {
            cache: start..end,
            map,
            code: Vec::new(),
            entries: Vec::new(),
            stubs: Vec::new(),
            targets: Vec::new(),
            relied_on: Vec::new(),
        });
        Ok(self.units.len() - 1)
    }

    fn add_links(&mut self, links: Vec<Link>, unit: usize) {
        for Link { at, target, exit } in links {
            self.incoming
                .entry(target)
                .or_default()
                .push(Incoming { at, exit, unit });
        }
    }

    fn translate_unit(
        &mut self,
        source: &impl CodeSource,
        target: u64,
        edits: &mut Vec<Edit>,
    ) -> Result<(), TranslateError> {
        let Self {
            analyser, entries, ..
        } = self;
        let mut graph = Graph::discover(target, source, self.policy.unit, analyser, |ip| {
            entries.contains_key(&ip)
        });
        self.compute_liveness(&mut graph);
        let flags_cross = self.flags_cross || self.passes_flags_on(source, &graph);
        let down = self.direction_may_be_down || graph.insns.iter().any(Insn::may_set_direction);
        if (flags_cross, down) != (self.flags_cross, self.direction_may_be_down) {
            // What was translated before relied on the contrary.
            (self.flags_cross, self.direction_may_be_down) = (flags_cross, down);
            self.drop_units(|_| true, edits);
            let Self {
                analyser, entries, ..
            } = self;
            graph = Graph::discover(target, source, self.policy.unit, analyser, |ip| {
                entries.contains_key(&ip)
            });
            self.compute_liveness(&mut graph);
        }
        let mut around = Around {
            image: source.image(target),
            frame_register: source
                .function(target)
                .and_then(|function| function.frame_register),
            direction_may_be_down: self.direction_may_be_down,
            chains: &self.chains,
            first_site: u32::try_from(self.sites.len()).map_err(|_| TranslateError::CacheFull)?,
            layout: &self.layout,
            entries: &self.entries,
            counters: &mut self.counters,
        };
        let emitted = Emitter::new(self.cursor, &graph, self.policy, &self.layout, &mut around)
            .emit()
            .ok_or(TranslateError::Internal)?;
        self.record(&graph, emitted, edits)
    }

    fn compute_liveness(&self, graph: &mut Graph) {
        let known = |ip: u64| {
            self.entries
                .get(&ip)
                .map_or(RegisterSet::ALL, |entry| entry.live)
        };
        liveness::compute(graph, self.flags_cross, self.policy.exact_flags, known);
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
        if let Some(entry) = self.entries.get(&target) {
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

    fn record(
        &mut self,
        graph: &Graph,
        emitted: Emitted,
        edits: &mut Vec<Edit>,
    ) -> Result<(), TranslateError> {
        let Emitted {
            code,
            entries,
            links,
            stubs,
            sites,
        } = emitted;
        let unit = self.place(code.bytes, code.map, edits)?;
        self.statistics.units += 1;
        self.statistics.instructions += graph.insns.len();
        self.statistics.bytes_in += graph
            .insns
            .iter()
            .map(|insn| insn.instruction.len())
            .sum::<usize>();
        self.sites.extend(sites);
        let record = &mut self.units[unit];
        record.code = extents(graph);
        record.entries = entries.iter().map(|(original, ..)| *original).collect();
        record.targets = links.iter().map(|link| link.target).collect();
        record.relied_on = record
            .targets
            .iter()
            .copied()
            .filter(|target| self.entries.contains_key(target))
            .collect();
        record.stubs.clone_from(&stubs);
        for (original, cache, live) in entries {
            for waiting in self.incoming.get(&original).into_iter().flatten() {
                edits.push(Edit::link(waiting.at, cache));
            }
            self.entries.insert(original, Entry { cache, live, unit });
        }
        self.add_links(links, unit);
        for stub in stubs {
            self.chains.insert(stub, edits);
        }
        Ok(())
    }

    /// Drops the translations of code in `range`: it was written, discarded or unloaded.
    /// Nothing jumps to them any more, and their space is not used again before
    /// [`Self::flush`], so a processor inside them may go on to their end.
    pub fn invalidate(&mut self, range: Range<u64>) -> Vec<Edit> {
        let mut edits = Vec::new();
        let overlaps = |code: &Range<u64>| code.start < range.end && range.start < code.end;
        self.drop_units(|unit| unit.code.iter().any(overlaps), &mut edits);
        edits
    }

    fn drop_units(&mut self, mut affected: impl FnMut(&UnitRecord) -> bool, edits: &mut Vec<Edit>) {
        let mut work: Vec<usize> = (0..self.units.len())
            .filter(|index| !self.units[*index].entries.is_empty() && affected(&self.units[*index]))
            .collect();
        while let Some(index) = work.pop() {
            let dropped: HashSet<u64> = std::mem::take(&mut self.units[index].entries)
                .into_iter()
                .collect();
            if dropped.is_empty() {
                continue;
            }
            self.drop_unit(index, &dropped, edits);
            let relying = |unit: &UnitRecord| {
                unit.relied_on
                    .iter()
                    .any(|original| dropped.contains(original))
            };
            work.extend((0..self.units.len()).filter(|other| relying(&self.units[*other])));
        }
    }

    fn drop_unit(&mut self, index: usize, dropped: &HashSet<u64>, edits: &mut Vec<Edit>) {
        let unit = &mut self.units[index];
        unit.code.clear();
        unit.relied_on.clear();
        for stub in std::mem::take(&mut unit.stubs) {
            self.chains.remove(stub.target, stub.address, edits);
        }
        for target in std::mem::take(&mut unit.targets) {
            if let Some(links) = self.incoming.get_mut(&target) {
                links.retain(|link| link.unit != index);
            }
        }
        for original in dropped {
            if self
                .entries
                .get(original)
                .is_some_and(|entry| entry.unit == index)
            {
                self.entries.remove(original);
                for waiting in self.incoming.get(original).into_iter().flatten() {
                    edits.push(Edit::link(waiting.at, waiting.exit));
                }
            }
        }
    }

    /// Drops all translations and begins the cache anew. No processor may be in it, and
    /// what was bound is to be bound again. Numbers of sites stay valid for reports.
    pub fn flush(&mut self) -> Vec<Edit> {
        let mut edits = Vec::new();
        self.units.clear();
        self.entries.clear();
        self.incoming.clear();
        self.natives.clear();
        self.chains.clear(&mut edits);
        self.cursor = self.layout.cache.start + PROLOGUE;
        edits
    }

    /// What the program is doing while the processor is at `address` in the cache.
    #[must_use]
    pub fn locate(&self, address: u64) -> Option<Location> {
        let index = self
            .units
            .partition_point(|unit| unit.cache.start <= address)
            .checked_sub(1)?;
        let unit = self
            .units
            .get(index)
            .filter(|unit| unit.cache.contains(&address))?;
        let offset = u32::try_from(address - unit.cache.start).ok()?;
        let entry = unit
            .map
            .partition_point(|entry| entry.offset <= offset)
            .checked_sub(1)?;
        unit.map.get(entry).map(|entry| entry.location)
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
        self.statistics
    }

    /// How much of the cache is used.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.cursor - self.layout.cache.start
    }
}

/// The ranges of addresses that a unit's instructions take.
fn extents(graph: &Graph) -> Vec<Range<u64>> {
    let mut extents: Vec<Range<u64>> = Vec::new();
    for insn in &graph.insns {
        let end = insn.ip() + insn.code().len().max(1) as u64;
        match extents.last_mut() {
            Some(last) if last.end >= insn.ip() => last.end = last.end.max(end),
            _ => extents.push(insn.ip()..end),
        }
    }
    extents
}

/// What emission asks of the translator.
struct Around<'a> {
    image: Range<u64>,
    frame_register: Option<Gpr>,
    direction_may_be_down: bool,
    chains: &'a Chains,
    first_site: u32,
    layout: &'a Layout,
    entries: &'a HashMap<u64, Entry>,
    counters: &'a mut Vec<Counter>,
}

impl Surroundings for Around<'_> {
    fn entry(&self, original: u64) -> Option<u64> {
        self.entries.get(&original).map(|entry| entry.cache)
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
        self.chains.end(kind)
    }

    fn is_own_image(&self, address: u64) -> bool {
        self.image.contains(&address)
    }

    fn frame_register(&self) -> Option<Gpr> {
        self.frame_register
    }

    fn direction_may_be_down(&self) -> bool {
        self.direction_may_be_down
    }
}

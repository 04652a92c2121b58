//! The code cache: what is translated and where it lies, how units are linked, and what
//! happens when code goes away.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use crate::{
    Base, Edit, Location, RegisterSet, TranslateError,
    assembler::Assembler,
    chains::Chains,
    emit::{Emitted, EntryPoint, Link},
    graph::Graph,
    location::{MapEntry, Phase},
    stub::{STUB_REGISTERS, StubKind, emit_exit, emit_prologue, emit_stub},
};

/// The room at the start of the cache for where misses end.
const PROLOGUE: u64 = 128;

/// A translated block.
struct Entry {
    point: EntryPoint,
    unit: usize,
}

/// A jump that waits for its target, or was linked to it.
struct Incoming {
    at: u64,
    exit: u64,
    at_home: bool,
    unit: usize,
}

impl Incoming {
    /// Where the jump leads when its target is translated.
    fn target(&self, point: &EntryPoint) -> u64 {
        if self.at_home {
            point.at_home.unwrap_or(self.exit)
        } else {
            point.cache
        }
    }
}

/// A piece of the cache: a unit's translation, or a stub.
struct UnitRecord {
    cache: Range<u64>,
    map: Vec<MapEntry>,
    /// The program's code in it; empty once it is dropped, and for stubs.
    code: Vec<Range<u64>>,
    entries: Vec<u64>,
    /// What its jumps lead to.
    targets: Vec<u64>,
    /// Entries of other units whose liveness was relied on.
    relied_on: Vec<u64>,
}

/// The cache, but for its memory.
pub(crate) struct Cache {
    range: Range<u64>,
    state: Base,
    pub cursor: u64,
    pub chains: Chains,
    units: Vec<UnitRecord>,
    entries: HashMap<u64, Entry>,
    incoming: HashMap<u64, Vec<Incoming>>,
}

impl Cache {
    pub fn new(range: Range<u64>, state: Base) -> Self {
        let start = range.start;
        let miss_compared = emit_prologue(&mut Assembler::new(start, state));
        Self {
            range,
            state,
            cursor: start + PROLOGUE,
            chains: Chains::new(start, miss_compared),
            units: Vec::new(),
            entries: HashMap::new(),
            incoming: HashMap::new(),
        }
    }

    /// What it begins with.
    pub fn prologue(&self) -> Option<Edit> {
        let mut asm = Assembler::new(self.range.start, self.state);
        emit_prologue(&mut asm);
        asm.finish().map(|code| Edit::Code {
            address: self.range.start,
            bytes: code.bytes,
        })
    }

    pub fn entry(&self, original: u64) -> Option<EntryPoint> {
        self.entries.get(&original).map(|entry| entry.point)
    }

    pub fn contains(&self, original: u64) -> bool {
        self.entries.contains_key(&original)
    }

    /// How much is used.
    pub fn used(&self) -> u64 {
        self.cursor - self.range.start
    }

    /// Writes a stub for `target` that leads to its translation.
    pub fn add_stub(
        &mut self,
        kind: StubKind,
        target: u64,
        point: &EntryPoint,
        edits: &mut Vec<Edit>,
    ) -> Result<(), TranslateError> {
        self.write_stub(kind, target, edits, |asm| {
            let at_home = point.at_home.is_some();
            if !at_home {
                put_back(asm, target);
            }
            let at = asm.jump_to(point.at_home.unwrap_or(point.cache));
            let exit = asm.ip();
            if at_home {
                asm.note(target, Phase::Instruction, STUB_REGISTERS, false);
                put_back(asm, target);
            }
            emit_exit(asm, target);
            vec![Link {
                at,
                target,
                exit,
                at_home,
            }]
        })
    }

    /// Writes a stub for `target` that leads to a gate of the host's.
    pub fn add_native(
        &mut self,
        kind: StubKind,
        target: u64,
        gate: u64,
        edits: &mut Vec<Edit>,
    ) -> Result<(), TranslateError> {
        self.write_stub(kind, target, edits, |asm| {
            put_back(asm, target);
            asm.jump_far(gate);
            Vec::new()
        })
    }

    fn write_stub(
        &mut self,
        kind: StubKind,
        target: u64,
        edits: &mut Vec<Edit>,
        leave: impl FnOnce(&mut Assembler) -> Vec<Link>,
    ) -> Result<(), TranslateError> {
        let mut asm = Assembler::new(self.cursor, self.state);
        let stub = emit_stub(&mut asm, kind, target, self.chains.end(kind));
        let links = leave(&mut asm);
        let code = asm.finish().ok_or(TranslateError::Internal)?;
        let (bytes, map) = (code.bytes, code.map);
        let unit = self.place(bytes, map, edits)?;
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
        if end > self.range.end {
            return Err(TranslateError::CacheFull);
        }
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
            targets: Vec::new(),
            relied_on: Vec::new(),
        });
        Ok(self.units.len() - 1)
    }

    fn add_links(&mut self, links: Vec<Link>, unit: usize) {
        for Link {
            at,
            target,
            exit,
            at_home,
        } in links
        {
            self.units[unit].targets.push(target);
            self.incoming.entry(target).or_default().push(Incoming {
                at,
                exit,
                at_home,
                unit,
            });
        }
    }

    /// Takes a unit's translation in, and links what waited for it.
    pub fn record(
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
            ..
        } = emitted;
        let unit = self.place(code.bytes, code.map, edits)?;
        let record = &mut self.units[unit];
        record.code = extents(graph);
        record.entries = entries.iter().map(|(original, _)| *original).collect();
        record.relied_on = links
            .iter()
            .map(|link| link.target)
            .filter(|target| self.entries.contains_key(target))
            .collect();
        for (original, point) in entries {
            for waiting in self.incoming.get(&original).into_iter().flatten() {
                edits.push(Edit::link(waiting.at, waiting.target(&point)));
            }
            self.entries.insert(original, Entry { point, unit });
        }
        self.add_links(links, unit);
        for stub in stubs {
            self.chains.insert(stub, edits);
        }
        Ok(())
    }

    /// Drops what was translated from code in `range`.
    pub fn invalidate(&mut self, range: &Range<u64>, edits: &mut Vec<Edit>) {
        let overlaps = |code: &Range<u64>| code.start < range.end && range.start < code.end;
        let mut work: Vec<usize> = (0..self.units.len())
            .filter(|index| self.units[*index].code.iter().any(overlaps))
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
                // Stubs know what their target reads, so they go too.
                self.chains.remove(*original, edits);
                for waiting in self.incoming.get(original).into_iter().flatten() {
                    edits.push(Edit::link(waiting.at, waiting.exit));
                }
            }
        }
    }

    /// Empties it.
    pub fn clear(&mut self, edits: &mut Vec<Edit>) {
        self.units.clear();
        self.entries.clear();
        self.incoming.clear();
        self.chains.clear(edits);
        self.cursor = self.range.start + PROLOGUE;
    }

    /// What the code at an address does.
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

/// R10 and R11 of the program to their registers.
fn put_back(asm: &mut Assembler, target: u64) {
    for gpr in STUB_REGISTERS.registers() {
        asm.unspill(gpr);
    }
    asm.note(target, Phase::Instruction, RegisterSet::EMPTY, false);
}

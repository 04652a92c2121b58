//! The steps of `ntmem`'s scenarios. Each step that can fail is followed either by
//! the rest of the scenario or by its failure and by giving back what was taken so
//! far, in the reverse order.

use super::ntmem::{Promise, not_started, outcome};
use super::settings::Scenario;
use crate::record::Level;
use crate::transcript::{
    Condition, Expr, Node, check, distinct, line, nth, one_of, repeat, repeat_between, seq, var,
};

const PAGE: u64 = 0x1000;
const STATUS_DATA_ERROR: u32 = 0xC000_003E;

/// The MDL flags that mean something to a driver; kernels set others besides.
mod flag {
    /// `MDL_MAPPED_TO_SYSTEM_VA`.
    pub(super) const MAPPED: u64 = 1;
    /// `MDL_PAGES_LOCKED`.
    pub(super) const LOCKED: u64 = 2;
    /// `MDL_SOURCE_IS_NONPAGED_POOL`.
    pub(super) const NONPAGED: u64 = 4;
    /// All of them.
    pub(super) const ALL: u64 = MAPPED | LOCKED | NONPAGED;
}

/// One scenario. Names of values are its own: each begins with the scenario's.
pub(super) struct Steps<'a> {
    promise: &'a Promise<'a>,
    scenario: Scenario,
    size: u64,
    cache: &'a str,
    level: Level,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        promise: &'a Promise<'a>,
        scenario: Scenario,
        size: u64,
        cache: &'a str,
        level: Level,
    ) -> Self {
        Self {
            promise,
            scenario,
            size,
            cache,
            level,
        }
    }

    /// A line about a step; `$` stands for the scenario's prefix of names.
    fn step(&self, text: &str) -> Node {
        let name = self.scenario.name();
        line(&format!(
            "ntmem: {name}: {}",
            text.replace('$', &format!("{name}."))
        ))
        .at(self.level)
    }

    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.scenario.name())
    }

    fn var(&self, name: &str) -> Expr {
        var(&self.name(name))
    }

    /// The scenario, then `rest` if it went well.
    pub(super) fn whole(&self, rest: Node) -> Node {
        let rest = seq([self.step(&format!("end {}", outcome(0))), rest]);
        let begin = self.step(&format!(
            "begin size={} cache-type={}",
            self.size, self.cache
        ));
        let scenario = match self.scenario {
            Scenario::Lock => self.lock(rest),
            Scenario::Nonpaged => self.nonpaged(rest),
            Scenario::DoubleMap => self.double_map(rest),
        };
        seq([begin, scenario])
    }

    /// `right` with what follows, or its failure, what is given back, and the
    /// end of the start.
    fn or_failed(&self, right: Node, step: &str, calls: &[&str], given_back: Vec<Node>) -> Node {
        self.promise.or_failure(right, |status| {
            let failed = self
                .step(&format!(
                    "failed step={step} call={{call:word}} {}",
                    outcome(status)
                ))
                .with(one_of("call", calls), "this step makes these calls");
            self.failure(status, [failed].into_iter().chain(given_back))
        })
    }

    /// Lines of a failure, then the scenario's end and the start's.
    fn failure(&self, status: u32, lines: impl IntoIterator<Item = Node>) -> Node {
        let end = line(&format!(
            "ntmem: {}: end {}",
            self.scenario.name(),
            outcome(status)
        ));
        seq(lines
            .into_iter()
            .chain([end.at(Level::Error), not_started(status)]))
    }

    fn lock(&self, rest: Node) -> Node {
        let locked = self
            .step("lock flags={$locked:hex4} pages={$pages:dec}")
            .with(self.flags("locked", flag::LOCKED), "locked for writing")
            .with(self.all_pages(), "all pages of the block are locked");
        let unlock = || {
            self.step("unlock flags={$unlocked:hex4}")
                .with(self.flags("unlocked", 0), "no longer locked")
        };
        let mapped = self.mapped(flag::LOCKED);
        let given_back = || [vec![unlock()], self.free()].concat();
        let unmapped = || [vec![self.unmap(flag::LOCKED)], given_back()].concat();
        let proved = self.proof(
            "same-memory",
            unmapped,
            seq(unmapped().into_iter().chain([rest])),
        );
        let map = self.or_failed(
            seq([mapped, proved]),
            "map",
            &["MmMapLockedPagesSpecifyCache"],
            given_back(),
        );
        let lock = seq([locked, self.pages(), map]);
        self.prepare(self.or_failed(lock, "lock", &["MmProbeAndLockPages"], self.free()))
    }

    fn nonpaged(&self, rest: Node) -> Node {
        let found = self
            .step("system-address address={$second:hex16} flags={$found:hex4}")
            .with(
                self.var("second").equals(self.var("pool")),
                "nonpaged pool has its address already",
            )
            .with(
                self.var("found").equals(self.var("built")),
                "asking changes nothing",
            );
        let proved = self.proof(
            "same-address",
            || self.free(),
            seq(self.free().into_iter().chain([rest])),
        );
        let found = self.or_failed(
            seq([found, proved]),
            "system-address",
            &["MmGetSystemAddressForMdlSafe"],
            self.free(),
        );
        self.prepare(seq([self.built(), self.pages(), found]))
    }

    fn double_map(&self, rest: Node) -> Node {
        let warning = self.step("warning rule=system-mapping-of-nonpaged-mdl behaviour=undefined");
        let unmapped = || [vec![self.unmap(flag::NONPAGED)], self.free()].concat();
        let proved = self.proof(
            "same-memory",
            unmapped,
            seq(unmapped().into_iter().chain([rest])),
        );
        let map = self.or_failed(
            seq([self.mapped(flag::NONPAGED), proved]),
            "map",
            &["MmMapLockedPagesSpecifyCache"],
            self.free(),
        );
        seq([
            warning,
            self.prepare(seq([self.built(), self.pages(), map])),
        ])
    }

    /// Pool, the MDL over it, its contents; then `rest`.
    fn prepare(&self, rest: Node) -> Node {
        let allocated = self
            .step(&format!(
                "allocate-pool address={{$pool:hex16}} size={} tag=NtmB",
                self.size
            ))
            .with(
                (self.var("pool") % 16u64).equals(0),
                "pool is aligned to 16 bytes",
            )
            .with(
                self.var("pool").at_least(var("system")),
                "pool lies in the system range",
            );
        let allocated = if self.size >= PAGE {
            allocated.with(
                (self.var("pool") % PAGE).equals(0),
                "a page or more begins at a page",
            )
        } else {
            let end = (self.var("pool") % PAGE) + self.size;
            allocated.with(
                Expr::from(PAGE).at_least(end),
                "less than a page does not cross one",
            )
        };
        let described = self
            .step(&format!(
                "allocate-mdl mdl={{$mdl:hex16}} size={{$mdl-size:dec}} flags={{$described:hex4}} byte-count={} \
                 byte-offset={{$offset:hex3}} start={{$start:hex16}}",
                self.size
            ))
            .with(self.var("offset").equals(self.var("pool") % PAGE), "the offset is that of the pool in its page")
            .with((self.var("start") + self.var("offset")).equals(self.var("pool")), "and the start its page")
            .with(self.var("mdl-size").equals((self.page_count() * 8u64) + 48u64), "a header and a number a page")
            .with(self.flags("described", 0), "nothing has been done with it yet");
        let filled = self.step(&format!("fill bytes={}", self.size));
        let described = self.or_failed(
            seq([described, filled, rest]),
            "allocate-mdl",
            &["IoAllocateMdl"],
            vec![self.free_pool()],
        );
        self.or_failed(
            seq([allocated, described]),
            "allocate-pool",
            &["ExAllocatePool2", "ExAllocatePoolWithTag"],
            Vec::new(),
        )
    }

    /// How many pages the block touches.
    fn page_count(&self) -> Expr {
        ((self.var("pool") % PAGE) + (self.size + (PAGE - 1))) >> 12u64
    }

    fn all_pages(&self) -> Condition {
        self.var("pages").equals(self.page_count())
    }

    /// Of the flags that mean something, `name` has these.
    fn flags(&self, name: &str, flags: u64) -> Condition {
        (self.var(name) & flag::ALL).equals(flags)
    }

    fn built(&self) -> Node {
        self.step("build flags={$built:hex4} pages={$pages:dec}")
            .with(
                self.flags("built", flag::NONPAGED),
                "built for nonpaged pool",
            )
            .with(self.all_pages(), "all pages of the block are listed")
    }

    fn pages(&self) -> Node {
        let page = self.step("page index={$index:dec} pfn={$pfn:hex}").with(
            self.var("index").equals(self.var("round")),
            "pages are numbered from 0",
        );
        seq([
            repeat(self.var("pages"), page).counted(&self.name("round")),
            check(distinct(&self.name("pfn")), "each page is another"),
        ])
    }

    fn mapped(&self, before: u64) -> Node {
        self.step(&format!(
            "map address={{$second:hex16}} cache-type={} flags={{$mapped:hex4}}",
            self.cache
        ))
        .with(
            self.var("second").differs_from(self.var("pool")),
            "this is a second mapping",
        )
        .with(
            (self.var("second") % PAGE).equals(self.var("offset")),
            "a mapping keeps the offset in the page",
        )
        .with(
            self.var("second").at_least(var("system")),
            "the mapping is in the system range",
        )
        .with(
            self.flags("mapped", before | flag::MAPPED),
            "the MDL is mapped",
        )
    }

    fn unmap(&self, before: u64) -> Node {
        self.step("unmap address={=$second:hex16} flags={$unmapped:hex4}")
            .with(
                self.flags("unmapped", before),
                "the MDL is as before the mapping",
            )
    }

    /// The MDL and then the pool.
    fn free(&self) -> Vec<Node> {
        vec![self.step("free-mdl mdl={=$mdl:hex16}"), self.free_pool()]
    }

    fn free_pool(&self) -> Node {
        self.step("free-pool address={=$pool:hex16} tag=NtmB")
    }

    /// The proof, then `rest`; or its refutation and what is then given back.
    fn proof(&self, result: &str, given_back: impl Fn() -> Vec<Node>, rest: Node) -> Node {
        let size = self.size;
        let equal = |name: &str| self.step(&format!("check name={name} bytes={size} equal={size}"));
        let any =
            |name: &str| self.step(&format!("check name={name} bytes={size} equal={{_:dec}}"));
        let verdict = |result: &str| {
            format!("verdict result={result} pool={{=$pool:hex16}} second={{=$second:hex16}}")
        };
        let proved = seq([
            equal("filled"),
            equal("forward"),
            equal("backward"),
            self.same_page(),
            self.step("check name=physical pages={=$pages:dec} equal={=$pages:dec}"),
            self.step(&verdict(result)),
            rest,
        ]);
        self.promise.or_failure(proved, |status| {
            let refuted = self.step(&verdict("refuted")).at(Level::Error);
            let failed = format!(
                "failed step=verdict call=none {}",
                outcome(STATUS_DATA_ERROR)
            );
            let physical =
                self.step("physical index={_:dec} pool={_:hex16} second={_:hex16} pfn={_:hex}");
            let lines = [
                any("filled"),
                any("forward"),
                any("backward"),
                repeat_between(1, None, physical),
                self.step("check name=physical pages={=$pages:dec} equal={_:dec}"),
                refuted,
                self.step(&failed),
            ];
            self.failure(status, lines.into_iter().chain(given_back()))
        })
    }

    /// The first page's physical address, by both addresses and by the MDL.
    fn same_page(&self) -> Node {
        self.step(
            "physical index=0 pool={$physical:hex16} second={=$physical:hex16} pfn={$frame:hex}",
        )
        .with(
            self.var("frame").equals(self.var("physical") >> 12u64),
            "a frame number is an address by pages",
        )
        .with(
            (self.var("physical") % PAGE).equals(self.var("offset")),
            "physical and virtual address have one offset",
        )
        .with(
            self.var("frame").equals(nth(&self.name("pfn"), 0)),
            "it is the first page of the MDL",
        )
    }
}

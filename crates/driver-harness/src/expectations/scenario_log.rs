//! The expected lines of a scenario of `ntmem`. After each step that can fail comes
//! either the rest of the scenario, or the failure and the cleanup in reverse order.

use super::ntmem_log::{Expectation, not_started, status_fields};
use super::parameters::Scenario;
use crate::logmatch::{
    Condition, Expr, Matcher, check, distinct, line, nth, one_of, repeat, repeat_between, seq, var,
};
use crate::record::Level;

const PAGE: u64 = 0x1000;

/// The MDL flags that are documented for drivers; kernels also set others.
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

/// The log of one scenario. The captured names begin with the scenario's name.
pub(super) struct ScenarioLog<'a> {
    expectation: &'a Expectation<'a>,
    scenario: Scenario,
    size: u64,
    cache: &'a str,
    level: Level,
}

impl<'a> ScenarioLog<'a> {
    pub(super) fn new(
        expectation: &'a Expectation<'a>,
        scenario: Scenario,
        size: u64,
        cache: &'a str,
        level: Level,
    ) -> Self {
        Self {
            expectation,
            scenario,
            size,
            cache,
            level,
        }
    }

    /// A line of a step; `$` stands for the prefix of captured names.
    fn step(&self, text: &str) -> Matcher {
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

    /// The lines of the scenario, then `rest` if it succeeds.
    pub(super) fn log(&self, rest: Matcher) -> Matcher {
        let rest = seq([self.step(&format!("end {}", status_fields(0))), rest]);
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

    /// `success`, or the failure of the step, the cleanup, and the end of the start.
    fn or_failed(
        &self,
        success: Matcher,
        step: &str,
        calls: &[&str],
        cleanup: Vec<Matcher>,
    ) -> Matcher {
        self.expectation.or_failure(success, |status| {
            let failed = self
                .step(&format!(
                    "failed step={step} call={{call:word}} {}",
                    status_fields(status)
                ))
                .with(one_of("call", calls), "the step makes only these calls");
            self.failure(status, [failed].into_iter().chain(cleanup))
        })
    }

    /// The lines of a failure, then the end of the scenario and of the start.
    fn failure(&self, status: u32, lines: impl IntoIterator<Item = Matcher>) -> Matcher {
        let end = line(&format!(
            "ntmem: {}: end {}",
            self.scenario.name(),
            status_fields(status)
        ));
        seq(lines
            .into_iter()
            .chain([end.at(Level::Error), not_started(status)]))
    }

    fn lock(&self, rest: Matcher) -> Matcher {
        let locked = self
            .step("lock flags={$locked:hex4} pages={$pages:dec}")
            .with(self.flags("locked", flag::LOCKED), "the pages are locked")
            .with(self.all_pages(), "all pages of the block are locked");
        let unlock = || {
            self.step("unlock flags={$unlocked:hex4}")
                .with(self.flags("unlocked", 0), "the pages are unlocked")
        };
        let mapped = self.mapped(flag::LOCKED);
        let cleanup = || [vec![unlock()], self.free()].concat();
        let unmapped = || [vec![self.unmap(flag::LOCKED)], cleanup()].concat();
        let verified = self.alias_check(
            "same-memory",
            unmapped,
            seq(unmapped().into_iter().chain([rest])),
        );
        let map = self.or_failed(
            seq([mapped, verified]),
            "map",
            &["MmMapLockedPagesSpecifyCache"],
            cleanup(),
        );
        let lock = seq([locked, self.pages(), map]);
        self.prepare(self.or_failed(lock, "lock", &["MmProbeAndLockPages"], self.free()))
    }

    fn nonpaged(&self, rest: Matcher) -> Matcher {
        let found = self
            .step("system-address address={$second:hex16} flags={$found:hex4}")
            .with(
                self.var("second").equals(self.var("pool")),
                "nonpaged pool has a system address already",
            )
            .with(
                self.var("found").equals(self.var("built")),
                "the query does not change the flags",
            );
        let verified = self.alias_check(
            "same-address",
            || self.free(),
            seq(self.free().into_iter().chain([rest])),
        );
        let found = self.or_failed(
            seq([found, verified]),
            "system-address",
            &["MmGetSystemAddressForMdlSafe"],
            self.free(),
        );
        self.prepare(seq([self.built(), self.pages(), found]))
    }

    fn double_map(&self, rest: Matcher) -> Matcher {
        let warning = self.step("warning rule=system-mapping-of-nonpaged-mdl behaviour=undefined");
        let unmapped = || [vec![self.unmap(flag::NONPAGED)], self.free()].concat();
        let verified = self.alias_check(
            "same-memory",
            unmapped,
            seq(unmapped().into_iter().chain([rest])),
        );
        let map = self.or_failed(
            seq([self.mapped(flag::NONPAGED), verified]),
            "map",
            &["MmMapLockedPagesSpecifyCache"],
            self.free(),
        );
        seq([
            warning,
            self.prepare(seq([self.built(), self.pages(), map])),
        ])
    }

    /// The pool block, its MDL and its contents; then `rest`.
    fn prepare(&self, rest: Matcher) -> Matcher {
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
                "pool is in the system range",
            );
        let allocated = if self.size >= PAGE {
            allocated.with(
                (self.var("pool") % PAGE).equals(0),
                "a block of a page or more is aligned to a page",
            )
        } else {
            let end = (self.var("pool") % PAGE) + self.size;
            allocated.with(
                Expr::from(PAGE).at_least(end),
                "a block of less than a page does not cross a page",
            )
        };
        let allocated_mdl = self
            .step(&format!(
                "allocate-mdl mdl={{$mdl:hex16}} size={{$mdl-size:dec}} flags={{$described:hex4}} byte-count={} \
                 byte-offset={{$offset:hex3}} start={{$start:hex16}}",
                self.size
            ))
            .with(self.var("offset").equals(self.var("pool") % PAGE), "the byte offset is the offset of the block in its page")
            .with((self.var("start") + self.var("offset")).equals(self.var("pool")), "the start is the page of the block")
            .with(self.var("mdl-size").equals((self.page_count() * 8u64) + 48u64), "the MDL has a header and a frame number per page")
            .with(self.flags("described", 0), "the MDL is new");
        let filled = self.step(&format!("fill bytes={}", self.size));
        let allocated_mdl = self.or_failed(
            seq([allocated_mdl, filled, rest]),
            "allocate-mdl",
            &["IoAllocateMdl"],
            vec![self.free_pool()],
        );
        self.or_failed(
            seq([allocated, allocated_mdl]),
            "allocate-pool",
            &["ExAllocatePool2", "ExAllocatePoolWithTag"],
            Vec::new(),
        )
    }

    /// The number of pages of the block.
    fn page_count(&self) -> Expr {
        ((self.var("pool") % PAGE) + (self.size + (PAGE - 1))) >> 12u64
    }

    fn all_pages(&self) -> Condition {
        self.var("pages").equals(self.page_count())
    }

    /// The condition that the documented flags in `name` are these.
    fn flags(&self, name: &str, flags: u64) -> Condition {
        (self.var(name) & flag::ALL).equals(flags)
    }

    fn built(&self) -> Matcher {
        self.step("build flags={$built:hex4} pages={$pages:dec}")
            .with(
                self.flags("built", flag::NONPAGED),
                "built for nonpaged pool",
            )
            .with(self.all_pages(), "all pages of the block are listed")
    }

    fn pages(&self) -> Matcher {
        let page = self.step("page index={$index:dec} pfn={$pfn:hex}").with(
            self.var("index").equals(self.var("round")),
            "pages are numbered from 0",
        );
        seq([
            repeat(self.var("pages"), page).counted(&self.name("round")),
            check(distinct(&self.name("pfn")), "all pages differ"),
        ])
    }

    fn mapped(&self, before: u64) -> Matcher {
        self.step(&format!(
            "map address={{$second:hex16}} cache-type={} flags={{$mapped:hex4}}",
            self.cache
        ))
        .with(
            self.var("second").differs_from(self.var("pool")),
            "the address is a second mapping",
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

    fn unmap(&self, before: u64) -> Matcher {
        self.step("unmap address={=$second:hex16} flags={$unmapped:hex4}")
            .with(
                self.flags("unmapped", before),
                "the MDL is as before the mapping",
            )
    }

    /// Frees the MDL, then the pool.
    fn free(&self) -> Vec<Matcher> {
        vec![self.step("free-mdl mdl={=$mdl:hex16}"), self.free_pool()]
    }

    fn free_pool(&self) -> Matcher {
        self.step("free-pool address={=$pool:hex16} tag=NtmB")
    }

    /// The check that both addresses alias the same pages, then `rest`; or its failure and
    /// the cleanup.
    fn alias_check(
        &self,
        result: &str,
        cleanup: impl Fn() -> Vec<Matcher>,
        rest: Matcher,
    ) -> Matcher {
        let size = self.size;
        let equal = |name: &str| self.step(&format!("check name={name} bytes={size} equal={size}"));
        let any =
            |name: &str| self.step(&format!("check name={name} bytes={size} equal={{_:dec}}"));
        let verdict = |result: &str| {
            format!("verdict result={result} pool={{=$pool:hex16}} second={{=$second:hex16}}")
        };
        let verified = seq([
            equal("filled"),
            equal("forward"),
            equal("backward"),
            self.same_page(),
            self.step("check name=physical pages={=$pages:dec} equal={=$pages:dec}"),
            self.step(&verdict(result)),
            rest,
        ]);
        self.expectation.or_failure(verified, |status| {
            let refuted = self.step(&verdict("refuted")).at(Level::Error);
            let failed = format!(
                "failed step=verdict call=none {}",
                status_fields(nt_status::STATUS_DATA_ERROR)
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
            self.failure(status, lines.into_iter().chain(cleanup()))
        })
    }

    /// The physical address of the first page, from both addresses and from the MDL.
    fn same_page(&self) -> Matcher {
        self.step(
            "physical index=0 pool={$physical:hex16} second={=$physical:hex16} pfn={$frame:hex}",
        )
        .with(
            self.var("frame").equals(self.var("physical") >> 12u64),
            "the frame number is the physical address divided by the page size",
        )
        .with(
            (self.var("physical") % PAGE).equals(self.var("offset")),
            "the physical and the virtual address have the same offset",
        )
        .with(
            self.var("frame").equals(nth(&self.name("pfn"), 0)),
            "the frame is the first page of the MDL",
        )
    }
}

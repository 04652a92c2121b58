//! The request and the reply of the command `scenario`. The reply holds the status of
//! each step, the checks and the verdict, and no address: only the debug log has those.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The maximum number of steps of a scenario, cleanup included.
pub const SCENARIO_STEPS: usize = 10;

/// The maximum number of checks of a scenario.
pub const SCENARIO_CHECKS: usize = 5;

/// The largest block of a scenario, in bytes.
pub const SCENARIO_SIZE_LIMIT: u32 = 16 * 1024 * 1024;

/// Defines an enumeration with the number in requests and the name of each value.
macro_rules! numbered {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $name:ident = $number:literal, $text:literal $(alias $alias:literal)?;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum $type {
            $($(#[$variant_doc])* $name = $number,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number in requests and replies.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// The value with this number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The name of an earlier release, if there is one.
            #[must_use]
            pub const fn alias(self) -> Option<&'static str> {
                match self {
                    $($(Self::$name => Some($alias),)?)*
                    #[allow(unreachable_patterns, reason = "every value may have an alias")]
                    _ => None,
                }
            }
        }
    };
}

numbered! {
    /// The scenarios.
    ScenarioKind {
        /// Lock the pages, then map them: the documented way.
        Lock = 0, "lock";
        /// Build the MDL for nonpaged pool, and use the pool's own address.
        Nonpaged = 1, "nonpaged";
        /// Build the MDL for nonpaged pool and map it into system space a second
        /// time, which the reference forbids.
        DoubleMap = 2, "double-map" alias "textbook";
    }
}

numbered! {
    /// The address space of the second mapping.
    ScenarioTarget {
        /// System space.
        System = 0, "system";
        /// The caller's process, for reading and writing.
        User = 1, "user";
        /// The caller's process, for reading only.
        UserRead = 2, "user-read";
    }
}

numbered! {
    /// The requested cache type of the mapping, with the numbers of
    /// `MEMORY_CACHING_TYPE`.
    ScenarioCache {
        /// `MmNonCached`.
        NonCached = 0, "noncached";
        /// `MmCached`.
        Cached = 1, "cached";
        /// `MmWriteCombined`.
        WriteCombined = 2, "writecombined";
    }
}

numbered! {
    /// The steps; the log uses the same names.
    ScenarioStep {
        /// Pool is allocated.
        AllocatePool = 1, "allocate-pool";
        /// The MDL is allocated.
        AllocateMdl = 2, "allocate-mdl";
        /// The pages are filled with a pattern.
        Fill = 3, "fill";
        /// The pages are locked.
        Lock = 4, "lock";
        /// The MDL is built for nonpaged pool.
        Build = 5, "build";
        /// The pages are mapped into system space.
        Map = 6, "map";
        /// The pool's own address is read from the MDL.
        SystemAddress = 7, "system-address";
        /// The pages are mapped into the caller's process.
        MapUser = 8, "map-user";
        /// Both addresses are compared.
        Verdict = 9, "verdict";
        /// The system mapping is unmapped.
        Unmap = 10, "unmap";
        /// The user mapping is unmapped.
        UnmapUser = 11, "unmap-user";
        /// The pages are unlocked.
        Unlock = 12, "unlock";
        /// The MDL is freed.
        FreeMdl = 13, "free-mdl";
        /// The pool is freed.
        FreePool = 14, "free-pool";
    }
}

numbered! {
    /// The result of the checks.
    ScenarioVerdict {
        /// The scenario ended before the checks.
        None = 0, "none";
        /// Two addresses alias the same pages.
        SameMemory = 1, "same-memory";
        /// Both addresses are equal.
        SameAddress = 2, "same-address";
        /// The addresses do not alias as they must.
        Refuted = 3, "refuted";
    }
}

numbered! {
    /// The checks.
    ScenarioCheck {
        /// Bytes written before there was a second address, read through it.
        Filled = 1, "filled";
        /// Bytes written through the pool's address, read through the second.
        Forward = 2, "forward";
        /// Bytes written through the second address, read through the pool's.
        Backward = 3, "backward";
        /// One write through the second address, which has to be refused.
        ReadOnly = 4, "read-only";
        /// The physical pages of both addresses and the MDL's page frame numbers.
        Physical = 5, "physical";
    }
}

/// The request to run a scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ScenarioRequest {
    /// Number of a [`ScenarioKind`].
    pub kind: u32,
    /// Number of a [`ScenarioTarget`].
    pub target: u32,
    /// Number of a [`ScenarioCache`].
    pub cache: u32,
    /// Bytes of the block, 1 to [`SCENARIO_SIZE_LIMIT`]; for a mapping into the process whole
    /// pages.
    pub size: u32,
}

/// The result of a step.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ScenarioStepResult {
    /// Number of a [`ScenarioStep`]; 0 for none.
    pub step: u32,
    /// Its status.
    pub status: u32,
    /// The MDL's flags after the step; 0 without an MDL.
    pub flags: u32,
}

/// The result of a check.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ScenarioCheckResult {
    /// Number of a [`ScenarioCheck`]; 0 for none.
    pub check: u32,
    /// The number of bytes or pages compared.
    pub compared: u32,
    /// The number of these that were equal.
    pub equal: u32,
}

/// The report of a scenario.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ScenarioReply {
    /// The final status.
    pub status: u32,
    /// Number of a [`ScenarioVerdict`].
    pub verdict: u32,
    /// `Size` of the MDL, in bytes.
    pub mdl_size: u32,
    /// `ByteCount` of the MDL.
    pub byte_count: u32,
    /// `ByteOffset` of the MDL.
    pub byte_offset: u32,
    /// The number of pages that the MDL lists; 0 if it lists none.
    pub pages: u32,
    /// The steps, in order.
    pub steps: [ScenarioStepResult; SCENARIO_STEPS],
    /// The checks, in order.
    pub checks: [ScenarioCheckResult; SCENARIO_CHECKS],
}

#[cfg(test)]
mod tests {
    use super::{
        ScenarioCache, ScenarioCheck, ScenarioKind, ScenarioReply, ScenarioStep, ScenarioTarget,
        ScenarioVerdict,
    };

    #[test]
    fn from_number_inverts_number() {
        macro_rules! leads_back {
            ($($type:ident)*) => {$(
                for &one in $type::ALL {
                    assert_eq!($type::from_number(one.number()), Some(one));
                    assert_eq!(one.number(), one as u32);
                }
                assert_eq!($type::from_number(u32::MAX), None);
            )*};
        }
        leads_back!(ScenarioKind ScenarioTarget ScenarioCache ScenarioStep ScenarioVerdict ScenarioCheck);
    }

    #[test]
    fn scenario_reply_has_32_bit_fields_only() {
        // Only numbers of 32 bits: an address of x64 does not fit one.
        assert_eq!(align_of::<ScenarioReply>(), 4);
        assert_eq!(size_of::<ScenarioReply>(), 24 + 10 * 12 + 5 * 12);
    }
}

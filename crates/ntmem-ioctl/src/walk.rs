//! A walk over memory, asked for and reported: what each step came to, what was
//! compared, and the verdict. Never an address: those are in the debug log only.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most steps that a walk takes, with those that undo the others.
pub const WALK_STEPS: usize = 10;

/// The most comparisons that a walk makes.
pub const WALK_CHECKS: usize = 5;

/// The largest block that a walk takes, in bytes.
pub const WALK_LIMIT: u32 = 16 * 1024 * 1024;

/// Defines numbers that cross the line, each with its name.
macro_rules! numbered {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $name:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum $type {
            $($(#[$variant_doc])* $name = $number,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number that crosses the line.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// What has this number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name, for people.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

numbered! {
    /// The walks.
    WalkKind {
        /// Lock the pages, then map them: the documented way.
        Lock = 0, "lock";
        /// Build the MDL for nonpaged pool, and use the pool's own address.
        Nonpaged = 1, "nonpaged";
        /// Build the MDL for nonpaged pool and map it into system space all the
        /// same, which the reference forbids.
        Textbook = 2, "textbook";
    }
}

numbered! {
    /// Where the second address is to be.
    WalkTarget {
        /// In system space.
        System = 0, "system";
        /// In the caller's process, for reading and writing.
        User = 1, "user";
        /// In the caller's process, for reading only.
        UserRead = 2, "user-read";
    }
}

numbered! {
    /// The cache type that is asked of the mapping, as `MEMORY_CACHING_TYPE`
    /// numbers them.
    WalkCache {
        /// `MmNonCached`.
        NonCached = 0, "noncached";
        /// `MmCached`.
        Cached = 1, "cached";
        /// `MmWriteCombined`.
        WriteCombined = 2, "writecombined";
    }
}

numbered! {
    /// The steps of walks; in the log they have the same names.
    WalkStage {
        /// Pool is taken.
        Allocate = 1, "allocate";
        /// The MDL is made.
        Describe = 2, "describe";
        /// The pages are filled.
        Fill = 3, "fill";
        /// The pages are locked.
        Lock = 4, "lock";
        /// The MDL is built for nonpaged pool.
        Build = 5, "build";
        /// The pages are mapped into system space.
        Map = 6, "map";
        /// The pool's own address is looked up in the MDL.
        SystemAddress = 7, "system-address";
        /// The pages are mapped into the caller's process.
        MapUser = 8, "map-user";
        /// Both addresses are compared.
        Verdict = 9, "verdict";
        /// The system mapping is undone.
        Unmap = 10, "unmap";
        /// The user mapping is undone.
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
    /// What the comparison came to.
    WalkVerdict {
        /// The walk ended before it.
        None = 0, "none";
        /// Two addresses, one memory.
        SameMemory = 1, "same-memory";
        /// One address.
        SameAddress = 2, "same-address";
        /// Not the same memory, or not as it must be.
        Refuted = 3, "refuted";
    }
}

numbered! {
    /// What is compared.
    WalkProbe {
        /// Bytes written before there was a second address, read through it.
        Filled = 1, "filled";
        /// Bytes written through the pool's address, read through the second.
        Forward = 2, "forward";
        /// Bytes written through the second address, read through the pool's.
        Backward = 3, "backward";
        /// A write through the second address, which has to be refused: one of one.
        ReadOnly = 4, "read-only";
        /// Page by page, where the two addresses lead and what the MDL lists.
        Physical = 5, "physical";
    }
}

/// A walk that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WalkRequest {
    /// Number of a [`WalkKind`].
    pub kind: u32,
    /// Number of a [`WalkTarget`].
    pub target: u32,
    /// Number of a [`WalkCache`].
    pub cache: u32,
    /// Bytes of the block, 1 to [`WALK_LIMIT`]; for a mapping into the process whole
    /// pages.
    pub size: u32,
}

/// A step of a walk.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WalkStep {
    /// Number of a [`WalkStage`]; 0 for none.
    pub stage: u32,
    /// The status that it came to.
    pub status: u32,
    /// The MDL's flags afterwards; 0 while there is no MDL.
    pub flags: u32,
}

/// A comparison.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WalkCheck {
    /// Number of a [`WalkProbe`]; 0 for none.
    pub probe: u32,
    /// How many bytes or pages were compared.
    pub compared: u32,
    /// How many of these were as they must be.
    pub equal: u32,
}

/// What became of a walk.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WalkReply {
    /// The status that the walk ended with.
    pub status: u32,
    /// Number of a [`WalkVerdict`].
    pub verdict: u32,
    /// `Size` of the MDL, in bytes.
    pub mdl_size: u32,
    /// `ByteCount` of the MDL.
    pub byte_count: u32,
    /// `ByteOffset` of the MDL.
    pub byte_offset: u32,
    /// How many pages the MDL lists; 0 if it never did.
    pub pages: u32,
    /// The steps, in order.
    pub steps: [WalkStep; WALK_STEPS],
    /// The comparisons, in order.
    pub checks: [WalkCheck; WALK_CHECKS],
}

#[cfg(test)]
mod tests {
    use super::{WalkCache, WalkKind, WalkProbe, WalkReply, WalkStage, WalkTarget, WalkVerdict};

    #[test]
    fn every_number_leads_back() {
        macro_rules! leads_back {
            ($($type:ident)*) => {$(
                for &one in $type::ALL {
                    assert_eq!($type::from_number(one.number()), Some(one));
                    assert_eq!(one.number(), one as u32);
                }
                assert_eq!($type::from_number(u32::MAX), None);
            )*};
        }
        leads_back!(WalkKind WalkTarget WalkCache WalkStage WalkVerdict WalkProbe);
    }

    #[test]
    fn a_report_has_no_room_for_an_address() {
        // Only numbers of 32 bits: an address of x64 does not fit one.
        assert_eq!(align_of::<WalkReply>(), 4);
        assert_eq!(size_of::<WalkReply>(), 24 + 10 * 12 + 5 * 12);
    }
}

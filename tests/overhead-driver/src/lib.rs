//! A driver of functions in pairs: `…_safe` is written with `wdm`, `…_raw` as a C
//! driver would be. What safety costs is the difference between their instructions,
//! which the test `overhead` counts in the linked image. Nobody calls them: a table
//! says where they are, since drivers are linked without exports.

#![no_std]
#![expect(
    unsafe_code,
    reason = "one function of each pair calls the kernel without `wdm`"
)]

use wdk_panic as _;

mod mdl;
mod pool;
mod raise;

use wdm::{
    Status,
    driver::{Context, Driver},
    irql::Passive,
    pool::PoolTag,
};

wdm::driver!(Cost);

struct Cost;

impl Driver for Cost {
    fn start(_: &Context<'_>, _: &mut Passive) -> Result<Self, Status> {
        core::hint::black_box(&TABLE);
        Ok(Self)
    }

    fn stop(self, _: &mut Passive) {}
}

/// Where the functions are.
#[repr(C)]
struct Table {
    /// What a reader looks for.
    mark: [u8; 16],
    pairs: [Pair; 6],
}

/// A pair of functions.
#[repr(C)]
struct Pair {
    /// Its name, filled up with blanks.
    name: [u8; 16],
    safe: *const (),
    raw: *const (),
}

// SAFETY: the addresses are never followed here.
unsafe impl Sync for Table {}

static TABLE: Table = Table {
    mark: *b"wdm cost pairs: ",
    pairs: [
        Pair {
            name: *b"raise           ",
            safe: raise::raise_safe as *const (),
            raw: raise::raise_raw as *const (),
        },
        Pair {
            name: *b"raise to APC    ",
            safe: raise::raise_apc_safe as *const (),
            raw: raise::raise_apc_raw as *const (),
        },
        Pair {
            name: *b"spin lock       ",
            safe: raise::lock_safe as *const (),
            raw: raise::lock_raw as *const (),
        },
        Pair {
            name: *b"pool            ",
            safe: pool::pool_safe as *const (),
            raw: pool::pool_raw as *const (),
        },
        Pair {
            name: *b"MDL, build      ",
            safe: mdl::mdl_build_safe as *const (),
            raw: mdl::mdl_build_raw as *const (),
        },
        Pair {
            name: *b"MDL, map        ",
            safe: mdl::map_safe as *const (),
            raw: mdl::map_raw as *const (),
        },
    ],
};

/// The tag of all blocks here.
const TAG: PoolTag = wdm::pool_tag!(b"Cost");
/// The same as the kernel's functions take it.
const RAW_TAG: u32 = u32::from_le_bytes(*b"Cost");

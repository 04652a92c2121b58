//! Memory that the kernel allocates for a driver, or for its requests, and frees
//! itself: IRPs, system buffers, device objects, MDLs, work items. If the driver is
//! watched each has pages of its own, as the driver's blocks have, so that whoever
//! touches it past its end, or after it was freed, is seen.

use ntbox_api::report::HistoryEntry;
use ntbox_api::rules;
use ntbox_host::gate::NoReturn;

use super::pool::{PoolKind, Request};
use super::with;
use crate::base::{diag, stack_trace_db};

/// Tags of such memory, and what it is called.
const NAMES: [([u8; 4], &str); 6] = [
    (*b"Irp ", "IRP"),
    (*b"IoSB", "system buffer"),
    (*b"Mdl ", "MDL"),
    (*b"Devi", "device object"),
    (*b"IoWI", "work item"),
    (*b"IoEr", "error log entry"),
];

/// What a lent block with this tag is.
pub fn name(tag: u32) -> &'static str {
    let named = |(other, _): &&([u8; 4], _)| u32::from_le_bytes(*other) == tag;
    NAMES.iter().find(named).map_or("block", |(_, name)| name)
}

/// Allocates `size` bytes of nonpaged pool for the call that returns to `caller`, or
/// 0; `None` when the pool is used up.
pub fn allocate(size: u64, tag: u32, zeroed: bool, caller: u64) -> Option<u64> {
    let request = Request {
        kind: PoolKind::NonPaged,
        size: size.max(1),
        tag,
        zeroed,
        cache_aligned: false,
        caller: 0,
    };
    with(|memory| memory.pools.lend(request, caller))
}

/// Frees it for the call that returns to `caller`, or 0.
///
/// # Errors
/// The stop that Windows has for a block that was written past its end, or is none.
pub fn free(va: u64, caller: u64) -> Result<(), NoReturn> {
    check(va)?;
    with(|memory| memory.pools.free(va, caller))
        .map(drop)
        .ok_or_else(|| not_pool(va))
}

/// The stop for memory that the kernel wants to free, and that is no block.
fn not_pool(va: u64) -> NoReturn {
    NoReturn::bug_check(
        0xc2,
        [0x46, va, 0, 0],
        format!(
            "the kernel was to free {va:#018x} for a driver, which is not the start of a pool block"
        ),
    )
}

/// Whether a block was here and was freed.
pub fn is_freed(va: u64) -> bool {
    with(|memory| memory.pools.is_freed(va))
}

/// Checks that a block was not written past its end, or before its start.
fn check(va: u64) -> Result<(), NoReturn> {
    let damage = with(|memory| {
        let at = memory.pools.damage(va)?;
        let block = memory.pools.block(va)?;
        Some((at, block.size, block.tag))
    });
    let Some((at, size, tag)) = damage else {
        return Ok(());
    };
    let (kind, how) = if at < va {
        (0x23, "before its start")
    } else {
        (0x24, "past its end")
    };
    Err(NoReturn::bug_check(
        0xc1,
        [va, at, size, kind],
        format!(
            "the {} of {size} bytes at {va:#018x} was written {how}: {at:#018x} has changed",
            name(tag)
        ),
    ))
}

/// Reports a driver that frees memory which the kernel lent it. True if it is such
/// memory, which then stays where it is.
pub fn refuse_free(va: u64, caller: u64, function: &str) -> bool {
    let lent = with(|memory| {
        let block = memory.pools.block(va).filter(|block| block.lent)?;
        Some((block.tag, block.size, block.stack))
    });
    let Some((tag, size, stack)) = lent else {
        return false;
    };
    let what = format!(
        "{function} called with the {} of {size} bytes at {va:#018x}, which the kernel allocated and frees itself: Windows would free it twice (BAD_POOL_CALLER)",
        name(tag)
    );
    let history: Vec<HistoryEntry> = stack_trace_db::past("allocated", stack)
        .into_iter()
        .collect();
    diag::left_behind(rules::KERNEL_POOL_FREED, what, caller, history);
    true
}

#[cfg(test)]
mod tests {
    use ntbox_host::driver_mem;

    use super::*;
    use crate::test_support::{broken_rules, processor};

    const TAG: u32 = u32::from_le_bytes(*b"IoSB");

    #[test]
    fn free_checks_bytes_after_block() {
        processor();
        let block = allocate(20, TAG, true, 0).expect("memory");
        assert!(!is_freed(block));
        free(block, 0).expect("it is untouched");
        assert!(is_freed(block));
        let block = allocate(20, TAG, true, 0).expect("memory");
        driver_mem::write_u8(block + 20, 1).expect("it is there");
        match free(block, 0) {
            Err(NoReturn::BugCheck(data)) => {
                assert_eq!((data.code, data.parameters[3]), (0xc1, 0x24));
                assert!(
                    data.message.contains("system buffer of 20 bytes"),
                    "{}",
                    data.message
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn free_of_invalid_address_stops() {
        processor();
        match free(0x1234, 0) {
            Err(NoReturn::BugCheck(data)) => {
                assert_eq!((data.code, data.parameters[0]), (0xc2, 0x46));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn driver_freeing_lent_memory_is_reported() {
        processor();
        let block = allocate(16, TAG, true, 0).expect("memory");
        assert!(refuse_free(block, 0, "ExFreePool"));
        assert!(!refuse_free(block + 1, 0, "ExFreePool"));
        assert_eq!(broken_rules(), ["kernel-pool-freed"]);
        free(block, 0).expect("it is still there");
    }
}

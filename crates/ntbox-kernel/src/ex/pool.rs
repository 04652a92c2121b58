//! Pool allocation: the current functions and the four deprecated ones.

use ntbox_api::rules;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::gate::{ExportResult, NoReturn};
use ntbox_host::{cpu, driver_mem, gate};

use super::tracked_structs;
use crate::base::export::exports;
use crate::base::{diag, events, os_version, stack_trace_db};
use crate::ke::timer;
use crate::mm;
use crate::mm::lent;
use crate::mm::pool::{BadFree, Block, PoolKind, Request, tag_text};

/// `POOL_FLAG_…` of `ExAllocatePool2`.
mod flag {
    pub const USE_QUOTA: u64 = 0x1;
    pub const UNINITIALIZED: u64 = 0x2;
    pub const SESSION: u64 = 0x4;
    pub const CACHE_ALIGNED: u64 = 0x8;
    pub const RAISE_ON_FAILURE: u64 = 0x20;
    pub const NON_PAGED: u64 = 0x40;
    pub const NON_PAGED_EXECUTE: u64 = 0x80;
    pub const PAGED: u64 = 0x100;
    pub const SPECIAL_POOL: u64 = 0x8000_0000;
    /// All that the function knows of the low half; what it does not know of the
    /// high half it ignores.
    pub const KNOWN: u64 = USE_QUOTA
        | UNINITIALIZED
        | SESSION
        | CACHE_ALIGNED
        | RAISE_ON_FAILURE
        | NON_PAGED
        | NON_PAGED_EXECUTE
        | PAGED
        | SPECIAL_POOL;
}

/// Bits of a `POOL_TYPE`.
mod pool_type {
    pub const PAGED: u32 = 0x1;
    pub const CACHE_ALIGNED: u32 = 0x4;
    pub const QUOTA_FAIL_INSTEAD_OF_RAISE: u32 = 0x8;
    pub const RAISE: u32 = 0x10;
    pub const NX: u32 = 0x200;
    pub const ZERO: u32 = 0x400;
}

/// The tag that Windows gives to memory without one.
const NO_TAG: u32 = u32::from_le_bytes(*b"None");

/// Checks the IRQL for a pool: the system stops at what it forbids. `block` is the
/// address of what is freed, 0 if it is taken.
fn check_irql(kind: PoolKind, size: u64, tag: u32, block: u64) -> Result<(), NoReturn> {
    let irql = cpu::irql();
    let limit = if kind == PoolKind::Paged {
        cpu::APC_LEVEL
    } else {
        DISPATCH_LEVEL
    };
    if irql <= limit {
        return Ok(());
    }
    let paged = u64::from(kind == PoolKind::Paged);
    let (code, parameters) = match (stack_trace_db::is_on(), block) {
        (false, 0) => (0xc2, [8, u64::from(irql), paged, size]),
        (false, _) => (0xc2, [9, u64::from(irql), paged, block]),
        (true, 0) => (0xc4, [2 - paged, u64::from(irql), paged, size]),
        (true, _) => (0xc4, [0x12 - paged, u64::from(irql), paged, block]),
    };
    let what = if block == 0 { "allocation" } else { "freeing" };
    Err(NoReturn::bug_check(
        code,
        parameters,
        format!(
            "{what} of {} pool, tag '{}', at IRQL {irql}; {limit} is the limit",
            name(kind),
            tag_text(tag)
        ),
    ))
}

fn name(kind: PoolKind) -> &'static str {
    match kind {
        PoolKind::NonPaged | PoolKind::NonPagedExecute => "nonpaged",
        PoolKind::Paged => "paged",
    }
}

/// Takes memory, or says that there is none.
fn take(request: Request) -> Result<Option<u64>, NoReturn> {
    check_irql(request.kind, request.size, request.tag, 0)?;
    Ok(mm::with(|memory| memory.pools.allocate(request)))
}

fn zero_bytes(function: &str, caller: u64) {
    diag::violation(
        rules::POOL_ZERO_SIZE,
        format!("{function} called for 0 bytes"),
        caller,
    );
}

/// Reports pool that can be executed, where there is another: from Windows 8 on.
/// Lookaside lists take theirs as they were told when they were initialised.
fn check_executable(function: &str, caller: u64) {
    if stack_trace_db::is_on()
        && function.starts_with("ExAllocatePool")
        && os_version::has_no_execute()
    {
        let what = format!(
            "{function} called for nonpaged pool that can be executed; NonPagedPoolNx cannot"
        );
        diag::violation(rules::EXECUTABLE_POOL, what, caller);
    }
}

/// What the functions with a `POOL_TYPE` do.
pub(super) fn by_type(
    kind: u32,
    bytes: u64,
    tag: u32,
    raise: bool,
    caller: u64,
    function: &str,
) -> ExportResult {
    let mut size = bytes;
    if bytes == 0 {
        zero_bytes(function, caller);
        // The system hands out the smallest block.
        size = 1;
    }
    if tag == 0 {
        let what = format!("{function} called with the tag 0");
        diag::violation(rules::POOL_TAG_ZERO, what, caller);
    }
    if kind & (pool_type::PAGED | pool_type::NX) == 0 {
        check_executable(function, caller);
    }
    let pool = match kind {
        kind if kind & pool_type::PAGED != 0 => PoolKind::Paged,
        kind if kind & pool_type::NX != 0 => PoolKind::NonPaged,
        _ => PoolKind::NonPagedExecute,
    };
    let request = Request {
        kind: pool,
        size,
        tag,
        zeroed: kind & pool_type::ZERO != 0,
        cache_aligned: kind & pool_type::CACHE_ALIGNED != 0,
        caller,
    };
    match take(request)? {
        Some(va) => Ok(va),
        None if raise || kind & pool_type::RAISE != 0 => {
            Err(NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
        }
        None => Ok(0),
    }
}

/// What `ExAllocatePool2` and `ExAllocatePool3` do.
fn by_flags(flags: u64, bytes: u64, tag: u32, caller: u64, function: &str) -> ExportResult {
    let low = flags & 0xffff_ffff;
    let pools = low & (flag::NON_PAGED | flag::NON_PAGED_EXECUTE | flag::PAGED);
    let kind = match pools {
        flag::NON_PAGED => PoolKind::NonPaged,
        flag::NON_PAGED_EXECUTE => PoolKind::NonPagedExecute,
        flag::PAGED => PoolKind::Paged,
        _ => return refuse(flags),
    };
    if low & !flag::KNOWN != 0 || tag == 0 {
        return refuse(flags);
    }
    if kind == PoolKind::NonPagedExecute {
        check_executable(function, caller);
    }
    if bytes == 0 {
        zero_bytes(function, caller);
        return refuse(flags);
    }
    let request = Request {
        kind,
        size: bytes,
        tag,
        zeroed: low & flag::UNINITIALIZED == 0,
        cache_aligned: low & flag::CACHE_ALIGNED != 0,
        caller,
    };
    match take(request)? {
        Some(va) => Ok(va),
        None if low & flag::RAISE_ON_FAILURE != 0 => {
            Err(NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
        }
        None => Ok(0),
    }
}

/// A request that cannot be right: NULL, or `STATUS_INVALID_PARAMETER` raised if
/// the caller wants failures raised.
fn refuse(flags: u64) -> ExportResult {
    if flags & flag::RAISE_ON_FAILURE != 0 {
        Err(NoReturn::raise(nt_status::STATUS_INVALID_PARAMETER))
    } else {
        Ok(0)
    }
}

/// The stop for freeing what cannot be freed.
pub fn bad_free(va: u64, tag: u32, function: &str) -> NoReturn {
    match mm::with(|memory| memory.pools.bad_free(va)) {
        BadFree::Twice { tag: was, freed_by } => {
            let by = diag::location(freed_by).map_or_else(String::new, |place| {
                format!(" by {}+{:#x}", place.module, place.offset)
            });
            let (code, parameters) = if stack_trace_db::is_on() {
                (0xc4, [0x13, 0, va, u64::from(was)])
            } else {
                (0xc2, [7, u64::from(was), u64::from(tag), va])
            };
            NoReturn::bug_check(
                code,
                parameters,
                format!(
                    "{function} was given {va:#018x}, tag '{}', which was freed before{by}",
                    tag_text(was)
                ),
            )
        }
        BadFree::NotPool => {
            let inside = mm::with(|memory| {
                memory
                    .pools
                    .block_around(va)
                    .map(|(start, block)| (start, block.size, block.tag))
            });
            let hint = inside.map_or_else(String::new, |(start, size, tag)| {
                format!("; it lies {:#x} bytes into the block of {size} bytes at {start:#018x}, tag '{}'", va - start, tag_text(tag))
            });
            let (code, kind) = if stack_trace_db::is_on() {
                (0xc4, 0x10)
            } else {
                (0xc2, 0x46)
            };
            NoReturn::bug_check(
                code,
                [kind, va, 0, 0],
                format!(
                    "{function} was given {va:#018x}, which is not the start of a pool block{hint}"
                ),
            )
        }
    }
}

/// Reports a block that is freed while an MDL keeps its pages locked: a device, or
/// another process, would go on writing to what belongs to somebody else.
fn check_locked(va: u64, block: &Block, caller: u64, function: &str) {
    if !stack_trace_db::is_on() {
        return;
    }
    let locked = mm::with(|memory| memory.mdls.locked_within(va, block.size));
    if let Some((list, by)) = locked {
        let by = diag::location(by).map_or_else(String::new, |place| {
            format!(" by {}+{:#x}", place.module, place.offset)
        });
        let what = format!(
            "{function} called with the block of {} bytes at {va:#018x}, tag '{}', whose pages are locked{by}, in the MDL at {list:#018x}",
            block.size,
            tag_text(block.tag)
        );
        diag::violation(rules::POOL_FREED_WHILE_LOCKED, what, caller);
    }
}

/// Frees a block that a driver took.
pub fn free(va: u64, tag: Option<u32>, caller: u64, function: &str) -> Result<(), NoReturn> {
    let block: Option<Block> = mm::with(|memory| memory.pools.block(va).copied());
    let Some(block) = block else {
        return Err(bad_free(va, tag.unwrap_or(0), function));
    };
    check_irql(block.kind, block.size, block.tag, va)?;
    if function.starts_with("ExFreePool") && lent::refuse_free(va, caller, function) {
        // What is told once is not told again as a leak.
        mm::with(|memory| memory.mdls.settle(va, |record| record.allocated = None));
        return Ok(());
    }
    if let Some(tag) = tag.filter(|tag| *tag != 0 && *tag != block.tag) {
        return Err(NoReturn::bug_check(
            0xc2,
            [0xa, va, u64::from(block.tag), u64::from(tag)],
            format!(
                "{function} was given tag '{}' for the block at {va:#018x}, which was allocated with tag '{}'",
                tag_text(tag),
                tag_text(block.tag)
            ),
        ));
    }
    if let Some(at) = mm::with(|memory| memory.pools.damage(va)) {
        let (kind, how) = if at < va {
            (0x23, "before its start")
        } else {
            (0x24, "past its end")
        };
        return Err(NoReturn::bug_check(
            0xc1,
            [va, at, block.size, kind],
            format!(
                "the block of {} bytes at {va:#018x}, tag '{}', was written {how}: {at:#018x} has changed",
                block.size,
                tag_text(block.tag)
            ),
        ));
    }
    check_locked(va, &block, caller, function);
    super::work_item::check_freed(va, block.size)?;
    timer::check_freed(va, block.size)?;
    tracked_structs::check_freed(va, block.size, caller);
    events::memory_freed(va, block.size);
    mm::pool::free_by(va, caller);
    Ok(())
}

exports! {
    /// `ExAllocatePool2`: zeroed unless asked otherwise; NULL on failure.
    fn ExAllocatePool2<call>(flags: u64, bytes: u64, tag: u32) -> u64 [max DISPATCH_LEVEL, wdm, since VERSION_2004] fails_by failure_by_flags {
        by_flags(flags, bytes, tag, call.return_address(), "ExAllocatePool2")
    }

    /// `ExAllocatePool3`: the same with extended parameters, of which all that
    /// exist (priority, secure pool, NUMA node) are optional.
    fn ExAllocatePool3<call>(flags: u64, bytes: u64, tag: u32, parameters: u64, count: u32) -> u64
        [max DISPATCH_LEVEL, wdm, since VERSION_2004] fails_by failure_by_flags
    {
        for n in 0..u64::from(count) {
            // Bit 8 of an extended parameter's first word says that it is optional.
            let header = driver_mem::read_u64(parameters.wrapping_add(16 * n))?;
            let (kind, optional) = (header & 0xff, header & 0x100 != 0);
            if kind != PRIORITY && !optional {
                return Err(NoReturn::bug_check(
                    0xe2,
                    [kind, header, parameters, 0],
                    format!("ExAllocatePool3 was given the required parameter {kind}, which this kernel does not know"),
                ));
            }
        }
        by_flags(flags, bytes, tag, call.return_address(), "ExAllocatePool3")
    }

    /// `ExAllocatePoolWithTag` (deprecated): uninitialised; NULL on failure.
    fn ExAllocatePoolWithTag<call>(kind: u32, bytes: u64, tag: u32) -> u64 [max DISPATCH_LEVEL, wdm] fails_by failure_by_type {
        by_type(kind, bytes, tag, false, call.return_address(), "ExAllocatePoolWithTag")
    }

    /// `ExAllocatePool` (deprecated): the same with the tag `None`.
    fn ExAllocatePool<call>(kind: u32, bytes: u64) -> u64 [max DISPATCH_LEVEL, wdm] fails_by failure_by_type {
        by_type(kind, bytes, NO_TAG, false, call.return_address(), "ExAllocatePool")
    }

    /// `ExAllocatePoolWithTagPriority` (deprecated): the priority only decides who
    /// is refused first when memory is short.
    fn ExAllocatePoolWithTagPriority<call>(kind: u32, bytes: u64, tag: u32, priority: u32) -> u64
        [max DISPATCH_LEVEL, wdm] fails_by failure_by_type
    {
        by_type(kind, bytes, tag, false, call.return_address(), "ExAllocatePoolWithTagPriority")
    }

    /// `ExAllocatePoolWithQuota` (deprecated): raises on failure unless told not to.
    fn ExAllocatePoolWithQuota<call>(kind: u32, bytes: u64) -> u64 [max DISPATCH_LEVEL, wdm] fails_by failure_of_quota {
        let raise = kind & pool_type::QUOTA_FAIL_INSTEAD_OF_RAISE == 0;
        by_type(kind, bytes, NO_TAG, raise, call.return_address(), "ExAllocatePoolWithQuota")
    }

    /// `ExAllocatePoolWithQuotaTag` (deprecated): the same with a tag.
    fn ExAllocatePoolWithQuotaTag<call>(kind: u32, bytes: u64, tag: u32) -> u64 [max DISPATCH_LEVEL, wdm] fails_by failure_of_quota {
        let raise = kind & pool_type::QUOTA_FAIL_INSTEAD_OF_RAISE == 0;
        by_type(kind, bytes, tag, raise, call.return_address(), "ExAllocatePoolWithQuotaTag")
    }

    /// `ExQueryPoolBlockSize`: obsolete. No block is charged to a quota.
    fn ExQueryPoolBlockSize(va: u64, charged: u64) -> u64
        [max DISPATCH_LEVEL, ntifs, partial "tells of no block that it is charged to a quota"] {
        let size = mm::with(|memory| memory.pools.block(va).map(|block| block.size));
        let Some(size) = size else { return Err(bad_free(va, NO_TAG, "ExQueryPoolBlockSize")) };
        driver_mem::write_u8(charged, 0)?;
        Ok(size.next_multiple_of(16))
    }

    /// `ExFreePool`.
    fn ExFreePool<call>(va: u64) -> () [max DISPATCH_LEVEL, wdm] {
        free(va, None, call.return_address(), "ExFreePool")
    }

    /// `ExFreePoolWithTag`: the tag must be that of the allocation.
    fn ExFreePoolWithTag<call>(va: u64, tag: u32) -> () [max DISPATCH_LEVEL, wdm] {
        free(va, Some(tag), call.return_address(), "ExFreePoolWithTag")
    }

    /// `ExFreePool2`: the same with extended parameters, none of which exist.
    fn ExFreePool2<call>(va: u64, tag: u32, parameters: u64, count: u32) -> ()
        [max DISPATCH_LEVEL, wdm, since VERSION_2004] {
        free(va, Some(tag), call.return_address(), "ExFreePool2")
    }
}

/// `PoolExtendedParameterPriority`.
const PRIORITY: u64 = 1;

fn failure_by_flags(call: &mut gate::Call<'_>) -> ExportResult {
    if call.argument(0)? & flag::RAISE_ON_FAILURE != 0 {
        Err(NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
    } else {
        Ok(0)
    }
}

fn failure_by_type(call: &mut gate::Call<'_>) -> ExportResult {
    let raise = call.argument(0)? & u64::from(pool_type::RAISE) != 0;
    if raise {
        Err(NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
    } else {
        Ok(0)
    }
}

fn failure_of_quota(call: &mut gate::Call<'_>) -> ExportResult {
    let quiet = call.argument(0)? & u64::from(pool_type::QUOTA_FAIL_INSTEAD_OF_RAISE) != 0;
    if quiet {
        Ok(0)
    } else {
        Err(NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
    }
}
/// Allocates pool of a `POOL_TYPE`.
///
/// # Errors
/// Raises `STATUS_INSUFFICIENT_RESOURCES`.
pub fn allocate_or_raise(
    pool_type: u32,
    size: u64,
    tag: u32,
    caller: u64,
) -> Result<u64, NoReturn> {
    // The low bit of a POOL_TYPE is set for paged pool; 0x200 is no-execute.
    let kind = match (pool_type & 1, pool_type & 0x200) {
        (1, _) => PoolKind::Paged,
        (_, 0) => PoolKind::NonPagedExecute,
        _ => PoolKind::NonPaged,
    };
    let request = Request {
        kind,
        size: size.max(1),
        tag,
        zeroed: false,
        cache_aligned: false,
        caller,
    };
    mm::with(|memory| memory.pools.allocate(request))
        .ok_or_else(|| NoReturn::raise(nt_status::STATUS_INSUFFICIENT_RESOURCES))
}

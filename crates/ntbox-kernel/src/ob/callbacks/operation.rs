//! A handle that is opened or copied, with all who hear of it: before, from the
//! highest altitude down, each may take rights away; after, from the lowest up,
//! each hears how it ended.

use ntbox_host::driver_mem;
use ntbox_host::routine::Routine;

use super::{Filter, idle_key, with};
use crate::base::call_context::Caller;
use crate::ke::{critical_region, sched};
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob::init;
use crate::ob::types::Type;

/// `OB_OPERATION_HANDLE_CREATE`.
const CREATE: u32 = 0x1;
/// `OB_OPERATION_HANDLE_DUPLICATE`.
const DUPLICATE: u32 = 0x2;
/// Pool tag of what routines are shown.
const TAG: u32 = u32::from_le_bytes(*b"ObCb");

/// Offsets in the memory that routines are shown: an
/// `OB_PRE_OPERATION_INFORMATION`, its parameters, an
/// `OB_POST_OPERATION_INFORMATION`, its parameters.
mod offset {
    pub const OPERATION: u64 = 0x00;
    pub const FLAGS: u64 = 0x04;
    pub const OBJECT: u64 = 0x08;
    pub const TYPE: u64 = 0x10;
    pub const CALL_CONTEXT: u64 = 0x18;
    pub const BEFORE_PARAMETERS: u64 = 0x20;
    pub const AFTER_STATUS: u64 = 0x20;
    pub const AFTER_PARAMETERS: u64 = 0x28;

    pub const DESIRED: u64 = 0x00;
    pub const ORIGINAL: u64 = 0x04;
    pub const SOURCE: u64 = 0x08;
    pub const TARGET: u64 = 0x10;

    /// Where the parameters before begin.
    pub const BEFORE: u64 = 0x28;
    /// Where the information after begins.
    pub const AFTER: u64 = 0x40;
    /// Where the parameters after begin.
    pub const GRANTED: u64 = 0x70;
    /// Bytes of all.
    pub const SIZE: u64 = 0x78;
}

/// The parameters of a handle that is created or duplicated.
#[derive(Debug, Clone, Copy)]
pub struct HandleParams {
    /// What it is to.
    pub object: u64,
    /// The type of that.
    pub kind: Type,
    /// Rights, generic ones translated.
    pub access: u32,
    /// Whether it is a kernel handle.
    pub kernel: bool,
    /// For a copy, the processes that it comes from and goes to.
    pub copied: Option<(u64, u64)>,
}

/// Opens a handle by `insert`, which is told the rights, with all who hear of it.
///
/// # Errors
/// Those of `insert`; `STATUS_INSUFFICIENT_RESOURCES`.
pub fn open(
    wanted: &HandleParams,
    caller: &Caller<'_>,
    insert: impl FnOnce(u32) -> Result<u64, u32>,
) -> Result<u64, u32> {
    let operation = if wanted.copied.is_some() {
        DUPLICATE
    } else {
        CREATE
    };
    let filters = listening(wanted.kind, operation);
    if filters.is_empty() {
        return insert(wanted.access);
    }
    let block = pool::allocate(PoolKind::NonPaged, offset::SIZE, TAG);
    let at = block.ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    // The memory is the kernel's, so that it can be read and written.
    let result = run(at, operation, wanted, &filters, caller, insert);
    pool::free(at);
    result
}

/// The filters of a type that hear of an operation, in order.
fn listening(kind: Type, operation: u32) -> Vec<Filter> {
    with(|state| {
        let hears = |filter: &&Filter| filter.kind == kind && filter.operations & operation != 0;
        state.filters.iter().filter(hears).cloned().collect()
    })
}

fn run(
    at: u64,
    operation: u32,
    wanted: &HandleParams,
    filters: &[Filter],
    caller: &Caller<'_>,
    insert: impl FnOnce(u32) -> Result<u64, u32>,
) -> Result<u64, u32> {
    let gone = |_| nt_status::STATUS_ACCESS_VIOLATION;
    let mut access = wanted.access;
    let mut told = Vec::new();
    for filter in filters {
        describe(at, operation, wanted).map_err(gone)?;
        let parameters = at + offset::BEFORE;
        let (source, target) = wanted.copied.unwrap_or_default();
        driver_mem::write_u64(at + offset::BEFORE_PARAMETERS, parameters).map_err(gone)?;
        driver_mem::write_u32(parameters + offset::DESIRED, access).map_err(gone)?;
        driver_mem::write_u32(parameters + offset::ORIGINAL, wanted.access).map_err(gone)?;
        driver_mem::write_u64(parameters + offset::SOURCE, source).map_err(gone)?;
        driver_mem::write_u64(parameters + offset::TARGET, target).map_err(gone)?;
        if !call(filter, filter.before, at, caller) {
            continue;
        }
        let desired = driver_mem::read_u32(parameters + offset::DESIRED).map_err(gone)?;
        // Nothing can be added, and not everything taken away.
        access &= desired | !removable(wanted.kind);
        let context = driver_mem::read_u64(at + offset::CALL_CONTEXT).map_err(gone)?;
        told.push((filter, context));
    }
    let result = insert(access);
    let at = at + offset::AFTER;
    for (filter, context) in told.into_iter().rev() {
        let (status, parameters) = match result {
            Ok(_) => (
                nt_status::STATUS_SUCCESS,
                at - offset::AFTER + offset::GRANTED,
            ),
            // Then there is nothing to be told.
            Err(status) => (status, 0),
        };
        describe(at, operation, wanted).map_err(gone)?;
        driver_mem::write_u64(at + offset::CALL_CONTEXT, context).map_err(gone)?;
        driver_mem::write_u32(at + offset::AFTER_STATUS, status).map_err(gone)?;
        driver_mem::write_u64(at + offset::AFTER_PARAMETERS, parameters).map_err(gone)?;
        driver_mem::write_u32(at - offset::AFTER + offset::GRANTED, access).map_err(gone)?;
        call(filter, filter.after, at, caller);
    }
    result
}

/// Writes what both structures begin with.
fn describe(at: u64, operation: u32, wanted: &HandleParams) -> Result<(), driver_mem::Fault> {
    driver_mem::write_u32(at + offset::OPERATION, operation)?;
    driver_mem::write_u32(at + offset::FLAGS, wanted.kernel.into())?;
    driver_mem::write_u64(at + offset::OBJECT, wanted.object)?;
    driver_mem::write_u64(at + offset::TYPE, init::object_of(wanted.kind))?;
    driver_mem::write_u64(at + offset::CALL_CONTEXT, 0)
}

/// Calls a routine of a filter, if it has one, in a critical region. False if the
/// filter is not registered any more.
fn call(filter: &Filter, routine: u64, information: u64, caller: &Caller<'_>) -> bool {
    let handle = filter.handle;
    let there = with(|state| {
        let there = state.filters.iter().any(|known| known.handle == handle);
        if there {
            state.running.push(handle);
        }
        there
    });
    if !there {
        return false;
    }
    if routine != 0 {
        critical_region::enter_critical_region();
        let routine = Routine::new(routine, "object callback").registered_by(filter.caller);
        caller.call(routine, &[filter.context, information]);
        critical_region::leave_critical_region();
    }
    with(|state| {
        let mine = state.running.iter().rposition(|running| *running == handle);
        mine.map(|at| state.running.remove(at));
    });
    sched::wake(idle_key(handle));
    true
}

/// The rights that a filter can take away from handles to objects of a type.
fn removable(kind: Type) -> u32 {
    match kind {
        // Terminating, making threads, the address space and writing to it, copying
        // handles, making processes, quota, settings, suspending.
        Type::Process => 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200 | 0x800,
        // Terminating, suspending, context, settings, the token, impersonating,
        // direct impersonating, some settings.
        Type::Thread => 0x1 | 0x2 | 0x10 | 0x20 | 0x80 | 0x100 | 0x200 | 0x400,
        _ => 0,
    }
}

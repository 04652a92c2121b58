//! Calls object callbacks when a handle is opened or duplicated. Pre-operation
//! callbacks run from the highest altitude down, and can remove rights. Post-operation
//! callbacks run from the lowest altitude up, and receive the status.

use nt_layout::{
    ObOperationInformation, ObPostOperationInformation, ObPreDuplicateHandleInformation,
    ObPreOperationInformation,
};
use ntbox_host::driver_mem::Fault;
use ntbox_host::routine::Routine;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Filter, idle_key, with};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::ke::{critical_region, sched};
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob::init;
use crate::ob::types::Type;

/// `OB_OPERATION_HANDLE_CREATE`.
const CREATE: u32 = 0x1;
/// `OB_OPERATION_HANDLE_DUPLICATE`.
const DUPLICATE: u32 = 0x2;
/// Pool tag of the blocks that are passed to callbacks.
const TAG: u32 = u32::from_le_bytes(*b"ObCb");

/// The pool block that is passed to callbacks.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct CallbackBlock {
    before: ObPreOperationInformation,
    parameters_before: ObPreDuplicateHandleInformation,
    after: ObPostOperationInformation,
    /// The parameters after: `OB_POST_CREATE_HANDLE_INFORMATION`.
    granted_access: u32,
    padding: u32,
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

/// Opens a handle by `insert`, which receives the rights, with callbacks before and
/// after.
///
/// # Errors
/// Those of `insert`; `STATUS_INSUFFICIENT_RESOURCES`.
pub fn open(
    params: &HandleParams,
    caller: &CallContext<'_>,
    insert: impl FnOnce(u32) -> Result<u64, u32>,
) -> Result<u64, u32> {
    let operation = if params.copied.is_some() {
        DUPLICATE
    } else {
        CREATE
    };
    let filters = callbacks_for(params.kind, operation);
    if filters.is_empty() {
        return insert(params.access);
    }
    let block = pool::allocate(PoolKind::NonPaged, DriverPtr::<CallbackBlock>::SIZE, TAG);
    let block = block.ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    // The memory is the kernel's, so that it can be read and written.
    let result = run(
        DriverPtr::new(block),
        operation,
        params,
        &filters,
        caller,
        insert,
    );
    pool::free(block);
    result
}

/// The filters of a type that are called for an operation, in order.
fn callbacks_for(kind: Type, operation: u32) -> Vec<Filter> {
    with(|state| {
        let applies = |filter: &&Filter| filter.kind == kind && filter.operations & operation != 0;
        state.filters.iter().filter(applies).cloned().collect()
    })
}

fn run(
    block: DriverPtr<CallbackBlock>,
    operation: u32,
    params: &HandleParams,
    filters: &[Filter],
    caller: &CallContext<'_>,
    insert: impl FnOnce(u32) -> Result<u64, u32>,
) -> Result<u64, u32> {
    let gone = |_| nt_status::STATUS_ACCESS_VIOLATION;
    let mut access = params.access;
    let mut notified = Vec::new();
    for filter in filters {
        let information = block.at(|block| &block.before);
        let parameters = block.at(|block| &block.parameters_before);
        describe_before(block, operation, params, access).map_err(gone)?;
        if !call(filter, filter.before, information.address(), caller) {
            continue;
        }
        let desired = parameters.get(|parameters| &parameters.desired_access);
        let desired = desired.map_err(gone)?;
        // A callback cannot add rights, and can remove only some.
        access &= desired | !removable(params.kind);
        let context = information.get(|information| &information.common.call_context);
        notified.push((filter, context.map_err(gone)?));
    }
    let result = insert(access);
    for (filter, context) in notified.into_iter().rev() {
        let status = result.err().unwrap_or(nt_status::STATUS_SUCCESS);
        describe_after(block, operation, params, context, status, access).map_err(gone)?;
        let information = block.at(|block| &block.after);
        call(filter, filter.after, information.address(), caller);
    }
    result
}

/// Writes the information for a pre-operation callback.
fn describe_before(
    block: DriverPtr<CallbackBlock>,
    operation: u32,
    params: &HandleParams,
    access: u32,
) -> Result<(), Fault> {
    let information = block.at(|block| &block.before);
    let parameters = block.at(|block| &block.parameters_before);
    let (source, target) = params.copied.unwrap_or_default();
    describe(
        information.at(|information| &information.common),
        operation,
        params,
    )?;
    information.set(|information| &information.parameters, parameters.address())?;
    parameters.set(|parameters| &parameters.desired_access, access)?;
    parameters.set(
        |parameters| &parameters.original_desired_access,
        params.access,
    )?;
    parameters.set(|parameters| &parameters.source_process, source)?;
    parameters.set(|parameters| &parameters.target_process, target)
}

/// Writes the information for a post-operation callback. An operation that failed has
/// no parameters.
fn describe_after(
    block: DriverPtr<CallbackBlock>,
    operation: u32,
    params: &HandleParams,
    context: u64,
    status: u32,
    access: u32,
) -> Result<(), Fault> {
    let information = block.at(|block| &block.after);
    let granted_access = block.at(|block| &block.granted_access);
    let parameters = if status == nt_status::STATUS_SUCCESS {
        granted_access.address()
    } else {
        0
    };
    describe(
        information.at(|information| &information.common),
        operation,
        params,
    )?;
    information.set(|information| &information.common.call_context, context)?;
    information.set(|information| &information.return_status, status)?;
    information.set(|information| &information.parameters, parameters)?;
    granted_access.write(access)
}

/// Writes the fields that both structures begin with.
fn describe(
    common: DriverPtr<ObOperationInformation>,
    operation: u32,
    params: &HandleParams,
) -> Result<(), Fault> {
    common.set(|common| &common.operation, operation)?;
    common.set(|common| &common.flags, params.kernel.into())?;
    common.set(|common| &common.object, params.object)?;
    common.set(|common| &common.object_type, init::object_of(params.kind))?;
    common.set(|common| &common.call_context, 0)
}

/// Calls a routine of a filter, if it has one, in a critical region. False if the
/// filter is not registered any more.
fn call(filter: &Filter, routine: u64, information: u64, caller: &CallContext<'_>) -> bool {
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

//! Calls with a guaranteed amount of stack.

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_SUCCESS};
use ntbox_host::context_switch::HOST_DEPTH;
use ntbox_host::gate::Call;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::{cpu, upcall};

use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::thread_table;
use crate::mm;
use crate::mm::kernel_stack;

/// `MAXIMUM_EXPANSION_SIZE`: a large kernel stack without half a page.
const MAXIMUM: u64 = 0x1_2000 - PAGE_SIZE / 2;
/// What a callout itself needs below its caller.
const RESERVE: u64 = 0x200;

/// Calls the driver on its own stack, if there is room, or on another one.
fn call_out(call: &Call<'_>, routine: u64, parameter: u64, size: u64) -> u32 {
    if size > MAXIMUM {
        return nt_status::STATUS_INVALID_PARAMETER_3;
    }
    let thread = thread_table::current_thread();
    let own = thread_table::thread(thread).map_or((0, 0), |info| info.stack);
    let top = call.frame().rsp;
    let caller = CallContext::of(call);
    let room = top.saturating_sub(own.0);
    if (own.0..own.1).contains(&top) && room >= size + RESERVE {
        caller.call(routine, &[parameter]);
        return STATUS_SUCCESS;
    }
    // Each of these stretches takes some of the host's stack, too.
    if upcall::host_depth() > HOST_DEPTH / 2 {
        return STATUS_NO_MEMORY;
    }
    let Ok(high) = kernel_stack::new_stack_of(size + RESERVE) else {
        return STATUS_NO_MEMORY;
    };
    let low = high - (size + RESERVE).next_multiple_of(PAGE_SIZE);
    thread_table::update(thread, |info| info.stack = (low, high));
    caller.call_on(high, routine, &[parameter]);
    thread_table::update(thread, |info| info.stack = own);
    mm::with(|memory| memory.unmap_and_release(low));
    STATUS_SUCCESS
}

exports! {
    /// `KeExpandKernelStackAndCallout`.
    fn KeExpandKernelStackAndCallout<call>(routine: u64, parameter: u64, size: u64) -> u32 [max APC_LEVEL, ntddk] fails STATUS_NO_MEMORY {
        Ok(call_out(call, routine, parameter, size))
    }

    /// `KeExpandKernelStackAndCalloutEx`: the context must be NULL; with `wait` the
    /// IRQL is `APC_LEVEL` at most.
    fn KeExpandKernelStackAndCalloutEx<call>(routine: u64, parameter: u64, size: u64, wait: bool, context: u64) -> u32
        [max DISPATCH_LEVEL, ntddk] fails STATUS_NO_MEMORY
    {
        if wait && cpu::irql() > APC_LEVEL {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_4);
        }
        if context != 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        Ok(call_out(call, routine, parameter, size))
    }
}

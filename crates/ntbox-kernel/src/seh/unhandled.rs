//! The end of an exception that nobody handled: a bug check that says what was
//! raised, where, and why the search for a handler ended.

use nt_status::Named;
use ntbox_host::context::{Context, ExceptionRecord};
use ntbox_host::driver_mem::Fault;
use ntbox_host::memory_map::{NT, STACKS};
use ntbox_host::{driver_mem, kernel_entry, upcall};

use crate::base::thread_table;
use crate::unwind::reader::Damage;

/// `SYSTEM_SERVICE_EXCEPTION`: what becomes of an exception in a system service
/// that a program called.
const SYSTEM_SERVICE_EXCEPTION: u32 = 0x3b;
/// `SYSTEM_THREAD_EXCEPTION_NOT_HANDLED`: what the outermost frame of a system
/// thread does with an exception.
const SYSTEM_THREAD_EXCEPTION_NOT_HANDLED: u32 = 0x7e;
/// `KMODE_EXCEPTION_NOT_HANDLED`: what becomes of one that reaches no thread's
/// outermost frame, as in a DPC.
const KMODE_EXCEPTION_NOT_HANDLED: u32 = 0x1e;
/// `REGISTRY_FILTER_DRIVER_EXCEPTION`: what becomes of one in a filter of the
/// registry.
const REGISTRY_FILTER_DRIVER_EXCEPTION: u32 = 0x135;
/// `PAGE_FAULT_IN_NONPAGED_AREA`.
const PAGE_FAULT_IN_NONPAGED_AREA: u32 = 0x50;
/// `UNEXPECTED_KERNEL_MODE_TRAP`.
const UNEXPECTED_KERNEL_MODE_TRAP: u32 = 0x7f;
/// Trap number of a double fault.
const DOUBLE_FAULT: u64 = 8;
/// Trap number of a general protection fault.
const GENERAL_PROTECTION: u64 = 13;

/// Stops the kernel for an exception that nobody handles. `fault` is the place
/// that it was raised at; `record` and `context` are what handlers saw, in
/// driver memory; `damage` is what ended the search before its time.
pub fn report(fault: &Context, record: u64, context: u64, damage: Option<Damage>) -> ! {
    let raised = match ExceptionRecord::read(record) {
        Ok(raised) => raised,
        Err(fault_in_record) => no_memory(fault, fault_in_record),
    };
    let mut what = format!("{} and no handler took it", describe(&raised));
    if let Ok(first) = ExceptionRecord::read(raised.nested)
        && raised.nested != 0
    {
        what = format!("{what}; before it, {}", describe(&first));
    }
    if let Some(cause) = cause(fault, &raised) {
        what = format!("{what}; {cause}");
    }
    if let Some(damage) = damage {
        what = format!("{what}; the search ended early: {damage}");
    }
    let code = i64::from(raised.code.cast_signed()).cast_unsigned();
    if let Some(function) = upcall::in_registry_filter() {
        let parameters = [code, context, function, 0];
        let what = format!("in a filter of the registry, {what}");
        kernel_entry::bug_check(
            REGISTRY_FILTER_DRIVER_EXCEPTION,
            parameters,
            what,
            Some(fault),
        );
    }
    if upcall::in_interrupt() {
        let [first, second, ..] = raised.information;
        let parameters = [code, raised.address, first, second];
        kernel_entry::bug_check(KMODE_EXCEPTION_NOT_HANDLED, parameters, what, Some(fault));
    }
    if thread_table::current().is_some_and(|thread| thread.user_mode) {
        let parameters = [raised.code.into(), raised.address, context, 0];
        kernel_entry::bug_check(SYSTEM_SERVICE_EXCEPTION, parameters, what, Some(fault));
    }
    let parameters = [code, raised.address, record, context];
    kernel_entry::bug_check(
        SYSTEM_THREAD_EXCEPTION_NOT_HANDLED,
        parameters,
        what,
        Some(fault),
    )
}

/// Stops the kernel for an exception in what it did by itself, where no handler of
/// the driver could take it.
pub fn kernel_exception(code: u32, information: [u64; 2], what: &str) -> ! {
    let status = i64::from(code.cast_signed()).cast_unsigned();
    let [first, second] = information;
    if upcall::in_interrupt() {
        let parameters = [status, NT.base, first, second];
        kernel_entry::bug_check(KMODE_EXCEPTION_NOT_HANDLED, parameters, what, None);
    }
    if thread_table::current().is_some_and(|thread| thread.user_mode) {
        let parameters = [code.into(), NT.base, 0, 0];
        kernel_entry::bug_check(SYSTEM_SERVICE_EXCEPTION, parameters, what, None);
    }
    let parameters = [status, NT.base, 0, 0];
    kernel_entry::bug_check(SYSTEM_THREAD_EXCEPTION_NOT_HANDLED, parameters, what, None)
}

/// What is behind an exception, if the place that it was raised at tells it.
fn cause(fault: &Context, raised: &ExceptionRecord) -> Option<String> {
    /// `ret`, with and without a number of bytes to take off.
    const RETURNS: [u8; 2] = [0xc2, 0xc3];
    if let Some(routine) = upcall::routine_begun(fault) {
        return Some(format!("it was the kernel's call of {routine}"));
    }
    if raised.code == nt_status::STATUS_BREAKPOINT {
        return Some(
            "there is no kernel debugger to take a breakpoint (`--debugger` attaches one)"
                .to_owned(),
        );
    }
    let nowhere = raised.code == nt_status::STATUS_ACCESS_VIOLATION
        && raised.information[..2] == [0, u64::MAX]
        && RETURNS.contains(&driver_mem::read_u8(fault.rip).ok()?);
    let target = driver_mem::read_u64(fault.rsp()).ok()?;
    nowhere.then(|| {
        format!(
            "it was to return to {target:#018x}, so the return address on the stack was overwritten"
        )
    })
}

/// What was raised, in words.
fn describe(record: &ExceptionRecord) -> String {
    let ExceptionRecord {
        code,
        address,
        information,
        count,
        ..
    } = *record;
    let raised = format!("{} was raised at {address:#018x}", Named(code));
    if code != nt_status::STATUS_ACCESS_VIOLATION || count < 2 {
        return raised;
    }
    let access = match information[0] {
        0 => "a read of",
        1 => "a write to",
        8 => "the execution of",
        _ => "an access to",
    };
    match information[1] {
        u64::MAX => format!("{raised}, by {access} an address that no processor has"),
        address => format!("{raised}, by {access} {address:#018x}"),
    }
}

/// Stops the kernel because memory that exception handling needs is not there:
/// most often the driver's stack, which is used up or lost.
pub fn no_memory(context: &Context, fault: Fault) -> ! {
    let rsp = context.rsp();
    let done = if fault.write { "written" } else { "read" };
    let what = format!(
        "an exception cannot be handled: {:#018x} cannot be {done}; the stack pointer is {rsp:#018x}",
        fault.address
    );
    let of_stack = STACKS.contains(fault.address) || !STACKS.contains(rsp);
    let (code, parameters, what) = if of_stack {
        let parameters = [DOUBLE_FAULT, fault.address, rsp, context.rip];
        (
            UNEXPECTED_KERNEL_MODE_TRAP,
            parameters,
            format!("{what} (double fault)"),
        )
    } else {
        let parameters = [fault.address, fault.write.into(), context.rip, 0];
        (PAGE_FAULT_IN_NONPAGED_AREA, parameters, what)
    };
    kernel_entry::bug_check(code, parameters, what, Some(context))
}

/// Stops the kernel because the driver wants to go on at an address that no
/// processor has.
pub fn no_such_place(context: &Context) -> ! {
    kernel_entry::bug_check(
        UNEXPECTED_KERNEL_MODE_TRAP,
        [GENERAL_PROTECTION, 0, context.rsp(), context.rip],
        format!(
            "execution was to go on at {:#018x}, which is no address of a driver",
            context.rip
        ),
        Some(context),
    )
}

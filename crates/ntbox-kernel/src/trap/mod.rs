//! Where the driver is stopped: faults of the processor and of exports become
//! exceptions or bug checks, rules that were broken become violations.

use ntbox_host::{channel, process};

use super::unwind::stack_walk;
use crate::base::diag;
pub mod instruction;
pub mod signal_handlers;
use std::sync::OnceLock;

use ntbox_api::ipc::Event;
use ntbox_api::report::{BugCheck, HistoryEntry, Location};
use ntbox_host::bug_check::{Access, BugCheckData, HUNG};
use ntbox_host::context::{Context, ExceptionRecord, UNWOUND_TO_CALL};
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::{Frame, NoReturn};
use ntbox_host::memory_map::{NT, PAGE_SIZE, STACKS, is_system};
use ntbox_host::trap::Trap;
use ntbox_host::{cpu, driver_mem, last_call, modules, upcall};

use super::base::diag::place;
use super::base::{events, export_table, known_modules, log, missing, os_version};
use super::kd::debugger;
use super::ke::{bugcheck_callback, critical_region, wait};
use super::mm::special_pool::InaccessibleRegion;
use super::mm::{force_irql, force_irql_image, process_address_space};
use super::{loader, mm, seh};

/// Bug check codes that this kernel itself stops with.
mod code {
    pub const IRQL_NOT_LESS_OR_EQUAL: u32 = 0x0a;
    pub const PAGE_FAULT_IN_NONPAGED_AREA: u32 = 0x50;
    pub const UNEXPECTED_KERNEL_MODE_TRAP: u32 = 0x7f;
    pub const ATTEMPTED_WRITE_TO_READONLY_MEMORY: u32 = 0xbe;
    pub const PAGE_FAULT_IN_FREED_SPECIAL_POOL: u32 = 0xcc;
    pub const PAGE_FAULT_BEYOND_END_OF_ALLOCATION: u32 = 0xcd;
    pub const DRIVER_IRQL_NOT_LESS_OR_EQUAL: u32 = 0xd1;
    pub const DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL: u32 = 0xd5;
    pub const DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION: u32 = 0xd6;
    pub const ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY: u32 = 0xfc;
    pub const APC_INDEX_MISMATCH: u32 = 0x01;
    pub const KERNEL_SECURITY_CHECK_FAILURE: u32 = 0x139;
}

/// Why the system stops.
static FIRST: OnceLock<BugCheck> = OnceLock::new();

/// Frames in a report's call stack.
const STACK_LIMIT: usize = 64;

/// Stops the kernel: reports and ends the process.
pub fn bug_check(
    code: u32,
    parameters: [u64; 4],
    what: impl Into<String>,
    context: Option<&Context>,
) -> ! {
    log::flush();
    force_irql_image::stop();
    let after_call = |context: &Context| context.flags & UNWOUND_TO_CALL != 0;
    let stack: Vec<Location> = context.map_or_else(Vec::new, |context| {
        let places = stack_walk::backtrace(context, STACK_LIMIT)
            .into_iter()
            .enumerate();
        places
            .filter_map(|(n, pc)| place(pc, n > 0 || after_call(context)))
            .collect()
    });
    let routine = context.and_then(upcall::routine_begun);
    let registrar = routine
        .and_then(|routine| {
            if routine.is_argument() {
                Some(last_call::caller())
            } else {
                routine.registrar()
            }
        })
        .and_then(diag::location);
    let registered = registrar.clone().map(|place| HistoryEntry {
        event: "registered".to_owned(),
        stack: vec![place],
    });
    let location = context
        .and_then(|context| place(context.rip, after_call(context)))
        .or(registrar)
        .or_else(|| {
            (code == code::APC_INDEX_MISMATCH)
                .then(region_entered)
                .flatten()
        });
    let report = BugCheck {
        code,
        parameters,
        message: what.into(),
        location,
        stack,
        history: mm::pool::history_of_memory(&parameters)
            .into_iter()
            .chain(registered)
            .collect(),
    };
    // A routine that is told of the stop and stops the system again does not
    // replace the first reason.
    let is_first = FIRST.set(report).is_ok();
    process::set_stopping();
    if let Some(context) = context.filter(|_| is_first && code != HUNG) {
        bugcheck_callback::run(context);
        log::flush();
    }
    if let Some(first) = FIRST.get() {
        channel::send(&Event::BugCheck(Box::new(first.clone())));
    }
    process::exit(0)
}

/// The call that acquired the mutex that the current thread holds, or that entered the
/// region in which it is.
fn region_entered() -> Option<Location> {
    let held = events::lock_held().map(|held| held.return_address);
    held.or_else(critical_region::entered_by)
        .and_then(diag::location)
}

/// Stops the driver because its time is up, wherever it is.
pub fn hung(context: &Context) -> ! {
    let what = format!(
        "the driver did not return in time and was ended{}",
        wait::describe()
    );
    bug_check(HUNG, [0; 4], what, Some(context))
}

/// An export does not return.
pub fn from_export(frame: &Frame, stop: NoReturn) -> ! {
    let return_address = driver_mem::read_u64(frame.rsp).unwrap_or(0);
    let mut context = Context::after_call(frame, return_address);
    context.flags |= UNWOUND_TO_CALL;
    match stop {
        NoReturn::Raise(mut record) => {
            if record.address == 0 {
                record.address = return_address;
            }
            let record = *record;
            seh::raise(&context, record)
        }
        NoReturn::BugCheck(data) => {
            let BugCheckData {
                code,
                parameters,
                message,
            } = *data;
            bug_check(code, parameters, message, Some(&context))
        }
        NoReturn::Fault(Fault { address, write }) => {
            let access = if write { Access::Write } else { Access::Read };
            let name = export_table::name_of(frame.index);
            invalid_access(
                &context,
                address,
                access,
                &format!(
                    "{name} was given an address that cannot be {}",
                    access.verb()
                ),
            )
        }
    }
}

/// Stops the system: what the kernel does by itself, for no call, cannot go on.
pub fn end_internal(stop: NoReturn) -> ! {
    match stop {
        NoReturn::BugCheck(data) => bug_check(data.code, data.parameters, data.message, None),
        NoReturn::Raise(record) => bug_check(
            0x1e,
            [u64::from(record.code), record.address, 0, 0],
            format!(
                "the kernel raised {} in a request of its own",
                nt_status::Named(record.code)
            ),
            None,
        ),
        NoReturn::Fault(fault) => fault_of_kernel(fault),
    }
}

/// The kernel, in what it does by itself for a driver, met memory that is not there.
fn fault_of_kernel(fault: Fault) -> ! {
    let Fault { address, write } = fault;
    let irql = cpu::irql();
    let place = match address {
        u64::MAX => "an address that no processor has".to_owned(),
        address => format!("{address:#018x}, where nothing is"),
    };
    let what = format!("a structure that the driver gave the kernel lies at {place}");
    if !seh::is_canonical(address) || !is_system(address) || address == u64::MAX {
        seh::kernel_exception(
            nt_status::STATUS_ACCESS_VIOLATION,
            [u64::from(write), address],
            &what,
        );
    }
    if irql >= cpu::DISPATCH_LEVEL {
        let parameters = [address, irql.into(), write.into(), NT.base];
        bug_check(code::IRQL_NOT_LESS_OR_EQUAL, parameters, what, None);
    }
    let parameters = [address, write.into(), NT.base, 0];
    bug_check(code::PAGE_FAULT_IN_NONPAGED_AREA, parameters, what, None)
}

/// Memory that is not there, or not for that: an exception where Windows raises
/// one, a bug check elsewhere.
pub fn invalid_access(context: &Context, address: u64, access: Access, what: &str) -> ! {
    let irql = cpu::irql();
    if let Some(name) = export_table::missing_name(address) {
        bug_check(
            code::PAGE_FAULT_IN_NONPAGED_AREA,
            [address, access.code(), context.rip, 0],
            missing_import(&name, access),
            Some(context),
        );
    }
    // A jump to where no code is was the driver's, too.
    let in_driver = access == Access::Execute || modules::find(context.rip).is_some();
    let special = mm::with(|memory| memory.pools.special_place(address));
    let hint = pool_hint(address, special);
    if irql >= cpu::DISPATCH_LEVEL {
        let number = if in_driver {
            code::DRIVER_IRQL_NOT_LESS_OR_EQUAL
        } else {
            code::IRQL_NOT_LESS_OR_EQUAL
        };
        bug_check(
            number,
            [address, u64::from(irql), access.code(), context.rip],
            format!("{what}: {address:#018x} at IRQL {irql}{hint}"),
            Some(context),
        );
    }
    if !is_system(address)
        && let Some(status) = process_address_space::passed_guard(address)
    {
        let record = ExceptionRecord::hardware(status, context.rip, &[access.code(), address]);
        seh::raise(context, record);
    }
    if !is_system(address) || address == u64::MAX {
        let record = ExceptionRecord::hardware(
            nt_status::STATUS_ACCESS_VIOLATION,
            context.rip,
            &[access.code(), address],
        );
        seh::raise(context, record);
    }
    let protection = mm::with(|memory| memory.space.find(address).map(|(_, area)| area.protection));
    if STACKS.contains(address) && protection.is_none() {
        outside_of_stack(context, address, access);
    }
    let below = context.rsp().wrapping_sub(8);
    if mm::with(|memory| memory.space.find(below).is_none()) {
        bug_check(
            code::UNEXPECTED_KERNEL_MODE_TRAP,
            [8, address, context.rsp(), context.rip],
            format!(
                "{what}: {address:#018x}, while the stack pointer {:#018x} points at no stack (double fault)",
                context.rsp()
            ),
            Some(context),
        );
    }
    // An export reads and writes as the kernel does it.
    let by_driver = in_driver && context.flags & UNWOUND_TO_CALL == 0;
    let by_block = match special {
        Some(InaccessibleRegion::Freed(_)) if by_driver => {
            Some(code::DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL)
        }
        Some(InaccessibleRegion::Freed(_)) => Some(code::PAGE_FAULT_IN_FREED_SPECIAL_POOL),
        Some(_) if by_driver => Some(code::DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION),
        Some(_) => Some(code::PAGE_FAULT_BEYOND_END_OF_ALLOCATION),
        None => None,
    };
    let is_data = access == Access::Execute
        && by_block.is_none()
        && protection.is_some_and(|protection| protection.read);
    let hint = if is_data {
        format!("{hint}, which is data and no code")
    } else {
        hint
    };
    let (number, parameters) = match (access, protection) {
        _ if by_block.is_some() => (
            by_block.unwrap_or_default(),
            [address, access.code(), context.rip, 0],
        ),
        (Access::Write, Some(protection)) if protection.read && !protection.write => (
            code::ATTEMPTED_WRITE_TO_READONLY_MEMORY,
            [address, 0, context.rip, 0],
        ),
        (Access::Execute, Some(protection)) if protection.read => (
            code::ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY,
            [address, 0, context.rip, 0],
        ),
        _ => (
            code::PAGE_FAULT_IN_NONPAGED_AREA,
            [address, access.code(), context.rip, 0],
        ),
    };
    bug_check(
        number,
        parameters,
        format!("{what}: {address:#018x}{hint}"),
        Some(context),
    )
}

/// What is said of an import that is not there.
fn missing_import(name: &str, access: Access) -> String {
    let how = match access {
        Access::Execute => "called",
        Access::Read => "read, as a variable",
        Access::Write => "written, as a variable",
    };
    if name.contains("->") {
        return format!("{name} is a routine that this kernel does not have; it was {how}");
    }
    let (module, import) = name.split_once('!').unwrap_or((name, name));
    if let Some(since) = export_table::function(import).and_then(|export| export.since) {
        return format!(
            "{name} is imported by the driver and came with Windows {since}; this is Windows {}, which does not load such a driver. It was {how}",
            os_version::get()
        );
    }
    let why = known_modules::describe(module)
        .or_else(|| missing::reason(import).map(str::to_owned))
        .map_or_else(String::new, |why| format!("; {why}"));
    format!(
        "{name} is imported by the driver and not implemented by this kernel; it was {how}{why}"
    )
}

/// An access where kernel stacks are, and nothing is mapped. Below the stack in use
/// it means that this one is used up, and no trap could be handled on it. Above, the
/// trap can be, and it is a page that is not there.
fn outside_of_stack(context: &Context, address: u64, access: Access) -> ! {
    let rsp = context.rsp();
    let stack = mm::with(|memory| {
        let found = memory.space.find(rsp);
        found.map(|(start, area)| (start, start + area.pages * PAGE_SIZE))
    });
    match stack {
        Some((_, end)) if address >= end => bug_check(
            code::PAGE_FAULT_IN_NONPAGED_AREA,
            [address, access.code(), context.rip, 0],
            format!(
                "{address:#018x}, which was {}, lies past the upper end of the kernel stack, {end:#018x}: something on the stack was overrun",
                access.verb()
            ),
            Some(context),
        ),
        _ => bug_check(
            code::UNEXPECTED_KERNEL_MODE_TRAP,
            [8, address, rsp, context.rip],
            format!(
                "the kernel stack is used up: {address:#018x} lies outside of it (double fault)"
            ),
            Some(context),
        ),
    }
}

/// What special pool tells of an address, as the end of a sentence.
fn pool_hint(address: u64, place: Option<InaccessibleRegion>) -> String {
    let (near, how) = match place {
        Some(InaccessibleRegion::Freed(near)) => (near, "in a freed"),
        Some(InaccessibleRegion::Behind(near)) => (near, "behind the end of the"),
        Some(InaccessibleRegion::Before(near)) => (near, "before the start of the"),
        None if force_irql::in_use(address) => return ", which is paged pool".to_owned(),
        None if force_irql_image::is_pageable(address) => {
            return ", in a pageable section of the driver".to_owned();
        }
        None => return image_hint(address),
    };
    format!(
        ", {how} {} of {} bytes at {:#018x}",
        near.name, near.size, near.block
    )
}

/// What the image tells of an address, in the same way.
fn image_hint(address: u64) -> String {
    match loader::discarded_section(address) {
        Some(section) => {
            format!(", in the driver's section {section}, which was discarded after DriverEntry")
        }
        None => String::new(),
    }
}

/// The driver's calls into the kernel and the kernel's into the driver are so many
/// inside each other that there is no room for one more.
pub fn nested_too_deep(origin: Option<Context>) -> ! {
    let context = origin.map(called_from);
    let (rsp, rip) = context.map_or((0, 0), |context| (context.rsp(), context.rip));
    bug_check(
        code::UNEXPECTED_KERNEL_MODE_TRAP,
        [8, rsp, rsp, rip],
        format!(
            "the kernel stack is used up by {} calls of the driver's routines inside each other (double fault)",
            upcall::depth()
        ),
        context.as_ref(),
    )
}

/// Where the driver called the kernel, as the place that a stop is about.
fn called_from(mut context: Context) -> Context {
    context.flags |= UNWOUND_TO_CALL;
    context
}

/// A fault of the processor in driver code.
pub fn hardware(context: &Context, trap: Trap) -> ! {
    // The kernel was about to call the driver, on a stack that is used up: what the
    // driver did is the call that led there.
    let origin = upcall::withdraw(context.rip).map(called_from);
    let context = origin.as_ref().unwrap_or(context);
    let raise = |status: u32| -> ! {
        let record = ExceptionRecord::hardware(status, context.rip, &[]);
        seh::raise(context, record)
    };
    match trap {
        Trap::Page { address, access } => {
            let routine = upcall::routine_begun(context).filter(|_| access == Access::Execute);
            let what = match routine {
                Some(routine) => format!("{routine} was called and is no code"),
                None => format!("invalid memory was {}", access.verb()),
            };
            invalid_access(context, address, access, &what)
        }
        Trap::DivideError => raise(nt_status::STATUS_INTEGER_DIVIDE_BY_ZERO),
        Trap::FloatingPoint => raise(nt_status::STATUS_FLOAT_INVALID_OPERATION),
        Trap::InvalidOpcode => raise(nt_status::STATUS_ILLEGAL_INSTRUCTION),
        Trap::Breakpoint => {
            debugger::pass(context);
            raise(nt_status::STATUS_BREAKPOINT)
        }
        Trap::SingleStep => raise(nt_status::STATUS_SINGLE_STEP),
        Trap::Assertion => raise(nt_status::STATUS_ASSERTION_FAILURE),
        Trap::FastFail(reason) => bug_check(
            code::KERNEL_SECURITY_CHECK_FAILURE,
            [reason, context.rsp(), 0, 0],
            format!("the driver ended itself with fast fail code {reason}"),
            Some(context),
        ),
        Trap::Privileged(what) => bug_check(
            code::UNEXPECTED_KERNEL_MODE_TRAP,
            [13, 0, 0, context.rip],
            format!("an instruction that this kernel does not carry out: {what}"),
            Some(context),
        ),
        Trap::Overdue => hung(context),
        Trap::Tick | Trap::Lowered => unreachable!("a tick does not stop the driver"),
        Trap::GeneralProtection => {
            // A non-canonical address: the processor does not say which.
            let record = ExceptionRecord::hardware(
                nt_status::STATUS_ACCESS_VIOLATION,
                context.rip,
                &[0, u64::MAX],
            );
            seh::raise(context, record)
        }
    }
}

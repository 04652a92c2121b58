//! `__C_specific_handler`: the language handler of C functions with `__try`.
//!
//! The compiler writes a table of scopes, inner ones first. A scope with a jump
//! target is an `__except`: its filter decides in the search. One without is a
//! `__finally`: its block is called in the unwind.

use ntbox_host::context::{Context, EXIT_UNWIND, TARGET_UNWIND, UNWINDING};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::upcall::call_driver;

use super::dispatch::{disposition, low_half};
use super::dispatcher::{DispatcherContext, FreeStack};
use super::unwind_ex::{Request, Target};
use super::{dispatcher, unwind_ex};
use crate::base::events;

/// `EXCEPTION_EXECUTE_HANDLER` in place of a filter's address.
const EXECUTE_HANDLER: u32 = 1;

/// What the handler is called with.
#[derive(Debug, Clone, Copy)]
pub struct Arguments {
    /// Address of the exception record.
    pub record: u64,
    /// Base of the frame.
    pub establisher: u64,
    /// Address of the context.
    pub context: u64,
    /// Address of the dispatcher context.
    pub dispatcher: u64,
}

/// One entry of the scope table, all offsets from the image's base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scope {
    begin: u32,
    end: u32,
    /// A filter, [`EXECUTE_HANDLER`], or a `__finally` block.
    handler: u32,
    /// Where an `__except` block begins; 0 for a `__finally`.
    target: u32,
}

impl Scope {
    const SIZE: u64 = 16;

    fn read(va: u64) -> Result<Self, Fault> {
        let field = |n: u64| driver_mem::read_u32(va.wrapping_add(4 * n));
        Ok(Self {
            begin: field(0)?,
            end: field(1)?,
            handler: field(2)?,
            target: field(3)?,
        })
    }

    fn holds(self, image_base: u64, pc: u64) -> bool {
        let offset = pc.wrapping_sub(image_base);
        (u64::from(self.begin)..u64::from(self.end)).contains(&offset)
    }

    fn is_except(self) -> bool {
        self.target != 0
    }
}

/// Whether an `__except` of a function covers a place in it.
pub fn covers(image_base: u64, scopes: u64, pc: u64) -> Result<bool, Fault> {
    let count = u64::from(driver_mem::read_u32(scopes)?);
    for index in 0..count {
        let scope = Scope::read(scopes.wrapping_add(4 + Scope::SIZE * index))?;
        if scope.is_except() && scope.holds(image_base, pc) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deals with an exception or an unwind for the frame. `caller` is where the
/// handler's caller is, `room` the free stack below it.
pub fn handle(arguments: Arguments, caller: &Context, room: FreeStack) -> Result<u32, Fault> {
    let frame = DispatcherContext::read(arguments.dispatcher)?;
    let flags = dispatcher::record_flags(arguments.record)?;
    if flags & (UNWINDING | EXIT_UNWIND) != 0 {
        clean_up(arguments, frame, flags, caller, room)
    } else {
        search(arguments, frame, caller, room)
    }
}

/// Asks the filters of the scopes that hold the place.
fn search(
    arguments: Arguments,
    frame: DispatcherContext,
    caller: &Context,
    mut room: FreeStack,
) -> Result<u32, Fault> {
    let pointers = room.take(16);
    driver_mem::write_u64(pointers, arguments.record)?;
    driver_mem::write_u64(pointers.wrapping_add(8), arguments.context)?;
    let count = driver_mem::read_u32(frame.handler_data)?;
    for index in frame.scope_index..count {
        let scope = scope(&frame, index)?;
        if !scope.is_except() || !scope.holds(frame.image_base, frame.control_pc) {
            continue;
        }
        let answer = if scope.handler == EXECUTE_HANDLER {
            1
        } else {
            let filter = frame.image_base.wrapping_add(scope.handler.into());
            let answer = call_driver(
                filter,
                &[pointers, arguments.establisher],
                room.top(),
                Some(*caller),
            );
            low_half(answer).cast_signed()
        };
        match answer {
            ..0 => return Ok(disposition::CONTINUE_EXECUTION),
            0 => {}
            1.. => execute(arguments, &frame, scope, caller, room)?,
        }
    }
    Ok(disposition::CONTINUE_SEARCH)
}

fn scope(frame: &DispatcherContext, index: u32) -> Result<Scope, Fault> {
    Scope::read(
        frame
            .handler_data
            .wrapping_add(4 + Scope::SIZE * u64::from(index)),
    )
}

/// Unwinds to the `__except` block of a scope. Returns only with a fault.
fn execute(
    arguments: Arguments,
    frame: &DispatcherContext,
    scope: Scope,
    caller: &Context,
    room: FreeStack,
) -> Result<(), Fault> {
    events::exception_handling(arguments.record)?;
    let code = driver_mem::read_u32(arguments.record)?;
    let target = Target {
        frame: arguments.establisher,
        ip: frame.image_base.wrapping_add(scope.target.into()),
        value: code.into(),
    };
    let request = Request {
        target,
        record: arguments.record,
        context: frame.context,
        history_table: frame.history_table,
    };
    unwind_ex::unwind(caller, room, request)
}

/// Calls the `__finally` blocks of the scopes that are left.
fn clean_up(
    arguments: Arguments,
    frame: DispatcherContext,
    flags: u32,
    caller: &Context,
    room: FreeStack,
) -> Result<u32, Fault> {
    let at_target = flags & TARGET_UNWIND != 0;
    let count = driver_mem::read_u32(frame.handler_data)?;
    for index in frame.scope_index..count {
        let scope = scope(&frame, index)?;
        if !scope.holds(frame.image_base, frame.control_pc) {
            continue;
        }
        if scope.is_except() {
            // The scope whose block is about to run: outer ones are not left.
            let block = frame.image_base.wrapping_add(scope.target.into());
            if at_target && block == frame.target_ip {
                break;
            }
            continue;
        }
        // The unwind goes on inside of this scope: it is not left.
        if at_target && scope.holds(frame.image_base, frame.target_ip) {
            break;
        }
        // If the block fails, the next unwind begins behind it.
        let next = arguments
            .dispatcher
            .wrapping_add(DispatcherContext::SCOPE_INDEX);
        driver_mem::write_u32(next, index + 1)?;
        let block = frame.image_base.wrapping_add(scope.handler.into());
        call_driver(
            block,
            &[1, arguments.establisher],
            room.top(),
            Some(*caller),
        );
    }
    Ok(disposition::CONTINUE_SEARCH)
}

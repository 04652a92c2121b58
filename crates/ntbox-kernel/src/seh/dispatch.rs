//! The search for somebody who deals with an exception, as
//! `RtlDispatchException` does it: frame by frame, each language handler is
//! asked. A handler answers, or it begins an unwind and never returns.
//!
//! The kernel's frames below a callout are abandoned when that happens. Nothing
//! here may own memory while a handler runs.

use ntbox_host::bug_check::Access;
use ntbox_host::context::{Context, ExceptionRecord, NESTED_CALL, NONCONTINUABLE};
use ntbox_host::driver_mem::Fault;
use ntbox_host::memory_map::{NT, STACKS};
use ntbox_host::routine::Routine;
use ntbox_host::upcall::Purpose;
use ntbox_host::{driver_mem, kernel_entry, routine, upcall};

use super::dispatcher::{DispatcherContext, FreeStack};
use super::{dispatcher, repeat, unhandled};
use crate::unwind::reader::Damage;
use crate::unwind::stack_walk::{Frame, Position, Step};
use crate::unwind::unwind_info::EHANDLER;

/// What a language handler answers: `EXCEPTION_DISPOSITION`.
pub mod disposition {
    /// Go on where the exception happened.
    pub const CONTINUE_EXECUTION: u32 = 0;
    /// Not mine.
    pub const CONTINUE_SEARCH: u32 = 1;
    /// The exception happened in a handler.
    pub const NESTED_EXCEPTION: u32 = 2;
    /// The exception happened while unwinding.
    pub const COLLIDED_UNWIND: u32 = 3;
}

/// Why a search or an unwind cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A frame cannot be unwound.
    Damage(Damage),
    /// The driver's stack has no room for the structures, or they are gone.
    Memory(Fault),
}

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Memory(fault)
    }
}

/// Raises an exception at `context`, the innermost place of the driver.
pub fn raise(context: &Context, record: ExceptionRecord) -> ! {
    raise_below(context, record, room(context))
}

/// The kernel was to call a routine of the driver at an address that its processor
/// does not have, or where nothing of the driver's is. `context` is the end of the
/// kernel's frames.
pub fn call_nowhere(mut context: Context, routine: &Routine) -> ! {
    if is_canonical(routine.address) {
        // The processor pushes where to return to, and faults behind its jump.
        let below = context.rsp().wrapping_sub(8);
        if let Err(fault) = driver_mem::write_u64(below, context.rip) {
            unhandled::no_memory(&context, fault);
        }
        context.set_rsp(below);
        context.rip = routine.address;
        let what = format!("{routine} was called and lies where nothing is");
        (kernel_entry::get().invalid_access)(&context, routine.address, Access::Execute, &what);
    }
    // The fault is the kernel's, at its call, and the processor does not say which
    // address it is about. There is nothing to go on with.
    let record = ExceptionRecord {
        flags: NONCONTINUABLE,
        ..ExceptionRecord::hardware(nt_status::STATUS_ACCESS_VIOLATION, NT.base, &[0, u64::MAX])
    };
    raise(&context, record)
}

/// Raises an exception whose record the driver holds.
pub fn raise_in_place(context: &Context, record: u64) -> ! {
    dispatch(context, record, room(context))
}

/// Raises an exception while the stack below `context` is in use down to `room`.
pub fn raise_below(context: &Context, record: ExceptionRecord, mut room: FreeStack) -> ! {
    let va = room.take(ExceptionRecord::SIZE as u64);
    match record.write(va) {
        Ok(()) => dispatch(context, va, room),
        Err(fault) => unhandled::no_memory(context, fault),
    }
}

/// The free stack at a place. A stack pointer that points elsewhere is what the
/// processor would answer with a double fault.
fn room(context: &Context) -> FreeStack {
    let rsp = context.rsp();
    let top = upcall::stack_top(Position::innermost(context).level);
    if !STACKS.contains(rsp) || rsp > top {
        unhandled::no_memory(
            context,
            Fault {
                address: rsp,
                write: true,
            },
        );
    }
    FreeStack::below(rsp)
}

/// What the search found, if no handler began an unwind.
enum Verdict {
    /// Go on at the place of the exception, with the registers as the handlers
    /// left them: the one at this address says so.
    Continue { handler: u64 },
    /// A handler wants to continue what cannot be continued, or answered what is
    /// no answer: this status is raised.
    Raise(u32),
    /// Nobody wants it.
    Unhandled,
}

fn dispatch(context: &Context, record: u64, room: FreeStack) -> ! {
    let mut search = Search::new(context, record, room);
    let failure = match search.run() {
        Ok(Verdict::Continue { handler }) => match Context::read(search.context) {
            Ok(after) => {
                repeat::continued(context, &after, record, handler);
                resume(search.origin.level, &after)
            }
            Err(fault) => fault.into(),
        },
        Ok(Verdict::Raise(code)) => {
            let address = context.rip;
            let next = ExceptionRecord {
                nested: record,
                address,
                ..ExceptionRecord::software(code)
            };
            raise_below(context, next, search.room)
        }
        Ok(Verdict::Unhandled) => unhandled::report(context, record, search.context, None),
        Err(failure) => failure,
    };
    match failure {
        Failure::Damage(damage) => unhandled::report(context, record, search.context, Some(damage)),
        Failure::Memory(fault) => unhandled::no_memory(context, fault),
    }
}

/// Goes on in the driver, in callout `level`, whatever the driver has made of
/// the registers.
pub fn resume(level: usize, context: &Context) -> ! {
    let context = context.for_processor();
    if !routine::is_reachable(context.rip) {
        unhandled::no_such_place(&context);
    }
    upcall::resume(level, &context)
}

/// Whether an address is one that the processor takes.
pub fn is_canonical(va: u64) -> bool {
    matches!(va >> 47, 0 | 0x1_ffff)
}

/// One search.
struct Search {
    /// Where the exception happened.
    origin: Position,
    /// Address of the record.
    record: u64,
    /// Address of the context that handlers may change.
    context: u64,
    /// Address of the registers that unwinding works with.
    unwound: u64,
    /// Address of the dispatcher context.
    dispatcher: u64,
    /// What is left of the stack.
    room: FreeStack,
    /// Flags that the record has for the next handler.
    flags: u32,
    /// Base of the frame whose handler raised the exception; 0 if none.
    nested: u64,
}

impl Search {
    fn new(context: &Context, record: u64, mut room: FreeStack) -> Self {
        let size = size_of::<Context>() as u64;
        Self {
            origin: Position::innermost(context),
            record,
            context: room.take(size),
            unwound: room.take(size),
            dispatcher: room.take(DispatcherContext::SIZE),
            room,
            flags: 0,
            nested: 0,
        }
    }

    fn run(&mut self) -> Result<Verdict, Failure> {
        self.origin.context.write(self.context)?;
        self.flags = dispatcher::record_flags(self.record)? & NONCONTINUABLE;
        let mut position = self.origin;
        loop {
            let verdict = match position.step(EHANDLER)? {
                Step::End | Step::Callout(Purpose::Interrupt | Purpose::RegistryFilter { .. }) => {
                    dispatcher::set_record_flags(self.record, self.flags)?;
                    return Ok(Verdict::Unhandled);
                }
                Step::Leaf | Step::Callout(Purpose::Ordinary) => None,
                Step::Callout(Purpose::ExceptionHandler { establisher }) => {
                    self.nest(establisher);
                    None
                }
                Step::Callout(Purpose::UnwindHandler { dispatcher, level }) => {
                    let frame = collide(&mut position, dispatcher, level)?;
                    self.ask(frame, &mut position)?
                }
                Step::Function(frame) => match describe(&frame) {
                    Some(frame) => self.ask(frame, &mut position)?,
                    None => None,
                },
            };
            if let Some(verdict) = verdict {
                return Ok(verdict);
            }
        }
    }

    /// The exception happened in the handler of the frame with this base.
    fn nest(&mut self, establisher: u64) {
        self.flags |= NESTED_CALL;
        self.nested = self.nested.max(establisher);
    }

    /// Asks the handler of a frame; `position` is its caller.
    fn ask(
        &mut self,
        mut frame: DispatcherContext,
        position: &mut Position,
    ) -> Result<Option<Verdict>, Failure> {
        loop {
            let answer = self.call(&mut frame, position)?;
            self.flags |= dispatcher::record_flags(self.record)? & NONCONTINUABLE;
            if self.nested == frame.establisher {
                self.flags &= !NESTED_CALL;
                self.nested = 0;
            }
            match answer {
                disposition::CONTINUE_EXECUTION if self.flags & NONCONTINUABLE != 0 => {
                    return Ok(Some(Verdict::Raise(
                        nt_status::STATUS_NONCONTINUABLE_EXCEPTION,
                    )));
                }
                disposition::CONTINUE_EXECUTION => {
                    let handler = frame.handler;
                    return Ok(Some(Verdict::Continue { handler }));
                }
                disposition::CONTINUE_SEARCH => return Ok(None),
                disposition::NESTED_EXCEPTION => {
                    self.nest(DispatcherContext::read(self.dispatcher)?.establisher);
                    return Ok(None);
                }
                disposition::COLLIDED_UNWIND => {
                    let level = position.level;
                    frame = collide(position, self.dispatcher, level)?;
                }
                _ => return Ok(Some(Verdict::Raise(nt_status::STATUS_INVALID_DISPOSITION))),
            }
        }
    }

    fn call(&mut self, frame: &mut DispatcherContext, position: &Position) -> Result<u32, Failure> {
        frame.context = self.unwound;
        position.context.write(self.unwound)?;
        frame.write(self.dispatcher)?;
        dispatcher::set_record_flags(self.record, self.flags)?;
        let answer = upcall::call_driver_for(
            Purpose::ExceptionHandler {
                establisher: frame.establisher,
            },
            frame.handler,
            &[
                self.record,
                frame.establisher,
                self.context,
                self.dispatcher,
            ],
            self.room.top(),
            Some(self.origin.context),
        );
        Ok(low_half(answer))
    }
}

/// What a handler answers is an `int`.
pub fn low_half(answer: u64) -> u32 {
    u32::try_from(answer & 0xffff_ffff).unwrap_or(u32::MAX)
}

/// The dispatcher context of a frame; `None` if it has no handler to call.
pub fn describe(frame: &Frame) -> Option<DispatcherContext> {
    frame.handler.map(|handler| DispatcherContext {
        control_pc: frame.control_pc,
        image_base: frame.image_base,
        function_entry: frame.entry,
        establisher: frame.establisher,
        handler: handler.routine,
        handler_data: handler.data,
        ..DispatcherContext::default()
    })
}

/// Goes to the frame that an earlier unwind had reached when one of its handlers
/// failed: what lies in between is already unwound. `position` becomes the
/// frame's caller; the frame's handler goes on behind the scope that failed.
fn collide(
    position: &mut Position,
    dispatcher: u64,
    level: usize,
) -> Result<DispatcherContext, Failure> {
    let (frame, inside) = collided_frame(dispatcher, level)?;
    *position = inside;
    position.step(0)?;
    Ok(frame)
}

/// The frame that an earlier unwind had reached, and the place in it.
pub fn collided_frame(
    dispatcher: u64,
    level: usize,
) -> Result<(DispatcherContext, Position), Failure> {
    let frame = DispatcherContext::read(dispatcher)?;
    let context = Context::read(frame.context)?;
    Ok((frame, Position { context, level }))
}

//! Unwinding to a frame, as `RtlUnwindEx` does it: every termination handler on
//! the way is called, then execution goes on in the target.

use ntbox_host::context::{
    COLLIDED_UNWIND, Context, EXIT_UNWIND, ExceptionRecord, TARGET_UNWIND, UNWINDING,
};
use ntbox_host::upcall;
use ntbox_host::upcall::Purpose;

use super::dispatch::{Failure, disposition};
use super::dispatcher::{DispatcherContext, FreeStack};
use super::{dispatch, dispatcher, setjmp, unhandled};
use crate::unwind::stack_walk::{Position, Step};
use crate::unwind::unwind_info::UHANDLER;

/// Number of RAX.
const RAX: usize = 0;

/// Where an unwind ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Base of the frame; 0 to unwind everything.
    pub frame: u64,
    /// Where execution goes on in it.
    pub ip: u64,
    /// What RAX holds then.
    pub value: u64,
}

/// What an unwind is begun with.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Where it ends.
    pub target: Target,
    /// Address of the exception record; 0 for an unwind that has none.
    pub record: u64,
    /// Address of a `CONTEXT` to work with; 0 to take one from the stack.
    pub context: u64,
    /// Address of the history table, passed on to handlers.
    pub history_table: u64,
}

/// Unwinds from `start`, the caller, whose stack is free below `room`.
pub fn unwind(start: &Context, room: FreeStack, request: Request) -> ! {
    let mut unwinding = Unwind::new(start, room, request);
    let failure = match unwinding.run() {
        Ok(UnwindEnd::Reached) => match unwinding.finish() {
            Ok((level, context)) => dispatch::resume(level, &context),
            Err(failure) => failure,
        },
        Ok(UnwindEnd::Raise(code)) => {
            let record = ExceptionRecord {
                nested: unwinding.record,
                address: start.rip,
                ..ExceptionRecord::software(code)
            };
            dispatch::raise_below(start, record, unwinding.room)
        }
        // Without a target frame this is the aim: nobody is left, and the
        // exception gets its second chance, which is a bug check.
        Ok(UnwindEnd::Exhausted) => {
            unhandled::report(start, unwinding.record, unwinding.context, None)
        }
        Err(failure) => failure,
    };
    match failure {
        Failure::Damage(damage) => {
            unhandled::report(start, unwinding.record, unwinding.context, Some(damage))
        }
        Failure::Memory(fault) => unhandled::no_memory(start, fault),
    }
}

/// How an unwind ends.
enum UnwindEnd {
    /// In the target frame, at [`Unwind::reached`].
    Reached,
    /// It cannot be done: this status is raised at its caller.
    Raise(u32),
    /// At the end of the driver's frames.
    Exhausted,
}

/// An unwind under way.
struct Unwind {
    start: Context,
    target: Target,
    record: u64,
    /// Whether the record is ours to fill.
    own_record: bool,
    context: u64,
    dispatcher: u64,
    history_table: u64,
    room: FreeStack,
    flags: u32,
    /// Callout that the target frame belongs to; `None` to unwind everything.
    level: Option<usize>,
    /// The place in the target frame, once it is reached.
    reached: Position,
}

impl Unwind {
    fn new(start: &Context, mut room: FreeStack, request: Request) -> Self {
        let own_record = request.record == 0;
        let record = match request.record {
            0 => room.take(ExceptionRecord::SIZE as u64),
            record => record,
        };
        let context = match request.context {
            0 => room.take(size_of::<Context>() as u64),
            context => context,
        };
        let exit = if request.target.frame == 0 {
            EXIT_UNWIND
        } else {
            0
        };
        Self {
            start: *start,
            target: request.target,
            record,
            own_record,
            context,
            dispatcher: room.take(DispatcherContext::SIZE),
            history_table: request.history_table,
            room,
            flags: UNWINDING | exit,
            level: None,
            reached: Position::innermost(start),
        }
    }

    fn run(&mut self) -> Result<UnwindEnd, Failure> {
        if self.own_record {
            let address = self.start.rip;
            let record = ExceptionRecord {
                address,
                ..ExceptionRecord::software(nt_status::STATUS_UNWIND)
            };
            record.write(self.record)?;
        }
        let mut position = Position::innermost(&self.start);
        if self.target.frame != 0 {
            self.level = position.level_holding(self.target.frame);
            if self.level.is_none() {
                return Ok(UnwindEnd::Raise(nt_status::STATUS_BAD_STACK));
            }
        }
        loop {
            let inside = position;
            match position.step(UHANDLER)? {
                Step::End | Step::Callout(Purpose::Interrupt | Purpose::RegistryFilter { .. }) => {
                    return Ok(UnwindEnd::Exhausted);
                }
                Step::Leaf
                | Step::Callout(Purpose::Ordinary | Purpose::ExceptionHandler { .. }) => {}
                Step::Callout(Purpose::UnwindHandler { dispatcher, level }) => {
                    let (frame, inside) = dispatch::collided_frame(dispatcher, level)?;
                    position = inside;
                    position.step(0)?;
                    self.flags |= COLLIDED_UNWIND;
                    if let Some(end) = self.visit(frame, inside, &mut position)? {
                        return Ok(end);
                    }
                }
                Step::Function(frame) => {
                    if self.missed(frame.establisher, inside.level) {
                        return Ok(UnwindEnd::Raise(nt_status::STATUS_BAD_STACK));
                    }
                    let at_target = frame.establisher == self.target.frame;
                    match dispatch::describe(&frame) {
                        Some(frame) => {
                            if let Some(end) = self.visit(frame, inside, &mut position)? {
                                return Ok(end);
                            }
                        }
                        None if at_target => {
                            self.reached = inside;
                            return Ok(UnwindEnd::Reached);
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// Whether the walk has gone past the target.
    fn missed(&self, establisher: u64, level: usize) -> bool {
        self.level.is_some_and(|target| {
            level < target || level == target && establisher > self.target.frame
        })
    }

    /// Calls the termination handler of a frame. `inside` is the place in it,
    /// `position` its caller. Gives the end of the unwind, if this is it.
    fn visit(
        &mut self,
        mut frame: DispatcherContext,
        mut inside: Position,
        position: &mut Position,
    ) -> Result<Option<UnwindEnd>, Failure> {
        loop {
            if frame.establisher == self.target.frame {
                self.flags |= TARGET_UNWIND;
            }
            let answer = self.call(&mut frame, &inside)?;
            self.flags &= !(COLLIDED_UNWIND | TARGET_UNWIND);
            match answer {
                disposition::CONTINUE_SEARCH if frame.establisher == self.target.frame => {
                    let context = Context::read(self.context)?;
                    self.reached = Position {
                        context,
                        level: inside.level,
                    };
                    return Ok(Some(UnwindEnd::Reached));
                }
                disposition::CONTINUE_SEARCH => return Ok(None),
                disposition::COLLIDED_UNWIND => {
                    (frame, inside) = dispatch::collided_frame(self.dispatcher, inside.level)?;
                    *position = inside;
                    position.step(0)?;
                    self.flags |= COLLIDED_UNWIND;
                }
                _ => {
                    return Ok(Some(UnwindEnd::Raise(
                        nt_status::STATUS_INVALID_DISPOSITION,
                    )));
                }
            }
        }
    }

    fn call(&mut self, frame: &mut DispatcherContext, inside: &Position) -> Result<u32, Failure> {
        let mut context = inside.context;
        context.registers[RAX] = self.target.value;
        context.write(self.context)?;
        frame.context = self.context;
        frame.target_ip = self.target.ip;
        frame.history_table = self.history_table;
        frame.write(self.dispatcher)?;
        dispatcher::set_record_flags(self.record, self.flags)?;
        let answer = upcall::call_driver_for(
            Purpose::UnwindHandler {
                dispatcher: self.dispatcher,
                level: inside.level,
            },
            frame.handler,
            &[
                self.record,
                frame.establisher,
                self.context,
                self.dispatcher,
            ],
            self.room.top(),
            Some(self.start),
        );
        Ok(dispatch::low_half(answer))
    }

    /// The registers to go on with in the target frame.
    fn finish(&self) -> Result<(usize, Context), Failure> {
        let Position { mut context, level } = self.reached;
        let record = ExceptionRecord::read(self.record)?;
        if record.code == nt_status::STATUS_LONGJUMP && record.count >= 1 {
            setjmp::restore(record.information[0], &mut context)?;
        }
        context.rip = self.target.ip;
        context.registers[RAX] = self.target.value;
        Ok((level, context))
    }
}

//! From frame to frame, innermost first, and on across callouts: where the
//! kernel called the driver, the walk goes on where the driver had been before.

use ntbox_host::context::Context;
use ntbox_host::upcall::Purpose;
use ntbox_host::{driver_mem, modules, upcall};

use super::epilogue::CodePosition;
use super::reader::{Damage, Driver, Image};
use super::unwind_info::Handler;
use super::virtual_unwind::{SavedRegisters, UnwoundFrame};
use super::{function_table, virtual_unwind};

/// A place that the driver is at or was at: its registers, and the number of the
/// callout that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// The registers.
    pub context: Context,
    /// Number of the callout.
    pub level: usize,
}

/// What a step of the walk left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A function with unwind information.
    Function(Frame),
    /// A function without.
    Leaf,
    /// The kernel's frames that made a callout.
    Callout(Purpose),
    /// The end of the driver's frames: there is no caller.
    End,
}

/// A frame of a function with unwind information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where control is in the function.
    pub control_pc: u64,
    /// Base of its image.
    pub image_base: u64,
    /// Address of its entry in the function table.
    pub entry: u64,
    /// Base of its fixed stack allocation.
    pub establisher: u64,
    /// Its language handler, if it has one of the kinds asked for.
    pub handler: Option<Handler>,
}

/// The image at an address, as unwinding needs it.
pub fn image_at(pc: u64) -> Option<Image> {
    modules::find(pc).map(|view| Image {
        base: view.base,
        size: view.size,
        pdata: view.pdata,
    })
}

impl Position {
    /// A place in the innermost callout.
    pub fn innermost(context: &Context) -> Self {
        Self {
            context: *context,
            level: upcall::depth().saturating_sub(1),
        }
    }

    /// The callout, this place's own or an outer one, whose frames in use hold an
    /// address.
    pub fn level_holding(&self, address: u64) -> Option<usize> {
        let mut low = self.context.rsp();
        for level in (0..=self.level).rev() {
            if (low..=upcall::stack_top(level)).contains(&address) {
                return Some(level);
            }
            low = upcall::origin(level)?.rsp();
        }
        None
    }

    /// Goes to the caller, and says what was left. `kinds` are the kinds of
    /// language handler to look for.
    pub fn step(&mut self, kinds: u8) -> Result<Step, Damage> {
        if self.context.rip == upcall::return_address() {
            return Ok(self.leave_callout());
        }
        let before = self.context.rsp();
        let step = self.step_function(kinds)?;
        let found = self.context.rsp();
        let top = upcall::stack_top(self.level);
        if found <= before || found > top {
            return Err(Damage::Stack { before, found, top });
        }
        Ok(step)
    }

    fn leave_callout(&mut self) -> Step {
        let purpose = upcall::purpose(self.level);
        match (upcall::origin(self.level), self.level.checked_sub(1)) {
            (Some(context), Some(level)) => {
                *self = Self { context, level };
                Step::Callout(purpose)
            }
            _ => Step::End,
        }
    }

    fn step_function(&mut self, kinds: u8) -> Result<Step, Damage> {
        let pc = self.context.rip;
        if let Some(image) = image_at(pc)
            && let Some(located) = function_table::lookup(&Driver, &image, pc)?
        {
            let place = CodePosition {
                memory: &Driver,
                image: &image,
                entry: located.entry,
                pc,
            };
            let mut saved = SavedRegisters::default();
            let UnwoundFrame {
                establisher,
                handler,
            } = virtual_unwind::virtual_unwind(&place, kinds, &mut self.context, &mut saved)?;
            return Ok(Step::Function(Frame {
                control_pc: pc,
                image_base: image.base,
                entry: located.address,
                establisher,
                handler,
            }));
        }
        virtual_unwind::leaf_unwind(&Driver, &mut self.context)?;
        Ok(Step::Leaf)
    }
}

/// The driver's addresses on the call stack, innermost first, `limit` at most.
/// What is damaged ends it.
pub fn backtrace(context: &Context, limit: usize) -> Vec<u64> {
    trace(context, limit).addresses
}

/// Places of return addresses, and what lies there.
pub type Slots = Vec<(u64, u64)>;

/// A call stack, and what it was read from.
pub struct Trace {
    /// The driver's addresses, innermost first.
    pub addresses: Vec<u64>,
    /// Where each return address lies, in order; `None` if not all came from the
    /// stack alone.
    pub slots: Option<Slots>,
}

impl Trace {
    /// Whether the same return addresses still lie in the same places.
    pub fn holds(slots: &[(u64, u64)]) -> bool {
        slots
            .iter()
            .all(|(slot, address)| driver_mem::read_u64(*slot) == Ok(*address))
    }
}

/// The same as [`backtrace`], with the places of the return addresses.
pub fn trace(context: &Context, limit: usize) -> Trace {
    let mut position = Position::innermost(context);
    let mut addresses = Vec::new();
    let mut slots = Some(Vec::new());
    while addresses.len() < limit {
        let pc = position.context.rip;
        match position.step(0) {
            Ok(Step::End) => break,
            Ok(Step::Callout(_)) => slots = None,
            Ok(Step::Function(_) | Step::Leaf) => {
                addresses.push(pc);
                let found = (position.context.rsp().wrapping_sub(8), position.context.rip);
                slots = slots.filter(|_| Trace::holds(&[found]));
                if let Some(slots) = &mut slots {
                    slots.push(found);
                }
            }
            Err(_) => {
                addresses.push(pc);
                slots = None;
                break;
            }
        }
    }
    Trace { addresses, slots }
}

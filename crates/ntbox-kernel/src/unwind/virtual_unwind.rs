//! One frame back: from the registers inside a function to those of its caller
//! just after the call, as `RtlVirtualUnwind` does it.

use ntbox_host::context::{Context, RSP};

use super::epilogue::CodePosition;
use super::function_table::{CHAIN_LIMIT, FunctionEntry};
use super::reader::{Damage, Memory};
use super::unwind_info::{Effect, Handler, Operation, UnwindInfo};

/// Where on the stack registers were found; 0 for those that were not restored.
/// `KNONVOLATILE_CONTEXT_POINTERS`, in its order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SavedRegisters {
    /// XMM0 to XMM15.
    pub xmm: [u64; 16],
    /// RAX to R15, in the order in which unwind codes number them.
    pub integer: [u64; 16],
}

/// Registers on the way from a frame to its caller.
#[derive(Debug)]
pub struct Registers<'a, M> {
    /// Memory that holds the stack.
    pub memory: &'a M,
    /// The registers.
    pub context: &'a mut Context,
    /// Where they were found.
    pub saved: &'a mut SavedRegisters,
}

impl<M: Memory> Registers<'_, M> {
    fn stack_word(&self, address: u64) -> Result<u64, Damage> {
        self.memory
            .read_u64(address)
            .map_err(|_| Damage::Unreadable {
                what: "the stack",
                address,
            })
    }

    /// Takes a register from the top of the stack.
    pub fn pop(&mut self, register: usize) -> Result<(), Damage> {
        let address = self.context.rsp();
        let value = self.stack_word(address)?;
        self.advance(8);
        self.context.registers[register] = value;
        self.saved.integer[register] = address;
        Ok(())
    }

    /// Gives back stack.
    pub fn advance(&mut self, by: u64) {
        self.context.registers[RSP] = self.context.rsp().wrapping_add(by);
    }

    /// Takes the return address from the top of the stack.
    pub fn return_(&mut self) -> Result<(), Damage> {
        self.context.rip = self.stack_word(self.context.rsp())?;
        self.advance(8);
        Ok(())
    }

    /// Takes RIP and RSP from the frame that an interrupt pushed.
    pub fn machine_frame(&mut self, error_code: bool) -> Result<(), Damage> {
        let base = self
            .context
            .rsp()
            .wrapping_add(if error_code { 8 } else { 0 });
        self.context.rip = self.stack_word(base)?;
        self.context.registers[RSP] = self.stack_word(base.wrapping_add(24))?;
        Ok(())
    }

    fn restore(&mut self, register: usize, address: u64) -> Result<(), Damage> {
        self.context.registers[register] = self.stack_word(address)?;
        self.saved.integer[register] = address;
        Ok(())
    }

    fn restore_xmm(&mut self, register: usize, address: u64) -> Result<(), Damage> {
        let mut bytes = [0; 16];
        self.memory
            .read(address, &mut bytes)
            .map_err(|_| Damage::Unreadable {
                what: "the stack",
                address,
            })?;
        self.context.xmm[register] = u128::from_le_bytes(bytes);
        self.saved.xmm[register] = address;
        Ok(())
    }

    /// Undoes one operation of a prologue. True if it was the push of a machine
    /// frame, after which there is no return address.
    fn undo(&mut self, effect: Effect, info: &UnwindInfo, base: u64) -> Result<bool, Damage> {
        match effect {
            Effect::Push(register) => self.pop(register)?,
            Effect::Allocate(size) => self.advance(size.into()),
            Effect::SetFrame => {
                if let Some(frame) = info.frame_register {
                    let value = self.context.registers[frame].wrapping_sub(info.frame_offset);
                    self.context.registers[RSP] = value;
                }
            }
            Effect::Save { register, offset } => {
                self.restore(register, base.wrapping_add(offset.into()))?;
            }
            Effect::SaveXmm { register, offset } => {
                self.restore_xmm(register, base.wrapping_add(offset.into()))?;
            }
            Effect::MachineFrame { error_code } => {
                self.machine_frame(error_code)?;
                return Ok(true);
            }
            Effect::None => {}
        }
        Ok(false)
    }
}

/// The result of unwinding a frame, besides the registers of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnwoundFrame {
    /// Base of the function's fixed stack allocation.
    pub establisher: u64,
    /// The function's language handler, if it has one of the kinds asked for and
    /// was neither in its prologue nor in an epilogue.
    pub handler: Option<Handler>,
}

/// Unwinds out of the function that `place` is in.
pub fn virtual_unwind<M: Memory>(
    place: &CodePosition<'_, M>,
    kinds: u8,
    context: &mut Context,
    saved: &mut SavedRegisters,
) -> Result<UnwoundFrame, Damage> {
    let info = UnwindInfo::read(place.memory, place.image, place.entry.unwind)?;
    let establisher = establisher(place, &info, context)?;
    let mut registers = Registers {
        memory: place.memory,
        context,
        saved,
    };
    if let Some(epilogue) = place.epilogue(&info)? {
        epilogue.run(&mut registers)?;
        return Ok(UnwoundFrame {
            establisher,
            handler: None,
        });
    }
    let (primary, info) = undo_prologues(place, &info, establisher, &mut registers)?;
    let handler = if distance(place, primary) >= u32::from(info.prologue) {
        info.handler(place.memory, place.image, kinds)?
    } else {
        None
    };
    Ok(UnwoundFrame {
        establisher,
        handler,
    })
}

/// Unwinds out of a function without an entry, which has not touched the stack.
pub fn leaf_unwind(memory: &impl Memory, context: &mut Context) -> Result<(), Damage> {
    let mut saved = SavedRegisters::default();
    Registers {
        memory,
        context,
        saved: &mut saved,
    }
    .return_()
}

/// Bytes from the begin of a function to the place. A place before it, which is
/// one in a separate part of the function, counts as far behind.
fn distance<M>(place: &CodePosition<'_, M>, entry: FunctionEntry) -> u32 {
    place.image.offset(place.pc).wrapping_sub(entry.begin)
}

/// Base of the fixed stack allocation: the frame register knows it once it is
/// set, the stack pointer does otherwise.
fn establisher<M>(
    place: &CodePosition<'_, M>,
    info: &UnwindInfo,
    context: &Context,
) -> Result<u64, Damage> {
    let Some(frame) = info.frame_register else {
        return Ok(context.rsp());
    };
    let offset = distance(place, place.entry);
    let mut set = offset >= u32::from(info.prologue) || info.is_chained();
    if !set {
        for operation in info.operations() {
            let Operation { offset: at, effect } = operation?;
            set |= effect == Effect::SetFrame && offset >= u32::from(at);
        }
    }
    Ok(if set {
        context.registers[frame].wrapping_sub(info.frame_offset)
    } else {
        context.rsp()
    })
}

/// Undoes what the prologue did up to the place, and what the chained entries
/// did. Returns the last entry, which is the begin of the function.
fn undo_prologues<M: Memory>(
    place: &CodePosition<'_, M>,
    first: &UnwindInfo,
    base: u64,
    registers: &mut Registers<'_, M>,
) -> Result<(FunctionEntry, UnwindInfo), Damage> {
    let (mut entry, mut info) = (place.entry, *first);
    for _ in 0..=CHAIN_LIMIT {
        let offset = distance(place, entry);
        let mut machine_frame = false;
        for operation in info.operations() {
            let Operation { offset: at, effect } = operation?;
            if offset >= u32::from(at) {
                machine_frame |= registers.undo(effect, &info, base)?;
            }
        }
        let Some(parent) = info.parent(place.memory, place.image)? else {
            if !machine_frame {
                registers.return_()?;
            }
            return Ok((entry, info));
        };
        entry = parent;
        info = UnwindInfo::read(place.memory, place.image, entry.unwind)?;
    }
    Err(Damage::Chain {
        rva: place.entry.unwind,
    })
}

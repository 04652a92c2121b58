//! Where the kernel was asked from, so that what a request leads to can call the
//! driver: its dispatch routines when a last handle is closed, its callbacks.

use ntbox_host::context::Context;
use ntbox_host::gate::{Call, Frame, NoReturn};
use ntbox_host::routine::Routine;
use ntbox_host::upcall::{Purpose, call_driver, call_driver_for};
use ntbox_host::{driver_mem, kernel_entry};

/// The origin of a request.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'a> {
    /// Registers of the driver that called; `None` if the kernel acts by itself.
    frame: Option<&'a Frame>,
    /// Where the stack for a callout begins.
    stack: u64,
}

impl<'a> CallContext<'a> {
    /// The driver that made this call.
    pub fn of(call: &Call<'a>) -> Self {
        let frame = call.frame();
        Self {
            frame: Some(frame),
            stack: frame.rsp,
        }
    }

    /// The kernel itself; the driver would be called on this stack.
    pub fn kernel(stack: u64) -> Self {
        Self { frame: None, stack }
    }

    /// Address in the driver that the request returns to; 0 for the kernel.
    pub fn address(&self) -> u64 {
        self.frame
            .map_or(0, |frame| driver_mem::read_u64(frame.rsp).unwrap_or(0))
    }

    /// Where the stack for a callout begins.
    pub fn stack(&self) -> u64 {
        self.stack
    }

    /// Where the driver goes on after its call.
    pub fn origin(&self) -> Option<Context> {
        self.frame
            .map(|frame| Context::after_call(frame, self.address()))
    }

    /// Calls a function of the driver. No lock may be held.
    pub fn call(&self, routine: impl Into<Routine>, arguments: &[u64]) -> u64 {
        self.call_on(self.stack, routine, arguments)
    }

    /// The same for a purpose that matters to exceptions.
    pub fn call_for(
        &self,
        purpose: Purpose,
        routine: impl Into<Routine>,
        arguments: &[u64],
    ) -> u64 {
        call_driver_for(purpose, routine, arguments, self.stack, self.origin())
    }

    /// The same with another stack, which begins below `stack`.
    pub fn call_on(&self, stack: u64, routine: impl Into<Routine>, arguments: &[u64]) -> u64 {
        call_driver(routine, arguments, stack, self.origin())
    }

    /// Ends the operation without returning: raises the exception in the driver that
    /// called, or stops the system.
    pub fn end(&self, stop: NoReturn) -> ! {
        match self.frame {
            Some(frame) => (kernel_entry::get().end_call)(frame, stop),
            None => (kernel_entry::get().end_internal)(stop),
        }
    }
}

//! What a language handler is given, in memory that the driver can read and
//! change: the structures lie on the driver's own stack, below everything that
//! is in use, as Windows puts them.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

/// `DISPATCHER_CONTEXT`: the frame whose handler is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DispatcherContext {
    /// Where control is in the function.
    pub control_pc: u64,
    /// Base of the function's image.
    pub image_base: u64,
    /// Address of the function's entry in the function table.
    pub function_entry: u64,
    /// Base of the function's fixed stack allocation.
    pub establisher: u64,
    /// Where an unwind ends.
    pub target_ip: u64,
    /// Address of the `CONTEXT` that unwinding works with.
    pub context: u64,
    /// The handler.
    pub handler: u64,
    /// Address of the data that the compiler wrote for it.
    pub handler_data: u64,
    /// Address of the history table, which this kernel has no use for.
    pub history_table: u64,
    /// Scope at which `__C_specific_handler` begins.
    pub scope_index: u32,
}

impl DispatcherContext {
    /// Bytes of the structure.
    pub const SIZE: u64 = 0x50;
    /// Offset of [`Self::scope_index`].
    pub const SCOPE_INDEX: u64 = 0x48;

    /// Reads it from driver memory.
    pub fn read(va: u64) -> Result<Self, Fault> {
        let field = |n: u64| driver_mem::read_u64(va.wrapping_add(8 * n));
        Ok(Self {
            control_pc: field(0)?,
            image_base: field(1)?,
            function_entry: field(2)?,
            establisher: field(3)?,
            target_ip: field(4)?,
            context: field(5)?,
            handler: field(6)?,
            handler_data: field(7)?,
            history_table: field(8)?,
            scope_index: driver_mem::read_u32(va.wrapping_add(Self::SCOPE_INDEX))?,
        })
    }

    /// Writes it to driver memory.
    pub fn write(&self, va: u64) -> Result<(), Fault> {
        let fields = [
            self.control_pc,
            self.image_base,
            self.function_entry,
            self.establisher,
            self.target_ip,
            self.context,
            self.handler,
            self.handler_data,
            self.history_table,
            self.scope_index.into(),
        ];
        for (n, value) in (0..).zip(fields) {
            driver_mem::write_u64(va.wrapping_add(8 * n), value)?;
        }
        Ok(())
    }
}

/// The free part of the driver's stack, allocated downwards.
#[derive(Debug, Clone, Copy)]
pub struct FreeStack {
    /// First address that is in use.
    top: u64,
}

impl FreeStack {
    /// The room below a stack pointer.
    pub fn below(rsp: u64) -> Self {
        Self { top: rsp & !15 }
    }

    /// Takes `size` bytes, aligned to 16.
    pub fn take(&mut self, size: u64) -> u64 {
        self.top = self.top.wrapping_sub(size.next_multiple_of(16));
        self.top
    }

    /// End of what is left, where the frames of a callout may begin.
    pub fn top(self) -> u64 {
        self.top
    }
}

/// Reads the flags of a record.
pub fn record_flags(record: u64) -> Result<u32, Fault> {
    driver_mem::read_u32(record.wrapping_add(4))
}

/// Writes the flags of a record.
pub fn set_record_flags(record: u64, flags: u32) -> Result<(), Fault> {
    driver_mem::write_u32(record.wrapping_add(4), flags)
}

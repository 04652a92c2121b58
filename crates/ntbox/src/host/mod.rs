//! (new folder)

pub mod asm_exports;
pub mod context;
pub mod context_switch;
pub mod cpu;
pub mod driver_mem;
pub mod gate;
pub mod kernel_address_space;
pub mod kernel_cell;
pub mod last_call;
pub mod memory_map;
pub mod pe;
pub mod pfn;
pub mod protection;
pub mod routine;
pub mod seh_asm;
pub mod upcall;

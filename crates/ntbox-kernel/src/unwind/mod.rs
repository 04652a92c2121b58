//! Unwinding by `.pdata`: finds a function's unwind information, undoes its prologue,
//! and walks call stacks across upcalls.

pub mod epilogue;
pub mod function_table;
pub mod reader;
pub mod stack_walk;
#[cfg(test)]
mod tests;
pub mod unwind_info;
pub mod virtual_unwind;

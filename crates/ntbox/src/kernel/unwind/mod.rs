//! (new folder)

pub mod epilogue;
pub mod function_table;
pub mod reader;
pub mod stack_walk;
#[cfg(test)]
mod tests;
pub mod unwind_info;
pub mod virtual_unwind;

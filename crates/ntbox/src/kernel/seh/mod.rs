//! Structured exceptions.

mod context;

pub use context::{Context, ExceptionRecord};

/// Raises an exception in the driver.
pub fn raise(context: Context, record: ExceptionRecord) -> ! {
    // SYSTEM_THREAD_EXCEPTION_NOT_HANDLED
    super::stop::bug_check(
        0x7e,
        [u64::from(record.code), record.address, 0, 0],
        format!("exception {:#x} was not handled", record.code),
        Some(&context),
    )
}

/// Addresses in the driver, innermost first.
pub fn backtrace(context: &Context, _limit: usize) -> Vec<u64> {
    vec![context.rip]
}

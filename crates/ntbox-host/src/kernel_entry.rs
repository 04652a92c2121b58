//! The entries of the kernel that the host layer calls: an export call, the end of a
//! call that does not return, an IRQL that was raised. The kernel registers them once,
//! before the driver runs; this layer knows nothing else of the kernel.

use std::sync::OnceLock;

use super::bug_check::{Access, BugCheckData};
use super::context::Context;
use super::gate::{Call, ExportResult, Frame, NoReturn};
use super::routine::Routine;
use super::signals::SignalHandlers;
use super::translation::CheckedAccess;

/// The entries.
#[derive(Debug, Clone, Copy)]
pub struct KernelEntries {
    /// Executes an export call.
    pub invoke: fn(&mut Call<'_>) -> ExportResult,
    /// Ends a call that does not return: raises the exception or stops the system.
    pub end_call: fn(&Frame, NoReturn) -> !,
    /// Stops the system: what the kernel does by itself, for no call, cannot go on.
    pub end_internal: fn(NoReturn) -> !,
    /// Stops the system. The context is where the driver was, if it is known.
    pub bug_check: fn(BugCheckData, Option<&Context>) -> !,
    /// Stops the system: the upcalls in progress leave no stack for another.
    pub upcall_stack_overflow: fn(Option<Context>) -> !,
    /// Raises the fault of an upcall to an address that holds no code of the driver.
    /// The context is the end of the kernel's frames.
    pub bad_routine: fn(Context, &Routine) -> !,
    /// Raises the exception, or stops the system, for an access that is not possible.
    pub invalid_access: fn(&Context, u64, Access, &str) -> !,
    /// Stops the driver: it did not return in time.
    pub watchdog_timeout: fn(&Context) -> !,
    /// The kernel's part of signal handling.
    pub signals: SignalHandlers,
    /// Called when control goes to the driver: by an upcall, or by a resumed context.
    pub driver_entered: fn(),
    /// Called before an access that the shadow of translated code has not let pass.
    pub access_checked: fn(&CheckedAccess<'_>),
    /// Called when the IRQL was raised to `DISPATCH_LEVEL` or above.
    pub irql_raised: fn(),
}

static ENTRIES: OnceLock<KernelEntries> = OnceLock::new();

/// Registers the kernel's entries. The first registration counts.
pub fn register(entries: KernelEntries) {
    let _ = ENTRIES.set(entries);
}

/// The registered entries; `None` in unit tests of this layer.
pub fn registered() -> Option<&'static KernelEntries> {
    ENTRIES.get()
}

/// The registered entries.
///
/// # Panics
/// The kernel has not registered any.
#[must_use]
pub fn get() -> &'static KernelEntries {
    registered().expect("the kernel registers its entries before the driver runs")
}

/// Stops the system.
pub fn bug_check(
    code: u32,
    parameters: [u64; 4],
    message: impl Into<String>,
    context: Option<&Context>,
) -> ! {
    let message = message.into();
    let data = BugCheckData {
        code,
        parameters,
        message,
    };
    (get().bug_check)(data, context)
}

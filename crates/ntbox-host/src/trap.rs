//! Traps: why the processor left the driver.

use super::bug_check::Access;
use super::context::Context;

/// What the processor refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// A page that is not there, or not for that.
    Page {
        /// Address of the access.
        address: u64,
        /// Kind of access.
        access: Access,
    },
    /// Division by zero or overflow of its result.
    DivideError,
    /// A floating-point exception.
    FloatingPoint,
    /// No such instruction, `ud2`.
    InvalidOpcode,
    /// `int 3`.
    Breakpoint,
    /// The trap flag.
    SingleStep,
    /// `int 2Ch`.
    Assertion,
    /// `int 29h` with its code in RCX.
    FastFail(u64),
    /// A privileged instruction that this kernel does not carry out.
    Privileged(&'static str),
    /// The clock: the driver is interrupted and goes on later.
    Tick,
    /// The driver has lowered its IRQL, and what waited for that happens.
    Lowered,
    /// The caller waits no longer for the driver, which is stopped where it is.
    Overdue,
    /// Another general protection fault, such as a non-canonical address.
    GeneralProtection,
}

/// State that the signal handler leaves on the host stack, for the function that goes on there.
#[repr(C, align(16))]
pub struct PendingTrap {
    /// The driver's registers.
    pub context: Context,
    /// Why it does not go on there.
    pub trap: Trap,
}

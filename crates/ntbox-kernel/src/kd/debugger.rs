//! The kernel debugger, as far as a driver can see one. None is attached, unless the
//! caller asks for it (`--debugger`): then it is one whose user lets the driver go
//! on at every breakpoint, which many drivers have in their debug builds.

use std::sync::atomic::{AtomicBool, Ordering};

use nt_status::{STATUS_ACCESS_DENIED, STATUS_BREAKPOINT};
use ntbox_host::context::{Context, ExceptionRecord};
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::{driver_mem, modules, upcall};

use crate::base::export::exports;
use crate::base::log;
use crate::seh;

/// `DPFLTR_DEFAULT_ID`.
const DEFAULT: u32 = 101;
/// `DPFLTR_ERROR_LEVEL`, which is always shown.
const ERROR: u32 = 0;
/// `int3`.
const INSTRUCTION: u8 = 0xcc;

static ATTACHED: AtomicBool = AtomicBool::new(false);

/// Attaches a debugger, or none, before the driver runs.
pub fn attach(attached: bool) {
    ATTACHED.store(attached, Ordering::Relaxed);
}

/// Whether one is attached.
pub fn is_attached() -> bool {
    ATTACHED.load(Ordering::Relaxed)
}

/// A breakpoint instruction of the driver: with a debugger the driver goes on behind
/// it, otherwise this returns.
pub fn pass(context: &Context) {
    let is_instruction = driver_mem::read_u8(context.rip) == Ok(INSTRUCTION);
    if !is_attached() || !is_instruction {
        return;
    }
    if let Some(level) = upcall::level_of(context.rsp()) {
        show(context.rip);
        let rip = context.rip + 1;
        seh::resume(level, &Context { rip, ..*context });
    }
}

/// What the debugger shows of a breakpoint.
fn show(at: u64) {
    let place = modules::find(at).map_or_else(
        || format!("{at:#018x}"),
        |image| format!("{}+{:#x}", image.name, at - image.base),
    );
    let text = format!("[debugger] breakpoint at {place}; the driver goes on\n");
    log::message(DEFAULT, ERROR, text.as_bytes());
}

fn breakpoint(call: &Call<'_>) -> Result<(), NoReturn> {
    if is_attached() {
        show(call.return_address());
        return Ok(());
    }
    let record = ExceptionRecord::hardware(STATUS_BREAKPOINT, 0, &[0]);
    Err(NoReturn::Raise(Box::new(record)))
}

/// What becomes of a wish to disable or enable the debugger: an attached one is
/// blocked, as `KdBlockEnable` does it.
fn change() -> u32 {
    if is_attached() {
        STATUS_ACCESS_DENIED
    } else {
        nt_status::STATUS_DEBUGGER_INACTIVE
    }
}

exports! {
    /// `DbgBreakPoint`: without a debugger an exception, as the instruction is.
    fn DbgBreakPoint<call>() -> () [max HIGH_LEVEL, wdm] { breakpoint(call) }

    /// `DbgBreakPointWithStatus`; the status is for the debugger.
    fn DbgBreakPointWithStatus<call>(status: u32) -> () [max HIGH_LEVEL, wdm] { breakpoint(call) }

    /// `KdRefreshDebuggerNotPresent`: whether no debugger is there.
    fn KdRefreshDebuggerNotPresent() -> bool [max HIGH_LEVEL, wdm] {
        Ok(!is_attached())
    }

    /// `KdDisableDebugger`.
    fn KdDisableDebugger() -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(change())
    }

    /// `KdEnableDebugger`.
    fn KdEnableDebugger() -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(change())
    }

    /// `KdChangeOption`.
    fn KdChangeOption(option: u32, in_length: u32, into: u64, out_length: u32, out: u64, needed: u64) -> u32
        [max PASSIVE_LEVEL, wdm]
    {
        Ok(change())
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::ExportResult;

    use super::*;
    use crate::test_support::{call, lines, processor, value};

    const BREAKPOINTS: [fn(&mut Call<'_>) -> ExportResult; 2] =
        [DbgBreakPoint, DbgBreakPointWithStatus];

    #[test]
    fn breakpoint_without_debugger_raises() {
        processor();
        assert_eq!(value(KdRefreshDebuggerNotPresent, &[]), 1);
        assert_eq!(
            value(KdDisableDebugger, &[]),
            u64::from(nt_status::STATUS_DEBUGGER_INACTIVE)
        );
        for export in BREAKPOINTS {
            let Err(NoReturn::Raise(record)) = call(export, &[5]) else {
                panic!("no exception")
            };
            assert_eq!(record.code, STATUS_BREAKPOINT);
        }
        attach(true);
        let seen = BREAKPOINTS.map(|export| call(export, &[5]).is_ok());
        let absent = value(KdRefreshDebuggerNotPresent, &[]);
        let enabled = value(KdEnableDebugger, &[]);
        attach(false);
        assert_eq!((seen, absent), ([true; 2], 0));
        assert_eq!(enabled, u64::from(STATUS_ACCESS_DENIED));
        let lines = lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("[debugger] breakpoint"), "{lines:?}");
    }
}

//! Handlers that have an exception continued which nothing was done about: the same
//! instruction raises it again, for ever. `__CxxFrameHandler3` of wdk-sys, which
//! answers every exception so, makes that of each panic in a driver with debug
//! assertions. A machine would hang there; here the kernel stops and names the
//! handler.

use nt_status::Named;
use ntbox_host::context::{Context, ExceptionRecord};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::{bug_check, kernel_entry, modules};

/// How often the same is continued before nothing is expected to change any more: a
/// handler may wait for another thread to do something about it.
const LIMIT: u32 = 1000;

/// A continuation: address, stack pointer, exception code, handler.
type Continuation = (u64, u64, u32, u64);

/// What was continued last, and how often in a row.
static LAST: KernelCell<(Continuation, u32)> = KernelCell::new(((0, 0, 0, 0), 0));

/// Notes that `handler` has an exception of the place `before` continued at `after`.
/// Does not return if that has led nowhere all the time.
pub fn continued(before: &Context, after: &Context, record: u64, handler: u64) {
    if before.rip != after.rip || before.registers != after.registers {
        return;
    }
    let Ok(record) = ExceptionRecord::read(record) else {
        return;
    };
    let this = (before.rip, before.rsp(), record.code, handler);
    let count = {
        let mut last = LAST.lock();
        last.1 = if last.0 == this { last.1 + 1 } else { 1 };
        last.0 = this;
        last.1
    };
    if count < LIMIT {
        return;
    }
    let what = format!(
        "the language handler at {} has {} at {} continued {LIMIT} times without a \
         change, so it is raised again for ever: a machine would hang here",
        place(handler),
        Named(record.code),
        place(before.rip),
    );
    kernel_entry::bug_check(bug_check::HUNG, [0; 4], what, Some(before))
}

/// An address as the debugger's messages have it.
fn place(pc: u64) -> String {
    modules::find(pc).map_or_else(
        || format!("{pc:#018x}"),
        |image| format!("{}+{:#x}", image.name, pc - image.base),
    )
}

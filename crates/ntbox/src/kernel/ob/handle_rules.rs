//! What Driver Verifier and the reference say of handles that a driver makes and
//! uses: whose they are.

use super::attributes::KERNEL_HANDLE;
use super::{handles, with};
use crate::kernel::{callout, exports, last_call, loader, stop, threads};

/// A driver makes a handle in the process of a program: the program may use it, and
/// close it.
pub fn check_new(process: u64, attributes: u32, caller: u64) {
    if attributes & KERNEL_HANDLE != 0
        || process == threads::system_process()
        || callout::depth() == 0
        || loader::find_image(caller).is_none()
    {
        return;
    }
    // A duplicate is made for the process that it is made in.
    let export = exports::current();
    if !export.starts_with("Zw") || export == "ZwDuplicateObject" {
        return;
    }
    let what = format!(
        "{export} made a handle in the process of a program, which may use and close it: OBJ_KERNEL_HANDLE was not asked for"
    );
    stop::violation("user-handle-created", None, what, caller);
}

/// A driver used a handle that the process System does not have.
pub fn check_missing(handle: u64) {
    let system = threads::system_process();
    if handles::is_kernel(handle) || threads::current_process() != system || callout::depth() == 0 {
        return;
    }
    let number = handle & !3;
    let owner = with(|state| {
        let mut tables = state.tables.iter();
        let owner = tables.find(|(process, table)| **process != system && table.has(number));
        owner.map(|(process, _)| *process)
    });
    let Some(owner) = owner.and_then(threads::process) else {
        return;
    };
    let what = format!(
        "the handle {handle:#x} was used in the process System; it is one of the process {:#x}, and means nothing in others: reference its object while the program's thread is there",
        owner.id
    );
    stop::violation("handle-of-another-process", None, what, last_call::caller());
}

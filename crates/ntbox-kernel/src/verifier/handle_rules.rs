//! What Driver Verifier and the reference say of handles that a driver makes and
//! uses: whose they are.

use ntbox_api::rules;
use ntbox_host::{last_call, modules, upcall};

use crate::base::{diag, events, export_table, thread_table};
use crate::ob::attributes::KERNEL_HANDLE;
use crate::ob::{handles, with};

/// Functions beside the system services that make handles for the driver itself.
const OTHERS: [&str; 6] = [
    "IoCreateFile",
    "IoCreateFileEx",
    "IoCreateFileSpecifyDeviceObjectHint",
    "ObOpenObjectByName",
    "PsCreateSystemThread",
    "PsCreateSystemThreadEx",
];

/// A driver makes a handle in the process of a program: the program may use it, and
/// close it.
fn handle_creating(process: u64, attributes: u32, caller: u64) {
    if attributes & KERNEL_HANDLE != 0
        || process == thread_table::system_process()
        || upcall::depth() == 0
        || modules::find(caller).is_none()
    {
        return;
    }
    // A duplicate is made for the process that it is made in.
    let export = export_table::current();
    let is_service = export.starts_with("Zw") && export != "ZwDuplicateObject";
    if !is_service && !OTHERS.contains(&export) {
        return;
    }
    let what = format!(
        "{export} called without OBJ_KERNEL_HANDLE in the process of a program, which can use and close the handle"
    );
    diag::violation(rules::USER_HANDLE_CREATED, what, caller);
}

/// A driver used a handle that the process System does not have.
fn handle_not_found(handle: u64) {
    let system = thread_table::system_process();
    if handles::is_kernel(handle)
        || thread_table::current_process() != system
        || upcall::depth() == 0
    {
        return;
    }
    let number = handle & !3;
    let owner = with(|state| {
        let mut tables = state.tables.iter();
        let owner = tables.find(|(process, table)| **process != system && table.has(number));
        owner.map(|(process, _)| *process)
    });
    let Some(owner) = owner.and_then(thread_table::process) else {
        return;
    };
    let what = format!(
        "handle {handle:#x} of the process {:#x} used in the process System; reference its object in the program's thread",
        owner.id
    );
    diag::violation(rules::HANDLE_OF_ANOTHER_PROCESS, what, last_call::caller());
}

/// Subscribes to what is done with handles.
pub fn subscribe() {
    events::HANDLE_CREATING.subscribe(handle_creating);
    events::HANDLE_NOT_FOUND.subscribe(handle_not_found);
}

//! Waiting for objects by their handles.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::Type;
use super::handles::Entry;
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::io_layout::file;
use crate::base::processor_mode::Mode;
use crate::ke::wait;
use crate::ke::wait::Timeout;
use crate::ob;

/// `SYNCHRONIZE`.
const SYNCHRONIZE: u32 = 0x10_0000;
/// `MAXIMUM_WAIT_OBJECTS`.
const MAXIMUM: u32 = 64;

exports! {
    /// `ZwWaitForSingleObject`.
    fn ZwWaitForSingleObject<call>(handle: u64, alertable: bool, timeout: u64) -> u32 [max PASSIVE_LEVEL, ntifs] {
        Mode::Kernel.outcome(single(handle, alertable, timeout, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtWaitForSingleObject`.
    fn NtWaitForSingleObject<call>(handle: u64, alertable: bool, timeout: u64) -> u32
        [max PASSIVE_LEVEL, page "windows/win32/api/winternl/nf-winternl-ntwaitforsingleobject"] {
        let mode = Mode::previous();
        mode.outcome(single(handle, alertable, timeout, mode, &CallContext::of(call)))
    }

    /// `ZwWaitForMultipleObjects`: wait type 0 is all, 1 is any.
    fn ZwWaitForMultipleObjects<call>(count: u32, handles: u64, kind: u32, alertable: bool, timeout: u64) -> u32
        [max PASSIVE_LEVEL, undocumented]
    {
        error::outcome(multiple(count, handles, kind, (alertable, timeout), &CallContext::of(call)))
    }
}

/// What a thread waits on for an object; `None` for objects of types that are
/// always signaled.
fn waitable(entry: &Entry) -> Option<u64> {
    match entry.kind {
        Type::Event
        | Type::Mutant
        | Type::Semaphore
        | Type::Timer
        | Type::Process
        | Type::Thread
        | Type::IoCompletion => Some(entry.object),
        Type::File => Some(entry.object + file::EVENT),
        _ => None,
    }
}

/// Timeout, wait mode and alertability of a wait.
#[derive(Debug, Clone, Copy)]
struct WaitOptions {
    patience: Timeout,
    mode: Mode,
    alertable: bool,
}

/// Waits for objects that are kept meanwhile, though their handles be closed.
fn wait_for(
    entries: &[Entry],
    all: bool,
    how: WaitOptions,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    // Types without a signal state of their own are always signaled: one of those
    // ends the wait unless something before it does.
    let ready = entries.iter().position(|entry| waitable(entry).is_none());
    if let Some(first) = ready.filter(|_| !all) {
        let before: Vec<u64> = entries[..first].iter().filter_map(waitable).collect();
        if !before.is_empty() {
            let status = wait::wait(before, false, Timeout::None)?;
            if status != wait::TIMEOUT {
                return Ok(status);
            }
        }
        return Ok(u32::try_from(first).unwrap_or(0));
    }
    let objects: Vec<u64> = entries.iter().filter_map(waitable).collect();
    if objects.is_empty() {
        return Ok(nt_status::STATUS_SUCCESS);
    }
    for entry in entries {
        ob::reference(entry.object);
    }
    let result = wait::wait_for(&wait::Request {
        objects,
        all,
        patience: how.patience,
        mode: u8::from(how.mode.is_user()),
        alertable: how.alertable,
        packet: 0,
        caller: Some(*caller),
    });
    for entry in entries {
        ob::dereference(entry.object, caller);
    }
    Ok(result?)
}

fn single(
    handle: u64,
    alertable: bool,
    timeout: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    mode.probe_optional(timeout, 8, 8)?;
    let how = WaitOptions {
        patience: Timeout::read(timeout)?,
        mode,
        alertable,
    };
    one(handle, how, caller)
}

/// Waits for the object of a handle; on behalf of a program, its end ends the
/// wait.
///
/// # Errors
/// It is no handle of something that may be waited for.
pub fn by_handle(
    handle: u64,
    patience: Timeout,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    let how = WaitOptions {
        patience,
        mode,
        alertable: false,
    };
    one(handle, how, caller)
}

fn one(handle: u64, how: WaitOptions, caller: &CallContext<'_>) -> Result<u32, Refusal> {
    let entry = ob::by_handle(handle, SYNCHRONIZE, None, how.mode.is_user())?;
    wait_for(&[entry], false, how, caller)
}

fn multiple(
    count: u32,
    handles: u64,
    kind: u32,
    (alertable, timeout): (bool, u64),
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    if count == 0 || count > MAXIMUM {
        return Err(nt_status::STATUS_INVALID_PARAMETER_1.into());
    }
    if kind > 1 {
        return Err(nt_status::STATUS_INVALID_PARAMETER_3.into());
    }
    let patience = Timeout::read(timeout)?;
    let mut entries: Vec<Entry> = Vec::new();
    for n in 0..u64::from(count) {
        // The array is captured with its faults caught, for drivers too.
        let handle = driver_mem::read_u64(handles.wrapping_add(8 * n))
            .map_err(|_| nt_status::STATUS_ACCESS_VIOLATION)?;
        entries.push(ob::by_handle(handle, SYNCHRONIZE, None, false)?);
    }
    let all = kind == 0;
    let twice = |entry: &Entry| {
        let same = |other: &&Entry| other.object == entry.object;
        entries.iter().filter(same).count() > 1
    };
    if all && entries.iter().any(twice) {
        return Err(nt_status::STATUS_INVALID_PARAMETER_MIX.into());
    }
    let how = WaitOptions {
        patience,
        mode: Mode::Kernel,
        alertable,
    };
    wait_for(&entries, all, how, caller)
}

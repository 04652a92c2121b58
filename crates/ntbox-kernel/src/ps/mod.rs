//! Which process and thread a driver runs in, and what may be known of others.
//! To a driver both are opaque: it has their addresses and asks here.

pub mod create;
pub mod notify;
pub mod nt_process;
mod process_query;
pub mod quota;
pub mod system_thread;
pub mod thread_query;

use nt_status::{STATUS_INVALID_CID, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS};
use ntbox_api::OsVersion;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Call, Export, NoReturn};

use super::base::call_context::CallContext;
use super::base::thread_table::{Process, Thread};
use super::base::{diag, os_version, thread_table};
use super::ob;
use crate::base::export::exports;
use crate::base::leak_check::LeakCheck;

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[system_thread::leaks, notify::leaks];

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    EXPORTS,
    notify::EXPORTS,
    nt_process::EXPORTS,
    process_query::EXPORTS,
    quota::EXPORTS,
    system_thread::EXPORTS,
    thread_query::EXPORTS,
];

exports! {
    /// `PsGetCurrentProcess`: the one whose memory is seen now.
    fn PsGetCurrentProcess() -> u64 [max HIGH_LEVEL, undocumented] { Ok(thread_table::current_process()) }

    /// `IoGetCurrentProcess`, the same under the name that headers use.
    fn IoGetCurrentProcess() -> u64 [max HIGH_LEVEL, wdm] { Ok(thread_table::current_process()) }

    /// `PsGetCurrentProcessId`: the one that the thread belongs to.
    fn PsGetCurrentProcessId() -> u64 [max HIGH_LEVEL, ntddk] {
        let owner = thread_table::current().map_or_else(thread_table::system_process, |thread| thread.process);
        Ok(thread_table::process(owner).map_or(0, |process| process.id))
    }

    /// `PsGetCurrentThread`.
    fn PsGetCurrentThread() -> u64 [max HIGH_LEVEL, wdm] { Ok(thread_table::current_thread()) }

    /// `KeGetCurrentThread`.
    fn KeGetCurrentThread() -> u64 [max HIGH_LEVEL, wdm] { Ok(thread_table::current_thread()) }

    /// `PsGetCurrentThreadId`.
    fn PsGetCurrentThreadId() -> u64 [max HIGH_LEVEL, ntddk] { Ok(thread_table::current().map_or(0, |thread| thread.id)) }

    /// `PsGetCurrentThreadProcess`: the one that the thread belongs to.
    fn PsGetCurrentThreadProcess() -> u64 [max HIGH_LEVEL, undocumented] {
        Ok(thread_table::current().map_or(0, |thread| thread.process))
    }

    /// `PsGetCurrentThreadProcessId`.
    fn PsGetCurrentThreadProcessId() -> u64 [max HIGH_LEVEL, undocumented] {
        let owner = thread_table::current().and_then(|thread| thread_table::process(thread.process));
        Ok(owner.map_or(0, |process| process.id))
    }

    /// `PsGetCurrentThreadPreviousMode`: 1 if it came from user mode.
    fn PsGetCurrentThreadPreviousMode() -> u8 [max HIGH_LEVEL, undocumented] {
        Ok(thread_table::current().is_some_and(|thread| thread.user_mode).into())
    }

    /// `PsGetCurrentThreadStackBase`: first address past the stack.
    fn PsGetCurrentThreadStackBase() -> u64 [max HIGH_LEVEL, undocumented] {
        Ok(thread_table::current().map_or(0, |thread| thread.stack.1))
    }

    /// `PsGetCurrentThreadStackLimit`: lowest address of the stack.
    fn PsGetCurrentThreadStackLimit() -> u64 [max HIGH_LEVEL, undocumented] {
        Ok(thread_table::current().map_or(0, |thread| thread.stack.0))
    }

    /// `PsGetCurrentThreadTeb`: no thread has one, for none runs code of a program.
    fn PsGetCurrentThreadTeb() -> u64 [max HIGH_LEVEL, ntddk] { Ok(0) }

    /// `PsGetProcessId`.
    fn PsGetProcessId<call>(process: u64) -> u64 [max HIGH_LEVEL, ntddk] {
        Ok(process_at(call, process)?.map_or(0, |process| process.id))
    }

    /// `PsGetThreadId`.
    fn PsGetThreadId<call>(thread: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(thread_at(call, thread)?.map_or(0, |thread| thread.id))
    }

    /// `PsGetThreadProcess`.
    fn PsGetThreadProcess<call>(thread: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        Ok(thread_at(call, thread)?.map_or(0, |thread| thread.process))
    }

    /// `PsGetThreadProcessId`.
    fn PsGetThreadProcessId<call>(thread: u64) -> u64 [max HIGH_LEVEL, ntddk] {
        let owner = thread_at(call, thread)?.and_then(|thread| thread_table::process(thread.process));
        Ok(owner.map_or(0, |process| process.id))
    }

    /// `PsIsSystemThread`: whether it never leaves the kernel.
    fn PsIsSystemThread<call>(thread: u64) -> bool [max DISPATCH_LEVEL, ntifs] {
        Ok(thread_at(call, thread)?.is_some_and(|thread| thread.system))
    }

    /// `PsIsThreadTerminating`.
    fn PsIsThreadTerminating<call>(thread: u64) -> bool [max DISPATCH_LEVEL, ntifs] {
        Ok(thread_at(call, thread)?.is_some_and(|thread| thread.ended))
    }

    /// `PsIsSystemProcess`.
    fn PsIsSystemProcess(process: u64) -> bool [max HIGH_LEVEL, undocumented] { Ok(process == thread_table::system_process()) }

    /// `PsIsProtectedProcess`: System is one.
    fn PsIsProtectedProcess(process: u64) -> bool [max HIGH_LEVEL, undocumented] { Ok(process == thread_table::system_process()) }

    /// `PsIsProcessBeingDebugged`: nothing is.
    fn PsIsProcessBeingDebugged<call>(process: u64) -> bool [max HIGH_LEVEL, undocumented] {
        process_at(call, process)?;
        Ok(false)
    }

    /// `PsGetProcessExitStatus`: `STATUS_PENDING` while the process lives.
    fn PsGetProcessExitStatus<call>(process: u64) -> u32 [max APC_LEVEL, ntddk] {
        let info = process_at(call, process)?;
        Ok(info.and_then(|info| info.exit_status).unwrap_or(STATUS_PENDING))
    }

    /// `PsGetProcessSessionId`: the session of services.
    fn PsGetProcessSessionId<call>(process: u64) -> u32 [max HIGH_LEVEL, undocumented] {
        process_at(call, process)?;
        Ok(0)
    }

    /// `PsGetCurrentProcessSessionId`.
    fn PsGetCurrentProcessSessionId() -> u32 [max HIGH_LEVEL, undocumented] { Ok(0) }

    /// `PsLookupProcessByProcessId`: referenced, to be dereferenced.
    fn PsLookupProcessByProcessId<call>(id: u64, to: u64) -> u32 [max APC_LEVEL, ntifs] fails STATUS_INVALID_CID {
        hand_out(thread_table::process_by_id(id), to, STATUS_INVALID_CID, &CallContext::of(call))
    }

    /// `PsLookupThreadByThreadId`: referenced, to be dereferenced.
    fn PsLookupThreadByThreadId<call>(id: u64, to: u64) -> u32 [max APC_LEVEL, ntifs] fails STATUS_INVALID_PARAMETER {
        hand_out(thread_table::thread_by_id(id), to, STATUS_INVALID_PARAMETER, &CallContext::of(call))
    }

    /// `PsGetVersion`: each part where it is wanted; TRUE on a checked build,
    /// which this is not.
    fn PsGetVersion(major: u64, minor: u64, build: u64, service_pack: u64) -> bool [max PASSIVE_LEVEL, wdm] {
        let version: OsVersion = os_version::get();
        for (to, value) in [(major, version.major), (minor, version.minor), (build, version.build)] {
            if to != 0 {
                driver_mem::write_u32(to, value)?;
            }
        }
        if service_pack != 0 {
            UnicodeString { length: 0, maximum_length: 0, buffer: 0 }.write(service_pack)?;
        }
        Ok(false)
    }
}

/// The process at an address, which must be one.
fn process_at(call: &Call<'_>, va: u64) -> Result<Option<Process>, NoReturn> {
    let found = thread_table::process(va);
    if found.is_none() {
        not_one(call, va, "process")?;
    }
    Ok(found)
}

/// The thread at an address, which must be one.
fn thread_at(call: &Call<'_>, va: u64) -> Result<Option<Thread>, NoReturn> {
    let found = thread_table::thread(va);
    if found.is_none() {
        not_one(call, va, "thread")?;
    }
    Ok(found)
}

/// Reads what is not what it was said to be, as the kernel would, and tells.
fn not_one(call: &Call<'_>, va: u64, what: &str) -> Result<(), NoReturn> {
    driver_mem::read_u64(va)?;
    diag::violation(
        rules::WRONG_OBJECT_TYPE,
        format!("{va:#018x} passed as a {what}, which it is not"),
        call.return_address(),
    );
    Ok(())
}

/// Stores a reference to an object, or fails if there is none.
fn hand_out(
    object: Option<u64>,
    to: u64,
    otherwise: u32,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    let Some(object) = object else {
        return Ok(otherwise);
    };
    driver_mem::write_u64(to, object)?;
    ob::reference_for(object, caller);
    Ok(STATUS_SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::sync::Once;

    use super::*;
    use crate::test_support::{
        NOWHERE, address, address_mut, broken_rules, call as raw, fault, processor, status, value,
    };

    /// A process and a thread that are in the tables.
    fn system() -> (u64, u64) {
        static SYSTEM: Once = Once::new();
        processor();
        SYSTEM.call_once(|| {
            if thread_table::current().is_none() {
                create::initialize().expect("there is pool");
            }
        });
        (
            thread_table::system_process(),
            thread_table::current_thread(),
        )
    }

    #[test]
    fn current_thread_belongs_to_system() {
        let (process, thread) = system();
        for handler in [
            PsGetCurrentProcess,
            IoGetCurrentProcess,
            PsGetCurrentThreadProcess,
        ] {
            assert_eq!(value(handler, &[]), process);
        }
        for handler in [PsGetCurrentThread, KeGetCurrentThread] {
            assert_eq!(value(handler, &[]), thread);
        }
        for handler in [PsGetCurrentProcessId, PsGetCurrentThreadProcessId] {
            assert_eq!(value(handler, &[]), thread_table::SYSTEM_PROCESS_ID);
        }
        let id = value(PsGetCurrentThreadId, &[]);
        assert_ne!(id, 0);
        assert_eq!(id % 4, 0);
        assert_eq!(value(PsGetCurrentThreadPreviousMode, &[]), 0);
        assert_eq!(value(PsGetCurrentProcessSessionId, &[]), 0);
        assert_eq!(value(PsGetCurrentThreadTeb, &[]), 0);
        let (limit, base) = (
            value(PsGetCurrentThreadStackLimit, &[]),
            value(PsGetCurrentThreadStackBase, &[]),
        );
        assert!(limit <= base);
    }

    #[test]
    fn process_and_thread_queries_return_identity() {
        let (process, thread) = system();
        assert_eq!(
            value(PsGetProcessId, &[process]),
            thread_table::SYSTEM_PROCESS_ID
        );
        assert_eq!(
            value(PsGetThreadId, &[thread]),
            value(PsGetCurrentThreadId, &[])
        );
        assert_eq!(value(PsGetThreadProcess, &[thread]), process);
        assert_eq!(
            value(PsGetThreadProcessId, &[thread]),
            thread_table::SYSTEM_PROCESS_ID
        );
        assert_eq!(value(PsIsSystemThread, &[thread]), 1);
        assert_eq!(value(PsIsThreadTerminating, &[thread]), 0);
        assert_eq!(value(PsIsSystemProcess, &[process]), 1);
        assert_eq!(value(PsIsSystemProcess, &[thread]), 0);
        assert_eq!(value(PsIsProtectedProcess, &[process]), 1);
        assert_eq!(value(PsIsProcessBeingDebugged, &[process]), 0);
        assert_eq!(status(PsGetProcessExitStatus, &[process]), STATUS_PENDING);
        assert_eq!(value(PsGetProcessSessionId, &[process]), 0);
        assert!(broken_rules().is_empty());
    }

    #[test]
    fn process_query_of_non_object_is_reported() {
        let (process, _) = system();
        let other = [0_u64; 4];
        assert_eq!(value(PsGetProcessId, &[address(&other)]), 0);
        assert_eq!(value(PsGetThreadId, &[process]), 0);
        assert_eq!(broken_rules(), ["wrong-object-type", "wrong-object-type"]);
        assert_eq!(fault(PsGetProcessId, &[NOWHERE]), NOWHERE);
        assert_eq!(fault(PsIsSystemThread, &[NOWHERE]), NOWHERE);
    }

    #[test]
    fn lookup_by_process_and_thread_id() {
        let (process, thread) = system();
        let mut found = 7_u64;
        let to = address_mut(&mut found);
        assert_eq!(status(PsLookupProcessByProcessId, &[4, to]), STATUS_SUCCESS);
        assert_eq!(found, process);
        let id = value(PsGetThreadId, &[thread]);
        assert_eq!(status(PsLookupThreadByThreadId, &[id, to]), STATUS_SUCCESS);
        assert_eq!(found, thread);
        found = 7;
        assert_eq!(
            status(PsLookupProcessByProcessId, &[0x7ffc, to]),
            STATUS_INVALID_CID
        );
        assert_eq!(
            status(PsLookupThreadByThreadId, &[0x7ffc, to]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(found, 7);
        assert!(raw(PsLookupProcessByProcessId, &[4, NOWHERE]).is_err());
    }

    #[test]
    fn get_version_parameters_are_optional() {
        processor();
        let OsVersion {
            major,
            minor,
            build,
        } = os_version::get();
        let mut parts = [7_u32; 3];
        let at = address_mut(&mut parts);
        let mut name = [0xff_u8; 16];
        assert_eq!(
            value(PsGetVersion, &[at, at + 4, at + 8, address_mut(&mut name)]),
            0
        );
        assert_eq!(parts, [major, minor, build]);
        assert_eq!(name[..4], [0; 4]);
        assert_eq!(name[8..], [0; 8]);
        assert_eq!(value(PsGetVersion, &[0, 0, 0, 0]), 0);
    }
}

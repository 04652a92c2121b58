//! More of what may be known of processes and threads.

use nt_status::{STATUS_INVALID_CID, STATUS_PENDING, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};

use super::{process_at, thread_at};
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::thread_table;
use crate::{ob, se};

exports! {
    /// `PsGetProcessImageFileName`: its first 15 characters, in the process's own
    /// memory.
    fn PsGetProcessImageFileName<call>(process: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        process_at(call, process)?;
        Ok(process.wrapping_add(thread_table::offset::IMAGE_FILE_NAME))
    }

    /// `PsGetProcessCreateTimeQuadPart`: a system time.
    fn PsGetProcessCreateTimeQuadPart<call>(process: u64) -> u64 [max HIGH_LEVEL, ntddk] {
        process_at(call, process)?;
        Ok(driver_mem::read_u64(process.wrapping_add(thread_table::offset::CREATE_TIME))?)
    }

    /// `PsGetProcessExitTime`: of the current process, which has not ended.
    fn PsGetProcessExitTime() -> u64 [max DISPATCH_LEVEL, ntifs] {
        Ok(0)
    }

    /// `PsGetProcessInheritedFromUniqueProcessId`: System is the parent of all others.
    fn PsGetProcessInheritedFromUniqueProcessId<call>(process: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        let info = process_at(call, process)?;
        let child = info.is_some_and(|info| info.id != thread_table::SYSTEM_PROCESS_ID);
        Ok(if child { thread_table::SYSTEM_PROCESS_ID } else { 0 })
    }

    /// `PsGetProcessPeb`: no process has one, for none runs code of its own.
    fn PsGetProcessPeb<call>(process: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        process_at(call, process)?;
        Ok(0)
    }

    /// `PsGetProcessWow64Process`: no process runs 32-bit code.
    fn PsGetProcessWow64Process<call>(process: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        process_at(call, process)?;
        Ok(0)
    }

    /// `PsGetCurrentProcessWow64Process`.
    fn PsGetCurrentProcessWow64Process() -> u64 [max HIGH_LEVEL, undocumented] {
        Ok(0)
    }

    /// `PsGetThreadExitStatus`: `STATUS_PENDING` while it runs.
    fn PsGetThreadExitStatus<call>(thread: u64) -> u32 [max APC_LEVEL, ntddk] {
        match thread_at(call, thread)? {
            Some(_) => Ok(driver_mem::read_u32(thread.wrapping_add(thread_table::offset::EXIT_STATUS))?),
            None => Ok(STATUS_PENDING),
        }
    }

    /// `PsGetThreadCreateTime`: a system time.
    fn PsGetThreadCreateTime<call>(thread: u64) -> u64 [max HIGH_LEVEL, ntddk] {
        Ok(thread_at(call, thread)?.map_or(0, |info| info.created))
    }

    /// `PsIsCurrentThreadPrefetching`.
    fn PsIsCurrentThreadPrefetching() -> bool [max DISPATCH_LEVEL, undocumented] {
        Ok(thread_table::current().is_some_and(|thread| thread.prefetching))
    }

    /// `PsSetCurrentThreadPrefetching`: whether it did before.
    fn PsSetCurrentThreadPrefetching(prefetching: bool) -> bool [max DISPATCH_LEVEL, undocumented] {
        let before = thread_table::current().is_some_and(|thread| thread.prefetching);
        thread_table::update(thread_table::current_thread(), |thread| thread.prefetching = prefetching);
        Ok(before)
    }

    /// `PsGetThreadSessionId`: the session of services.
    fn PsGetThreadSessionId<call>(thread: u64) -> u32 [max HIGH_LEVEL, undocumented] {
        thread_at(call, thread)?;
        Ok(0)
    }

    /// `PsIsThreadImpersonating`.
    fn PsIsThreadImpersonating<call>(thread: u64) -> bool [max HIGH_LEVEL, undocumented] {
        thread_at(call, thread)?;
        Ok(se::is_impersonating(thread))
    }

    /// `PsLookupProcessThreadByCid`: both referenced; the process is optional.
    fn PsLookupProcessThreadByCid<call>(id: u64, process: u64, thread: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails STATUS_INVALID_CID {
        let owner = thread_table::process_by_id(driver_mem::read_u64(id)?);
        let found = thread_table::thread_by_id(driver_mem::read_u64(id.wrapping_add(8))?);
        let info = found.and_then(thread_table::thread);
        let (Some(owner), Some(found), Some(info)) = (owner, found, info) else { return Ok(STATUS_INVALID_CID) };
        if info.process != owner {
            return Ok(STATUS_INVALID_CID);
        }
        if process != 0 {
            driver_mem::write_u64(process, owner)?;
            ob::reference_for(owner, &CallContext::of(call));
        }
        driver_mem::write_u64(thread, found)?;
        ob::reference_for(found, &CallContext::of(call));
        Ok(STATUS_SUCCESS)
    }
}

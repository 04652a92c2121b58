//! Processes and threads by handle: opening them and asking what they are.
//!
//! A class of information that no Windows has gets the status that Windows gives.
//! One that this kernel does not know stops the driver with its number.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::hook::Hook;

use super::quota;
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::processor_mode::Mode;
use crate::base::{error, thread_table, utf16};
use crate::ke::priority;
use crate::ob::{Attributes, Type, handles};
use crate::{ob, se};

/// `STATUS_PENDING`: the exit status of what has not ended.
const STILL_ACTIVE: u32 = 0x103;

/// `PROCESSINFOCLASS`.
mod process_class {
    pub const BASIC: u32 = 0;
    pub const QUOTA_LIMITS: u32 = 1;
    pub const VM_COUNTERS: u32 = 3;
    pub const HANDLE_COUNT: u32 = 20;
    pub const SESSION: u32 = 24;
    pub const WOW64: u32 = 26;
    pub const IMAGE_FILE_NAME: u32 = 27;
    pub const LUID_DEVICE_MAPS: u32 = 28;
    /// The first number that Windows 10 gives to none.
    pub const END: u32 = 0x6b;
}

/// `THREADINFOCLASS`.
mod thread_class {
    pub const BASIC: u32 = 0;
    pub const PRIORITY: u32 = 2;
    pub const BASE_PRIORITY: u32 = 3;
    pub const IS_TERMINATED: u32 = 20;
    /// The first number that Windows 10 gives to none.
    pub const END: u32 = 0x38;
}

/// Bytes of a `UNICODE_STRING`, before the text of an image's name.
const IMAGE_NAME_HEADER: usize = 16;
/// Base priority of processes and threads.
const BASE_PRIORITY: u32 = 8;

/// A `CLIENT_ID`: the ids of a process and of a thread.
fn client_id(at: u64) -> Result<(u64, u64), Refusal> {
    Ok((
        driver_mem::read_u64(at)?,
        driver_mem::read_u64(at.wrapping_add(8))?,
    ))
}

/// `SeLocateProcessImageName`: the name in pool, which the caller frees.
fn locate_image_name(process: u64, out: u64, caller: u64) -> Result<(), Refusal> {
    let info = thread_table::process(process).ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
    let units = utf16::wide(&info.name);
    let size = IMAGE_NAME_HEADER + 2 * units.len() + 2;
    let block = se::in_pool(&vec![0; size], caller)?;
    image_name(&units, block, u32::try_from(size).unwrap_or(u32::MAX), 0)?;
    Ok(driver_mem::write_u64(out, block)?)
}

/// Opens what has an id. Neither processes nor threads have names.
fn open(
    handle: u64,
    access: u32,
    attributes: u64,
    id: u64,
    kind: Type,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let attributes = Attributes::require(attributes)?;
    if attributes.name.is_some() == (id != 0) {
        return Err(nt_status::STATUS_INVALID_PARAMETER_MIX.into());
    }
    if id == 0 {
        return Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND.into());
    }
    let (process, thread) = client_id(id)?;
    let of_thread = (thread != 0)
        .then(|| thread_table::thread_by_id(thread))
        .flatten();
    let owner = of_thread
        .and_then(thread_table::thread)
        .map(|info| info.process);
    let by_id = thread_table::process_by_id(process);
    let found = match kind {
        // An id of a thread must be of that process; one alone is enough for it.
        Type::Process if thread != 0 => owner.filter(|_| owner == by_id),
        Type::Process => by_id,
        _ => of_thread.filter(|_| process == 0 || owner == by_id),
    };
    let object = found.ok_or(nt_status::STATUS_INVALID_CID)?;
    let access = kind.grant(access);
    let opened = ob::open_handle(object, kind, access, attributes.flags, caller)?;
    Ok(driver_mem::write_u64(handle, opened)?)
}

/// Writes information of a fixed size, and how much it is.
fn answer(information: &[u8], buffer: u64, length: u32, returned: u64) -> Result<(), Refusal> {
    let size = u32::try_from(information.len()).unwrap_or(u32::MAX);
    if length != size {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    driver_mem::write_bytes(buffer, information)?;
    if returned != 0 {
        driver_mem::write_u32(returned, size)?;
    }
    Ok(())
}

fn unknown(service: &str, class: u32, end: u32) -> Refusal {
    if class >= end {
        return nt_status::STATUS_INVALID_INFO_CLASS.into();
    }
    let what = format!("{service} was called for class {class}, which this kernel does not know");
    NoReturn::bug_check(0xe2, [u64::from(class), 0, 0, 0], what).into()
}

fn query_process(
    handle: u64,
    class: u32,
    buffer: u64,
    length: u32,
    returned: u64,
    mode: Mode,
) -> Result<(), Refusal> {
    probe_answer(mode, buffer, length, returned)?;
    let object = ob::by_handle(handle, 0, Some(Type::Process), mode.is_user())?.object;
    let info = thread_table::process(object).ok_or(nt_status::STATUS_INVALID_HANDLE)?;
    match class {
        process_class::BASIC => {
            let system = info.id == thread_table::SYSTEM_PROCESS_ID;
            let parent = if system {
                0
            } else {
                thread_table::SYSTEM_PROCESS_ID
            };
            // Exit status, PEB, affinity, base priority, id, parent's id.
            let basic = Information::default()
                .u32(info.exit_status.unwrap_or(STILL_ACTIVE))
                .u32(0)
                .u64(0)
                .u64(1);
            let basic = basic.u32(BASE_PRIORITY).u32(0).u64(info.id).u64(parent);
            answer(&basic.finish(), buffer, length, returned)
        }
        process_class::QUOTA_LIMITS => answer(&quota_limits(), buffer, length, returned),
        process_class::VM_COUNTERS => answer(&counters(object), buffer, length, returned),
        process_class::HANDLE_COUNT => {
            let count = Information::default().size(handles::count(object));
            answer(&count.finish(), buffer, length, returned)
        }
        // Each logon session has drive letters of its own.
        process_class::LUID_DEVICE_MAPS => {
            let enabled = Information::default().u32(1);
            answer(&enabled.finish(), buffer, length, returned)
        }
        // That of services.
        process_class::SESSION => {
            let session = Information::default().u32(0);
            answer(&session.finish(), buffer, length, returned)
        }
        // No process runs 32-bit code.
        process_class::WOW64 => answer(
            &Information::default().u64(0).finish(),
            buffer,
            length,
            returned,
        ),
        process_class::IMAGE_FILE_NAME => {
            image_name(&utf16::wide(&info.name), buffer, length, returned)
        }
        class => Err(unknown(
            "ZwQueryInformationProcess",
            class,
            process_class::END,
        )),
    }
}

/// Ends a process as its own end would, and waits for it.
fn terminate(handle: u64, exit: u32, caller: &CallContext<'_>) -> Result<(), Refusal> {
    /// `PROCESS_TERMINATE`.
    const TERMINATE: u32 = 1;
    /// `NtCurrentProcess`; no handle means the threads of the current process.
    const OWN: [u64; 2] = [0, u64::MAX];
    let own = thread_table::current().map_or(0, |thread| thread.process);
    let process = if OWN.contains(&handle) {
        own
    } else {
        ob::by_handle(handle, TERMINATE, Some(Type::Process), false)?.object
    };
    if thread_table::process(process).is_some_and(|info| info.exit_status.is_some()) {
        return Err(nt_status::STATUS_PROCESS_IS_TERMINATING.into());
    }
    if process != own && (TERMINATE_PROCESS.get())(process, exit, caller) {
        return Ok(());
    }
    let what = "ZwTerminateProcess was called for the current process or the process System, which this kernel does not end";
    Err(NoReturn::bug_check(0xe2, [handle, exit.into(), 0, 0], what).into())
}

/// `QUOTA_LIMITS`: pool, working set, paging file, time.
fn quota_limits() -> Vec<u8> {
    /// The working set that a process begins with: 50 to 345 pages.
    const WORKING_SET: [u64; 2] = [50 * 0x1000, 345 * 0x1000];
    let limits = [
        quota::LIMIT,
        quota::LIMIT,
        WORKING_SET[0],
        WORKING_SET[1],
        u64::MAX,
        u64::MAX,
    ];
    let start = Information::default();
    limits.into_iter().fold(start, Information::u64).finish()
}

/// `VM_COUNTERS`: only pool is counted.
fn counters(process: u64) -> Vec<u8> {
    let [nonpaged, paged] = quota::usage(process);
    let pool = [paged.peak, paged.now, nonpaged.peak, nonpaged.now];
    // Address space, page faults and working set; behind pool, the paging file.
    let start = Information::default().bytes(&[0; 0x28]);
    let with_pool = pool.into_iter().fold(start, Information::u64);
    with_pool.bytes(&[0; 0x10]).finish()
}

/// A `UNICODE_STRING` and its text behind it.
fn image_name(units: &[u16], buffer: u64, length: u32, returned: u64) -> Result<(), Refusal> {
    let bytes = u32::try_from(2 * units.len()).unwrap_or(u32::MAX);
    let needed = 16 + bytes + 2;
    if returned != 0 {
        driver_mem::write_u32(returned, needed)?;
    }
    if length < needed {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    let text = Information::default()
        .u32(bytes | (bytes + 2) << 16)
        .u32(0)
        .u64(buffer.wrapping_add(16));
    Ok(driver_mem::write_bytes(
        buffer,
        &text.name(units).name(&[0]).finish(),
    )?)
}

/// Checks where an answer goes, and where its length does.
fn probe_answer(mode: Mode, buffer: u64, length: u32, returned: u64) -> Result<(), u32> {
    mode.probe(buffer, u64::from(length), 4)?;
    mode.probe_optional(returned, 4, 4)
}

fn query_thread(
    handle: u64,
    class: u32,
    buffer: u64,
    length: u32,
    returned: u64,
    mode: Mode,
) -> Result<(), Refusal> {
    probe_answer(mode, buffer, length, returned)?;
    let object = ob::by_handle(handle, 0, Some(Type::Thread), mode.is_user())?.object;
    let info = thread_table::thread(object).ok_or(nt_status::STATUS_INVALID_HANDLE)?;
    match class {
        thread_class::BASIC => {
            let owner = thread_table::process(info.process).map_or(0, |process| process.id);
            let priority = info.priority.cast_unsigned();
            // Exit status, TEB, ids, affinity, priority, base priority.
            let exit = driver_mem::read_u32(object + thread_table::offset::EXIT_STATUS)?;
            let basic = Information::default().u32(exit).u32(0).u64(0);
            let basic = basic.u64(owner).u64(info.id).u64(1).u32(priority).u32(0);
            answer(&basic.finish(), buffer, length, returned)
        }
        thread_class::IS_TERMINATED => answer(
            &Information::default().u32(info.ended.into()).finish(),
            buffer,
            length,
            returned,
        ),
        class => Err(unknown(
            "ZwQueryInformationThread",
            class,
            thread_class::END,
        )),
    }
}

fn set_thread(
    handle: u64,
    class: u32,
    buffer: u64,
    length: u32,
    mode: Mode,
) -> Result<(), Refusal> {
    /// `THREAD_SET_INFORMATION`.
    const SET_INFORMATION: u32 = 0x20;
    mode.probe(buffer, u64::from(length), 4)?;
    let object = ob::by_handle(handle, SET_INFORMATION, Some(Type::Thread), mode.is_user())?.object;
    if class != thread_class::PRIORITY && class != thread_class::BASE_PRIORITY {
        return Err(unknown("ZwSetInformationThread", class, thread_class::END));
    }
    if length != 4 {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    let value = driver_mem::read_u32(buffer)?.cast_signed();
    let is_base = class == thread_class::BASE_PRIORITY;
    let range = if is_base { -15..=15 } else { 1..=31 };
    if !range.contains(&value) {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    if is_base {
        priority::change_base(object, value);
    } else {
        priority::change(object, value);
    }
    Ok(())
}

/// Ends a process with a status. Returns false if nothing runs it.
type Terminate = fn(u64, u32, &CallContext<'_>) -> bool;

/// Ends a simulated process.
pub static TERMINATE_PROCESS: Hook<Terminate> = Hook::new();

exports! {
    /// `ZwOpenProcess`: by id.
    fn ZwOpenProcess<call>(handle: u64, access: u32, attributes: u64, id: u64) -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(open(handle, access, attributes, id, Type::Process, &CallContext::of(call)))
    }

    /// `NtOpenProcess`: with the arguments checked that a program gives.
    fn NtOpenProcess<call>(handle: u64, access: u32, attributes: u64, id: u64) -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::previous();
        let probe = || -> Result<(), u32> {
            mode.probe(handle, 8, 8)?;
            mode.probe(attributes, 0x30, 8)?;
            mode.probe_optional(id, 0x10, 8)
        };
        mode.outcome(probe().map_err(Refusal::from).and_then(|()| {
            open(handle, access, attributes, id, Type::Process, &CallContext::of(call))?;
            Ok(nt_status::STATUS_SUCCESS)
        }))
    }

    /// `SeLocateProcessImageName`.
    fn SeLocateProcessImageName<call>(process: u64, out: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(locate_image_name(process, out, call.return_address()))
    }

    /// `ZwOpenThread`: by id.
    fn ZwOpenThread<call>(handle: u64, access: u32, attributes: u64, id: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(open(handle, access, attributes, id, Type::Thread, &CallContext::of(call)))
    }

    /// `ZwTerminateProcess`: of a program other than the one that the thread belongs
    /// to.
    fn ZwTerminateProcess<call>(handle: u64, exit: u32) -> u32 [max PASSIVE_LEVEL, ntddk] {
        error::status(terminate(handle, exit, &CallContext::of(call)))
    }

    /// `ZwQueryInformationProcess`: basic information, quota and pool, handles, the
    /// session, the name of the image, whether it is a 32-bit one.
    fn ZwQueryInformationProcess(handle: u64, class: u32, buffer: u64, length: u32, returned: u64) -> u32
        [max PASSIVE_LEVEL, page "windows/win32/api/winternl/nf-winternl-ntqueryinformationprocess",
            partial "classes 0, 1, 3 (pool only), 20, 24, 26 and 27"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query_process(handle, class, buffer, length, returned, Mode::Kernel))
    }

    /// `NtQueryInformationProcess`.
    fn NtQueryInformationProcess(handle: u64, class: u32, buffer: u64, length: u32, returned: u64) -> u32
        [max PASSIVE_LEVEL, page "windows/win32/api/winternl/nf-winternl-ntqueryinformationprocess",
            partial "classes 0, 1, 3 (pool only), 20, 24, 26 and 27"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::previous();
        mode.status(query_process(handle, class, buffer, length, returned, mode))
    }

    /// `ZwQueryInformationThread`: basic information, whether it has ended.
    fn ZwQueryInformationThread(handle: u64, class: u32, buffer: u64, length: u32, returned: u64) -> u32
        [max PASSIVE_LEVEL, page "windows/win32/api/winternl/nf-winternl-ntqueryinformationthread"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query_thread(handle, class, buffer, length, returned, Mode::Kernel))
    }

    /// `NtQueryInformationThread`.
    fn NtQueryInformationThread(handle: u64, class: u32, buffer: u64, length: u32, returned: u64) -> u32
        [max PASSIVE_LEVEL, page "windows/win32/api/winternl/nf-winternl-ntqueryinformationthread"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::previous();
        mode.status(query_thread(handle, class, buffer, length, returned, mode))
    }

    /// `ZwSetInformationThread`: its priority.
    fn ZwSetInformationThread(handle: u64, class: u32, buffer: u64, length: u32) -> u32
        [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(set_thread(handle, class, buffer, length, Mode::Kernel))
    }

    /// `NtSetInformationThread`: a program needs `THREAD_SET_INFORMATION`.
    fn NtSetInformationThread(handle: u64, class: u32, buffer: u64, length: u32) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::previous();
        mode.status(set_thread(handle, class, buffer, length, mode))
    }
}

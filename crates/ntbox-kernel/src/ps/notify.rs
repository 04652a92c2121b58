//! Notify routines: what drivers register to hear of processes, threads and
//! images. They are called on the thread that makes something or ends, in a
//! critical region. No image is loaded after the driver's own, so of images
//! nothing is heard.

use nt_layout::PsCreateNotifyInfo;
use nt_status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::irql::{APC_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Call, ExportResult, NoReturn, Register};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::base::{thread_table, utf16};
use crate::ke::{critical_region, sched};
use crate::mm::pool::PoolKind;
use crate::mm::{module_list, pool};

/// Most routines of a kind.
const MOST: usize = 64;
/// Pool tag of what routines are shown.
const TAG: u32 = u32::from_le_bytes(*b"PsNt");

/// What a routine wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Processes, by their ids.
    Process,
    /// Processes, with a `PS_CREATE_NOTIFY_INFO`.
    ProcessEx,
    /// Threads, heard of on the thread that makes one.
    Thread,
    /// Threads, heard of on the new thread itself.
    ThreadSelf,
    /// Images.
    Image,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Process | Self::ProcessEx => "process",
            Self::Thread | Self::ThreadSelf => "thread",
            Self::Image => "image",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Registration {
    kind: Kind,
    routine: u64,
    /// Address that the call which registered it returns to.
    caller: u64,
    /// Calls in progress.
    running: u32,
}

static ROUTINES: KernelCell<Vec<Registration>> = KernelCell::new(Vec::new());

fn with<T>(work: impl FnOnce(&mut Vec<Registration>) -> T) -> T {
    work(&mut ROUTINES.lock())
}

/// Registers a routine; `full` is the status if there are too many.
fn register(kind: Kind, routine: u64, caller: u64, full: u32) -> u32 {
    let of_processes = matches!(kind, Kind::Process | Kind::ProcessEx);
    with(|routines| {
        let twice = |entry: &Registration| entry.kind == kind && entry.routine == routine;
        if of_processes && routines.iter().any(twice) {
            return STATUS_INVALID_PARAMETER;
        }
        let name = kind.name();
        let same = routines.iter().filter(|entry| entry.kind.name() == name);
        if same.count() >= MOST {
            return full;
        }
        routines.push(Registration {
            kind,
            routine,
            caller,
            running: 0,
        });
        STATUS_SUCCESS
    })
}

/// What those are parked on who wait until a routine no longer runs.
fn idle_key(routine: u64) -> u64 {
    0xffff_f900_0000_0000 ^ routine
}

/// Forgets a routine, once it does not run.
fn unregister(kind: Kind, routine: u64) -> u32 {
    loop {
        let running = with(|routines| {
            let same = |entry: &Registration| entry.kind == kind && entry.routine == routine;
            let at = routines.iter().position(same)?;
            if routines[at].running == 0 {
                routines.remove(at);
                return Some(false);
            }
            Some(true)
        });
        match running {
            None => return nt_status::STATUS_PROCEDURE_NOT_FOUND,
            Some(false) => return STATUS_SUCCESS,
            Some(true) => {
                sched::park(idle_key(routine), None);
            }
        }
    }
}

/// Calls all routines of some kinds, each with the arguments for it.
fn call_all(caller: &CallContext<'_>, mut arguments: impl FnMut(Kind) -> Option<[u64; 3]>) {
    let all = with(|routines| routines.clone());
    for Registration {
        kind,
        routine,
        caller: registrar,
        ..
    } in all
    {
        let Some(arguments) = arguments(kind) else {
            continue;
        };
        let count = |change: i32| {
            with(|routines| {
                let mut entries = routines.iter_mut();
                let entry = entries.find(|entry| entry.kind == kind && entry.routine == routine)?;
                entry.running = entry.running.wrapping_add_signed(change);
                Some(())
            })
        };
        // The one before may have unregistered it.
        if count(1).is_none() {
            continue;
        }
        critical_region::enter_critical_region();
        let notify = Routine::new(routine, "notify routine").registered_by(registrar);
        caller.call(notify, &arguments);
        critical_region::leave_critical_region();
        let _ = count(-1);
        sched::wake(idle_key(routine));
    }
}

/// Whether anybody wants to hear of something of this name.
fn any(name: &str) -> bool {
    with(|routines| routines.iter().any(|entry| entry.kind.name() == name))
}

/// The pool block that is passed to routines, without the text of the name that
/// follows it.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct NotifyBlock {
    info: PsCreateNotifyInfo,
    image_name: nt_layout::UnicodeString,
}

/// Calls the routines for a new process. Returns the status with which a routine
/// refuses it.
///
/// # Errors
/// A routine damaged what it was shown.
pub fn process_created(process: u64, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    let Some(info) = thread_table::process(process).filter(|_| any("process")) else {
        return Ok(STATUS_SUCCESS);
    };
    let path: Vec<u8> = utf16::wide(&info.name)
        .iter()
        .flat_map(|unit| unit.to_le_bytes())
        .collect();
    let bytes = DriverPtr::<NotifyBlock>::SIZE + path.len() as u64;
    let Some(shown) = pool::allocate(PoolKind::NonPaged, bytes, TAG) else {
        return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
    };
    let block = DriverPtr::new(shown);
    describe(block, &path)?;
    call_all(caller, |kind| match kind {
        Kind::Process => Some([thread_table::SYSTEM_PROCESS_ID, info.id, 1]),
        Kind::ProcessEx => Some([process, info.id, shown]),
        Kind::Thread | Kind::ThreadSelf | Kind::Image => None,
    });
    let status = block.get(|block| &block.info.creation_status)?;
    pool::free(shown);
    Ok(status)
}

/// Writes the information about a new process and the name of its image. The name may
/// be partial and the file object is NULL, for there is no file.
fn describe(block: DriverPtr<NotifyBlock>, path: &[u8]) -> Result<(), Fault> {
    const SIZE: u64 = DriverPtr::<PsCreateNotifyInfo>::SIZE;
    let length = u16::try_from(path.len()).unwrap_or(u16::MAX);
    let info = block.at(|block| &block.info);
    let name = block.at(|block| &block.image_name);
    let buffer = block.address() + DriverPtr::<NotifyBlock>::SIZE;
    let creator = info.at(|info| &info.creating_thread_id);
    let thread = thread_table::current().map_or(0, |thread| thread.id);
    driver_mem::fill(info.address(), 0, SIZE)?;
    info.set(|info| &info.size, SIZE)?;
    info.set(
        |info| &info.parent_process_id,
        thread_table::SYSTEM_PROCESS_ID,
    )?;
    creator.set(
        |creator| &creator.unique_process,
        thread_table::SYSTEM_PROCESS_ID,
    )?;
    creator.set(|creator| &creator.unique_thread, thread)?;
    info.set(|info| &info.image_file_name, name.address())?;
    let text = UnicodeString {
        length,
        maximum_length: length,
        buffer,
    };
    text.write(name.address())?;
    driver_mem::write_bytes(buffer, path)
}

/// Tells that a process ends.
pub fn process_ended(process: u64, caller: &CallContext<'_>) {
    let Some(info) = thread_table::process(process).filter(|_| any("process")) else {
        return;
    };
    call_all(caller, |kind| match kind {
        Kind::Process => Some([thread_table::SYSTEM_PROCESS_ID, info.id, 0]),
        Kind::ProcessEx => Some([process, info.id, 0]),
        Kind::Thread | Kind::ThreadSelf | Kind::Image => None,
    });
}

/// Tells of a new thread, or of one that ends.
pub fn thread(thread: u64, created: bool, caller: &CallContext<'_>) {
    if !any("thread") {
        return;
    }
    let Some(info) = thread_table::thread(thread) else {
        return;
    };
    let owner = thread_table::process(info.process).map_or(0, |process| process.id);
    call_all(caller, |kind| {
        let hears = kind == Kind::Thread || kind == Kind::ThreadSelf && !created && !info.system;
        hears.then_some([owner, info.id, created.into()])
    });
}

/// Tells, on a new thread that is not the system's, that it begins.
pub fn thread_begins(thread: u64, caller: &CallContext<'_>) {
    let Some(info) = thread_table::thread(thread).filter(|_| any("thread")) else {
        return;
    };
    let owner = thread_table::process(info.process).map_or(0, |process| process.id);
    call_all(caller, |kind| {
        (kind == Kind::ThreadSelf).then_some([owner, info.id, 1])
    });
}

/// Routines that are still registered. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let routines = with(std::mem::take);
    routines
        .into_iter()
        .map(|entry| {
            let message = format!(
                "the {} notify routine at {:#018x} is not removed",
                entry.kind.name(),
                entry.routine
            );
            Leak::new(
                rules::NOTIFY_ROUTINE_NOT_UNREGISTERED,
                message,
                entry.caller,
            )
        })
        .collect()
}

/// Registers or removes a routine with a `PS_CREATE_NOTIFY_INFO`.
fn process_ex(routine: u64, remove: bool, caller: u64) -> Result<u32, NoReturn> {
    if remove {
        return Ok(unregister(Kind::ProcessEx, routine));
    }
    if !module_list::may_register("PsSetCreateProcessNotifyRoutineEx", routine)? {
        return Ok(nt_status::STATUS_ACCESS_DENIED);
    }
    Ok(register(
        Kind::ProcessEx,
        routine,
        caller,
        STATUS_INVALID_PARAMETER,
    ))
}

/// There is no room for another routine; one that is registered can always be
/// removed. The routine is argument `at`, and behind it is whether to remove it.
fn fail(call: &Call<'_>, kind: Kind, at: usize) -> ExportResult {
    let (routine, remove) = (call.argument(at)?, call.argument(at + 1)?);
    Ok(u64::from(if bool::from_register(remove) {
        unregister(kind, routine)
    } else {
        STATUS_INVALID_PARAMETER
    }))
}

fn process_failure(call: &mut Call<'_>) -> ExportResult {
    fail(call, Kind::Process, 0)
}

fn process_ex_failure(call: &mut Call<'_>) -> ExportResult {
    fail(call, Kind::ProcessEx, 0)
}

fn process_ex2_failure(call: &mut Call<'_>) -> ExportResult {
    fail(call, Kind::ProcessEx, 1)
}

exports! {
    /// `PsSetCreateProcessNotifyRoutine`: registers or removes.
    fn PsSetCreateProcessNotifyRoutine<call>(routine: u64, remove: bool) -> u32 [max PASSIVE_LEVEL, ntddk] fails_by process_failure {
        if remove {
            return Ok(unregister(Kind::Process, routine));
        }
        Ok(register(Kind::Process, routine, call.return_address(), STATUS_INVALID_PARAMETER))
    }

    /// `PsSetCreateProcessNotifyRoutineEx`: only of images that were linked with
    /// `/INTEGRITYCHECK`.
    fn PsSetCreateProcessNotifyRoutineEx<call>(routine: u64, remove: bool) -> u32 [max PASSIVE_LEVEL, ntddk] fails_by process_ex_failure {
        process_ex(routine, remove, call.return_address())
    }

    /// `PsSetCreateProcessNotifyRoutineEx2`: kind 0 is processes of all subsystems.
    fn PsSetCreateProcessNotifyRoutineEx2<call>(kind: u32, routine: u64, remove: bool) -> u32
        [max PASSIVE_LEVEL, ntddk, since VERSION_1703] fails_by process_ex2_failure
    {
        if kind != 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        process_ex(routine, remove, call.return_address())
    }

    /// `PsSetCreateThreadNotifyRoutine`.
    fn PsSetCreateThreadNotifyRoutine<call>(routine: u64) -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(register(Kind::Thread, routine, call.return_address(), nt_status::STATUS_INSUFFICIENT_RESOURCES))
    }

    /// `PsSetCreateThreadNotifyRoutineEx`: type 0 is threads that are not the
    /// system's, each heard of on itself; type 1 is threads of all subsystems.
    fn PsSetCreateThreadNotifyRoutineEx<call>(kind: u32, routine: u64) -> u32
        [max PASSIVE_LEVEL, ntddk, since WINDOWS_10] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let kind = match kind {
            0 => Kind::ThreadSelf,
            1 => Kind::Thread,
            _ => return Ok(STATUS_INVALID_PARAMETER),
        };
        Ok(register(kind, routine, call.return_address(), nt_status::STATUS_INSUFFICIENT_RESOURCES))
    }

    /// `PsRemoveCreateThreadNotifyRoutine`: waits until it does not run.
    fn PsRemoveCreateThreadNotifyRoutine(routine: u64) -> u32 [max APC_LEVEL, ntddk] {
        match unregister(Kind::Thread, routine) {
            nt_status::STATUS_PROCEDURE_NOT_FOUND => Ok(unregister(Kind::ThreadSelf, routine)),
            status => Ok(status),
        }
    }

    /// `PsSetLoadImageNotifyRoutine`.
    fn PsSetLoadImageNotifyRoutine<call>(routine: u64) -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(register(Kind::Image, routine, call.return_address(), nt_status::STATUS_INSUFFICIENT_RESOURCES))
    }

    /// `PsSetLoadImageNotifyRoutineEx`: also of images of another architecture, of
    /// which there are none.
    fn PsSetLoadImageNotifyRoutineEx<call>(routine: u64, flags: u64) -> u32
        [max PASSIVE_LEVEL, ntddk, since VERSION_1709] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Ok(register(Kind::Image, routine, call.return_address(), nt_status::STATUS_INSUFFICIENT_RESOURCES))
    }

    /// `PsRemoveLoadImageNotifyRoutine`.
    fn PsRemoveLoadImageNotifyRoutine(routine: u64) -> u32 [max APC_LEVEL, ntddk] {
        Ok(unregister(Kind::Image, routine))
    }
}

//! System threads: made by drivers, ended by themselves.

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::hook::Event;
use ntbox_host::routine::Routine;
use ntbox_host::upcall::call_driver;
use ntbox_host::{cpu, driver_mem};

use super::notify;
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::base::{clock, error, thread_table};
use crate::ke::{apc, attach, clock_interrupt, mutex, object, queue, sched, thread_hints, wait};
use crate::mm::kernel_stack;
use crate::ob::Attributes;
use crate::ps::create;
use crate::{mm, ob, se};

/// `THREAD_ALL_ACCESS`.
const ALL_ACCESS: u32 = 0x1f_ffff;

/// Called when a thread ends, with its object.
pub static THREAD_ENDED: Event<fn(u64)> = Event::new();

/// Starts a thread at `routine` in the driver; returns its object, with one
/// reference for the caller and one of the thread's own. Who is notified of threads
/// hears of it before it runs.
fn start(process: u64, routine: u64, context: u64, caller: &CallContext<'_>) -> Option<u64> {
    let thread = create::create(process, true)?;
    let high = kernel_stack::new_stack().ok()?;
    thread_table::update(thread, |info| {
        info.stack = (high - kernel_stack::STACK_SIZE, high);
        info.start = routine;
    });
    let creator = caller.address();
    ob::reference(thread)?;
    notify::thread(thread, true, caller);
    let body = move || {
        let routine = Routine::new(routine, "start routine")
            .held_by(thread, "system thread")
            .registered_by(creator);
        call_driver(routine, &[context], high, None);
        end(0)
    };
    sched::spawn(thread, Box::new(body))?;
    Some(thread)
}

/// Ends the current thread: whoever waits for it goes on.
pub fn end(status: u32) -> ! {
    let thread = thread_table::current_thread();
    let info = thread_table::thread(thread);
    let stack = info.map_or((0, 0), |info| info.stack);
    let attached = info.and_then(|info| attach::ended_attached(&info));
    let given_up = attached.map_or_else(|| give_up(thread, status, stack.1), Err);
    if let Err(refusal) = given_up {
        CallContext::kernel(stack.1).end(refusal);
    }
    // The object is the kernel's own memory and stays while it is referenced.
    let _ = driver_mem::write_u32(thread + thread_table::offset::EXIT_STATUS, status);
    notify::thread(thread, false, &CallContext::kernel(stack.1));
    thread_table::update(thread, |info| info.ended = true);
    cpu::set_irql(PASSIVE_LEVEL);
    signal_end(thread);
    ob::dereference(thread, &CallContext::kernel(0));
    if stack.0 != 0 {
        mm::with(|memory| memory.unmap_and_release(stack.0));
    }
    sched::exit()
}

/// Lets those go on who wait for the end of a thread or a process.
pub fn signal_end(object: u64) {
    // The object is the kernel's own memory and stays while it is referenced.
    let _ = object::set_state(object, 1);
    let _ = wait::signal(object);
}

/// What a thread that ends still has: mutants are abandoned, APCs run down. It
/// must not hold a mutex or be in a region without APCs.
fn give_up(thread: u64, status: u32, stack: u64) -> Result<(), NoReturn> {
    for mutant in thread_table::mutants_of(thread) {
        if mutex::disables_apcs(mutant)? {
            return Err(NoReturn::bug_check(
                0x4000_008a,
                [thread, mutant, 0, 0],
                format!(
                    "a thread ended with status {status:#x} and holds the mutex at {mutant:#018x} (THREAD_TERMINATE_HELD_MUTEX)"
                ),
            ));
        }
        mutex::free(mutant, thread, true, mutex::INCREMENT)?;
    }
    let (critical, guarded) =
        thread_table::thread(thread).map_or((0, 0), |info| (info.critical, info.guarded));
    if critical != 0 || guarded != 0 {
        return Err(NoReturn::bug_check(
            0x20,
            [
                0,
                attach::apc_counts(critical, guarded),
                u64::from(cpu::irql()),
                0,
            ],
            format!(
                "a thread ended with status {status:#x} in {critical} critical and {guarded} guarded regions (KERNEL_APC_PENDING_DURING_EXIT)"
            ),
        ));
    }
    if thread_hints::ended(thread) {
        return Err(NoReturn::bug_check(
            0x94,
            [thread, 0, 0, 0],
            format!(
                "a thread ended with status {status:#x} while its stack must not leave memory (KERNEL_STACK_LOCKED_AT_EXIT)"
            ),
        ));
    }
    se::thread_ended(thread, &CallContext::kernel(stack));
    THREAD_ENDED.notify(|ended| ended(thread));
    queue::thread_leaves(thread)?;
    apc::end_thread(thread, stack)
}

/// System threads of drivers that still run.
pub fn leaks() -> Vec<Leak> {
    let leak = |(object, thread): (u64, thread_table::Thread)| {
        let message = format!(
            "the system thread at {object:#018x}, id {:#x}, which began in {:#018x}, still runs",
            thread.id, thread.start
        );
        Leak::new(rules::THREAD_RUNNING_AT_UNLOAD, message, 0).at_routine(thread.start)
    };
    thread_table::of_drivers().into_iter().map(leak).collect()
}

exports! {
    /// `PsCreateSystemThread`.
    fn PsCreateSystemThread<call>(
        handle: u64, access: u32, attributes: u64, process: u64, client: u64, routine: u64, context: u64,
    ) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let attributes = match Attributes::read(attributes) {
            Ok(attributes) => attributes,
            Err(refusal) => return error::status(Err(refusal)),
        };
        let process = if process == 0 {
            thread_table::system_process()
        } else {
            // A process is not freed before its threads have ended.
            match ob::by_handle(process, 0, Some(ob::Type::Process), false) {
                Ok(entry) => entry.object,
                Err(status) => return Ok(status),
            }
        };
        let caller = CallContext::of(call);
        let Some(thread) = start(process, routine, context, &caller) else {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        let rights = access & ALL_ACCESS;
        let inserted = ob::open_handle(thread, ob::Type::Thread, rights, attributes.flags, &caller);
        ob::dereference(thread, &caller);
        match inserted {
            Ok(value) => driver_mem::write_u64(handle, value)?,
            Err(status) => return Ok(status),
        }
        if client != 0
            && let (Some(info), Some(owner)) = (thread_table::thread(thread), thread_table::process(process))
        {
            driver_mem::write_u64(client, owner.id)?;
            driver_mem::write_u64(client.wrapping_add(8), info.id)?;
        }
        Ok(0)
    }

    /// `PsTerminateSystemThread`: does not return in a system thread.
    fn PsTerminateSystemThread(status: u32) -> u32 [max PASSIVE_LEVEL, wdm] {
        let own = thread_table::current().is_some_and(|thread| thread.system && thread.start != 0);
        if own { end(status) } else { Ok(nt_status::STATUS_INVALID_PARAMETER) }
    }

    /// `KeQueryRuntimeThread`: how long it has run in kernel mode, in clock ticks, as
    /// the clock found it. Nothing here runs in user mode.
    fn KeQueryRuntimeThread(thread: u64, user_time: u64) -> u32 [max HIGH_LEVEL, wdm] {
        clock_interrupt::start();
        let ran = thread_table::require(thread_table::thread(thread).map(|info| info.ran), thread)?;
        driver_mem::write_u32(user_time, 0)?;
        Ok(u32::try_from(ran * clock_interrupt::length() / clock::TICK).unwrap_or(u32::MAX))
    }

}

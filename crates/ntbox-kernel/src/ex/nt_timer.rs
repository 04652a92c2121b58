//! Timers that have a handle, and maybe a name.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};

use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::{error, thread_table};
use crate::ke::{apc, object, timer};
use crate::ob;
use crate::ob::{Attributes, ObjectTypeProcedures, Payload, Type};

/// Bytes of a timer object: a KTIMER and what Windows keeps behind it.
const SIZE: u64 = 0x108;
/// Where its APC is in that.
const APC: u64 = 0x40;
/// `TIMER_MODIFY_STATE`.
const MODIFY_STATE: u32 = 2;

/// How a timer is to be set.
struct Setting {
    /// Address of the due time.
    due: u64,
    /// An APC routine of the caller, and its first argument.
    routine: u64,
    context: u64,
    resume: bool,
    /// Milliseconds.
    period: i32,
    /// Where the state before goes.
    previous: u64,
}

exports! {
    /// `ZwCreateTimer`: 0 notification, 1 synchronization.
    fn ZwCreateTimer<call>(handle: u64, access: u32, attributes: u64, kind: u32) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let caller = CallContext::of(call);
        let create = || -> Result<u32, Refusal> {
            if kind > 1 {
                return Err(nt_status::STATUS_INVALID_PARAMETER_4.into());
            }
            let attributes = Attributes::read(attributes)?;
            let body = ob::create(Type::Timer, SIZE, Payload::None)?;
            timer::initialize(body, kind)?;
            let opened = ob::insert_and_open(body, &attributes, access, &caller)?;
            driver_mem::write_u64(handle, opened.handle)?;
            Ok(opened.status)
        };
        error::outcome(create())
    }

    /// `ZwOpenTimer`.
    fn ZwOpenTimer<call>(handle: u64, access: u32, attributes: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let open = || -> Result<(), Refusal> {
            let attributes = Attributes::require(attributes)?;
            let opened = ob::open_by_name(&attributes, Type::Timer, access, &CallContext::of(call))?;
            Ok(driver_mem::write_u64(handle, opened)?)
        };
        error::status(open())
    }

    /// `ZwSetTimer`. The APC routine is called in the thread that sets the timer.
    fn ZwSetTimer(
        handle: u64, due: u64, routine: u64, context: u64, resume: bool, period: i32, previous: u64,
    ) -> u32 [max DISPATCH_LEVEL, undocumented, partial "APC routines are not called"] {
        error::outcome(set(handle, &Setting { due, routine, context, resume, period, previous }))
    }

    /// `ZwCancelTimer`: says whether it was signaled already.
    fn ZwCancelTimer(handle: u64, state: u64) -> u32 [max DISPATCH_LEVEL, undocumented] {
        let cancel = || -> Result<(), Refusal> {
            let body = ob::by_handle(handle, MODIFY_STATE, Some(Type::Timer), false)?.object;
            timer::cancel(body)?;
            timer::set_apc(body, None)?;
            if state != 0 {
                driver_mem::write_u8(state, u8::from(object::state(body)? != 0))?;
            }
            Ok(())
        };
        error::status(cancel())
    }
}

fn set(handle: u64, setting: &Setting) -> Result<u32, Refusal> {
    let period =
        u32::try_from(setting.period).map_err(|_| nt_status::STATUS_INVALID_PARAMETER_6)?;
    let due = driver_mem::read_u64(setting.due)?.cast_signed();
    let body = ob::by_handle(handle, MODIFY_STATE, Some(Type::Timer), false)?.object;
    timer::cancel(body)?;
    timer::set_apc(body, None)?;
    let before = object::state(body)? != 0;
    if setting.routine != 0 {
        let routines = apc::Routines {
            normal: setting.routine,
            context: setting.context,
            ..apc::Routines::default()
        };
        apc::initialize(body + APC, thread_table::current_thread(), 2, 0, &routines)?;
        timer::set_apc(body, Some(body + APC))?;
    }
    timer::set(body, due, period, 0)?;
    if setting.previous != 0 {
        driver_mem::write_u8(setting.previous, u8::from(before))?;
    }
    // No timer wakes this machine, for it never sleeps.
    Ok(if setting.resume {
        nt_status::STATUS_TIMER_RESUME_IGNORED
    } else {
        nt_status::STATUS_SUCCESS
    })
}

/// The procedures of timer objects.
pub const OBJECT_TYPE: ObjectTypeProcedures = ObjectTypeProcedures {
    delete: Some(deleted),
    ..ObjectTypeProcedures::NONE
};

/// The last reference to a timer is gone: it must not fire any more.
pub fn deleted(body: u64, _: &CallContext<'_>) {
    // The body is the kernel's own memory until this returns.
    let _ = timer::cancel(body);
    let _ = timer::set_apc(body, None);
}

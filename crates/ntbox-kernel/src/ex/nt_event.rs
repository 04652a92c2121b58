//! Events that have a handle, and maybe a name.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};

use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::processor_mode::Mode;
use crate::ke::object::Kind;
use crate::ke::{object, wait};
use crate::ob;
use crate::ob::{Attributes, Payload, Type};

/// Bytes of a KEVENT.
const SIZE: u64 = 0x18;
/// `EVENT_MODIFY_STATE`.
const MODIFY_STATE: u32 = 2;
/// `EVENT_ALL_ACCESS`.
const ALL_ACCESS: u32 = 0x1f_0003;

/// A request to create an event.
struct EventRequest {
    handle: u64,
    access: u32,
    attributes: u64,
    /// `EVENT_TYPE`: 0 notification, 1 synchronization.
    kind: u32,
    signaled: bool,
}

/// What is done to the state of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Set,
    Reset,
    Pulse,
}

exports! {
    /// `ZwCreateEvent`.
    fn ZwCreateEvent<call>(handle: u64, access: u32, attributes: u64, kind: u32, signaled: bool) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let wanted = EventRequest { handle, access, attributes, kind, signaled };
        Mode::Kernel.outcome(create(&wanted, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtCreateEvent`.
    fn NtCreateEvent<call>(handle: u64, access: u32, attributes: u64, kind: u32, signaled: bool) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let wanted = EventRequest { handle, access, attributes, kind, signaled };
        let mode = Mode::previous();
        mode.outcome(create(&wanted, mode, &CallContext::of(call)))
    }

    /// `ZwOpenEvent`.
    fn ZwOpenEvent<call>(handle: u64, access: u32, attributes: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let open = || -> Result<(), Refusal> {
            let attributes = Attributes::require(attributes)?;
            let opened = ob::open_by_name(&attributes, Type::Event, access, &CallContext::of(call))?;
            Ok(driver_mem::write_u64(handle, opened)?)
        };
        error::status(open())
    }

    /// `ZwSetEvent`: gives the state before.
    fn ZwSetEvent(handle: u64, previous: u64) -> u32 [max DISPATCH_LEVEL, ntifs] {
        Mode::Kernel.status(change(handle, previous, Change::Set, Mode::Kernel))
    }

    /// `NtSetEvent`.
    fn NtSetEvent(handle: u64, previous: u64) -> u32 [max DISPATCH_LEVEL, undocumented] {
        let mode = Mode::previous();
        mode.status(change(handle, previous, Change::Set, mode))
    }

    /// `ZwResetEvent`: gives the state before.
    fn ZwResetEvent(handle: u64, previous: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        Mode::Kernel.status(change(handle, previous, Change::Reset, Mode::Kernel))
    }

    /// `ZwClearEvent`: the same without the state before.
    fn ZwClearEvent(handle: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        Mode::Kernel.status(change(handle, 0, Change::Reset, Mode::Kernel))
    }

    /// `ZwPulseEvent`: lets the present waiters through and resets.
    fn ZwPulseEvent(handle: u64, previous: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        Mode::Kernel.status(change(handle, previous, Change::Pulse, Mode::Kernel))
    }
}

/// An event that nobody has a handle of yet.
fn new(kind: Kind, signaled: bool) -> Result<u64, Refusal> {
    let event = ob::create(Type::Event, SIZE, Payload::None)?;
    object::initialize(event, kind, SIZE, i32::from(signaled))?;
    Ok(event)
}

/// A notification event that nobody has a handle of.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES`.
pub fn new_object() -> Result<u64, Refusal> {
    new(Kind::NotificationEvent, false)
}

/// Makes an event without a name for a program; gives its handle.
///
/// # Errors
/// There is no room for it.
pub fn create_unnamed(
    manual_reset: bool,
    signaled: bool,
    caller: &CallContext<'_>,
) -> Result<u64, Refusal> {
    let kind = if manual_reset {
        Kind::NotificationEvent
    } else {
        Kind::SynchronizationEvent
    };
    let event = new(kind, signaled)?;
    let opened = ob::insert_and_open(event, &Attributes::read(0)?, ALL_ACCESS, caller)?;
    Ok(opened.handle)
}

/// Sets or resets an event by a program's handle.
///
/// # Errors
/// It is no handle of an event that the program may change.
pub fn set_by_program(handle: u64, signaled: bool) -> Result<(), Refusal> {
    let wanted = if signaled { Change::Set } else { Change::Reset };
    change(handle, 0, wanted, Mode::User)
}

fn create(wanted: &EventRequest, mode: Mode, caller: &CallContext<'_>) -> Result<u32, Refusal> {
    mode.probe(wanted.handle, 8, 8)?;
    let kind = match wanted.kind {
        0 => Kind::NotificationEvent,
        1 => Kind::SynchronizationEvent,
        _ => return Err(nt_status::STATUS_INVALID_PARAMETER.into()),
    };
    let attributes = Attributes::read(wanted.attributes)?;
    let event = new(kind, wanted.signaled)?;
    let opened = ob::insert_and_open(event, &attributes, wanted.access, caller)?;
    driver_mem::write_u64(wanted.handle, opened.handle)?;
    Ok(opened.status)
}

fn change(handle: u64, previous: u64, change: Change, mode: Mode) -> Result<(), Refusal> {
    mode.probe_optional(previous, 4, 4)?;
    let event = ob::by_handle(handle, MODIFY_STATE, Some(Type::Event), mode.is_user())?.object;
    let before = apply(event, change)?;
    if previous != 0 {
        driver_mem::write_u32(previous, before.cast_unsigned())?;
    }
    Ok(())
}

/// Changes the state of an event and returns the state before.
fn apply(event: u64, change: Change) -> Result<i32, Fault> {
    let before = object::state(event)?;
    if change != Change::Reset {
        object::set_state(event, 1)?;
        wait::signal(event)?;
    }
    if change != Change::Set {
        object::set_state(event, 0)?;
    }
    Ok(before)
}

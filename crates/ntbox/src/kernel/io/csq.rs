//! Cancel-safe queues: the driver keeps the list and the lock, and says how to
//! put an IRP in and take one out; this does what cancelling needs around it.
//!
//! The fourth word of an IRP's `DriverContext` holds the queue, or the context
//! structure that the driver gave, while the IRP is in the queue.

use super::layout::{irp, stack};
use super::{cancel, irp as packets};
use crate::kernel::call::irql::DISPATCH_LEVEL;
use crate::kernel::call::{Call, Stop, exports};
use crate::kernel::guest::{self, Fault};
use crate::kernel::ob::Caller;
use crate::kernel::routine::Routine;

/// Offsets in an `IO_CSQ`.
mod offset {
    pub const TYPE: u64 = 0x00;
    pub const INSERT: u64 = 0x08;
    pub const REMOVE: u64 = 0x10;
    pub const PEEK: u64 = 0x18;
    pub const ACQUIRE: u64 = 0x20;
    pub const RELEASE: u64 = 0x28;
    pub const COMPLETE_CANCELED: u64 = 0x30;
    pub const RESERVED: u64 = 0x38;
}

/// Offsets in an `IO_CSQ_IRP_CONTEXT`.
mod context {
    pub const TYPE: u64 = 0x00;
    pub const IRP: u64 = 0x08;
    pub const CSQ: u64 = 0x10;
}

/// What the first word of the structures says that they are.
mod kind {
    pub const IRP_CONTEXT: u32 = 1;
    pub const QUEUE: u32 = 2;
    pub const QUEUE_EX: u32 = 3;
}

/// `DriverContext[3]` of an IRP.
const DRIVER_CONTEXT_3: u64 = 0x90;

/// A queue during a call of the driver's.
struct Queue<'a> {
    csq: u64,
    caller: Caller<'a>,
    /// Eight bytes that the driver can write its IRQL to: home space of the call.
    irql: u64,
}

impl<'a> Queue<'a> {
    fn of(csq: u64, call: &Call<'a>) -> Self {
        Self {
            csq,
            caller: Caller::of(call),
            irql: call.frame().rsp.wrapping_add(8),
        }
    }

    /// Calls one of the queue's routines.
    fn routine(&self, at: u64, arguments: &[u64]) -> Result<u64, Fault> {
        let routine = guest::read_u64(self.csq.wrapping_add(at))?;
        let routine = Routine::new(routine, "routine").held_by(self.csq, "IO_CSQ");
        Ok(self.caller.call(routine, arguments))
    }

    fn acquire(&self) -> Result<(), Fault> {
        guest::write_u64(self.irql, 0)?;
        self.routine(offset::ACQUIRE, &[self.csq, self.irql])
            .map(drop)
    }

    fn release(&self) -> Result<(), Fault> {
        let irql = guest::read_u8(self.irql)?;
        self.routine(offset::RELEASE, &[self.csq, u64::from(irql)])?;
        Ok(())
    }

    fn remove(&self, packet: u64) -> Result<(), Fault> {
        self.routine(offset::REMOVE, &[self.csq, packet]).map(drop)
    }

    fn complete_canceled(&self, packet: u64) -> Result<(), Fault> {
        self.routine(offset::COMPLETE_CANCELED, &[self.csq, packet])
            .map(drop)
    }
}

fn initialize(call: &Call<'_>, kind: u32) -> Result<u32, Stop> {
    let csq = call.argument(0)?;
    guest::write_u32(csq.wrapping_add(offset::TYPE), kind)?;
    let fields = [
        offset::INSERT,
        offset::REMOVE,
        offset::PEEK,
        offset::ACQUIRE,
        offset::RELEASE,
        offset::COMPLETE_CANCELED,
    ];
    for (n, field) in fields.into_iter().enumerate() {
        guest::write_u64(csq.wrapping_add(field), call.argument(1 + n)?)?;
    }
    guest::write_u64(csq.wrapping_add(offset::RESERVED), 0)?;
    Ok(0)
}

/// Takes the cancel routine off an IRP; false if there was none, because it is
/// being cancelled.
fn take_cancel_routine(packet: u64) -> Result<bool, Fault> {
    let at = packet.wrapping_add(irp::CANCEL_ROUTINE);
    let routine = guest::read_u64(at)?;
    guest::write_u64(at, 0)?;
    Ok(routine != 0)
}

/// The IRP is in the queue no more: nothing points from one to the other.
fn unlink(packet: u64) -> Result<(), Fault> {
    let at = packet.wrapping_add(DRIVER_CONTEXT_3);
    let linked = guest::read_u64(at)?;
    if linked != 0 && guest::read_u32(linked.wrapping_add(context::TYPE))? == kind::IRP_CONTEXT {
        guest::write_u64(linked.wrapping_add(context::IRP), 0)?;
    }
    guest::write_u64(at, 0)
}

fn insert(queue: &Queue<'_>, packet: u64, linked: u64, insert_context: u64) -> Result<u32, Stop> {
    let csq = queue.csq;
    guest::write_u64(csq.wrapping_add(offset::RESERVED), 0)?;
    if linked == 0 {
        guest::write_u64(packet.wrapping_add(DRIVER_CONTEXT_3), csq)?;
    } else {
        guest::write_u64(packet.wrapping_add(DRIVER_CONTEXT_3), linked)?;
        guest::write_u32(linked.wrapping_add(context::TYPE), kind::IRP_CONTEXT)?;
        guest::write_u64(linked.wrapping_add(context::IRP), packet)?;
        guest::write_u64(linked.wrapping_add(context::CSQ), csq)?;
    }
    queue.acquire()?;
    let cancelled = guest::read_u8(packet.wrapping_add(irp::CANCEL))? != 0;
    if !cancelled {
        let extended = guest::read_u32(csq.wrapping_add(offset::TYPE))? == kind::QUEUE_EX;
        let arguments = [csq, packet, insert_context];
        let count = if extended { 3 } else { 2 };
        let returned = queue.routine(offset::INSERT, &arguments[..count])?;
        let status = u32::try_from(returned & 0xffff_ffff).unwrap_or(0);
        if extended && status.cast_signed() < 0 {
            queue.release()?;
            return Ok(status);
        }
        mark_pending(packet)?;
        let routine = crate::kernel::exports::resolve("IopCsqCancelRoutine").unwrap_or(0);
        guest::write_u64(packet.wrapping_add(irp::CANCEL_ROUTINE), routine)?;
        // The insertion itself may have had it cancelled.
        let cancelled = guest::read_u8(packet.wrapping_add(irp::CANCEL))? != 0;
        if !cancelled || !take_cancel_routine(packet)? {
            queue.release()?;
            return Ok(if extended { status } else { 0 });
        }
        queue.remove(packet)?;
    }
    unlink(packet)?;
    mark_pending(packet)?;
    queue.release()?;
    queue.complete_canceled(packet)?;
    Ok(0)
}

fn mark_pending(packet: u64) -> Result<(), Fault> {
    let control = packets::location(packet)?.wrapping_add(stack::CONTROL);
    let before = guest::read_u8(control)?;
    guest::write_u8(control, before | stack::flag::PENDING_RETURNED)
}

/// Takes out the IRP of a context; 0 if it is being cancelled, or is out.
fn remove(queue: &Queue<'_>, linked: u64) -> Result<u64, Stop> {
    guest::write_u64(queue.csq.wrapping_add(offset::RESERVED), 0)?;
    queue.acquire()?;
    let packet = guest::read_u64(linked.wrapping_add(context::IRP))?;
    if packet == 0 || !take_cancel_routine(packet)? {
        queue.release()?;
        return Ok(0);
    }
    queue.remove(packet)?;
    unlink(packet)?;
    queue.release()?;
    Ok(packet)
}

/// Takes out the first IRP that the driver offers and that is not being cancelled.
fn remove_next(queue: &Queue<'_>, peek_context: u64) -> Result<u64, Stop> {
    guest::write_u64(queue.csq.wrapping_add(offset::RESERVED), 0)?;
    queue.acquire()?;
    let mut packet = 0;
    loop {
        packet = queue.routine(offset::PEEK, &[queue.csq, packet, peek_context])?;
        if packet == 0 {
            queue.release()?;
            return Ok(0);
        }
        if take_cancel_routine(packet)? {
            queue.remove(packet)?;
            unlink(packet)?;
            queue.release()?;
            return Ok(packet);
        }
    }
}

exports! {
    /// `IoCsqInitialize`: the queue, then its six routines.
    fn IoCsqInitialize<call>(csq: u64) -> u32 [max DISPATCH_LEVEL] {
        initialize(call, kind::QUEUE)
    }

    /// `IoCsqInitializeEx`: inserting may be refused.
    fn IoCsqInitializeEx<call>(csq: u64) -> u32 [max DISPATCH_LEVEL] {
        initialize(call, kind::QUEUE_EX)
    }

    /// `IoCsqInsertIrp`.
    fn IoCsqInsertIrp<call>(csq: u64, packet: u64, context: u64) -> () [max DISPATCH_LEVEL] {
        insert(&Queue::of(csq, call), packet, context, 0).map(drop)
    }

    /// `IoCsqInsertIrpEx`: what the driver's routine says of it.
    fn IoCsqInsertIrpEx<call>(csq: u64, packet: u64, context: u64, insert_context: u64) -> u32 [max DISPATCH_LEVEL] {
        insert(&Queue::of(csq, call), packet, context, insert_context)
    }

    /// `IoCsqRemoveIrp`: NULL if the IRP is being cancelled.
    fn IoCsqRemoveIrp<call>(csq: u64, context: u64) -> u64 [max DISPATCH_LEVEL] {
        remove(&Queue::of(csq, call), context)
    }

    /// `IoCsqRemoveNextIrp`: NULL if there is none.
    fn IoCsqRemoveNextIrp<call>(csq: u64, peek_context: u64) -> u64 [max DISPATCH_LEVEL] {
        remove_next(&Queue::of(csq, call), peek_context)
    }

    /// The cancel routine of IRPs in a queue.
    fn IopCsqCancelRoutine<call>(device: u64, packet: u64) -> () [max DISPATCH_LEVEL] {
        let irql = guest::read_u8(packet.wrapping_add(irp::CANCEL_IRQL))?;
        cancel::release(irql, call.return_address())?;
        let linked = guest::read_u64(packet.wrapping_add(DRIVER_CONTEXT_3))?;
        let csq = if guest::read_u32(linked)? == kind::IRP_CONTEXT {
            guest::read_u64(linked.wrapping_add(context::CSQ))?
        } else {
            linked
        };
        let queue = Queue::of(csq, call);
        queue.acquire()?;
        queue.remove(packet)?;
        unlink(packet)?;
        queue.release()?;
        Ok(queue.complete_canceled(packet)?)
    }
}

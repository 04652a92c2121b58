//! Cancel-safe queues: the driver keeps the list and the lock, and says how to
//! put an IRP in and take one out; this does what cancelling needs around it.
//!
//! The fourth word of an IRP's `DriverContext` holds the queue, or the context
//! structure that the driver gave, while the IRP is in the queue.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::gate::{Call, Stop};
use ntbox_host::routine::Routine;

use super::irp as packets;
use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::export_table;
use crate::base::io_layout::{irp, stack};
use crate::ke::irp_cancel_lock;

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
        let routine = driver_mem::read_u64(self.csq.wrapping_add(at))?;
        let routine = Routine::new(routine, "routine").held_by(self.csq, "IO_CSQ");
        Ok(self.caller.call(routine, arguments))
    }

    fn acquire(&self) -> Result<(), Fault> {
        driver_mem::write_u64(self.irql, 0)?;
        self.routine(offset::ACQUIRE, &[self.csq, self.irql])
            .map(drop)
    }

    fn release(&self) -> Result<(), Fault> {
        let irql = driver_mem::read_u8(self.irql)?;
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
    driver_mem::write_u32(csq.wrapping_add(offset::TYPE), kind)?;
    let fields = [
        offset::INSERT,
        offset::REMOVE,
        offset::PEEK,
        offset::ACQUIRE,
        offset::RELEASE,
        offset::COMPLETE_CANCELED,
    ];
    for (n, field) in fields.into_iter().enumerate() {
        driver_mem::write_u64(csq.wrapping_add(field), call.argument(1 + n)?)?;
    }
    driver_mem::write_u64(csq.wrapping_add(offset::RESERVED), 0)?;
    Ok(0)
}

/// Takes the cancel routine off an IRP; false if there was none, because it is
/// being cancelled.
fn take_cancel_routine(packet: u64) -> Result<bool, Fault> {
    let at = packet.wrapping_add(irp::CANCEL_ROUTINE);
    let routine = driver_mem::read_u64(at)?;
    driver_mem::write_u64(at, 0)?;
    Ok(routine != 0)
}

/// The IRP is in the queue no more: nothing points from one to the other.
fn unlink(packet: u64) -> Result<(), Fault> {
    let at = packet.wrapping_add(DRIVER_CONTEXT_3);
    let linked = driver_mem::read_u64(at)?;
    if linked != 0 && driver_mem::read_u32(linked.wrapping_add(context::TYPE))? == kind::IRP_CONTEXT
    {
        driver_mem::write_u64(linked.wrapping_add(context::IRP), 0)?;
    }
    driver_mem::write_u64(at, 0)
}

fn insert(queue: &Queue<'_>, packet: u64, linked: u64, insert_context: u64) -> Result<u32, Stop> {
    let csq = queue.csq;
    driver_mem::write_u64(csq.wrapping_add(offset::RESERVED), 0)?;
    if linked == 0 {
        driver_mem::write_u64(packet.wrapping_add(DRIVER_CONTEXT_3), csq)?;
    } else {
        driver_mem::write_u64(packet.wrapping_add(DRIVER_CONTEXT_3), linked)?;
        driver_mem::write_u32(linked.wrapping_add(context::TYPE), kind::IRP_CONTEXT)?;
        driver_mem::write_u64(linked.wrapping_add(context::IRP), packet)?;
        driver_mem::write_u64(linked.wrapping_add(context::CSQ), csq)?;
    }
    queue.acquire()?;
    let cancelled = driver_mem::read_u8(packet.wrapping_add(irp::CANCEL))? != 0;
    if !cancelled {
        let extended = driver_mem::read_u32(csq.wrapping_add(offset::TYPE))? == kind::QUEUE_EX;
        let arguments = [csq, packet, insert_context];
        let count = if extended { 3 } else { 2 };
        let returned = queue.routine(offset::INSERT, &arguments[..count])?;
        let status = u32::try_from(returned & 0xffff_ffff).unwrap_or(0);
        if extended && status.cast_signed() < 0 {
            queue.release()?;
            return Ok(status);
        }
        mark_pending(packet)?;
        let routine = export_table::resolve("IopCsqCancelRoutine").unwrap_or(0);
        driver_mem::write_u64(packet.wrapping_add(irp::CANCEL_ROUTINE), routine)?;
        // The insertion itself may have had it cancelled.
        let cancelled = driver_mem::read_u8(packet.wrapping_add(irp::CANCEL))? != 0;
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
    let before = driver_mem::read_u8(control)?;
    driver_mem::write_u8(control, before | stack::flag::PENDING_RETURNED)
}

/// Takes out the IRP of a context; 0 if it is being cancelled, or is out.
fn remove(queue: &Queue<'_>, linked: u64) -> Result<u64, Stop> {
    driver_mem::write_u64(queue.csq.wrapping_add(offset::RESERVED), 0)?;
    queue.acquire()?;
    let packet = driver_mem::read_u64(linked.wrapping_add(context::IRP))?;
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
    driver_mem::write_u64(queue.csq.wrapping_add(offset::RESERVED), 0)?;
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
    fn IoCsqInitialize<call>(csq: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        initialize(call, kind::QUEUE)
    }

    /// `IoCsqInitializeEx`: inserting may be refused.
    fn IoCsqInitializeEx<call>(csq: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        initialize(call, kind::QUEUE_EX)
    }

    /// `IoCsqInsertIrp`.
    fn IoCsqInsertIrp<call>(csq: u64, packet: u64, context: u64) -> () [max DISPATCH_LEVEL, wdm] {
        insert(&Queue::of(csq, call), packet, context, 0).map(drop)
    }

    /// `IoCsqInsertIrpEx`: what the driver's routine says of it.
    fn IoCsqInsertIrpEx<call>(csq: u64, packet: u64, context: u64, insert_context: u64) -> u32
        [max DISPATCH_LEVEL, wdm] {
        insert(&Queue::of(csq, call), packet, context, insert_context)
    }

    /// `IoCsqRemoveIrp`: NULL if the IRP is being cancelled.
    fn IoCsqRemoveIrp<call>(csq: u64, context: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        remove(&Queue::of(csq, call), context)
    }

    /// `IoCsqRemoveNextIrp`: NULL if there is none.
    fn IoCsqRemoveNextIrp<call>(csq: u64, peek_context: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        remove_next(&Queue::of(csq, call), peek_context)
    }

    /// The cancel routine of IRPs in a queue.
    fn IopCsqCancelRoutine<call>(device: u64, packet: u64) -> ()
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let irql = driver_mem::read_u8(packet.wrapping_add(irp::CANCEL_IRQL))?;
        irp_cancel_lock::release(irql, call.return_address())?;
        let linked = driver_mem::read_u64(packet.wrapping_add(DRIVER_CONTEXT_3))?;
        let csq = if driver_mem::read_u32(linked)? == kind::IRP_CONTEXT {
            driver_mem::read_u64(linked.wrapping_add(context::CSQ))?
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

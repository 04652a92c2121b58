//! Cancel-safe queues: the driver keeps the list and the lock, and says how to
//! put an IRP in and take one out; this does what cancelling needs around it.
//!
//! The fourth word of an IRP's `DriverContext` holds the queue, or the context
//! structure that the driver gave, while the IRP is in the queue.

use nt_layout::{IoCsq, IoCsqIrpContext, IoStackLocation, Irp};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::routine::Routine;

use super::irp;
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::export_table;
use crate::base::io_layout::stack::flag as stack_flag;
use crate::ke::irp_cancel_lock;

/// `Type` of the structures.
mod kind {
    pub const IRP_CONTEXT: u32 = 1;
    pub const QUEUE: u32 = 2;
    pub const QUEUE_EX: u32 = 3;
}

/// A queue during a call of the driver's.
struct Queue<'a> {
    csq: DriverPtr<IoCsq>,
    caller: CallContext<'a>,
    /// Eight bytes that the driver can write its IRQL to: home space of the call.
    irql: u64,
}

impl<'a> Queue<'a> {
    fn of(csq: DriverPtr<IoCsq>, call: &Call<'a>) -> Self {
        Self {
            csq,
            caller: CallContext::of(call),
            irql: call.frame().rsp.wrapping_add(8),
        }
    }

    /// Calls one of the queue's routines.
    fn routine(
        &self,
        select: impl FnOnce(&IoCsq) -> &u64,
        arguments: &[u64],
    ) -> Result<u64, Fault> {
        let routine = self.csq.get(select)?;
        let routine = Routine::new(routine, "routine").held_by(self.csq.address(), "IO_CSQ");
        Ok(self.caller.call(routine, arguments))
    }

    fn acquire(&self) -> Result<(), Fault> {
        driver_mem::write_u64(self.irql, 0)?;
        self.routine(
            |csq| &csq.csq_acquire_lock,
            &[self.csq.address(), self.irql],
        )
        .map(drop)
    }

    fn release(&self) -> Result<(), Fault> {
        let irql = driver_mem::read_u8(self.irql)?;
        self.routine(
            |csq| &csq.csq_release_lock,
            &[self.csq.address(), u64::from(irql)],
        )?;
        Ok(())
    }

    fn remove(&self, irp: u64) -> Result<(), Fault> {
        self.routine(|csq| &csq.csq_remove_irp, &[self.csq.address(), irp])
            .map(drop)
    }

    fn complete_canceled(&self, irp: u64) -> Result<(), Fault> {
        self.routine(
            |csq| &csq.csq_complete_canceled_irp,
            &[self.csq.address(), irp],
        )
        .map(drop)
    }
}

fn initialize(call: &Call<'_>, kind: u32) -> Result<u32, NoReturn> {
    let csq = DriverPtr::<IoCsq>::new(call.argument(0)?);
    csq.set(|csq| &csq.kind, kind)?;
    csq.set(|csq| &csq.csq_insert_irp, call.argument(1)?)?;
    csq.set(|csq| &csq.csq_remove_irp, call.argument(2)?)?;
    csq.set(|csq| &csq.csq_peek_next_irp, call.argument(3)?)?;
    csq.set(|csq| &csq.csq_acquire_lock, call.argument(4)?)?;
    csq.set(|csq| &csq.csq_release_lock, call.argument(5)?)?;
    csq.set(|csq| &csq.csq_complete_canceled_irp, call.argument(6)?)?;
    csq.set(|csq| &csq.reserve_pointer, 0)?;
    Ok(0)
}

/// Takes the cancel routine off an IRP; false if there was none, because it is
/// being cancelled.
fn take_cancel_routine(irp: u64) -> Result<bool, Fault> {
    let irp = DriverPtr::<Irp>::new(irp);
    let routine = irp.get(|irp| &irp.cancel_routine)?;
    irp.set(|irp| &irp.cancel_routine, 0)?;
    Ok(routine != 0)
}

/// The IRP is in the queue no more: nothing points from one to the other.
fn unlink(irp: u64) -> Result<(), Fault> {
    let context = DriverPtr::<Irp>::new(irp).at(|irp| &irp.driver_context[3]);
    let linked = DriverPtr::<IoCsqIrpContext>::new(context.read()?);
    if !linked.is_null() && linked.get(|context| &context.kind)? == kind::IRP_CONTEXT {
        linked.set(|context| &context.irp, 0)?;
    }
    context.write(0)
}

fn insert(queue: &Queue<'_>, irp: u64, linked: u64, insert_context: u64) -> Result<u32, NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    let linked = DriverPtr::<IoCsqIrpContext>::new(linked);
    let csq = queue.csq;
    csq.set(|csq| &csq.reserve_pointer, 0)?;
    if linked.is_null() {
        irp.set(|irp| &irp.driver_context[3], csq.address())?;
    } else {
        irp.set(|irp| &irp.driver_context[3], linked.address())?;
        linked.set(|context| &context.kind, kind::IRP_CONTEXT)?;
        linked.set(|context| &context.irp, irp.address())?;
        linked.set(|context| &context.csq, csq.address())?;
    }
    queue.acquire()?;
    let cancelled = irp.get(|irp| &irp.cancel)? != 0;
    if !cancelled {
        let extended = csq.get(|csq| &csq.kind)? == kind::QUEUE_EX;
        let arguments = [csq.address(), irp.address(), insert_context];
        let count = if extended { 3 } else { 2 };
        let returned = queue.routine(|csq| &csq.csq_insert_irp, &arguments[..count])?;
        let status = u32::try_from(returned & 0xffff_ffff).unwrap_or(0);
        if extended && status.cast_signed() < 0 {
            queue.release()?;
            return Ok(status);
        }
        mark_pending(irp.address())?;
        let routine = export_table::resolve("IopCsqCancelRoutine").unwrap_or(0);
        irp.set(|irp| &irp.cancel_routine, routine)?;
        // The insertion itself may have had it cancelled.
        let cancelled = irp.get(|irp| &irp.cancel)? != 0;
        if !cancelled || !take_cancel_routine(irp.address())? {
            queue.release()?;
            return Ok(if extended { status } else { 0 });
        }
        queue.remove(irp.address())?;
    }
    unlink(irp.address())?;
    mark_pending(irp.address())?;
    queue.release()?;
    queue.complete_canceled(irp.address())?;
    Ok(0)
}

fn mark_pending(irp: u64) -> Result<(), Fault> {
    let stack_location = DriverPtr::<IoStackLocation>::new(irp::location(irp)?);
    let control = stack_location.at(|location| &location.control);
    control.update(|control| control | stack_flag::PENDING_RETURNED)
}

/// Takes out the IRP of a context; 0 if it is being cancelled, or is out.
fn remove(queue: &Queue<'_>, linked: u64) -> Result<u64, NoReturn> {
    queue.csq.set(|csq| &csq.reserve_pointer, 0)?;
    queue.acquire()?;
    let irp = DriverPtr::<IoCsqIrpContext>::new(linked).get(|context| &context.irp)?;
    if irp == 0 || !take_cancel_routine(irp)? {
        queue.release()?;
        return Ok(0);
    }
    queue.remove(irp)?;
    unlink(irp)?;
    queue.release()?;
    Ok(irp)
}

/// Takes out the first IRP that the driver offers and that is not being cancelled.
fn remove_next(queue: &Queue<'_>, peek_context: u64) -> Result<u64, NoReturn> {
    queue.csq.set(|csq| &csq.reserve_pointer, 0)?;
    queue.acquire()?;
    let mut irp = 0;
    loop {
        irp = queue.routine(
            |csq| &csq.csq_peek_next_irp,
            &[queue.csq.address(), irp, peek_context],
        )?;
        if irp == 0 {
            queue.release()?;
            return Ok(0);
        }
        if take_cancel_routine(irp)? {
            queue.remove(irp)?;
            unlink(irp)?;
            queue.release()?;
            return Ok(irp);
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
    fn IoCsqInsertIrp<call>(csq: DriverPtr<IoCsq>, irp: u64, context: u64) -> () [max DISPATCH_LEVEL, wdm] {
        insert(&Queue::of(csq, call), irp, context, 0).map(drop)
    }

    /// `IoCsqInsertIrpEx`: what the driver's routine says of it.
    fn IoCsqInsertIrpEx<call>(csq: DriverPtr<IoCsq>, irp: u64, context: u64, insert_context: u64) -> u32
        [max DISPATCH_LEVEL, wdm] {
        insert(&Queue::of(csq, call), irp, context, insert_context)
    }

    /// `IoCsqRemoveIrp`: NULL if the IRP is being cancelled.
    fn IoCsqRemoveIrp<call>(csq: DriverPtr<IoCsq>, context: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        remove(&Queue::of(csq, call), context)
    }

    /// `IoCsqRemoveNextIrp`: NULL if there is none.
    fn IoCsqRemoveNextIrp<call>(csq: DriverPtr<IoCsq>, peek_context: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        remove_next(&Queue::of(csq, call), peek_context)
    }

    /// The cancel routine of IRPs in a queue.
    fn IopCsqCancelRoutine<call>(device: u64, irp: DriverPtr<Irp>) -> ()
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let irql = irp.get(|irp| &irp.cancel_irql)?;
        irp_cancel_lock::release(irql, call.return_address())?;
        let linked = DriverPtr::<IoCsqIrpContext>::new(irp.get(|irp| &irp.driver_context[3])?);
        let csq = if linked.get(|context| &context.kind)? == kind::IRP_CONTEXT {
            linked.get(|context| &context.csq)?
        } else {
            linked.address()
        };
        let queue = Queue::of(DriverPtr::new(csq), call);
        queue.acquire()?;
        queue.remove(irp.address())?;
        unlink(irp.address())?;
        queue.release()?;
        Ok(queue.complete_canceled(irp.address())?)
    }
}

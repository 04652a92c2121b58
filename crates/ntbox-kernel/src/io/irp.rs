//! I/O request packets: memory, stack locations, and the way down and up a
//! device stack.

use nt_layout::{DeviceObject, DriverObject, IoStackLocation, Irp};
use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::routine::Routine;
use ntbox_host::{cpu, driver_mem};
use rustc_hash::FxHashMap;

use super::irp_contract::{DispatchCall, Request as DispatchedRequest};
use super::{irp_completion, irp_contract};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout;
use crate::base::io_layout::irp::flag as irp_flag;
use crate::base::io_layout::stack::flag as stack_flag;
use crate::base::leak_check::Leak;
use crate::base::{diag, events};
use crate::ex::pool;
use crate::ke::object;
use crate::mm::lent;
use crate::{ke, ob};

/// Pool tag of IRPs.
const TAG: u32 = u32::from_le_bytes(*b"Irp ");
/// `STATUS_PENDING`.
pub const PENDING: u32 = 0x103;
/// What Driver Verifier takes for a status that was never set.
const NO_STATUS: u32 = u32::MAX;

/// The owner of an IRP, which decides how its completion ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IrpOwner {
    /// The driver that called `IoAllocateIrp` frees it.
    Driver,
    /// `IoBuildDeviceIoControlRequest` and its kin: the I/O manager frees it.
    Built,
    /// `IoBuildAsynchronousFsdRequest`: a driver's completion routine frees it; without
    /// one the I/O manager does at its end.
    Asynchronous,
    /// A request of the I/O manager itself, for a file.
    File,
    /// Memory of the driver that it initialised itself.
    Initialized,
    /// `PoRequestPowerIrp`: the power manager tells the driver, and frees it.
    Power,
    /// One of several that carry out another one, the master: the last of them to
    /// end completes it.
    Associated,
}

/// The I/O manager's record of an IRP, apart from its memory.
#[derive(Debug, Clone, Copy)]
pub struct IrpRecord {
    /// Who it belongs to.
    pub owner: IrpOwner,
    /// Who made it.
    pub caller: u64,
    /// Whether it has been completed to the end.
    pub completed: bool,
}

static IRPS: KernelCell<Option<FxHashMap<u64, IrpRecord>>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut FxHashMap<u64, IrpRecord>) -> T) -> T {
    work(IRPS.lock().get_or_insert_default())
}

/// What is known of an IRP.
pub fn known(irp: u64) -> Option<IrpRecord> {
    with(|irps| irps.get(&irp).copied())
}

/// Changes what is known of an IRP.
fn update(irp: u64, work: impl FnOnce(&mut IrpRecord)) {
    with(|irps| irps.get_mut(&irp).map(work));
}

/// Changes whom an IRP belongs to.
pub fn set_owner(irp: u64, owner: IrpOwner) {
    update(irp, |known| known.owner = owner);
}

/// IRPs that drivers allocated and did not free.
pub fn leaks() -> Vec<Leak> {
    with(|irps| {
        irps.iter()
            .filter(|(_, known)| {
                matches!(
                    known.owner,
                    IrpOwner::Driver | IrpOwner::Asynchronous | IrpOwner::Associated
                )
            })
            .map(|(irp, known)| {
                let message = format!("the IRP at {irp:#018x} is not freed");
                Leak::new(rules::IRP_LEAK, message, known.caller)
            })
            .collect()
    })
}

/// Bytes of an IRP with its stack locations (`IoSizeOfIrp`).
pub const fn size_of(locations: u8) -> u64 {
    DriverPtr::<Irp>::SIZE + DriverPtr::<IoStackLocation>::SIZE * locations as u64
}

/// Writes an IRP that is on no location yet.
pub fn initialize(irp: u64, size: u64, locations: u8) -> Result<(), Fault> {
    let irp = DriverPtr::<Irp>::new(irp);
    driver_mem::fill(irp.address(), 0, size)?;
    irp.set(|irp| &irp.kind, io_layout::irp::TYPE_NUMBER)?;
    irp.set(|irp| &irp.size, u16::try_from(size).unwrap_or(u16::MAX))?;
    irp.set(|irp| &irp.stack_count, locations)?;
    irp.set(|irp| &irp.current_location, locations.wrapping_add(1))?;
    object::initialize_list(irp.at(|irp| &irp.thread_list_entry).address())?;
    irp.set(
        |irp| &irp.current_stack_location,
        irp.address() + size_of(locations),
    )
}

/// Allocates an IRP; `None` without memory.
pub fn allocate(locations: u8, owner: IrpOwner, caller: u64) -> Result<Option<u64>, Fault> {
    let size = size_of(locations);
    let Some(irp) = lent::allocate(size, TAG, false, caller) else {
        return Ok(None);
    };
    irp_contract::forget(irp);
    initialize(irp, size, locations)?;
    with(|irps| {
        irps.insert(
            irp,
            IrpRecord {
                owner,
                caller,
                completed: false,
            },
        )
    });
    Ok(Some(irp))
}

/// Allocates one for a driver, and notes in it from where; NULL without memory.
fn allocate_for_driver(locations: u8, charge_quota: bool, caller: u64) -> Result<u64, NoReturn> {
    let Some(irp) = allocate(locations, IrpOwner::Driver, caller)? else {
        return Ok(0);
    };
    if locations <= io_layout::irp::allocation::MOST_LOCATIONS {
        let lookaside = if charge_quota {
            io_layout::irp::allocation::LOOKASIDE
        } else {
            0
        };
        let flags = io_layout::irp::allocation::FIXED_SIZE | lookaside;
        DriverPtr::<Irp>::new(irp).set(|irp| &irp.allocation_flags, flags)?;
    }
    Ok(irp)
}

/// Frees an IRP for the call that returns to `caller`, or 0.
pub fn free(irp: u64, caller: u64) -> Result<(), NoReturn> {
    with(|irps| irps.remove(&irp));
    lent::free(irp, caller)
}

/// Whether a list is the MDL of an IRP whose pages the I/O manager unlocks itself.
pub fn is_own_mdl(list: u64) -> bool {
    let packets: Vec<u64> = with(|irps| {
        let own = |known: &IrpRecord| matches!(known.owner, IrpOwner::File | IrpOwner::Built);
        let mut packets: Vec<u64> = irps.keys().copied().collect();
        packets.retain(|irp| irps.get(irp).is_some_and(own));
        packets
    });
    let mut packets = packets.into_iter();
    packets.any(|irp| DriverPtr::<Irp>::new(irp).get(|irp| &irp.mdl_address) == Ok(list))
}

/// The current stack location.
pub fn location(irp: u64) -> Result<u64, Fault> {
    DriverPtr::<Irp>::new(irp).get(|irp| &irp.current_stack_location)
}

/// The location that the next driver will see.
pub fn next_location(irp: u64) -> Result<u64, Fault> {
    Ok(location(irp)?.wrapping_sub(DriverPtr::<IoStackLocation>::SIZE))
}

/// Sends an IRP to a device: `IofCallDriver`. Returns what the dispatch routine
/// returned.
pub fn call(device: u64, irp: u64, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    send(device, irp, caller).map(|sent| sent.status)
}

/// The return of a dispatch routine.
#[derive(Debug, Clone, Copy)]
pub struct DispatchReturn {
    /// Its status.
    pub status: u32,
    /// The routine.
    pub routine: u64,
    /// What was asked for.
    pub request: DispatchedRequest,
    /// Whether it broke the contract of IRPs, which was reported.
    pub is_reported: bool,
}

/// `IoCallDriver` was given what is no IRP, or no device.
fn check_types(device: u64, irp: u64) -> Result<(), NoReturn> {
    let refused = |kind: u64, what: String| NoReturn::bug_check(0xc9, [kind, irp, 0, 0], what);
    if DriverPtr::<Irp>::new(irp).get(|irp| &irp.kind)? != io_layout::irp::TYPE_NUMBER {
        return Err(refused(
            3,
            format!(
                "IoCallDriver was given {irp:#018x}, which is no IRP, or none any more{}",
                irp_contract::completed_by_text(irp)
            ),
        ));
    }
    if ob::type_of(device) != Some(ob::Type::Device) {
        return Err(refused(
            4,
            format!(
                "IoCallDriver was given {device:#018x}, which is no device object, or none any more"
            ),
        ));
    }
    Ok(())
}

/// The same, with all that is known of it.
pub fn send(device: u64, irp: u64, caller: &CallContext<'_>) -> Result<DispatchReturn, NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    check_types(device, irp.address())?;
    let current = irp.get(|irp| &irp.current_location)?.wrapping_sub(1);
    if current == 0 || current > irp.get(|irp| &irp.stack_count)? {
        return Err(NoReturn::bug_check(
            0x35,
            [irp.address(), 0, 0, 0],
            format!(
                "the IRP at {irp:#018x} has no stack location left for another driver (NO_MORE_IRP_STACK_LOCATIONS)"
            ),
        ));
    }
    let stack_location = DriverPtr::<IoStackLocation>::new(next_location(irp.address())?);
    irp.set(|irp| &irp.current_location, current)?;
    irp.set(|irp| &irp.current_stack_location, stack_location.address())?;
    stack_location.set(|location| &location.device_object, device)?;
    let major = stack_location.get(|location| &location.major_function)?;
    if major > io_layout::major::MAXIMUM {
        return Err(NoReturn::bug_check(
            0xc9,
            [0x0c, irp.address(), u64::from(major), 0],
            format!(
                "the IRP at {irp:#018x} was sent with the major function {major:#x}, which does not exist"
            ),
        ));
    }
    let owner = DriverPtr::<DeviceObject>::new(device).get(|device| &device.driver_object)?;
    let routine = DriverPtr::<DriverObject>::new(owner)
        .get(|driver| &driver.major_function[usize::from(major)])?;
    let before = cpu::irql();
    let entry = Routine::new(routine, "MajorFunction entry").held_by(owner, "DRIVER_OBJECT");
    let request = DispatchedRequest::read(stack_location.address())?;
    let number = irp_contract::begins(irp.address(), current);
    let status = caller.call(entry, &[device, irp.address()]);
    check_returned(routine, before);
    events::routine_returned(routine);
    // The status is the low half of RAX.
    let status = u32::try_from(status & 0xffff_ffff).unwrap_or(0);
    let dispatch = DispatchCall {
        number,
        routine,
        device,
        irp: irp.address(),
        location: current,
        request,
    };
    Ok(DispatchReturn {
        status,
        routine,
        request,
        is_reported: irp_contract::returned(&dispatch, status),
    })
}

/// A dispatch routine must return at the IRQL at which it was called, and holding
/// no spin lock that it took.
fn check_returned(routine: u64, before: u8) {
    let after = cpu::irql();
    if after == before {
        return;
    }
    let held = events::lock_held_text();
    let what = format!("a dispatch routine called at IRQL {before} returned at IRQL {after}{held}");
    diag::violation_of(routine, rules::IRQL_CHANGED_ON_RETURN, what);
    if before < DISPATCH_LEVEL {
        ke::lock_owner::check_returned();
    }
    cpu::set_irql(before);
}

/// Completes an IRP: `IofCompleteRequest`.
pub fn complete(irp: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    check_completion(irp, caller)?;
    let count = irp.get(|irp| &irp.stack_count)?;
    let mut stack_location = DriverPtr::<IoStackLocation>::new(location(irp.address())?);
    let mut current = irp.get(|irp| &irp.current_location)?.wrapping_add(1);
    while current <= count.wrapping_add(1) {
        irp.set(|irp| &irp.current_location, current)?;
        irp.set(
            |irp| &irp.current_stack_location,
            stack_location.next(1).address(),
        )?;
        let control = stack_location.get(|location| &location.control)?;
        let pending = control & stack_flag::PENDING_RETURNED != 0;
        irp.set(|irp| &irp.pending_returned, u8::from(pending))?;
        let status = irp.get(|irp| &irp.io_status.status)?;
        irp_contract::passes(irp.address(), current.wrapping_sub(1), status, pending);
        if is_completion_routine_due(irp, control)? {
            let routine = stack_location.get(|location| &location.completion_routine)?;
            let context = stack_location.get(|location| &location.context)?;
            let above = if current > count {
                0
            } else {
                stack_location
                    .next(1)
                    .get(|location| &location.device_object)?
            };
            clear(stack_location)?;
            let routine = Routine::new(routine, "completion routine").held_by(irp.address(), "IRP");
            let status = caller.call(routine, &[above, irp.address(), context]);
            if status & 0xffff_ffff == u64::from(nt_status::STATUS_MORE_PROCESSING_REQUIRED) {
                return Ok(());
            }
        } else {
            if pending && current <= count {
                let above = stack_location.next(1).at(|location| &location.control);
                above.update(|control| control | stack_flag::PENDING_RETURNED)?;
            }
            clear(stack_location)?;
        }
        stack_location = stack_location.next(1);
        current = current.wrapping_add(1);
    }
    let owner = with(|irps| {
        let known = irps.get_mut(&irp.address())?;
        known.completed = true;
        Some(known.owner)
    });
    irp_contract::ends(irp.address(), caller.address());
    irp_completion::finish(irp.address(), owner, caller)
}

/// Whether the completion routine of a location is to be called.
fn is_completion_routine_due(irp: DriverPtr<Irp>, control: u8) -> Result<bool, Fault> {
    let success = irp.get(|irp| &irp.io_status.status)?.cast_signed() >= 0;
    let cancelled = irp.get(|irp| &irp.cancel)? != 0;
    Ok((success && control & stack_flag::INVOKE_ON_SUCCESS != 0)
        || (!success && control & stack_flag::INVOKE_ON_ERROR != 0)
        || (cancelled && control & stack_flag::INVOKE_ON_CANCEL != 0))
}

/// Clears a stack location that its driver is done with: all but the major function, the
/// device object, and the completion routine with its context.
fn clear(stack_location: DriverPtr<IoStackLocation>) -> Result<(), Fault> {
    stack_location.set(|location| &location.minor_function, 0)?;
    stack_location.set(|location| &location.flags, 0)?;
    stack_location.set(|location| &location.control, 0)?;
    let parameters = stack_location.at(|location| &location.parameters);
    driver_mem::fill(parameters.address(), 0, DriverPtr::<[u64; 4]>::SIZE)?;
    stack_location.set(|location| &location.file_object, 0)
}

fn check_completion(irp: DriverPtr<Irp>, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let stopped = |what: String| NoReturn::bug_check(0x44, [irp.address(), 0, 0, 0], what);
    let completed = match known(irp.address()) {
        Some(known) => known.completed,
        None => {
            irp_contract::completed_by(irp.address()).is_some() || lent::is_freed(irp.address())
        }
    };
    let is_damaged = || -> Result<bool, Fault> {
        let kind = irp.get(|irp| &irp.kind)?;
        let current = irp.get(|irp| &irp.current_location)?;
        let count = irp.get(|irp| &irp.stack_count)?;
        Ok(kind != io_layout::irp::TYPE_NUMBER || current > count.wrapping_add(1))
    };
    if completed || is_damaged()? {
        return Err(stopped(format!(
            "the IRP at {irp:#018x} was completed before{} (MULTIPLE_IRP_COMPLETE_REQUESTS)",
            irp_contract::completed_by_text(irp.address())
        )));
    }
    let status = irp.get(|irp| &irp.io_status.status)?;
    if status == NO_STATUS {
        let what = format!(
            "the IRP at {irp:#018x} completed with the status {status:#010x}, which is no NTSTATUS"
        );
        diag::violation(rules::IRP_COMPLETED_INVALID_STATUS, what, caller.address());
    }
    if status == PENDING {
        let what = format!(
            "the IRP at {irp:#018x} completed with STATUS_PENDING, which is not a final status"
        );
        diag::violation(rules::IRP_COMPLETED_PENDING, what, caller.address());
    }
    if irp.get(|irp| &irp.cancel_routine)? != 0 {
        let what = format!("the IRP at {irp:#018x} completed while its cancel routine is set");
        diag::violation(
            rules::IRP_COMPLETED_WITH_CANCEL_ROUTINE,
            what,
            caller.address(),
        );
    }
    Ok(())
}

/// Allocates an IRP that carries out a part of `master`; NULL without memory.
pub fn make_associated(master: u64, locations: u8, caller: u64) -> Result<u64, NoReturn> {
    let Some(irp) = allocate(locations, IrpOwner::Associated, caller)? else {
        return Ok(0);
    };
    let irp = DriverPtr::<Irp>::new(irp);
    irp.set(|irp| &irp.flags, irp_flag::ASSOCIATED)?;
    irp.set(|irp| &irp.system_buffer, master)?;
    let thread = DriverPtr::<Irp>::new(master).get(|irp| &irp.thread)?;
    irp.set(|irp| &irp.thread, thread)?;
    Ok(irp.address())
}

/// Writes an IRP into memory of a driver's own.
pub fn initialize_for_driver(
    irp: u64,
    size: u16,
    locations: u8,
    caller: u64,
) -> Result<(), NoReturn> {
    if let Some(IrpRecord {
        owner: IrpOwner::Driver,
        ..
    }) = known(irp)
    {
        let what = format!(
            "IoInitializeIrp called with {irp:#018x}, which IoAllocateIrp has initialized; use IoReuseIrp"
        );
        diag::violation(rules::IRP_INITIALIZED_TWICE, what, caller);
    }
    initialize(irp, u64::from(size), locations)?;
    with(|irps| {
        let fresh = IrpRecord {
            owner: IrpOwner::Initialized,
            caller,
            completed: false,
        };
        irps.entry(irp).or_insert(fresh).completed = false;
    });
    Ok(())
}

exports! {
    /// `IofCallDriver`.
    fn IofCallDriver<caller>(device: u64, irp: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        call(device, irp, &CallContext::of(caller))
    }

    /// `IofCompleteRequest`.
    fn IofCompleteRequest<caller>(irp: u64, boost: u8) -> ()
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-iocompleterequest"] {
        complete(irp, &CallContext::of(caller))
    }

    /// `IoCallDriver`: what `IofCallDriver` does, for whoever takes its address.
    fn IoCallDriver<caller>(device: u64, irp: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        call(device, irp, &CallContext::of(caller))
    }

    /// `IoCompleteRequest`: what `IofCompleteRequest` does.
    fn IoCompleteRequest<caller>(irp: u64, boost: u8) -> () [max DISPATCH_LEVEL, wdm] {
        complete(irp, &CallContext::of(caller))
    }

    /// `IoAllocateIrp`: NULL without memory.
    fn IoAllocateIrp<call>(locations: u8, charge_quota: bool) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 {
        allocate_for_driver(locations, charge_quota, call.return_address())
    }

    /// `IoAllocateIrpEx`: the same for a device.
    fn IoAllocateIrpEx<call>(device: u64, locations: u8, charge_quota: bool) -> u64
        [max DISPATCH_LEVEL, wdm, since WINDOWS_10] fails 0 {
        allocate_for_driver(locations, charge_quota, call.return_address())
    }

    /// `IoMakeAssociatedIrp`: NULL without memory. The caller counts them in the
    /// master.
    fn IoMakeAssociatedIrp<call>(master: u64, locations: u8) -> u64 [max DISPATCH_LEVEL, ntddk] fails 0 {
        make_associated(master, locations, call.return_address())
    }

    /// `IoFreeIrp`.
    fn IoFreeIrp<call>(irp: u64) -> () [max DISPATCH_LEVEL, wdm] {
        match known(irp) {
            Some(IrpRecord { owner: IrpOwner::Driver | IrpOwner::Built | IrpOwner::Asynchronous | IrpOwner::Associated, .. }) => {
                free(irp, call.return_address())
            }
            _ => Err(pool::bad_free(irp, TAG, "IoFreeIrp")),
        }
    }

    /// `IoInitializeIrp`: for memory of the caller's own.
    fn IoInitializeIrp<call>(irp: u64, size: u16, locations: u8) -> () [max DISPATCH_LEVEL, wdm] {
        irp_contract::forget(irp);
        initialize_for_driver(irp, size, locations, call.return_address())
    }

    /// `IoReuseIrp`: as new, with a status to begin with.
    fn IoReuseIrp<call>(irp: DriverPtr<Irp>, status: u32) -> () [max DISPATCH_LEVEL, wdm] {
        let locations = irp.get(|irp| &irp.stack_count)?;
        let size = u64::from(irp.get(|irp| &irp.size)?);
        let allocation = irp.get(|irp| &irp.allocation_flags)?;
        initialize(irp.address(), size, locations)?;
        irp.set(|irp| &irp.allocation_flags, allocation)?;
        irp.set(|irp| &irp.io_status.status, status)?;
        irp_contract::forget(irp.address());
        update(irp.address(), |known| known.completed = false);
        Ok(())
    }

    /// What every entry of a new dispatch table holds: it refuses the request.
    fn IopInvalidDeviceRequest<caller>(device: u64, irp: DriverPtr<Irp>) -> u32
        [max HIGH_LEVEL, undocumented "a routine inside this kernel"] {
        irp.set(|irp| &irp.io_status.status, nt_status::STATUS_INVALID_DEVICE_REQUEST)?;
        irp.set(|irp| &irp.io_status.information, 0)?;
        complete(irp.address(), &CallContext::of(caller))?;
        Ok(nt_status::STATUS_INVALID_DEVICE_REQUEST)
    }
}

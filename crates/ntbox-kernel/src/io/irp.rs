//! I/O request packets: memory, stack locations, and the way down and up a
//! device stack.

use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_cell::Exclusive;
use ntbox_host::routine::Routine;
use ntbox_host::{cpu, driver_mem};
use rustc_hash::FxHashMap;

use super::irp_contract::{Called, Request as Asked};
use super::{irp_completion, irp_contract};
use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::io_layout::{device, driver, irp, stack};
use crate::base::leak_check::Leak;
use crate::base::{diag, io_layout};
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

/// Who an IRP belongs to, which decides what its completion ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
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

/// What is known of an IRP beside its memory.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Who it belongs to.
    pub owner: Owner,
    /// Who made it.
    pub caller: u64,
    /// Whether it has been completed to the end.
    pub completed: bool,
}

static IRPS: Exclusive<Option<FxHashMap<u64, Known>>> = Exclusive::new(None);

fn with<T>(work: impl FnOnce(&mut FxHashMap<u64, Known>) -> T) -> T {
    work(IRPS.lock().get_or_insert_default())
}

/// What is known of an IRP.
pub fn known(packet: u64) -> Option<Known> {
    with(|irps| irps.get(&packet).copied())
}

/// Changes what is known of an IRP.
fn update(packet: u64, work: impl FnOnce(&mut Known)) {
    with(|irps| irps.get_mut(&packet).map(work));
}

/// Changes whom an IRP belongs to.
pub fn set_owner(packet: u64, owner: Owner) {
    update(packet, |known| known.owner = owner);
}

/// IRPs that drivers allocated and did not free.
pub fn leaks() -> Vec<Leak> {
    with(|irps| {
        irps.iter()
            .filter(|(_, known)| {
                matches!(
                    known.owner,
                    Owner::Driver | Owner::Asynchronous | Owner::Associated
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
    irp::SIZE_OF + stack::SIZE_OF * locations as u64
}

/// Writes an IRP that is on no location yet.
pub fn initialize(packet: u64, size: u64, locations: u8) -> Result<(), Fault> {
    driver_mem::fill(packet, 0, size)?;
    driver_mem::write_u16(packet + irp::TYPE, irp::TYPE_NUMBER)?;
    driver_mem::write_u16(packet + irp::SIZE, u16::try_from(size).unwrap_or(u16::MAX))?;
    driver_mem::write_u8(packet + irp::STACK_COUNT, locations)?;
    driver_mem::write_u8(packet + irp::CURRENT_LOCATION, locations.wrapping_add(1))?;
    object::initialize_list(packet + irp::THREAD_LIST_ENTRY)?;
    driver_mem::write_u64(
        packet + irp::CURRENT_STACK_LOCATION,
        packet + size_of(locations),
    )
}

/// Allocates an IRP; `None` without memory.
pub fn allocate(locations: u8, owner: Owner, caller: u64) -> Result<Option<u64>, Fault> {
    let size = size_of(locations);
    let Some(packet) = lent::allocate(size, TAG, false, caller) else {
        return Ok(None);
    };
    irp_contract::forget(packet);
    initialize(packet, size, locations)?;
    with(|irps| {
        irps.insert(
            packet,
            Known {
                owner,
                caller,
                completed: false,
            },
        )
    });
    Ok(Some(packet))
}

/// Allocates one for a driver, and notes in it from where; NULL without memory.
fn allocate_for_driver(locations: u8, charge_quota: bool, caller: u64) -> Result<u64, Stop> {
    let Some(packet) = allocate(locations, Owner::Driver, caller)? else {
        return Ok(0);
    };
    if locations <= irp::allocation::MOST_LOCATIONS {
        let lookaside = if charge_quota {
            irp::allocation::LOOKASIDE
        } else {
            0
        };
        let flags = irp::allocation::FIXED_SIZE | lookaside;
        driver_mem::write_u8(packet + irp::ALLOCATION_FLAGS, flags)?;
    }
    Ok(packet)
}

/// Frees an IRP for the call that returns to `caller`, or 0.
pub fn free(packet: u64, caller: u64) -> Result<(), Stop> {
    with(|irps| irps.remove(&packet));
    lent::free(packet, caller)
}

/// Whether a list is the MDL of an IRP whose pages the I/O manager unlocks itself.
pub fn is_own_mdl(list: u64) -> bool {
    let packets: Vec<u64> = with(|irps| {
        let own = |known: &Known| matches!(known.owner, Owner::File | Owner::Built);
        let mut packets: Vec<u64> = irps.keys().copied().collect();
        packets.retain(|packet| irps.get(packet).is_some_and(own));
        packets
    });
    let mut packets = packets.into_iter();
    packets.any(|packet| driver_mem::read_u64(packet + irp::MDL_ADDRESS) == Ok(list))
}

/// The current stack location.
pub fn location(packet: u64) -> Result<u64, Fault> {
    driver_mem::read_u64(packet + irp::CURRENT_STACK_LOCATION)
}

/// The location that the next driver will see.
pub fn next_location(packet: u64) -> Result<u64, Fault> {
    Ok(location(packet)?.wrapping_sub(stack::SIZE_OF))
}

/// Sends an IRP to a device: `IofCallDriver`. Returns what the dispatch routine
/// returned.
pub fn call(body: u64, packet: u64, caller: &Caller<'_>) -> Result<u32, Stop> {
    send(body, packet, caller).map(|sent| sent.status)
}

/// How a dispatch routine returned.
#[derive(Debug, Clone, Copy)]
pub struct Dispatched {
    /// Its status.
    pub status: u32,
    /// The routine.
    pub routine: u64,
    /// What was asked for.
    pub request: Asked,
    /// Whether it broke the contract of IRPs, which was reported.
    pub is_reported: bool,
}

/// `IoCallDriver` was given what is no IRP, or no device.
fn check_types(body: u64, packet: u64) -> Result<(), Stop> {
    let refused = |kind: u64, what: String| Stop::bug_check(0xc9, [kind, packet, 0, 0], what);
    if driver_mem::read_u16(packet.wrapping_add(irp::TYPE))? != irp::TYPE_NUMBER {
        return Err(refused(
            3,
            format!(
                "IoCallDriver was given {packet:#018x}, which is no IRP, or none any more{}",
                irp_contract::completed_by_text(packet)
            ),
        ));
    }
    if ob::type_of(body) != Some(ob::Type::Device) {
        return Err(refused(
            4,
            format!(
                "IoCallDriver was given {body:#018x}, which is no device object, or none any more"
            ),
        ));
    }
    Ok(())
}

/// The same, with all that is known of it.
pub fn send(body: u64, packet: u64, caller: &Caller<'_>) -> Result<Dispatched, Stop> {
    check_types(body, packet)?;
    let current = driver_mem::read_u8(packet + irp::CURRENT_LOCATION)?.wrapping_sub(1);
    if current == 0 || current > driver_mem::read_u8(packet + irp::STACK_COUNT)? {
        return Err(Stop::bug_check(
            0x35,
            [packet, 0, 0, 0],
            format!(
                "the IRP at {packet:#018x} has no stack location left for another driver (NO_MORE_IRP_STACK_LOCATIONS)"
            ),
        ));
    }
    let place = next_location(packet)?;
    driver_mem::write_u8(packet + irp::CURRENT_LOCATION, current)?;
    driver_mem::write_u64(packet + irp::CURRENT_STACK_LOCATION, place)?;
    driver_mem::write_u64(place + stack::DEVICE_OBJECT, body)?;
    let major = driver_mem::read_u8(place + stack::MAJOR)?;
    if major > io_layout::major::MAXIMUM {
        return Err(Stop::bug_check(
            0xc9,
            [0x0c, packet, u64::from(major), 0],
            format!(
                "the IRP at {packet:#018x} was sent with the major function {major:#x}, which does not exist"
            ),
        ));
    }
    let owner = driver_mem::read_u64(body + device::DRIVER_OBJECT)?;
    let routine = driver_mem::read_u64(owner + driver::MAJOR_FUNCTION + 8 * u64::from(major))?;
    let before = cpu::irql();
    let entry = Routine::new(routine, "MajorFunction entry").held_by(owner, "DRIVER_OBJECT");
    let request = Asked::read(place)?;
    let number = irp_contract::begins(packet, current);
    let status = caller.call(entry, &[body, packet]);
    check_returned(routine, before);
    // The status is the low half of RAX.
    let status = u32::try_from(status & 0xffff_ffff).unwrap_or(0);
    let dispatch = Called {
        number,
        routine,
        body,
        packet,
        location: current,
        request,
    };
    Ok(Dispatched {
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
    let what = format!("a dispatch routine called at IRQL {before} returned at IRQL {after}");
    diag::violation_of(routine, rules::IRQL_CHANGED_ON_RETURN, what);
    if before < DISPATCH_LEVEL {
        ke::lock_owner::check_returned();
    }
    cpu::set_irql(before);
}

/// Completes an IRP: `IofCompleteRequest`.
pub fn complete(packet: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    check_completion(packet, caller)?;
    let count = driver_mem::read_u8(packet + irp::STACK_COUNT)?;
    let mut place = location(packet)?;
    let mut current = driver_mem::read_u8(packet + irp::CURRENT_LOCATION)?.wrapping_add(1);
    while current <= count.wrapping_add(1) {
        driver_mem::write_u8(packet + irp::CURRENT_LOCATION, current)?;
        driver_mem::write_u64(
            packet + irp::CURRENT_STACK_LOCATION,
            place.wrapping_add(stack::SIZE_OF),
        )?;
        let control = driver_mem::read_u8(place + stack::CONTROL)?;
        let pending = control & stack::flag::PENDING_RETURNED != 0;
        driver_mem::write_u8(packet + irp::PENDING_RETURNED, u8::from(pending))?;
        let status = driver_mem::read_u32(packet + irp::STATUS)?;
        irp_contract::passes(packet, current.wrapping_sub(1), status, pending);
        if wants_call(packet, control)? {
            let routine = driver_mem::read_u64(place + stack::COMPLETION_ROUTINE)?;
            let context = driver_mem::read_u64(place + stack::CONTEXT)?;
            let above = if current > count {
                0
            } else {
                driver_mem::read_u64(place + stack::SIZE_OF + stack::DEVICE_OBJECT)?
            };
            clear(place)?;
            let routine = Routine::new(routine, "completion routine").held_by(packet, "IRP");
            let status = caller.call(routine, &[above, packet, context]);
            if status & 0xffff_ffff == u64::from(nt_status::STATUS_MORE_PROCESSING_REQUIRED) {
                return Ok(());
            }
        } else {
            if pending && current <= count {
                let above = place + stack::SIZE_OF + stack::CONTROL;
                driver_mem::write_u8(
                    above,
                    driver_mem::read_u8(above)? | stack::flag::PENDING_RETURNED,
                )?;
            }
            clear(place)?;
        }
        place = place.wrapping_add(stack::SIZE_OF);
        current = current.wrapping_add(1);
    }
    let owner = with(|irps| {
        let known = irps.get_mut(&packet)?;
        known.completed = true;
        Some(known.owner)
    });
    irp_contract::ends(packet, caller.address());
    irp_completion::finish(packet, owner, caller)
}

/// Whether the completion routine of a location is to be called.
fn wants_call(packet: u64, control: u8) -> Result<bool, Fault> {
    let success = driver_mem::read_u32(packet + irp::STATUS)?.cast_signed() >= 0;
    let cancelled = driver_mem::read_u8(packet + irp::CANCEL)? != 0;
    Ok((success && control & stack::flag::INVOKE_ON_SUCCESS != 0)
        || (!success && control & stack::flag::INVOKE_ON_ERROR != 0)
        || (cancelled && control & stack::flag::INVOKE_ON_CANCEL != 0))
}

/// Clears what a stack location said, but for its parameters' memory, which the
/// driver above may still read.
fn clear(place: u64) -> Result<(), Fault> {
    driver_mem::write_u8(place + stack::MINOR, 0)?;
    driver_mem::write_u8(place + stack::FLAGS, 0)?;
    driver_mem::write_u8(place + stack::CONTROL, 0)?;
    driver_mem::fill(
        place + stack::PARAMETERS,
        0,
        stack::DEVICE_OBJECT - stack::PARAMETERS,
    )?;
    driver_mem::write_u64(place + stack::FILE_OBJECT, 0)
}

fn check_completion(packet: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    let stopped = |what: String| Stop::bug_check(0x44, [packet, 0, 0, 0], what);
    let completed = match known(packet) {
        Some(known) => known.completed,
        None => irp_contract::completed_by(packet).is_some() || lent::is_freed(packet),
    };
    let is_damaged = || -> Result<bool, Fault> {
        let kind = driver_mem::read_u16(packet.wrapping_add(irp::TYPE))?;
        let current = driver_mem::read_u8(packet.wrapping_add(irp::CURRENT_LOCATION))?;
        let count = driver_mem::read_u8(packet.wrapping_add(irp::STACK_COUNT))?;
        Ok(kind != irp::TYPE_NUMBER || current > count.wrapping_add(1))
    };
    if completed || is_damaged()? {
        return Err(stopped(format!(
            "the IRP at {packet:#018x} was completed before{} (MULTIPLE_IRP_COMPLETE_REQUESTS)",
            irp_contract::completed_by_text(packet)
        )));
    }
    let status = driver_mem::read_u32(packet + irp::STATUS)?;
    if status == NO_STATUS {
        let what = format!(
            "the IRP at {packet:#018x} completed with the status {status:#010x}, which is no NTSTATUS"
        );
        diag::violation(rules::IRP_COMPLETED_INVALID_STATUS, what, caller.address());
    }
    if status == PENDING {
        let what = format!(
            "the IRP at {packet:#018x} completed with STATUS_PENDING, which is not a final status"
        );
        diag::violation(rules::IRP_COMPLETED_PENDING, what, caller.address());
    }
    if driver_mem::read_u64(packet + irp::CANCEL_ROUTINE)? != 0 {
        let what = format!("the IRP at {packet:#018x} completed while its cancel routine is set");
        diag::violation(
            rules::IRP_COMPLETED_WITH_CANCEL_ROUTINE,
            what,
            caller.address(),
        );
    }
    Ok(())
}

/// Allocates an IRP that carries out a part of `master`; NULL without memory.
pub fn make_associated(master: u64, locations: u8, caller: u64) -> Result<u64, Stop> {
    let Some(packet) = allocate(locations, Owner::Associated, caller)? else {
        return Ok(0);
    };
    driver_mem::write_u32(packet + irp::FLAGS, irp::flag::ASSOCIATED)?;
    driver_mem::write_u64(packet + irp::SYSTEM_BUFFER, master)?;
    driver_mem::write_u64(
        packet + irp::THREAD,
        driver_mem::read_u64(master + irp::THREAD)?,
    )?;
    Ok(packet)
}

/// Writes an IRP into memory of a driver's own.
pub fn initialize_for_driver(
    packet: u64,
    size: u16,
    locations: u8,
    caller: u64,
) -> Result<(), Stop> {
    if let Some(Known {
        owner: Owner::Driver,
        ..
    }) = known(packet)
    {
        let what = format!(
            "IoInitializeIrp called with {packet:#018x}, which IoAllocateIrp has initialized; use IoReuseIrp"
        );
        diag::violation(rules::IRP_INITIALIZED_TWICE, what, caller);
    }
    initialize(packet, u64::from(size), locations)?;
    with(|irps| {
        let fresh = Known {
            owner: Owner::Initialized,
            caller,
            completed: false,
        };
        irps.entry(packet).or_insert(fresh).completed = false;
    });
    Ok(())
}

exports! {
    /// `IofCallDriver`.
    fn IofCallDriver<caller>(body: u64, packet: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        call(body, packet, &Caller::of(caller))
    }

    /// `IofCompleteRequest`.
    fn IofCompleteRequest<caller>(packet: u64, boost: u8) -> ()
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-iocompleterequest"] {
        complete(packet, &Caller::of(caller))
    }

    /// `IoCallDriver`: what `IofCallDriver` does, for whoever takes its address.
    fn IoCallDriver<caller>(body: u64, packet: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        call(body, packet, &Caller::of(caller))
    }

    /// `IoCompleteRequest`: what `IofCompleteRequest` does.
    fn IoCompleteRequest<caller>(packet: u64, boost: u8) -> () [max DISPATCH_LEVEL, wdm] {
        complete(packet, &Caller::of(caller))
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
    fn IoFreeIrp<call>(packet: u64) -> () [max DISPATCH_LEVEL, wdm] {
        match known(packet) {
            Some(Known { owner: Owner::Driver | Owner::Built | Owner::Asynchronous | Owner::Associated, .. }) => {
                free(packet, call.return_address())
            }
            _ => Err(pool::bad_free(packet, TAG, "IoFreeIrp")),
        }
    }

    /// `IoInitializeIrp`: for memory of the caller's own.
    fn IoInitializeIrp<call>(packet: u64, size: u16, locations: u8) -> () [max DISPATCH_LEVEL, wdm] {
        irp_contract::forget(packet);
        initialize_for_driver(packet, size, locations, call.return_address())
    }

    /// `IoReuseIrp`: as new, with a status to begin with.
    fn IoReuseIrp<call>(packet: u64, status: u32) -> () [max DISPATCH_LEVEL, wdm] {
        let locations = driver_mem::read_u8(packet + irp::STACK_COUNT)?;
        let size = u64::from(driver_mem::read_u16(packet + irp::SIZE)?);
        let allocation = driver_mem::read_u8(packet + irp::ALLOCATION_FLAGS)?;
        initialize(packet, size, locations)?;
        driver_mem::write_u8(packet + irp::ALLOCATION_FLAGS, allocation)?;
        driver_mem::write_u32(packet + irp::STATUS, status)?;
        irp_contract::forget(packet);
        update(packet, |known| known.completed = false);
        Ok(())
    }

    /// What every entry of a new dispatch table holds: it refuses the request.
    fn IopInvalidDeviceRequest<caller>(body: u64, packet: u64) -> u32
        [max HIGH_LEVEL, undocumented "a routine inside this kernel"] {
        driver_mem::write_u32(packet + irp::STATUS, nt_status::STATUS_INVALID_DEVICE_REQUEST)?;
        driver_mem::write_u64(packet + irp::INFORMATION, 0)?;
        complete(packet, &Caller::of(caller))?;
        Ok(nt_status::STATUS_INVALID_DEVICE_REQUEST)
    }
}

//! Processors: how many there are, on which of them a thread may run, and who
//! wants to hear of them. There is one group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nt_layout::{GroupAffinity, KeProcessorChangeNotifyContext, ProcessorNumber};
use nt_status::{STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::{cpu, driver_mem};

use super::{ipi, sched};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::thread_table;
use crate::mm::pool::PoolKind;
use crate::mm::{pool, resource_ledger};

/// `ALL_PROCESSOR_GROUPS`.
const ALL_GROUPS: u16 = 0xffff;
/// `INVALID_PROCESSOR_INDEX`.
const INVALID_INDEX: u32 = u32::MAX;
/// Pool tag of registrations.
const TAG: u32 = u32::from_le_bytes(*b"KePc");

/// Number of processors; one before the machine is made.
static ACTIVE: AtomicU32 = AtomicU32::new(1);

/// Sets the number of processors, before any of them runs.
pub fn initialize(count: u32) {
    ACTIVE.store(count, Ordering::Relaxed);
}

/// Number of processors that run.
pub fn active() -> u32 {
    ACTIVE.load(Ordering::Relaxed)
}

/// The same, to count with.
pub fn count() -> usize {
    active() as usize
}

/// The processors that run, a bit each.
pub fn mask() -> u64 {
    (1 << active()) - 1
}

/// Number of processors in a group, or in all.
fn count_in(group: u16) -> u32 {
    if group == 0 || group == ALL_GROUPS {
        active()
    } else {
        0
    }
}

/// The affinity that a driver has given each thread; no entry for those that run
/// wherever they did before.
static AFFINITIES: KernelCell<BTreeMap<u64, u64>> = KernelCell::new(BTreeMap::new());

/// Whether a thread may run on a processor.
pub fn allows(thread: u64, number: usize) -> bool {
    let affinities = AFFINITIES.lock();
    let affinity = affinities.get(&thread);
    affinity.is_none_or(|affinity| affinity >> number & 1 != 0)
}

/// Forgets the affinity of a thread that ends.
pub fn forget(thread: u64) {
    let mut affinities = AFFINITIES.lock();
    affinities.remove(&thread);
}

/// Whether the thread of a processor was given an affinity that does not name the
/// processor, which it leaves when the IRQL is below `DISPATCH_LEVEL`.
static LEAVES: [AtomicBool; cpu::MAXIMUM] = [const { AtomicBool::new(false) }; cpu::MAXIMUM];

/// Whether the current thread has to leave its processor.
pub fn is_leaving() -> bool {
    LEAVES[cpu::index()].load(Ordering::Relaxed)
}

/// Lets the current thread leave its processor, if it has to and the IRQL lets it.
pub fn leave() {
    if is_leaving() && cpu::irql() < DISPATCH_LEVEL {
        LEAVES[cpu::index()].store(false, Ordering::Relaxed);
        sched::leave_processor();
    }
}

/// Gives the current thread an affinity, or takes it away if it is 0; the one
/// before, 0 if there was none.
fn set_affinity(affinity: u64) -> u64 {
    let thread = thread_table::current_thread();
    if affinity != 0 && affinity >> cpu::number() & 1 == 0 {
        LEAVES[cpu::index()].store(true, Ordering::Relaxed);
    }
    let mut affinities = AFFINITIES.lock();
    let before = match affinity {
        0 => affinities.remove(&thread),
        affinity => affinities.insert(thread, affinity),
    };
    before.unwrap_or(0)
}

/// Whether processors are named, and only such as there are.
fn is_valid(affinity: u64) -> bool {
    affinity != 0 && affinity & !mask() == 0
}

/// A `GROUP_AFFINITY`: the mask and the group.
fn read_group(at: u64) -> Result<(u64, u16), Fault> {
    let affinity: DriverPtr<GroupAffinity> = DriverPtr::new(at);
    Ok((
        affinity.get(|affinity| &affinity.mask)?,
        affinity.get(|affinity| &affinity.group)?,
    ))
}

/// Writes a `GROUP_AFFINITY` of group 0.
pub fn write_group(at: u64, mask: u64) -> Result<(), Fault> {
    let affinity: DriverPtr<GroupAffinity> = DriverPtr::new(at);
    affinity.set(|affinity| &affinity.mask, mask)?;
    // Also the reserved fields.
    driver_mem::write_u64(affinity.at(|affinity| &affinity.group).address(), 0)
}

/// The processor of a `PROCESSOR_NUMBER`, if there is such a one.
pub fn read_number(at: u64) -> Result<Option<u8>, Fault> {
    let processor: DriverPtr<ProcessorNumber> = DriverPtr::new(at);
    let group = processor.get(|processor| &processor.group)?;
    let number = processor.get(|processor| &processor.number)?;
    let known = group == 0 && u32::from(number) < active();
    Ok(known.then_some(number))
}

/// Writes a `PROCESSOR_NUMBER` of group 0.
fn write_number(at: u64, number: u32) -> Result<(), Fault> {
    driver_mem::write_u32(at, number << 16)
}

/// Handles of registrations that nothing ever happens to: processors come only at
/// boot, and nothing raises a nonmaskable interrupt.
static REGISTRATIONS: KernelCell<BTreeSet<u64>> = KernelCell::new(BTreeSet::new());

fn register(kind: &str, routine: u64, caller: u64) -> u64 {
    let Some(handle) = pool::allocate(PoolKind::NonPaged, 0x20, TAG) else {
        return 0;
    };
    let mut registrations = REGISTRATIONS.lock();
    registrations.insert(handle);
    let what = format!("the {kind} {routine:#018x} is not deregistered");
    resource_ledger::take(
        handle,
        rules::PROCESSOR_CALLBACK_NOT_UNREGISTERED,
        what,
        caller,
    );
    handle
}

/// Forgets a registration. False if it is none.
fn deregister(handle: u64) -> bool {
    let mut registrations = REGISTRATIONS.lock();
    let known = registrations.remove(&handle);
    if known {
        resource_ledger::give(handle);
        pool::free(handle);
    }
    known
}

/// Tells a routine of each processor, as if it were just added: that it begins,
/// and that it is done. False if the routine refuses one.
fn tell_existing(routine: u64, context: u64, caller: &CallContext<'_>) -> Result<bool, Fault> {
    // The status is behind the structure.
    const SIZE: u64 = 2 * DriverPtr::<KeProcessorChangeNotifyContext>::SIZE;
    let change = (caller.stack() & !15).wrapping_sub(SIZE);
    let fields: DriverPtr<KeProcessorChangeNotifyContext> = DriverPtr::new(change);
    let status = change + DriverPtr::<KeProcessorChangeNotifyContext>::SIZE;
    for number in 0..active() {
        // KeProcessorAddStartNotify, KeProcessorAddCompleteNotify.
        for state in [0, 1] {
            driver_mem::fill(change, 0, SIZE)?;
            fields.set(|change| &change.state, state)?;
            fields.set(|change| &change.nt_number, number)?;
            let index = u8::try_from(number).unwrap_or(u8::MAX);
            fields.set(|change| &change.proc_number.number, index)?;
            caller.call_on(change, routine, &[context, change, status]);
            if driver_mem::read_u32(status)?.cast_signed() < 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

exports! {
    /// `KeGetCurrentProcessorNumberEx`: of the system; also in its group.
    fn KeGetCurrentProcessorNumberEx(number: u64) -> u32 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        if number != 0 {
            write_number(number, cpu::number())?;
        }
        Ok(cpu::number())
    }

    /// `KeGetProcessorIndexFromNumber`: `INVALID_PROCESSOR_INDEX` if there is none.
    fn KeGetProcessorIndexFromNumber(number: u64) -> u32 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(read_number(number)?.map_or(INVALID_INDEX, u32::from))
    }

    /// `KeGetProcessorNumberFromIndex`.
    fn KeGetProcessorNumberFromIndex(index: u32, number: u64) -> u32 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        if index >= active() {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        write_number(number, index)?;
        Ok(STATUS_SUCCESS)
    }

    /// `KeQueryActiveProcessorCount`.
    fn KeQueryActiveProcessorCount(affinity: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        if affinity != 0 {
            driver_mem::write_u64(affinity, mask())?;
        }
        Ok(active())
    }

    /// `KeQueryActiveProcessorCountEx`.
    fn KeQueryActiveProcessorCountEx(group: u16) -> u32 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(count_in(group))
    }

    /// `KeQueryMaximumProcessorCount`.
    fn KeQueryMaximumProcessorCount() -> u32 [max HIGH_LEVEL, wdm] {
        Ok(active())
    }

    /// `KeQueryMaximumProcessorCountEx`.
    fn KeQueryMaximumProcessorCountEx(group: u16) -> u32 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(count_in(group))
    }

    /// `KeQueryActiveGroupCount`.
    fn KeQueryActiveGroupCount() -> u16 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(1)
    }

    /// `KeQueryMaximumGroupCount`.
    fn KeQueryMaximumGroupCount() -> u16 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(1)
    }

    /// `KeQueryActiveProcessors`: the affinity mask of all.
    fn KeQueryActiveProcessors() -> u64 [max DISPATCH_LEVEL, wdm] {
        Ok(mask())
    }

    /// `KeQueryGroupAffinity`: 0 for a group that there is not.
    fn KeQueryGroupAffinity(group: u16) -> u64 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(if group == 0 { mask() } else { 0 })
    }

    /// `KeSetSystemAffinityThread`: one that names no processor, or others than
    /// there are, changes nothing.
    fn KeSetSystemAffinityThread(affinity: u64) -> () [max DISPATCH_LEVEL, wdm] {
        if is_valid(affinity) {
            set_affinity(affinity);
        }
        Ok(())
    }

    /// `KeSetSystemAffinityThreadEx`: the affinity before, 0 if none was set.
    fn KeSetSystemAffinityThreadEx(affinity: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        Ok(if is_valid(affinity) { set_affinity(affinity) } else { 0 })
    }

    /// `KeRevertToUserAffinityThread`.
    fn KeRevertToUserAffinityThread() -> () [max DISPATCH_LEVEL, undocumented] {
        set_affinity(0);
        Ok(())
    }

    /// `KeRevertToUserAffinityThreadEx`: back to one that was set before, or to none;
    /// one that names other processors than there are changes nothing.
    fn KeRevertToUserAffinityThreadEx(affinity: u64) -> () [max DISPATCH_LEVEL, wdm] {
        if affinity == 0 || is_valid(affinity) {
            set_affinity(affinity);
        }
        Ok(())
    }

    /// `KeSetSystemGroupAffinityThread`: the one before is all zero if none was set,
    /// or if this one cannot be.
    fn KeSetSystemGroupAffinityThread(affinity: u64, previous: u64) -> () [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        let (mask, group) = read_group(affinity)?;
        let before = if group == 0 && is_valid(mask) { set_affinity(mask) } else { 0 };
        if previous != 0 {
            write_group(previous, before)?;
        }
        Ok(())
    }

    /// `KeRevertToUserGroupAffinityThread`.
    fn KeRevertToUserGroupAffinityThread(previous: u64) -> () [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        let (mask, group) = read_group(previous)?;
        if group == 0 && (mask == 0 || is_valid(mask)) {
            set_affinity(mask);
        }
        Ok(())
    }

    /// `KeIpiGenericCall`: calls the routine on every processor at `IPI_LEVEL`; what
    /// it returned on this one.
    fn KeIpiGenericCall<call>(routine: u64, context: u64) -> u64 [max ipi::IPI_LEVEL - 1, wdm] {
        ipi::broadcast(routine, context, &CallContext::of(call))
    }

    /// `KeRegisterProcessorChangeCallback`: with flag 1 it hears of those that are
    /// there. NULL if it refuses one.
    fn KeRegisterProcessorChangeCallback<call>(routine: u64, context: u64, flags: u32) -> u64
        [max PASSIVE_LEVEL, wdm] fails 0 {
        /// `KE_PROCESSOR_CHANGE_ADD_EXISTING`.
        const ADD_EXISTING: u32 = 1;
        if flags & ADD_EXISTING != 0 && !tell_existing(routine, context, &CallContext::of(call))? {
            return Ok(0);
        }
        Ok(register("processor change callback", routine, call.return_address()))
    }

    /// `KeDeregisterProcessorChangeCallback`.
    fn KeDeregisterProcessorChangeCallback(handle: u64) -> () [max APC_LEVEL, wdm] {
        deregister(handle);
        Ok(())
    }

    /// `KeRegisterNmiCallback`: NULL without memory.
    fn KeRegisterNmiCallback<call>(routine: u64, context: u64) -> u64 [max APC_LEVEL, wdm] fails 0 {
        Ok(register("NMI callback", routine, call.return_address()))
    }

    /// `KeDeregisterNmiCallback`.
    fn KeDeregisterNmiCallback(handle: u64) -> u32 [max APC_LEVEL, wdm] {
        Ok(if deregister(handle) { STATUS_SUCCESS } else { STATUS_INVALID_HANDLE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, status, value};

    #[test]
    fn system_affinity_is_set_and_reverted() {
        assert_eq!(value(KeSetSystemAffinityThreadEx, &[0]), 0);
        assert_eq!(value(KeSetSystemAffinityThreadEx, &[1]), 0);
        assert_eq!(value(KeSetSystemAffinityThreadEx, &[1]), 1);
        assert_eq!(
            value(KeSetSystemAffinityThreadEx, &[1 << 63]),
            0,
            "no such processor"
        );
        value(KeRevertToUserAffinityThreadEx, &[0]);
        let (wanted, mut before) = ([1_u64, 0], [7_u64; 2]);
        let arguments = [address(&wanted), address_mut(&mut before)];
        value(KeSetSystemGroupAffinityThread, &arguments);
        assert_eq!(before, [0, 0]);
        value(KeSetSystemGroupAffinityThread, &arguments);
        assert_eq!(before, [1, 0]);
        let other_group = [1_u64, 1];
        value(
            KeSetSystemGroupAffinityThread,
            &[address(&other_group), address_mut(&mut before)],
        );
        assert_eq!(before, [0, 0]);
        value(KeRevertToUserGroupAffinityThread, &[address(&before)]);
        assert_eq!(value(KeSetSystemAffinityThreadEx, &[1]), 0);
        value(KeRevertToUserAffinityThread, &[]);
    }

    #[test]
    fn processor_number_has_group_0() {
        let mut number = [9_u8; 4];
        let at = address_mut(&mut number);
        assert_eq!(
            status(KeGetProcessorNumberFromIndex, &[0, at]),
            STATUS_SUCCESS
        );
        assert_eq!(number, [0; 4]);
        assert_eq!(value(KeGetProcessorIndexFromNumber, &[at]), 0);
        assert_eq!(
            status(KeGetProcessorNumberFromIndex, &[64, at]),
            STATUS_INVALID_PARAMETER
        );
        number = [1, 0, 0, 0];
        assert_eq!(
            value(KeGetProcessorIndexFromNumber, &[address(&number)]),
            u64::from(INVALID_INDEX)
        );
        assert_eq!(value(KeQueryGroupAffinity, &[1]), 0);
        assert_eq!(value(KeQueryActiveProcessorCountEx, &[1]), 0);
        assert_eq!(value(KeQueryActiveProcessorCountEx, &[0xffff]), 1);
    }

    extern "win64" fn on_processor(context: u64, change: u64, status: u64) {
        let seen = driver_mem::read_u32(context).expect("ours") * 10
            + driver_mem::read_u32(change).expect("ours")
            + 1;
        driver_mem::write_u32(context, seen).expect("ours");
        if seen > 100 {
            driver_mem::write_u32(status, nt_status::STATUS_UNSUCCESSFUL).expect("ours");
        }
    }

    #[test]
    fn processor_callback_reports_existing() {
        let mut seen = 0_u32;
        let context = address_mut(&mut seen);
        let routine = on_processor as *const () as u64;
        let handle = value(KeRegisterProcessorChangeCallback, &[routine, context, 1]);
        assert!(handle != 0);
        assert_eq!(
            driver_mem::read_u32(context),
            Ok(12),
            "it begins, and it is done"
        );
        value(KeDeregisterProcessorChangeCallback, &[handle]);
        assert_eq!(
            value(KeRegisterProcessorChangeCallback, &[routine, context, 1]),
            0,
            "it refuses"
        );
        let handle = value(KeRegisterNmiCallback, &[routine, 0]);
        assert_eq!(status(KeDeregisterNmiCallback, &[handle]), STATUS_SUCCESS);
        assert_eq!(
            status(KeDeregisterNmiCallback, &[handle]),
            STATUS_INVALID_HANDLE
        );
    }
}

//! `KeGenericCallDpc`: a DPC routine is called on every processor, and the caller goes
//! on when it has said on each that it is done. The routine is given two addresses,
//! for `KeSignalCallDpcDone` and for `KeSignalCallDpcSynchronize`, where all
//! processors meet.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use ntbox_host::context::Context;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::{bug_check, cpu, driver_mem};

use super::sched::{Spin, Spinning};
use super::{dpc, processor};
use crate::base::export::exports;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Offsets in the block that a call is kept in: the processors that are not done, the
/// barrier with the number of all processors behind it, and a DPC for each.
mod offset {
    pub const OWING: u64 = 0x00;
    pub const BARRIER: u64 = 0x08;
    pub const TOTAL: u64 = 0x0c;
    pub const DPCS: u64 = 0x10;
    pub const DPC_SIZE: u64 = 0x40;
    pub const SIZE: u64 = DPCS + DPC_SIZE * ntbox_host::cpu::MAXIMUM as u64;
}

/// Pool tag of that block.
const TAG: u32 = u32::from_le_bytes(*b"KeGd");

/// Whether a call is under way; there is one at a time.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);
/// The block, which stays: a processor may still be on its way out of the routine. 0
/// until the first call.
static BLOCK: AtomicU64 = AtomicU64::new(0);
/// Processors that have come to the barrier.
static ARRIVED: AtomicU32 = AtomicU32::new(0);
/// How often all of them have met.
static MEETINGS: AtomicU32 = AtomicU32::new(0);

fn block() -> Option<u64> {
    let known = BLOCK.load(Ordering::Relaxed);
    if known != 0 {
        return Some(known);
    }
    let made = pool::allocate(PoolKind::NonPaged, offset::SIZE, TAG)?;
    BLOCK.store(made, Ordering::Relaxed);
    Some(made)
}

/// Waits, while the other processors have their turns.
fn wait_until(
    spin: Spin,
    done: impl Fn() -> Result<bool, Stop>,
    why: impl Fn() -> String,
) -> Result<(), Stop> {
    let mut spinning = None;
    while !done()? {
        let spinning = spinning.get_or_insert_with(|| Spinning::on(spin));
        spinning.turn().map_err(|cause| {
            let what = format!("{}: {cause}", why());
            Stop::bug_check(bug_check::HUNG, [1, 0, 0, 0], what)
        })?;
    }
    Ok(())
}

fn call_everywhere(routine: u64, context: u64, origin: Context) -> Result<(), Stop> {
    let free = || Ok(!UNDER_WAY.load(Ordering::Relaxed));
    let waits = || "KeGenericCallDpc waits for another call of it to end".to_owned();
    wait_until(Spin::Call, free, waits)?;
    let Some(block) = block() else {
        let what = "there is no memory for the first call of KeGenericCallDpc, which cannot fail";
        return Err(Stop::bug_check(0x4d, [0; 4], what));
    };
    UNDER_WAY.store(true, Ordering::Relaxed);
    let count = u8::try_from(processor::count()).unwrap_or(u8::MAX);
    driver_mem::write_u32(block + offset::OWING, count.into())?;
    driver_mem::write_u32(block + offset::BARRIER, count.into())?;
    driver_mem::write_u32(block + offset::TOTAL, count.into())?;
    ARRIVED.store(0, Ordering::Relaxed);
    for number in 0..count {
        let at = block + offset::DPCS + offset::DPC_SIZE * u64::from(number);
        dpc::initialize(at, routine, context)?;
        dpc::hurry_to(at, number)?;
        dpc::insert(at, block + offset::OWING, block + offset::BARRIER)?;
    }
    dpc::deliver(Some(origin));
    let owing = || driver_mem::read_u32(block + offset::OWING);
    let why = || {
        format!(
            "KeGenericCallDpc waits for {} of {count} processors on which its routine has not called KeSignalCallDpcDone",
            owing().unwrap_or(0)
        )
    };
    wait_until(Spin::Dpcs, || Ok(owing()? == 0), why)?;
    UNDER_WAY.store(false, Ordering::Relaxed);
    Ok(())
}

/// Waits until all processors are here. True on the one that comes last.
fn meet(barrier: u64) -> Result<bool, Stop> {
    let total = driver_mem::read_u32(barrier.wrapping_add(offset::TOTAL - offset::BARRIER))?;
    let met = MEETINGS.load(Ordering::Relaxed);
    if ARRIVED.fetch_add(1, Ordering::Relaxed) + 1 == total {
        ARRIVED.store(0, Ordering::Relaxed);
        MEETINGS.fetch_add(1, Ordering::Relaxed);
        return Ok(true);
    }
    let all = || Ok(MEETINGS.load(Ordering::Relaxed) != met);
    let why = || {
        format!(
            "KeSignalCallDpcSynchronize waits on processor {} for the others, which do not call it",
            cpu::number()
        )
    };
    wait_until(Spin::Call, all, why)?;
    Ok(false)
}

exports! {
    /// `KeGenericCallDpc`: returns when the routine is done on every processor.
    fn KeGenericCallDpc<call>(routine: u64, context: u64) -> () [max APC_LEVEL, undocumented] {
        let origin = Context::after_call(call.frame(), call.return_address());
        call_everywhere(routine, context, origin)
    }

    /// `KeSignalCallDpcDone`: the routine is done on this processor. It is given
    /// `SystemArgument1`.
    fn KeSignalCallDpcDone(count: u64) -> () [max DISPATCH_LEVEL, undocumented] {
        let owing = driver_mem::read_u32(count)?;
        Ok(driver_mem::write_u32(count, owing.wrapping_sub(1))?)
    }

    /// `KeSignalCallDpcSynchronize`: returns when all processors have called it, TRUE on
    /// one of them. It is given `SystemArgument2`.
    fn KeSignalCallDpcSynchronize(barrier: u64) -> u32 [max DISPATCH_LEVEL, undocumented] {
        Ok(u32::from(meet(barrier)?))
    }
}

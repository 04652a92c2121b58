//! `KeGenericCallDpc`: a DPC routine is called on every processor, and the caller goes
//! on when it has said on each that it is done. The routine is given two addresses,
//! for `KeSignalCallDpcDone` and for `KeSignalCallDpcSynchronize`, where all
//! processors meet.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use nt_layout::Kdpc;
use ntbox_host::context::Context;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::{bug_check, cpu, driver_mem};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::sched::{Spin, SpinWait};
use super::{dpc, processor};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// The pool block of a call, without the DPC for each processor that follows. Its
/// layout is this kernel's.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct CallBlock {
    /// Processors that are not done.
    pending: u32,
    padding: u32,
    /// Its address is the argument of `KeSignalCallDpcSynchronize`.
    barrier: Barrier,
}

#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct Barrier {
    count: u32,
    /// Number of all processors.
    total: u32,
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

fn block() -> Option<DriverPtr<CallBlock>> {
    let mut address = BLOCK.load(Ordering::Relaxed);
    if address == 0 {
        let dpcs = DriverPtr::<Kdpc>::SIZE * cpu::MAXIMUM as u64;
        address = pool::allocate(PoolKind::NonPaged, DriverPtr::<CallBlock>::SIZE + dpcs, TAG)?;
        BLOCK.store(address, Ordering::Relaxed);
    }
    Some(DriverPtr::new(address))
}

/// Waits, while the other processors have their turns.
fn wait_until(
    spin: Spin,
    done: impl Fn() -> Result<bool, NoReturn>,
    why: impl Fn() -> String,
) -> Result<(), NoReturn> {
    let mut spinning = None;
    while !done()? {
        let spinning = spinning.get_or_insert_with(|| SpinWait::on(spin));
        spinning.turn().map_err(|cause| {
            let what = format!("{}: {cause}", why());
            NoReturn::bug_check(bug_check::HUNG, [1, 0, 0, 0], what)
        })?;
    }
    Ok(())
}

fn call_everywhere(routine: u64, context: u64, origin: Context) -> Result<(), NoReturn> {
    let free = || Ok(!UNDER_WAY.load(Ordering::Relaxed));
    let waits = || "KeGenericCallDpc waits for another call of it to end".to_owned();
    wait_until(Spin::Call, free, waits)?;
    let Some(block) = block() else {
        let what = "there is no memory for the first call of KeGenericCallDpc, which cannot fail";
        return Err(NoReturn::bug_check(0x4d, [0; 4], what));
    };
    UNDER_WAY.store(true, Ordering::Relaxed);
    let count = u8::try_from(processor::count()).unwrap_or(u8::MAX);
    block.set(|call| &call.pending, count.into())?;
    block.set(|call| &call.barrier.count, count.into())?;
    block.set(|call| &call.barrier.total, count.into())?;
    ARRIVED.store(0, Ordering::Relaxed);
    let dpcs = block.address() + DriverPtr::<CallBlock>::SIZE;
    for number in 0..count {
        let at = dpcs + DriverPtr::<Kdpc>::SIZE * u64::from(number);
        dpc::initialize(at, routine, context)?;
        dpc::hurry_to(at, number)?;
        let done = block.at(|call| &call.pending).address();
        let barrier = block.at(|call| &call.barrier).address();
        dpc::insert(at, done, barrier)?;
    }
    dpc::deliver(Some(origin));
    let owing = || block.get(|call| &call.pending);
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
fn meet(barrier: u64) -> Result<bool, NoReturn> {
    let barrier: DriverPtr<Barrier> = DriverPtr::new(barrier);
    let total = barrier.get(|barrier| &barrier.total)?;
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

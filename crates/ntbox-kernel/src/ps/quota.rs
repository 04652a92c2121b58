//! Pool that is charged to processes. No process has a limit that a driver could
//! come near, and nothing is charged to the process System; but what was charged
//! must be there when it is returned.

use std::collections::BTreeMap;

use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use super::process_at;
use crate::base::export::exports;
use crate::base::thread_table;

/// Bit of a `POOL_TYPE` that is paged pool.
const PAGED: u32 = 1;
/// Bytes of either pool that a process may be charged for: as good as all.
pub const LIMIT: u64 = u64::MAX;

/// The charge for a kind of pool, and its peak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaUsage {
    /// Bytes now.
    pub now: u64,
    /// Most bytes.
    pub peak: u64,
}

/// Nonpaged and paged pool by process.
static CHARGED: KernelCell<BTreeMap<u64, [QuotaUsage; 2]>> = KernelCell::new(BTreeMap::new());

/// What is charged to a process: nonpaged and paged pool.
pub fn usage(process: u64) -> [QuotaUsage; 2] {
    let charged = CHARGED.lock();
    charged.get(&process).copied().unwrap_or_default()
}

/// Forgets a process that is gone.
pub fn forget(process: u64) {
    CHARGED.lock().remove(&process);
}

/// Charges a process. False if that would be too much.
fn charge(process: u64, kind: u32, amount: u64) -> bool {
    if process == thread_table::system_process() {
        return true;
    }
    let mut charged = CHARGED.lock();
    let usage = &mut charged.entry(process).or_default()[(kind & PAGED) as usize];
    let Some(after) = usage.now.checked_add(amount).filter(|after| *after < LIMIT) else {
        return false;
    };
    usage.now = after;
    usage.peak = usage.peak.max(after);
    true
}

/// Returns what was charged. The amount that is charged, if that is less.
fn give_back(process: u64, kind: u32, amount: u64) -> Result<(), u64> {
    if process == thread_table::system_process() {
        return Ok(());
    }
    let mut charged = CHARGED.lock();
    let usage = &mut charged.entry(process).or_default()[(kind & PAGED) as usize];
    usage.now = usage.now.checked_sub(amount).ok_or(usage.now)?;
    Ok(())
}

/// The status of a charge.
fn charged(process: u64, kind: u32, amount: u64) -> u32 {
    if charge(process, kind, amount) {
        nt_status::STATUS_SUCCESS
    } else {
        nt_status::STATUS_QUOTA_EXCEEDED
    }
}

/// Returns a charge, or stops as the kernel does.
fn returned(process: u64, kind: u32, amount: u64) -> Result<(), NoReturn> {
    give_back(process, kind, amount).map_err(|there| {
        NoReturn::bug_check(
            0x21,
            [process, u64::from(kind), there, amount],
            format!("{amount} bytes of pool quota were returned, and {there} are charged (QUOTA_UNDERFLOW)"),
        )
    })
}

exports! {
    /// `PsChargePoolQuota`: raises if it is too much.
    fn PsChargePoolQuota<call>(process: u64, kind: u32, amount: u64) -> () [max DISPATCH_LEVEL, ntifs] {
        process_at(call, process)?;
        if charge(process, kind, amount) { Ok(()) } else { Err(NoReturn::raise(nt_status::STATUS_QUOTA_EXCEEDED)) }
    }

    /// `PsChargeProcessPoolQuota`: the same with a status.
    fn PsChargeProcessPoolQuota<call>(process: u64, kind: u32, amount: u64) -> u32
        [max DISPATCH_LEVEL, undocumented] fails nt_status::STATUS_QUOTA_EXCEEDED
    {
        process_at(call, process)?;
        Ok(charged(process, kind, amount))
    }

    /// `PsChargeProcessNonPagedPoolQuota`.
    fn PsChargeProcessNonPagedPoolQuota<call>(process: u64, amount: u64) -> u32
        [max DISPATCH_LEVEL, undocumented] fails nt_status::STATUS_QUOTA_EXCEEDED
    {
        process_at(call, process)?;
        Ok(charged(process, 0, amount))
    }

    /// `PsChargeProcessPagedPoolQuota`.
    fn PsChargeProcessPagedPoolQuota<call>(process: u64, amount: u64) -> u32
        [max DISPATCH_LEVEL, undocumented] fails nt_status::STATUS_QUOTA_EXCEEDED
    {
        process_at(call, process)?;
        Ok(charged(process, PAGED, amount))
    }

    /// `PsReturnPoolQuota`: raises if so much is not charged.
    fn PsReturnPoolQuota<call>(process: u64, kind: u32, amount: u64) -> () [max DISPATCH_LEVEL, ntifs] {
        process_at(call, process)?;
        give_back(process, kind, amount).map_err(|_| NoReturn::raise(nt_status::STATUS_QUOTA_EXCEEDED))
    }

    /// `PsReturnProcessNonPagedPoolQuota`.
    fn PsReturnProcessNonPagedPoolQuota<call>(process: u64, amount: u64) -> () [max DISPATCH_LEVEL, undocumented] {
        process_at(call, process)?;
        returned(process, 0, amount)
    }

    /// `PsReturnProcessPagedPoolQuota`.
    fn PsReturnProcessPagedPoolQuota<call>(process: u64, amount: u64) -> () [max DISPATCH_LEVEL, undocumented] {
        process_at(call, process)?;
        returned(process, PAGED, amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::processor;

    #[test]
    fn quota_charge_and_return() {
        processor();
        let process = 0x7777_0000;
        assert!(charge(process, 0, 0x200));
        assert!(charge(process, PAGED, 0x500));
        assert!(
            charge(process, 0x200, 0x100),
            "of the pool that is never executed"
        );
        let [nonpaged, paged] = usage(process);
        assert_eq!(
            nonpaged,
            QuotaUsage {
                now: 0x300,
                peak: 0x300
            }
        );
        assert_eq!(
            paged,
            QuotaUsage {
                now: 0x500,
                peak: 0x500
            }
        );
        assert!(!charge(process, 0, u64::MAX - 0x300));
        assert_eq!(give_back(process, 0, 0x301), Err(0x300));
        assert_eq!(give_back(process, 0, 0x300), Ok(()));
        assert_eq!(
            usage(process)[0],
            QuotaUsage {
                now: 0,
                peak: 0x300
            }
        );
        forget(process);
        assert_eq!(usage(process), [QuotaUsage::default(); 2]);
    }
}

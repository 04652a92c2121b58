//! Code and data of drivers that may be paged out, and device memory. Nothing is ever
//! paged out here, so locking a pageable section keeps count and changes nothing,
//! unless the driver is watched ([`force_irql_image`]). There are no devices, so
//! mapping their memory fails, and says why, once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::{driver_mem, modules};

use super::{force_irql_image, mdl, resource_ledger, with};
use crate::base::export::exports;
use crate::base::{log, stack_trace_db};
use crate::mm::query;

/// How often each pageable section is locked, by its address.
pub type Locks = BTreeMap<u64, u64>;

/// Whether the refusal to map device memory was explained.
static EXPLAINED: AtomicBool = AtomicBool::new(false);

/// Special pool, IRQL checking and pool tracking, as Driver Verifier numbers them.
const VERIFIER_FLAGS: u32 = 0x1 | 0x2 | 0x8;

exports! {
    /// `MmLockPagableDataSection`: the handle is the section's address.
    fn MmLockPagableDataSection<call>(address: u64) -> u64 [max APC_LEVEL, wdm] {
        let section = section_of(address, "MmLockPagableDataSection")?;
        lock(section, call.return_address());
        Ok(section)
    }

    /// `MmLockPagableSectionByHandle`.
    fn MmLockPagableSectionByHandle<call>(handle: u64) -> () [max APC_LEVEL, ntddk] {
        let section = section_of(handle, "MmLockPagableSectionByHandle")?;
        lock(section, call.return_address());
        Ok(())
    }

    /// `MmUnlockPagableImageSection`.
    fn MmUnlockPagableImageSection(handle: u64) -> () [max APC_LEVEL, wdm] {
        let left = with(|memory| {
            let count = memory.locked_sections.get_mut(&handle)?;
            *count -= 1;
            let left = *count;
            if left == 0 {
                memory.locked_sections.remove(&handle);
            }
            Some(left)
        });
        match left {
            None => Err(NoReturn::bug_check(
                0x1a,
                [0x1010, handle, 0, 0],
                format!("MmUnlockPagableImageSection was given {handle:#018x}, which is not locked"),
            )),
            Some(left) => {
                force_irql_image::lock(handle, false);
                if left == 0 {
                    resource_ledger::give(handle);
                }
                Ok(())
            }
        }
    }

    /// `MmPageEntireDriver`: returns the base of the image.
    fn MmPageEntireDriver(address: u64) -> u64 [max APC_LEVEL, wdm] {
        Ok(modules::find(address).map_or(0, |image| image.base))
    }

    /// `MmResetDriverPaging`.
    fn MmResetDriverPaging(address: u64) -> () [max APC_LEVEL, wdm] {
        Ok(())
    }

    /// `MmMapIoSpace`: NULL, for there is no device memory.
    fn MmMapIoSpace(physical: u64, bytes: u64, cache: u32) -> u64
        [max DISPATCH_LEVEL, wdm, needs mapping, partial "always fails: there are no devices"] fails 0 {
        explain("MmMapIoSpace", physical);
        Ok(0)
    }

    /// `MmMapIoSpaceEx`: NULL, for there is no device memory.
    fn MmMapIoSpaceEx(physical: u64, bytes: u64, protect: u32) -> u64
        [max DISPATCH_LEVEL, wdm, since WINDOWS_10, needs mapping, partial "always fails: there are no devices"] fails 0 {
        explain("MmMapIoSpaceEx", physical);
        Ok(0)
    }

    /// `MmUnmapIoSpace`: nothing was ever mapped.
    fn MmUnmapIoSpace(base: u64, bytes: u64) -> () [max DISPATCH_LEVEL, wdm] {
        Err(NoReturn::bug_check(
            0xda,
            [0x302, base, 0, 0],
            format!("MmUnmapIoSpace was given {base:#018x}, where no device memory is mapped"),
        ))
    }

    /// `MmQuerySystemSize`: `MmLargeSystem`.
    fn MmQuerySystemSize() -> u32 [max HIGH_LEVEL, wdm] { Ok(2) }

    /// `MmIsThisAnNtAsSystem`: not a server.
    fn MmIsThisAnNtAsSystem() -> bool [max HIGH_LEVEL, ntddk] { Ok(false) }

    /// `MmIsDriverVerifying`: whether the driver is watched as Driver Verifier does.
    fn MmIsDriverVerifying(driver: u64) -> u32 [max APC_LEVEL, wdm] { Ok(stack_trace_db::is_on().into()) }

    /// `MmIsDriverVerifyingByAddress`: the only driver there is, or nobody's code.
    fn MmIsDriverVerifyingByAddress(address: u64) -> u32 [max DISPATCH_LEVEL, wdm] { Ok(stack_trace_db::is_on().into()) }

    /// `MmAdvanceMdl`: pages that are passed are unlocked.
    fn MmAdvanceMdl(list: u64, bytes: u32) -> u32 [max DISPATCH_LEVEL, wdm] {
        mdl::advance(list, bytes)
    }

    /// `MmCreateMdl`: the older form of `IoAllocateMdl`.
    fn MmCreateMdl<call>(list: u64, base: u64, length: u64) -> u64
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/kernel/mmcreatemdl"] fails 0 {
        if list != 0 {
            mdl::initialize(list, base, length)?;
            return Ok(list);
        }
        Ok(mdl::allocate(base, length, call.return_address(), 0)?.unwrap_or(0))
    }

    /// `MmGetPhysicalMemoryRanges`: an array of pool that an empty range ends; the
    /// caller frees it.
    fn MmGetPhysicalMemoryRanges<call>() -> u64 [max PASSIVE_LEVEL, undocumented] fails 0 {
        query::physical_ranges(call.return_address())
    }

    /// `MmGetPhysicalMemoryRangesEx`: memory is in one partition.
    fn MmGetPhysicalMemoryRangesEx<call>(partition: u64) -> u64 [max PASSIVE_LEVEL, undocumented] fails 0 {
        query::physical_ranges(call.return_address())
    }

    /// `MmGetPhysicalMemoryRangesEx2`: there is no memory of files, which a flag
    /// includes.
    fn MmGetPhysicalMemoryRangesEx2<call>(partition: u64, flags: u32) -> u64 [max PASSIVE_LEVEL, ntddk] fails 0 {
        query::physical_ranges(call.return_address())
    }

    /// `MmIsIoSpaceActive`: memory of devices is never mapped.
    fn MmIsIoSpaceActive(start: u64, bytes: u64) -> u32 [max DISPATCH_LEVEL, undocumented] {
        Ok(0)
    }

    /// `MmIsVerifierEnabled`: refused while the driver is not watched.
    fn MmIsVerifierEnabled(flags: u64) -> u32 [max DISPATCH_LEVEL, undocumented] {
        if !stack_trace_db::is_on() {
            driver_mem::write_u32(flags, 0)?;
            return Ok(nt_status::STATUS_NOT_SUPPORTED);
        }
        driver_mem::write_u32(flags, VERIFIER_FLAGS)?;
        Ok(nt_status::STATUS_SUCCESS)
    }
}

/// First address of the section of an image that holds an address.
fn section_of(address: u64, function: &str) -> Result<u64, NoReturn> {
    let in_image = modules::find(address).is_some();
    let section = with(|memory| memory.space.find(address).map(|(start, _)| start));
    section.filter(|_| in_image).ok_or_else(|| {
        let what = format!("{function} was given {address:#018x}, which lies in no driver");
        NoReturn::bug_check(0x1a, [0x1010, address, 0, 0], what)
    })
}

fn lock(section: u64, caller: u64) {
    force_irql_image::lock(section, true);
    let first = with(|memory| {
        let count = memory.locked_sections.entry(section).or_default();
        *count += 1;
        *count == 1
    });
    if first {
        let what = format!("the pageable section at {section:#018x} is not unlocked");
        resource_ledger::take(section, rules::SECTION_LOCK_LEAK, what, caller);
    }
}

fn explain(function: &str, physical: u64) {
    if EXPLAINED.swap(true, Ordering::Relaxed) {
        return;
    }
    log::note(&format!(
        "{function} of {physical:#x} fails: this machine has no devices, so there is no device memory to map; \
         a driver for hardware cannot be tried here"
    ));
}

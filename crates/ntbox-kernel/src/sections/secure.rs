//! `MmSecureVirtualMemory`: a driver's claim on memory of a process, which the
//! process can then neither free nor protect against that use.

use ntbox_api::rules;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::{kernel_address_space, protection};

use crate::base::export::exports;
use crate::base::{diag, thread_table};
use crate::mm;
use crate::mm::section_table::SecuredRange;
use crate::mm::vad::END;
use crate::mm::{resource_ledger, with};

impl mm::Memory {
    /// Whether pages may get another protection, or none (`None`), in spite of
    /// those who secured them.
    pub fn may_change(&self, process: u64, start: u64, end: u64, protect: Option<u32>) -> bool {
        let access = protect.map_or(kernel_address_space::Protection::NONE, |protect| {
            let access = protection::access(protect);
            kernel_address_space::Protection {
                write: access.write || protection::copies_on_write(protect),
                ..access
            }
        });
        self.users
            .secured
            .values()
            .filter(|range| range.process == process && range.start < end && range.end > start)
            .all(|range| access.read && (access.write || !range.write))
    }
}

exports! {
    /// `MmSecureVirtualMemory`: NULL if the range is not all there for that use.
    fn MmSecureVirtualMemory<call>(address: u64, size: u64, mode: u32) -> u64 [max APC_LEVEL, ntddk] fails 0 {
        let number = secure(address, size, mode);
        if number != 0 {
            let what = format!("the user memory at {address:#018x} is still secured");
            resource_ledger::take(number, rules::SECURE_MEMORY_LEAK, what, call.return_address());
        }
        Ok(number)
    }

    /// `MmUnsecureVirtualMemory`.
    fn MmUnsecureVirtualMemory<call>(handle: u64) -> () [max APC_LEVEL, ntddk] {
        let known = with(|memory| memory.users.secured.remove(&handle));
        if known.is_none() {
            let what = format!("MmUnsecureVirtualMemory called with {handle:#x}, which secures no memory");
            diag::violation(rules::UNSECURE_NOT_SECURED, what, call.return_address());
        }
        resource_ledger::give(handle);
        Ok(())
    }
}

/// Secures a range of the current process; returns the number that stands for it.
fn secure(address: u64, size: u64, mode: u32) -> u64 {
    let write = match mode {
        protection::READONLY => false,
        protection::READWRITE => true,
        _ => return 0,
    };
    let Some(last) = address
        .checked_add(size)
        .filter(|end| *end <= END && size != 0)
    else {
        return 0;
    };
    let process = thread_table::current_process();
    let range = SecuredRange {
        process,
        start: address & !(PAGE_SIZE - 1),
        end: last.next_multiple_of(PAGE_SIZE),
        write,
    };
    with(|memory| {
        let usable = (range.start..range.end)
            .step_by(usize::try_from(PAGE_SIZE).unwrap_or(1))
            .all(|va| {
                memory.users.of(process).page(va).is_some_and(|page| {
                    let access = protection::access(page.protect);
                    let writable = access.write || protection::copies_on_write(page.protect);
                    access.read && (writable || !write)
                })
            });
        if !usable {
            return 0;
        }
        memory.users.secured_ever += 1;
        let number = memory.users.secured_ever << 4;
        memory.users.secured.insert(number, range);
        number
    })
}

//! Dialog boxes that tell a user of errors of a device. There is no user here, so
//! nobody sees them and nobody answers.

use std::collections::BTreeSet;

use nt_layout::Irp;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use super::irp;
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::thread_table;

/// Threads that want no dialog boxes.
static DISABLED: KernelCell<BTreeSet<u64>> = KernelCell::new(BTreeSet::new());

fn is_disabled(thread: u64) -> bool {
    DISABLED.lock().contains(&thread)
}

/// A thread that ends wants nothing any more.
pub fn thread_ended(thread: u64) {
    DISABLED.lock().remove(&thread);
}

exports! {
    /// `IoSetThreadHardErrorMode`: whether they were wanted before.
    fn IoSetThreadHardErrorMode(enable: bool) -> bool [max DISPATCH_LEVEL, ntddk] {
        let thread = thread_table::current_thread();
        let mut disabled = DISABLED.lock();
        Ok(if enable { !disabled.remove(&thread) } else { disabled.insert(thread) })
    }

    /// `IoRaiseInformationalHardError`: TRUE unless the thread wants none, as on
    /// Windows for threads of session 0, for which no box appears either.
    fn IoRaiseInformationalHardError(status: u32, string: u64, thread: u64) -> bool
        [max APC_LEVEL, ntddk, partial "nobody sees the dialog box"] fails 0 {
        Ok(!is_disabled(if thread == 0 { thread_table::current_thread() } else { thread }))
    }

    /// `IoRaiseHardError`: ends the request, as it does where no box can be shown;
    /// nothing is brought back to the caller.
    fn IoRaiseHardError<call>(irp: DriverPtr<Irp>, volume: u64, device: u64) -> ()
        [max APC_LEVEL, ntddk, partial "nobody answers the dialog box: the request ends"] {
        irp.set(|irp| &irp.io_status.information, 0)?;
        irp::complete(irp.address(), &CallContext::of(call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::value;

    #[test]
    fn hard_error_mode_is_per_thread() {
        let thread = thread_table::current_thread();
        assert_eq!(value(IoSetThreadHardErrorMode, &[1]), 1);
        assert_eq!(
            value(
                IoRaiseInformationalHardError,
                &[nt_status::STATUS_UNSUCCESSFUL.into(), 0, 0]
            ),
            1
        );
        assert_eq!(value(IoSetThreadHardErrorMode, &[0]), 1);
        assert_eq!(
            value(
                IoRaiseInformationalHardError,
                &[nt_status::STATUS_UNSUCCESSFUL.into(), 0, 0]
            ),
            0
        );
        assert_eq!(
            value(
                IoRaiseInformationalHardError,
                &[nt_status::STATUS_UNSUCCESSFUL.into(), 0, thread + 8]
            ),
            1
        );
        assert_eq!(value(IoSetThreadHardErrorMode, &[0]), 0);
        thread_ended(thread);
        assert_eq!(value(IoSetThreadHardErrorMode, &[1]), 1);
    }
}

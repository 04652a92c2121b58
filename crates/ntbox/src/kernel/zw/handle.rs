//! Closing handles.

use crate::kernel::call::exports;
use crate::kernel::call::irql::PASSIVE_LEVEL;
use crate::kernel::ob::{self, Caller};
use crate::kernel::stop;

exports! {
    /// `ZwClose`.
    fn ZwClose<call>(handle: u64) -> u32 [max PASSIVE_LEVEL] {
        let caller = Caller::of(call);
        match ob::handles::close(handle, &caller) {
            Ok(()) => Ok(ntstatus::STATUS_SUCCESS),
            Err(status) => {
                refused(handle, status, caller.address());
                Ok(status)
            }
        }
    }
}

/// A kernel with a debugger stops here, `INVALID_KERNEL_HANDLE`; without one it
/// returns the status.
fn refused(handle: u64, status: u32, caller: u64) {
    let what = format!(
        "a handle that cannot be closed, {handle:#x}, was closed: {}",
        ntstatus::Named(status)
    );
    stop::violation("bad-handle-closed", Some((0x93, handle)), what, caller);
}

//! Waits that the cancellation of a request ends, for drivers that carry out the
//! request meanwhile; and what is asked of paging files, of which there are none.

use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};

use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::ke::wait;
use crate::ke::wait::{Request, Timeout};

/// Waits for objects, or for the cancellation of a request, if there is one.
fn wait_for(
    objects: Vec<u64>,
    all: bool,
    timeout: u64,
    packet: u64,
    caller: CallContext<'_>,
) -> Result<u32, NoReturn> {
    wait::wait_for(&Request {
        objects,
        all,
        patience: Timeout::read(timeout)?,
        mode: 0,
        alertable: false,
        packet,
        caller: Some(caller),
    })
}

exports! {
    /// `FsRtlCancellableWaitForSingleObject`.
    fn FsRtlCancellableWaitForSingleObject<call>(object: u64, timeout: u64, packet: u64) -> u32
        [max APC_LEVEL, ntifs] {
        wait_for(vec![object], false, timeout, packet, CallContext::of(call))
    }

    /// `FsRtlCancellableWaitForMultipleObjects`: wait type 0 is all, 1 is any.
    fn FsRtlCancellableWaitForMultipleObjects<call>(
        count: u32, array: u64, kind: u32, timeout: u64, blocks: u64, packet: u64,
    ) -> u32 [max APC_LEVEL, ntifs] {
        let objects = wait::read_objects(count, array, blocks)?;
        wait_for(objects, kind == 0, timeout, packet, CallContext::of(call))
    }

    /// `FsRtlIsPagingFile`: there is none.
    fn FsRtlIsPagingFile(object: u64) -> u32 [max APC_LEVEL, ntifs] {
        Ok(0)
    }

    /// `FsRtlIsSystemPagingFile`: there is none.
    fn FsRtlIsSystemPagingFile(object: u64) -> u32 [max DISPATCH_LEVEL, ntifs, since WINDOWS_8] {
        Ok(0)
    }
}

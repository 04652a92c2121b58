//! Callbacks of file systems and their filters around the locks that the memory
//! manager takes for sections. No file of a driver has sections here, so nobody
//! has such a lock to take.

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::export::exports;
use crate::base::log;

/// Bytes of the least and the largest `FS_FILTER_CALLBACKS`: without and with all
/// callbacks.
const LEAST: u32 = 0x08;
const LARGEST: u32 = 0x68;

exports! {
    /// `FsRtlRegisterFileSystemFilterCallbacks`: the callbacks are never called, which
    /// is told in the log.
    fn FsRtlRegisterFileSystemFilterCallbacks(driver: u64, callbacks: u64) -> u32
        [max APC_LEVEL, ntifs, partial "no callback is called: no file of a driver has sections"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        if driver == 0 || callbacks == 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        let size = driver_mem::read_u32(callbacks)?;
        if !(LEAST..=LARGEST).contains(&size) {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        log::note(
            "FsRtlRegisterFileSystemFilterCallbacks: the callbacks are never called, for no file of a \
             driver has sections",
        );
        Ok(STATUS_SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, lines, status};

    #[test]
    fn filter_callbacks_registration_is_logged_as_never_called() {
        let mut callbacks = [0_u32; 0x1a];
        let handler = FsRtlRegisterFileSystemFilterCallbacks;
        for size in [0, 7, 0x70] {
            callbacks[0] = size;
            assert_eq!(
                status(handler, &[1, address(&callbacks)]),
                STATUS_INVALID_PARAMETER
            );
        }
        assert_eq!(status(handler, &[1, 0]), STATUS_INVALID_PARAMETER);
        callbacks[0] = 0x68;
        assert_eq!(
            status(handler, &[0, address(&callbacks)]),
            STATUS_INVALID_PARAMETER
        );
        log::flush();
        assert_eq!(lines(), Vec::<String>::new());
        assert_eq!(status(handler, &[1, address(&callbacks)]), STATUS_SUCCESS);
        log::flush();
        assert!(lines()[0].contains("never called"));
    }
}

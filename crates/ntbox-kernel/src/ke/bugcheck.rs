//! Stopping the system on request.

use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::export::exports;

exports! {
    /// `KeBugCheckEx`.
    fn KeBugCheckEx(code: u32, first: u64, second: u64, third: u64, fourth: u64) -> () [max HIGH_LEVEL, wdm] {
        Err(Stop::bug_check(code, [first, second, third, fourth], "the driver called KeBugCheckEx"))
    }

    /// `KeBugCheck`.
    fn KeBugCheck(code: u32) -> () [max HIGH_LEVEL, ntddk] {
        Err(Stop::bug_check(code, [0; 4], "the driver called KeBugCheck"))
    }
}

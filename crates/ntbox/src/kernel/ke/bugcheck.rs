//! Stopping the system on request.

use crate::host::gate::irql::HIGH_LEVEL;
use crate::host::gate::{Stop, exports};

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

//! Stopping the system on request.

use crate::kernel::call::irql::HIGH_LEVEL;
use crate::kernel::call::{Stop, exports};

exports! {
    /// `KeBugCheckEx`.
    fn KeBugCheckEx(code: u32, first: u64, second: u64, third: u64, fourth: u64) -> () [max HIGH_LEVEL] {
        Err(Stop::bug_check(code, [first, second, third, fourth], "the driver called KeBugCheckEx"))
    }

    /// `KeBugCheck`.
    fn KeBugCheck(code: u32) -> () [max HIGH_LEVEL] {
        Err(Stop::bug_check(code, [0; 4], "the driver called KeBugCheck"))
    }
}

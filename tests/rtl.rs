//! The run-time library as drivers see it, where a unit test of the kernel cannot:
//! with a process, a stack of callers, and user addresses.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use suites::checked::all_well;

#[test]
fn routines_that_need_a_driver_around_them() {
    all_well("rtl", &["UserKey", "Callers", "Heaps", "Nowhere"]);
}

//! The run-time library as drivers see it, where a unit test of the kernel cannot:
//! with a process, a stack of callers, and user addresses.

use integration_tests::self_check::all_well;

#[test]
fn rtl_cases_pass() {
    all_well("rtl", &["UserKey", "Callers", "Heaps", "Nowhere"]);
}

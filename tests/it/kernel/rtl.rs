//! Run-time routines that unit tests cannot cover: they need a process, a call stack and
//! user addresses.

use integration_tests::self_check::all_well;

#[test]
fn rtl_cases_pass() {
    all_well("rtl", &["UserKey", "Callers", "Heaps", "Nowhere"]);
}

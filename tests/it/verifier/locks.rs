//! Locks, dispatcher objects and strings: each mistake of `verifier_locks.c` is reported
//! once, and its correct variant is clean.

use integration_tests::control_code_driver::{BUFFERED, Driver, Planted};
use ntbox::Verify;

const DRIVER: Driver = Driver {
    name: "verifier_locks",
    device: r"\\.\VerifierLocks",
    instrument: None,
    planted: &[
        Planted {
            function: "AcquireBoth",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "lock-order-inversion: 0xC4 (0x1001)",
            said: "the resource at 0x",
        },
        Planted {
            function: "SharedResources",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "nothing",
            said: "",
        },
        Planted {
            function: "MutexThenResource",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "lock-order-inversion: 0xC4 (0x1001)",
            said: "the fast mutex at 0x",
        },
        Planted {
            function: "ResourceThenKernelMutex",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "lock-order-inversion: 0xC4 (0x1001)",
            said: "the mutex at 0x",
        },
        Planted {
            function: "ReuseStatic",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "nothing",
            said: "",
        },
        Planted {
            function: "WaitForZeroedEvent",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "dispatcher-object-not-initialized",
            said: "KeWaitForSingleObject called for 0x",
        },
        Planted {
            function: "ReleaseZeroedSemaphore",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "dispatcher-object-not-initialized",
            said: "KeReleaseSemaphore called for 0x",
        },
        Planted {
            function: "CopyOddString",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "unicode-string-odd-length",
            said: "RtlCopyUnicodeString called with",
        },
        Planted {
            function: "CompareOddString",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "unicode-string-odd-length",
            said: "RtlCompareUnicodeString called with",
        },
    ],
};

#[test]
fn lock_mistakes_are_each_reported_once() {
    DRIVER.check(Verify::Standard);
}

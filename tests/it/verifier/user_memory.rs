//! User memory: each mistake of `verifier_user_seh.c` is reported once, and its correct
//! variant is clean.

use integration_tests::control_code_driver::{Driver, NEITHER, Planted};
use ntbox::Verify;

const DRIVER: Driver = Driver {
    name: "verifier_user_seh",
    device: r"\\.\VerifierUser",
    instrument: None,
    planted: &[
        Planted {
            function: "Read",
            method: NEITHER,
            lengths: (64, 64),
            reported: "user-access-not-probed",
            said: "through a pointer of the request that was not probed",
        },
        Planted {
            function: "Write",
            method: NEITHER,
            lengths: (64, 64),
            reported: "user-access-not-probed",
            said: "through a pointer of the request that was not probed",
        },
        Planted {
            function: "ReadHeld",
            method: NEITHER,
            lengths: (64, 64),
            reported: "user-access-irql",
            said: "at IRQL 2",
        },
        Planted {
            function: "LockAsKernel",
            method: NEITHER,
            lengths: (64, 64),
            reported: "user-memory-locked-as-kernel",
            said: "with KernelMode",
        },
        Planted {
            function: "LockPages",
            method: NEITHER,
            lengths: (64, 64),
            reported: "lock-pages-without-seh",
            said: "outside of an exception handler",
        },
        Planted {
            function: "Follow",
            method: NEITHER,
            lengths: (64, 64),
            reported: "null-dereference-handled",
            said: "0x0000000000000008",
        },
        Planted {
            function: "TakeNull",
            method: NEITHER,
            lengths: (0, 0),
            reported: "nothing",
            said: "",
        },
    ],
};

#[test]
fn user_memory_mistakes_are_each_reported_once() {
    DRIVER.check(Verify::Standard);
}

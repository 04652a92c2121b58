//! Memory that the kernel allocates for a driver, and output of requests: each mistake of
//! `verifier_memory.c` is reported once, and its correct variant is clean.

use integration_tests::control_code_driver::{BUFFERED, Driver, OUT_DIRECT, Planted};
use ntbox::Verify;

const DRIVER: Driver = Driver {
    name: "verifier_memory",
    device: r"\\.\VerifierMemory",
    instrument: None,
    planted: &[
        Planted {
            function: "WritePastSystemBuffer",
            method: BUFFERED,
            lengths: (0, 16),
            reported: "0xD6",
            said: "behind the end of the system buffer of 16 bytes",
        },
        Planted {
            function: "ReadPastSystemBuffer",
            method: BUFFERED,
            lengths: (16, 0),
            reported: "0xD6",
            said: "behind the end of the system buffer of 16 bytes",
        },
        Planted {
            function: "FreeSystemBuffer",
            method: BUFFERED,
            lengths: (16, 0),
            reported: "kernel-pool-freed: 0xC2 (0x7)",
            said: "ExFreePool called with the system buffer of 16 bytes",
        },
        Planted {
            function: "TouchCompleted",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD5",
            said: "in a freed IRP",
        },
        Planted {
            function: "TouchCompletedBuffer",
            method: BUFFERED,
            lengths: (16, 0),
            reported: "0xD5",
            said: "in a freed system buffer",
        },
        Planted {
            function: "LeaveTail",
            method: BUFFERED,
            lengths: (0, 64),
            reported: "uninitialized-pool-returned",
            said: "the control code 0x80002014 returned 48 uninitialized bytes, the first at offset 0x10 of 64: they hold the pattern of uninitialized pool (0xbd); IoStatus.Information is 64, and what was written ends at 16",
        },
        Planted {
            function: "ReturnHole",
            method: BUFFERED,
            lengths: (0, 64),
            reported: "uninitialized-pool-returned",
            said: "returned 16 uninitialized bytes, the first at offset 0x10 of 64",
        },
        Planted {
            function: "ReturnHole",
            method: OUT_DIRECT,
            lengths: (0, 64),
            reported: "uninitialized-pool-returned",
            said: "tag 'Velm', allocated",
        },
        Planted {
            function: "Echo",
            method: BUFFERED,
            lengths: (64, 64),
            reported: "nothing",
            said: "",
        },
        Planted {
            function: "UnlockIrpMdl",
            method: OUT_DIRECT,
            lengths: (0, 64),
            reported: "irp-mdl-unlocked: 0xC4 (0x7c)",
            said: "of an IRP",
        },
        Planted {
            function: "FreeLockedPool",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "pool-freed-while-locked",
            said: "whose pages are locked by verifier_memory!FreeLockedPool+",
        },
        Planted {
            function: "TouchFreedMdl",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD5",
            said: "in a freed MDL",
        },
        Planted {
            function: "TouchFreedEntry",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD5",
            said: "in a freed block of 64 bytes",
        },
        Planted {
            function: "TouchFreedIrp",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD5",
            said: "in a freed IRP",
        },
        Planted {
            function: "TouchFreedWorkItem",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD5",
            said: "in a freed work item",
        },
        Planted {
            function: "WritePastExtension",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD6",
            said: "behind the end of the device object",
        },
        Planted {
            function: "TouchDeletedDevice",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD5",
            said: "in a freed device object",
        },
        Planted {
            function: "LetDpcTouchDeletedDevice",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "0xD1",
            said: "in a freed device object",
        },
        Planted {
            function: "StoreUninitialized",
            method: BUFFERED,
            lengths: (0, 0),
            reported: "uninitialized-pool-stored",
            said: "ZwSetValueKey stored 64 bytes, of which those from offset 0x10 to 0x40",
        },
    ],
};

#[test]
fn memory_mistakes_are_each_reported_once() {
    DRIVER.check(Verify::Standard);
}

/// Who completed the request is told with the memory that is gone.
#[test]
fn irp_access_after_completion_names_the_completer() {
    let report = DRIVER.run(3, false, Verify::Standard);
    let stop = report.bug_check.expect("a stop");
    let freed = stop.history.iter().find(|past| past.event == "freed");
    let stack = &freed.expect("it is told").stack;
    let symbols: Vec<_> = stack
        .iter()
        .filter_map(|place| place.symbol.as_deref())
        .collect();
    assert!(symbols.contains(&"Complete"), "{symbols:?}");
}

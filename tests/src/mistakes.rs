//! The tables of mistakes of the test drivers and the expected report of each.

use std::fmt::Write as _;
use std::path::Path;

use ntbox::{Report, Verify};

/// One mistake: what it is, the function that makes it, and what is reported
/// without and with `--verify`.
pub type Mistake = (&'static str, &'static str, &'static str, &'static str);

/// Those of `mistakes.c`, by their numbers.
pub const MISTAKES: [Mistake; 51] = [
    (
        "reading past the end of a block",
        "ReadPastEnd",
        "nothing",
        "0xD6",
    ),
    (
        "writing past the end of a block",
        "WritePastEnd",
        "0xC1",
        "0xD6",
    ),
    (
        "writing past the end, on the block's page",
        "WriteJustPastEnd",
        "0xC1",
        "0xC1",
    ),
    (
        "writing before the start of a block",
        "WriteBeforeStart",
        "nothing",
        "0xC1",
    ),
    ("reading a freed block", "ReadFreed", "nothing", "0xD5"),
    (
        "giving the kernel a freed block to read",
        "LetKernelReadFreed",
        "nothing",
        "0xCC",
    ),
    (
        "freeing a block twice",
        "FreeTwice",
        "0xC2 (0x7)",
        "0xC4 (0x13)",
    ),
    (
        "freeing the middle of a block",
        "FreeInside",
        "0xC2 (0x46)",
        "0xC4 (0x10)",
    ),
    (
        "freeing with another tag",
        "FreeWithWrongTag",
        "0xC2 (0xa)",
        "0xC2 (0xa)",
    ),
    (
        "allocating paged pool at DISPATCH_LEVEL",
        "TakePagedAtDispatch",
        "0xC2 (0x8)",
        "0xC4 (0x1)",
    ),
    (
        "allocating nonpaged pool above DISPATCH_LEVEL",
        "TakeAboveDispatch",
        "irql-too-high; 0xC2 (0x8)",
        "irql-too-high; 0xC4 (0x2)",
    ),
    (
        "freeing paged pool at DISPATCH_LEVEL",
        "FreePagedAtDispatch",
        "0xC2 (0x9)",
        "0xC4 (0x11)",
    ),
    (
        "touching paged pool under a spin lock",
        "TouchPagedAtDispatch",
        "nothing",
        "0xD1",
    ),
    (
        "touching unlocked paged pool at DISPATCH_LEVEL",
        "TouchUnlockedAtDispatch",
        "nothing",
        "0xD1",
    ),
    (
        "leaving a block behind",
        "Leak",
        "pool-leak: 0xC4 (0x62)",
        "pool-leak: 0xC4 (0x62)",
    ),
    (
        "allocating no bytes",
        "TakeNothing",
        "pool-zero-size: 0xC4 (0x0)",
        "pool-zero-size: 0xC4 (0x0)",
    ),
    (
        "locking an MDL for nonpaged pool",
        "LockNonPaged",
        "mdl-lock-nonpaged: 0xC4 (0xb0); mdl-unlock-nonpaged: 0xC4 (0x7d); mdl-free-locked",
        "mdl-lock-nonpaged: 0xC4 (0xb0); mdl-unlock-nonpaged: 0xC4 (0x7d); mdl-free-locked",
    ),
    (
        "unlocking what is not locked",
        "UnlockUnlocked",
        "mdl-unlock-not-locked: 0xC4 (0x7c)",
        "mdl-unlock-not-locked: 0xC4 (0x7c)",
    ),
    (
        "mapping what is not locked",
        "MapUnlocked",
        "mdl-map-not-locked: 0xC4 (0xb3)",
        "mdl-map-not-locked: 0xC4 (0xb3)",
    ),
    (
        "calling ZwClose at APC_LEVEL",
        "CloseAtApc",
        "irql-too-high: 0xC4 (0xe6)",
        "irql-too-high: 0xC4 (0xe6)",
    ),
    ("writing a constant", "WriteConstant", "0xBE", "0xBE"),
    (
        "freeing what is not pool",
        "FreeForeign",
        "0xC2 (0x46)",
        "0xC4 (0x10)",
    ),
    (
        "allocating with the tag 0",
        "TakeWithoutTag",
        "pool-tag-zero: 0xC2 (0x9b)",
        "pool-tag-zero: 0xC2 (0x9b)",
    ),
    (
        "allocating pool that can be executed",
        "TakeExecutable",
        "nothing",
        "nothing",
    ),
    (
        "building an MDL of paged pool for nonpaged pool",
        "BuildForPaged",
        "mdl-build-not-nonpaged: 0xC4 (0x7f)",
        "mdl-build-not-nonpaged: 0xC4 (0x7f)",
    ),
    (
        "unlocking nonpaged pool",
        "UnlockNonPaged",
        "mdl-unlock-nonpaged: 0xC4 (0x7d)",
        "mdl-unlock-nonpaged: 0xC4 (0x7d)",
    ),
    (
        "mapping an MDL for nonpaged pool into system space",
        "MapNonPaged",
        "mdl-map-nonpaged",
        "mdl-map-nonpaged",
    ),
    (
        "mapping into system space above DISPATCH_LEVEL",
        "MapAboveDispatch",
        "irql-too-high: 0xC4 (0x76)",
        "irql-too-high: 0xC4 (0x76)",
    ),
    (
        "mapping into user space at DISPATCH_LEVEL",
        "MapForUserAtDispatch",
        "irql-too-high: 0xC4 (0x77)",
        "irql-too-high: 0xC4 (0x77)",
    ),
    (
        "unmapping from user space at DISPATCH_LEVEL",
        "UnmapForUserAtDispatch",
        "irql-too-high: 0xC4 (0x7a)",
        "irql-too-high: 0xC4 (0x7a)",
    ),
    (
        "mapping with BugCheckOnFailure",
        "MapOrStop",
        "mdl-map-bugcheck-on-failure: 0xC4 (0x82)",
        "mdl-map-bugcheck-on-failure: 0xC4 (0x82)",
    ),
    (
        "mapping so that it can be executed",
        "MapExecutable",
        "nothing",
        "nothing",
    ),
    (
        "mapping what is mapped",
        "MapTwice",
        "mdl-map-twice: 0xC4 (0xb2); mdl-mapping-leak",
        "mdl-map-twice: 0xC4 (0xb2); mdl-mapping-leak",
    ),
    (
        "unmapping what is not mapped",
        "UnmapTwice",
        "unmap-not-mapped: 0xC4 (0xb6)",
        "unmap-not-mapped: 0xC4 (0xb6)",
    ),
    (
        "unmapping another user address",
        "UnmapElsewhere",
        "unmap-bad-user-address: 0xC4 (0xb9)",
        "unmap-bad-user-address: 0xC4 (0xb9)",
    ),
    (
        "freeing an MDL that is mapped",
        "FreeMapped",
        "mdl-free-mapped: 0xC4 (0xb8); mdl-free-locked",
        "mdl-free-mapped: 0xC4 (0xb8); mdl-free-locked",
    ),
    (
        "freeing an IRP with MDLs on it",
        "LeaveMdlOnIrp",
        "mdl-leak: 0xC4 (0x62); mdl-leak: 0xC4 (0x62)",
        "mdl-leak: 0xC4 (0x62); mdl-leak: 0xC4 (0x62)",
    ),
    (
        "initialising a lookaside list twice",
        "InitializeListTwice",
        "lookaside-initialized-twice: 0xC4 (0xca)",
        "lookaside-initialized-twice: 0xC4 (0xca)",
    ),
    (
        "deleting a lookaside list that is none",
        "DeleteUnknownList",
        "lookaside-not-initialized: 0xC4 (0xcb)",
        "lookaside-not-initialized: 0xC4 (0xcb)",
    ),
    (
        "freeing the memory of a lookaside list in use",
        "FreeActiveList",
        "lookaside-freed: 0xC4 (0xcc)",
        "lookaside-freed: 0xC4 (0xcc)",
    ),
    (
        "removing a list entry twice",
        "RemoveTwice",
        "0x139 (0x3)",
        "0x139 (0x3)",
    ),
    (
        "releasing a spin lock below DISPATCH_LEVEL",
        "ReleaseTooLow",
        "spin-lock-irql: 0xC4 (0x32)",
        "spin-lock-irql: 0xC4 (0x32)",
    ),
    (
        "returning at another IRQL",
        "DriverEntry",
        "irql-changed-on-return",
        "irql-changed-on-return",
    ),
    (
        "returning with a spin lock held",
        "ReturnWithLock",
        "irql-changed-on-return; spin-lock-held: 0xC4 (0x40009)",
        "irql-changed-on-return; spin-lock-held: 0xC4 (0x40009)",
    ),
    (
        "leaving a device behind",
        "LeaveDevice",
        "device-leak",
        "device-leak",
    ),
    (
        "leaving a symbolic link behind",
        "LeaveLink",
        "symlink-leak",
        "symlink-leak",
    ),
    (
        "logging what is uninitialised",
        "LogUninitialized",
        "uninitialized-pool-logged",
        "uninitialized-pool-logged",
    ),
    (
        "calling pageable code at DISPATCH_LEVEL",
        "CallPageableAtDispatch",
        "nothing",
        "0xD1",
    ),
    (
        "reading pageable data at DISPATCH_LEVEL",
        "ReadPageableAtDispatch",
        "nothing",
        "0xD1",
    ),
    (
        "taking two spin locks in both orders",
        "TakeInBothOrders",
        "nothing",
        "lock-order-inversion: 0xC4 (0x1001)",
    ),
    (
        "waiting for a mutex and a fast mutex in both orders",
        "TakeInACircle",
        "nothing",
        "lock-order-inversion: 0xC4 (0x1001)",
    ),
];

/// Those of `mistakes_requests_seh.c`, by the functions of their control codes.
pub const REQUESTS: [Mistake; 19] = [
    (
        "never completing a request",
        "Forget",
        "irp-not-completed",
        "irp-not-completed",
    ),
    (
        "completing a request twice",
        "CompleteTwice",
        "0x44",
        "0xD5",
    ),
    (
        "returning STATUS_PENDING unmarked",
        "PendUnmarked",
        "irp-pending-not-marked",
        "irp-pending-not-marked",
    ),
    (
        "marking a request pending, and returning something else",
        "PendUnsaid",
        "irp-pending-not-returned",
        "irp-pending-not-returned",
    ),
    (
        "completing with STATUS_PENDING",
        "CompletePending",
        "irp-completed-pending: 0xC9 (0x6); irp-pending-not-marked",
        "irp-completed-pending: 0xC9 (0x6); irp-pending-not-marked",
    ),
    (
        "completing with a cancel routine set",
        "CompleteCancellable",
        "irp-completed-with-cancel-routine: 0xC9 (0x7)",
        "irp-completed-with-cancel-routine: 0xC9 (0x7)",
    ),
    (
        "saying that there is more output than room",
        "SayTooMuch",
        "irp-information-exceeds-buffer",
        "irp-information-exceeds-buffer",
    ),
    (
        "returning from a dispatch routine at another IRQL",
        "ReturnRaised",
        "irql-changed-on-return: 0xC9 (0x5)",
        "irql-changed-on-return: 0xC9 (0x5)",
    ),
    (
        "returning from a dispatch routine with a spin lock held",
        "ReturnWithLock",
        "irql-changed-on-return: 0xC9 (0x5); spin-lock-held: 0xC4 (0x40009)",
        "irql-changed-on-return: 0xC9 (0x5); spin-lock-held: 0xC4 (0x40009)",
    ),
    (
        "returning from a dispatch routine in a critical region",
        "ReturnInRegion",
        "0x1",
        "0x1",
    ),
    (
        "leaving pages mapped into a process that ends",
        "LeaveMapped",
        "mdl-mapping-outlives-process: 0x76; mdl-leak: 0xC4 (0x62); pool-leak: 0xC4 (0x62)",
        "mdl-mapping-outlives-process: 0x76; mdl-leak: 0xC4 (0x62); pool-leak: 0xC4 (0x62)",
    ),
    (
        "leaving pages of a process locked that ends",
        "LeaveLocked",
        "mdl-lock-outlives-process: 0xCB; mdl-lock-leak; mdl-leak: 0xC4 (0x62)",
        "mdl-lock-outlives-process: 0xCB; mdl-lock-leak; mdl-leak: 0xC4 (0x62)",
    ),
    (
        "touching the caller's memory in another process",
        "ReadInAnotherProcess",
        "0x7E",
        "0x7E",
    ),
    (
        "touching the caller's memory outside of a handler",
        "TouchUnguarded",
        "nothing",
        "user-access-without-seh",
    ),
    (
        "copying the caller's memory outside of a handler",
        "CopyUnguarded",
        "nothing",
        "user-access-without-seh",
    ),
    (
        "reading the caller's memory twice",
        "ReadTwice",
        "nothing",
        "double-fetch",
    ),
    ("reading through a null pointer", "ReadNull", "0x3B", "0x3B"),
    (
        "writing past an array on the stack",
        "OverrunFrame",
        "0x3B",
        "0x3B",
    ),
    (
        "writing past the stack itself",
        "OverrunStack",
        "0x50",
        "0x50",
    ),
];

/// Codes whose first parameter is a kind of mistake and not an address.
const WITH_KIND: [u32; 4] = [0xC2, 0xC4, 0xC9, 0x139];

/// What a report says: each rule with the code that Driver Verifier has for it, and
/// the stop.
#[must_use]
pub fn seen(report: &Report) -> String {
    let code = |code: u32, first: u64| {
        if WITH_KIND.contains(&code) {
            format!("0x{code:X} ({first:#x})")
        } else {
            format!("0x{code:X}")
        }
    };
    let rules = report.violations.iter().map(|violation| {
        violation.driver_verifier_code.map_or_else(
            || violation.rule.clone(),
            |(number, first)| format!("{}: {}", violation.rule, code(number, first)),
        )
    });
    let stop = report.bug_check.iter();
    let stop = stop.map(|stop| code(stop.code, stop.parameters[0]));
    let all: Vec<String> = rules.chain(stop).collect();
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all.join("; ")
    }
}

/// Checks that the guide has the table of these mistakes, as `seen` says of each
/// by its number, without and with `--verify`.
///
/// # Panics
///
/// If it has another one, or none.
pub fn check_guide(title: &str, mistakes: &[Mistake], seen: impl Fn(usize, Verify) -> String) {
    let mut table = format!("| {title} | without | with `--verify` |\n|---|---|---|\n");
    for (how, (what, ..)) in mistakes.iter().enumerate() {
        let (without, with) = (seen(how, Verify::Off), seen(how, Verify::Standard));
        let _ = writeln!(table, "| {what} | {without} | {with} |");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/detected-mistakes.md");
    let guide = std::fs::read_to_string(&path).expect("the guide");
    assert!(
        guide.contains(&table),
        "docs/reference/detected-mistakes.md does not have this table:\n{table}"
    );
}

//! The x64 calling convention between driver and kernel: stack alignment, preserved
//! registers, the IRQL in CR8.

use driver_harness::host::Service;
use driver_harness::record::StartResult;
use integration_tests::embedded::run;
use integration_tests::images;

#[test]
fn driver_call_preserves_registers_and_aligns_stack() {
    let run = run(&Service::new(images::driver("calling_convention")));
    assert_eq!(
        (run.start, &run.findings.bug_check),
        (StartResult::Running(0), &None)
    );
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        [
            "convention: entry, frame 0 off alignment, direction 0",
            "convention: irql 0 raised 2 after 0",
            "convention: ExFreePoolWithTag: 0 of 27 lost",
            "convention: from inside, 2 3",
            "convention: DbgPrint: 0 of 27 lost",
            "convention: IRQL: 0 of 27 lost",
            // The driver's own function spoils RDI and XMM9: three values.
            "convention: Spoil: 3 of 27 lost",
            "convention: unload, frame 0 off alignment",
        ]
    );
    assert_eq!(run.findings.violations, []);
}

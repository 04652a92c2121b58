//! Accesses past the ends of blocks, on the blocks' own pages: each of those in
//! `verifier_bounds.c` is reported by checks of translated code, and its correct twin is
//! not; page protections see none.

use integration_tests::control_code_driver::{BUFFERED, Driver, Planted};
use ntbox::{Instrument, Verify};

const fn planted(function: &'static str, input: usize, said: &'static str) -> Planted {
    Planted {
        function,
        method: BUFFERED,
        lengths: (input, 0),
        reported: "pool-access-out-of-bounds",
        said,
    }
}

const DRIVER: Driver = Driver {
    name: "verifier_bounds",
    device: r"\\.\VerifierBounds",
    instrument: Some(Instrument::Memory),
    planted: &[
        planted(
            "ReadBefore",
            0,
            "1 byte before the start of a block of 64 bytes",
        ),
        planted("ReadPast", 0, "0 bytes past the end of a block of 61 bytes"),
        planted(
            "ReadAcross",
            0,
            "the last 3 bytes past the end of a block of 61 bytes",
        ),
        planted(
            "WritePast",
            0,
            "written, 2 bytes past the end of a block of 61 bytes",
        ),
        planted(
            "CopyPast",
            0,
            "the last 3 bytes past the end of a block of 61 bytes",
        ),
        planted(
            "MeasurePast",
            13,
            "0 bytes past the end of a system buffer of 13 bytes",
        ),
        planted(
            "ReadPastExtension",
            0,
            "0 bytes past the end of a device object",
        ),
        planted(
            "ReadPastEntry",
            0,
            "0 bytes past the end of a block of 60 bytes",
        ),
    ],
};

#[test]
fn each_access_out_of_bounds_is_reported_once_and_its_twin_is_not() {
    DRIVER.check(Verify::Standard);
}

#[test]
fn pool_access_out_of_bounds_tells_who_allocated_the_block() {
    let report = DRIVER.run(1, false, Verify::Standard);
    let violation = report.violations.first().expect("a violation");
    assert!(
        violation.message.contains("tag 'VBnd'"),
        "{}",
        violation.message
    );
    let taken = violation.history.first().expect("a history");
    assert_eq!(taken.event, "allocated");
    let place = violation.location.as_ref().expect("a place");
    assert!(place.source.is_some(), "{place:?}");
}

#[test]
fn page_protections_see_no_access_out_of_bounds() {
    let driver = Driver {
        instrument: Some(Instrument::Off),
        ..DRIVER
    };
    for how in 0..driver.planted.len() {
        let report = driver.run(how, false, Verify::Standard);
        assert!(report.clean(), "{}", report.text());
    }
}

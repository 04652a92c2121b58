//! Places in a report have the function and line that a person would name, from
//! whatever the compiler left; debug information that is damaged, missing or of
//! another build costs names, never the report.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Driver, line_of};
use ntbox::{Config, Location, Report};

fn run(image: &Path) -> Report {
    ntbox::run(&Config::new(image)).expect("the driver is run")
}

/// Function and line of a place.
fn named(place: &Location) -> (&str, u32) {
    let (file, line) = place.source.as_ref().expect("a source line");
    assert!(file.ends_with("driver.c"), "{file}");
    (place.symbol.as_deref().expect("a function"), *line)
}

fn leak(report: &Report) -> &Location {
    let [violation] = report.violations.as_slice() else {
        panic!("{report:#?}")
    };
    assert_eq!(violation.rule, "pool-leak");
    violation.location.as_ref().expect("a place")
}

/// What the variants must give, whoever compiled them.
fn check(build: impl Fn(&str) -> Option<Driver>) {
    let Some(driver) = build("LEAK") else { return };
    let report = run(&driver.image);
    let place = leak(&report);
    assert_eq!(named(place), ("Take", line_of("take", 0)));
    let [into] = place.inlined_into.as_slice() else {
        panic!("{place:#?}")
    };
    assert_eq!(into.symbol.as_deref(), Some("Hold"));
    assert_eq!(
        into.source.as_ref().expect("a source line").1,
        line_of("hold", 0)
    );
    assert_eq!(report.notes, [""; 0]);

    let Some(driver) = build("FAULT") else { return };
    let stop = run(&driver.image)
        .bug_check
        .expect("a fault stops the kernel");
    let places: Vec<_> = stop.stack.iter().map(named).collect();
    assert_eq!(
        places,
        [
            ("Touch", line_of("touch", 0)),
            ("DriverEntry", line_of("entry", 1))
        ]
    );
    assert!(!stop.stack[0].return_address && stop.stack[1].return_address);

    // The return address lies in another function, or in none.
    let Some(driver) = build("STOP") else { return };
    let stop = run(&driver.image)
        .bug_check
        .expect("the driver stops the kernel");
    let places: Vec<_> = stop.stack.iter().map(named).collect();
    assert_eq!(
        places,
        [
            ("Stop", line_of("stop", 0)),
            ("DriverEntry", line_of("entry", 2))
        ]
    );
}

#[test]
fn dwarf_names_functions_and_lines() {
    check(common::with_gcc);
}

#[test]
fn pdb_names_functions_and_lines() {
    check(common::with_clang);
}

#[test]
fn symbol_table_without_dwarf_names_functions() {
    let Some(driver) = common::with_gcc("LEAK") else {
        return;
    };
    let expected = leak(&run(&driver.image)).offset;
    strip(&driver.image, "--strip-debug");
    let report = run(&driver.image);
    let place = leak(&report);
    assert_eq!(place.offset, expected);
    let (name, distance) = place
        .symbol
        .as_deref()
        .and_then(|symbol| symbol.split_once("+0x"))
        .expect("a symbol");
    assert_eq!(name, "Hold");
    assert!(
        u64::from_str_radix(distance, 16).expect("a distance") < 0x40,
        "{place:?}"
    );
    assert_eq!(place.source, None);
}

fn strip(image: &Path, how: &str) {
    let status = Command::new("x86_64-w64-mingw32-strip")
        .arg(how)
        .arg(image)
        .status()
        .expect("strip is run");
    assert!(status.success(), "{status}");
}

#[test]
fn pdb_missing_adds_note() {
    let Some(driver) = common::with_clang("LEAK") else {
        return;
    };
    let pdb = driver.folder.file("test.pdb");
    std::fs::remove_file(&pdb).expect("the PDB");
    let report = run(&driver.image);
    assert_eq!(leak(&report).source, None);
    let [note] = report.notes.as_slice() else {
        panic!("{:?}", report.notes)
    };
    assert!(
        note.contains("none of these places") && note.contains(&pdb.display().to_string()),
        "{note}"
    );
}

#[test]
fn pdb_of_other_build_is_not_used() {
    let Some(driver) = common::with_clang("LEAK") else {
        return;
    };
    let mut image = std::fs::read(&driver.image).expect("the image");
    let record = image
        .windows(4)
        .position(|bytes| bytes == b"RSDS")
        .expect("a CodeView record");
    image[record + 4] ^= 1;
    std::fs::write(&driver.image, &image).expect("the image is written");
    let report = run(&driver.image);
    assert_eq!(leak(&report).source, None);
    let [note] = report.notes.as_slice() else {
        panic!("{:?}", report.notes)
    };
    assert!(note.contains("test.pdb is of another build"), "{note}");
}

/// Puts other bytes where debug information is, in many ways, always the same ones.
fn damage(file: &Path, from: usize, mut check: impl FnMut(Report), image: &Path) {
    let sound = std::fs::read(file).expect("the file");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(below).expect("a length")).expect("a position")
    };
    for round in 0..60 {
        let mut bytes = sound.clone();
        match round % 3 {
            0 => {
                let length = from + next(bytes.len() - from);
                // An image that is cut is refused, so its end is cleared.
                bytes[length..].fill(0);
            }
            1 => (0..64).for_each(|_| {
                let at = from + next(sound.len() - from);
                bytes[at] = u8::try_from(next(256)).expect("a byte");
            }),
            _ => {
                let at = from + next(sound.len() - from);
                let end = bytes.len().min(at + 64);
                bytes[at..end].fill(0xff);
            }
        }
        std::fs::write(file, bytes).expect("the file is written");
        check(run(image));
    }
}

#[test]
fn dwarf_damaged_loses_names_only() {
    let Some(driver) = common::with_gcc("LEAK") else {
        return;
    };
    let expected = run(&driver.image);
    // Debug sections are the last, and the loader does not look into them.
    let bytes = std::fs::read(&driver.image).expect("the image");
    let producer = bytes
        .windows(8)
        .rposition(|text| text == b"GNU C11 ")
        .expect("DWARF");
    let check = |report: Report| {
        assert_eq!(report.log, expected.log);
        assert_eq!(leak(&report).offset, leak(&expected).offset);
    };
    damage(
        &driver.image,
        producer - 64,
        |report| check(without_times(report, &expected)),
        &driver.image,
    );
}

#[test]
fn pdb_damaged_loses_names_only() {
    let Some(driver) = common::with_clang("LEAK") else {
        return;
    };
    let expected = run(&driver.image);
    let check = |report: Report| {
        let report = without_times(report, &expected);
        assert_eq!(report.log, expected.log);
        assert_eq!(leak(&report).offset, leak(&expected).offset);
    };
    damage(&driver.folder.file("test.pdb"), 0, check, &driver.image);
}

/// A report whose lines have the times of another.
fn without_times(mut report: Report, other: &Report) -> Report {
    for (line, other) in report.log.iter_mut().zip(&other.log) {
        line.time = other.time;
    }
    report
}

//! The drivers in `examples`, one in plain windows-drivers-rs and one with `wdm`: their
//! logs, the verifier's results, each failing call, and the sizes in
//! docs/explanation/raw-and-safe.md.

use iced_x86::{Decoder, DecoderOptions};
use integration_tests::images;
use nt_status::STATUS_INSUFFICIENT_RESOURCES;
use ntbox::{Config, Report, Verify};
use object::pe;
use object::read::pe::PeFile64;

/// A verified run of an example, from load to unload.
fn verified(config: Config) -> Report {
    ntbox::run(&config.verify(Verify::Overruns)).expect("ntbox runs the example")
}

/// The text of all lines, without the driver's name; also of those that the debug
/// print filter hides, for `wdk::println!` prints at a level that Windows hides.
fn lines<'a>(report: &'a Report, name: &str) -> Vec<&'a str> {
    let prefix = format!("{name}: ");
    let strip = |text: &'a str| text.strip_prefix(&prefix).unwrap_or(text).trim_end();
    report.log.iter().map(|line| strip(&line.text)).collect()
}

/// The lines are those of a whole walk, which fills in the MDL in the step `fill`.
#[track_caller]
fn assert_walk(lines: &[&str], fill: &str) {
    let steps = [
        "start",
        "allocate-pool",
        "allocate-mdl",
        fill,
        "page index=0",
        "map",
        "check forward=4096 backward=4096 of=4096",
        "physical",
        "verdict=same-memory",
        "unmap",
        "free-mdl",
        "free-pool",
        "end status=0x00000000",
        "unload",
    ];
    assert_eq!(lines.len(), steps.len(), "{lines:#?}");
    for (line, step) in lines.iter().zip(steps) {
        assert!(line.starts_with(step), "'{line}' is not '{step}'");
    }
}

/// The field `name=` of the first line that begins with `step`.
#[track_caller]
fn field<'a>(lines: &[&'a str], step: &str, name: &str) -> &'a str {
    let line = lines.iter().find(|line| line.starts_with(step));
    line.unwrap_or_else(|| panic!("no line '{step}'"))
        .split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no field '{name}' in '{step}'"))
}

/// Both addresses are pages, differ, and are the same memory.
#[track_caller]
fn assert_same_memory(lines: &[&str]) {
    let pool = field(lines, "allocate-pool", "address");
    let second = field(lines, "map", "address");
    assert_ne!(pool, second);
    assert!(
        pool.ends_with("000") && second.ends_with("000"),
        "{lines:?}"
    );
    let physical = field(lines, "physical", "pool");
    assert_eq!(physical, field(lines, "physical", "second"));
    assert_eq!(
        physical.strip_suffix("000"),
        Some(field(lines, "page", "pfn"))
    );
}

#[test]
fn raw_double_map_verified_reports_the_second_system_mapping() {
    let report = verified(Config::new(images::example("raw-double-map")));
    let lines = lines(&report, "raw-double-map");
    assert_walk(&lines, "build");
    assert_same_memory(&lines);
    assert_eq!(report.bug_check, None);
    assert_eq!((report.entry_status, report.unloaded), (Some(0), true));
    let [violation] = &report.violations[..] else {
        panic!("not one violation: {:#?}", report.violations);
    };
    assert_eq!(violation.rule, "mdl-map-nonpaged");
}

#[test]
fn safe_double_map_verified_is_clean() {
    let report = verified(Config::new(images::example("safe-double-map")));
    let lines = lines(&report, "safe-double-map");
    assert_walk(&lines, "lock");
    assert_same_memory(&lines);
    assert!(report.clean(), "{:#?}", report.violations);
}

#[test]
fn double_map_with_failed_call_returns_insufficient_resources() {
    let raw = [
        ("ExAllocatePool2", 1),
        ("ExAllocatePool2", 2),
        ("IoAllocateMdl", 1),
        ("MmMapLockedPagesSpecifyCache", 1),
    ];
    let safe = [
        ("ExAllocatePool2", 1),
        ("IoAllocateMdl", 1),
        ("MmProbeAndLockPages", 1),
        ("MmMapLockedPagesSpecifyCache", 1),
    ];
    for (name, faults) in [("raw-double-map", raw), ("safe-double-map", safe)] {
        for (export, nth) in faults {
            let case = format!("{name}, {export}:{nth}");
            let report = verified(Config::new(images::example(name)).fault(export, nth));
            assert_eq!(report.bug_check, None, "{case}");
            assert!(
                lines(&report, name)
                    .iter()
                    .any(|line| *line == format!("failed function={export}")),
                "{case}: {:?}",
                report.log
            );
            assert_eq!(
                report.entry_status,
                Some(STATUS_INSUFFICIENT_RESOURCES),
                "{case}"
            );
            assert_eq!(report.violations, [], "{case}");
        }
    }
}

#[test]
fn panic_is_linked_into_raw_double_map_only() {
    let has_panic = |name| {
        let imports = ntbox::imports(&images::example(name)).expect("imports");
        imports.iter().any(|import| import.name == "KeBugCheckEx")
    };
    assert_eq!(
        (has_panic("raw-double-map"), has_panic("safe-double-map")),
        (true, false)
    );
}

/// Bytes of an image, and instructions in its functions as `.pdata` lists them.
fn size(name: &str) -> (usize, usize) {
    let bytes = std::fs::read(images::example(name)).expect("the example can be read");
    let file = PeFile64::parse(bytes.as_slice()).expect("a PE32+ image");
    let directory = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION);
    let sections = file.section_table();
    let table = directory
        .expect("a table of functions")
        .data(bytes.as_slice(), &sections)
        .expect("the table is in the image");
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let functions = table.chunks_exact(12).map(|entry| {
        let (begin, end) = (number(&entry[..4]), number(&entry[4..8]));
        let code = sections
            .pe_data_at(bytes.as_slice(), begin)
            .expect("code of the image");
        let code = &code[..usize::try_from(end - begin).expect("a length")];
        Decoder::with_ip(64, code, begin.into(), DecoderOptions::NONE)
            .iter()
            .count()
    });
    (bytes.len(), functions.sum())
}

/// The table of `docs/explanation/raw-and-safe.md`:
/// `cargo xtask test --no-lint -p integration-tests --test driver -- examples:: --ignored --nocapture`.
#[test]
#[ignore = "prints a table"]
fn print_the_sizes() {
    println!("| | bytes | instructions |\n|---|---|---|");
    for name in ["raw-double-map", "safe-double-map"] {
        let (bytes, instructions) = size(name);
        assert!(bytes > 4096 && instructions > 100, "{name}");
        println!("| {name} | {bytes} | {instructions} |");
    }
}

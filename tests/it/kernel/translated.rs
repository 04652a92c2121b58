//! Runs every test driver native and translated, and compares the reports: translation
//! must change nothing that a driver or a reader of its report sees.

use std::path::PathBuf;

use integration_tests::images;
use ntbox::{Config, Instrument, RegValue, Report, Verify};

/// Drivers that read from their parameter `How` what they are to do, and how many ways
/// are tried.
const WAYS: [(&str, u32); 12] = [
    ("cm_misuse", 24),
    ("crash", 24),
    ("stack_and_flags", 24),
    ("ex_misuse", 24),
    ("invalid_callbacks", 24),
    ("io_misuse", 24),
    ("ke_stop", 24),
    ("mistakes", 48),
    ("mistakes_contract", 24),
    ("seh_stops", 24),
    ("uninitialised", 12),
    ("verifier_memory", 24),
];

/// The way that makes a system call of the host, which only native code can.
const SYSTEM_CALL: (&str, u32) = ("invalid_callbacks", 17);

/// All test drivers.
fn drivers() -> Vec<PathBuf> {
    let folder = images::driver("double_map");
    let folder = folder.parent().expect("drivers lie in a folder");
    let files = std::fs::read_dir(folder).expect("the folder can be read");
    let mut images: Vec<PathBuf> = files
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sys"))
        .collect();
    images.sort();
    images
}

/// What a run shows, with turns that do not depend on the time that things take.
fn run(config: &Config, instrument: Instrument) -> Report {
    let config = config.clone().schedule(1).instrument(instrument);
    ntbox::run(&config).expect("the driver boots")
}

#[track_caller]
fn assert_same(config: &Config) {
    let native = run(config, Instrument::Off);
    let name = config.image.display();
    for how in [Instrument::Plain, Instrument::Memory] {
        let translated = run(config, how);
        let what = format!("{name} {:?} {:?} {how:?}", config.parameters, config.verify);
        assert_eq!(native.log, translated.log, "{what}");
        assert_eq!(native, translated, "{what}");
    }
}

#[test]
fn test_drivers_translated_report_as_native() {
    let drivers = drivers();
    assert!(drivers.len() > 60, "{}", drivers.len());
    for image in drivers {
        for verify in [Verify::Off, Verify::Standard] {
            assert_same(&Config::new(&image).verify(verify));
        }
    }
}

#[test]
fn misuse_drivers_translated_stop_as_native() {
    for (driver, ways) in WAYS {
        let image = images::driver(driver);
        for how in 1..=ways {
            if (driver, how) == SYSTEM_CALL {
                continue;
            }
            assert_same(&Config::new(&image).parameter("How", RegValue::Dword(how)));
        }
    }
}

#[test]
fn host_system_call_translated_stops_at_it() {
    let (driver, how) = SYSTEM_CALL;
    let config = Config::new(images::driver(driver)).parameter("How", RegValue::Dword(how));
    let stop = run(&config, Instrument::Plain).bug_check;
    let stop = stop.expect("the kernel stops");
    assert_eq!((stop.code, stop.parameters[0]), (0x7f, 13));
    assert!(stop.message.contains("system call"), "{}", stop.message);
    let place = stop.location.expect("a place");
    assert_eq!(place.symbol.as_deref(), Some("ExitHost"));
}

#[test]
fn translated_driver_that_writes_code_runs_what_it_wrote() {
    let config = Config::new(images::driver("rewritten_code"));
    for how in [Instrument::Off, Instrument::Plain, Instrument::Memory] {
        let report = run(&config, how);
        assert!(report.clean(), "{how:?}:\n{}", report.text());
        assert_eq!(report.log.len(), 5);
    }
}

#[test]
fn rust_drivers_translated_report_as_native() {
    for image in [
        images::ntmem(),
        images::ntmem_debug(),
        images::example("raw-double-map"),
        images::example("safe-double-map"),
    ] {
        assert_same(&Config::new(&image).verify(Verify::Strict));
    }
}

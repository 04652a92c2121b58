//! Values recorded on Windows, devices and services of each system, and unsupported calls,
//! which the log names.

use integration_tests::images;
use integration_tests::self_check::{lines, mistake, stopped};
use ntbox::{Config, OsVersion, Report};

#[test]
fn recorded_values_match_windows_and_refusals_are_logged() {
    let report = ntbox::run(&Config::new(images::driver("windows_behavior"))).expect("it runs");
    let told = [
        r"ntbox: \Device\NamedPipe\nobody is not found: no program here serves a named pipe, and none can be made",
        "ntbox: the volume C: refuses the file system control 0x000900a4 (FSCTL_SET_REPARSE_POINT): it has no reparse points, and carries out none",
        "check: Refusals ok",
        "ntbox: the driver of the service another is not loaded: this kernel loads one image",
        "check: Services ok",
    ];
    let mut expected = lines(&["Timers", "Interfaces", "Sections", "Keys", "Null"]);
    expected.extend(told.map(str::to_owned));
    assert_eq!(report.shown().collect::<Vec<_>>(), expected);
    assert_eq!(report.bug_check, None);
    let broken = report.violations.iter().map(|one| one.rule.as_str());
    assert_eq!(
        broken.collect::<Vec<_>>(),
        ["interrupt-not-connected", "driver-unloads-itself"]
    );
}

#[test]
fn circular_list_walk_stops_with_0x133() {
    let routines = [
        "DeviceQueue",
        "Contexts",
        "Prefixes",
        "Ranges",
        "Devices",
        "Attached",
    ];
    for (how, routine) in (0..).zip(routines) {
        let stop = stopped(mistake("circular_lists", how), routine);
        assert_eq!(stop.code, 0x133, "{routine}: {}", stop.message);
        assert!(stop.message.contains(" has no end: "), "{}", stop.message);
        let place = stop.stack.first().and_then(|place| place.symbol.as_deref());
        assert_eq!(place, Some(routine));
    }
}

/// Runs the driver that imports `ExAllocatePool2` on a version of Windows.
fn later_on(major: u32, minor: u32, build: u32) -> Report {
    let mut config = Config::new(images::driver("versioned_import"));
    config.version = OsVersion {
        major,
        minor,
        build,
    };
    ntbox::run(&config).expect("it runs")
}

#[test]
fn export_newer_than_os_version_is_missing() {
    for (version, copies) in [((10, 0, 17763), 1), ((6, 1, 7601), 0)] {
        let (major, minor, build) = version;
        let report = later_on(major, minor, build);
        let found = format!("ExAllocatePool2 0, MmCopyMemory {copies}, ExAllocatePoolWithTag 1");
        assert_eq!(report.shown().collect::<Vec<_>>(), [found]);
        let stop = report.bug_check.expect("the call stops it");
        let since = format!(
            "ExAllocatePool2 is imported by the driver and came with Windows 10.0.19041; this is Windows {major}.{minor}.{build}"
        );
        assert!(stop.message.contains(&since), "{}", stop.message);
    }
    let image = images::driver("versioned_import");
    for (build, there) in [(17763, false), (19041, true)] {
        let version = OsVersion {
            build,
            ..OsVersion::default()
        };
        let imports = ntbox::imports_on(&image, version).expect("imports");
        let provided = imports.iter().filter(|import| import.provided).count();
        assert_eq!(provided + usize::from(!there), imports.len(), "{imports:?}");
    }
    let report = later_on(10, 0, 19041);
    let found = "ExAllocatePool2 1, MmCopyMemory 1, ExAllocatePoolWithTag 1";
    assert_eq!(report.shown().collect::<Vec<_>>(), [found]);
    assert!(report.clean(), "{report:#?}");
}

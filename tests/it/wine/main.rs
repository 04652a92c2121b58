//! The driver in Wine, whose Service Control Manager, loader and I/O manager are
//! independent of this project. Wine maps no MDL, so a scenario fails there in the
//! documented way; everything else works.
#![cfg(target_os = "linux")]

mod listen;
mod vq;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use driver_harness::host::wine::{Options, Wine};
use driver_harness::host::{Host, HostError, IoctlRequest, IoctlResponse, RegValue, Service};
use driver_harness::record::{Level, StartResult};
use driver_harness::service_run::{self, ServiceRun};
use integration_tests::images;
use integration_tests::temp_file;
use ntmem_ioctl::{Command, ContextReply, DEVICE_LINK, StatisticsReply, VersionReply};
use zerocopy::FromBytes;

/// Wine's prefix is for one host at a time.
static PREFIX: Mutex<()> = Mutex::new(());

struct Turn {
    wine: Wine,
    // Given back after Wine has ended.
    _prefix: MutexGuard<'static, ()>,
}

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set; `cargo xtask test --host wine` sets it"))
        .into()
}

fn wine() -> Turn {
    let prefix = PREFIX.lock().unwrap_or_else(PoisonError::into_inner);
    let wine = Wine::new(Options {
        program: variable("NTMEM_WINDOWS_PROGRAM"),
        prefix: variable("NTMEM_WINE_PREFIX"),
    });
    Turn {
        wine,
        _prefix: prefix,
    }
}

fn service(walk: &str) -> Service {
    Service::new(images::ntmem()).parameter("Scenario", RegValue::Sz(walk.to_owned()))
}

fn run(service: &Service) -> ServiceRun {
    service_run::run(&mut wine().wine, service).expect("the host works")
}

/// What the driver's own lines tell of, in their order. Their values are not those
/// of Windows: Wine has functions where the address limits should be.
fn steps(run: &ServiceRun) -> Vec<&str> {
    run.texts()
        .filter_map(|text| text.strip_prefix("ntmem: driver: ")?.split(' ').next())
        .collect()
}

#[test]
fn scenario_in_wine_fails_at_mapping_and_releases_all() {
    let run = run(&service("lock"));
    assert_eq!(
        run.start,
        StartResult::EntryFailed(nt_status::STATUS_INSUFFICIENT_RESOURCES)
    );
    let after: Vec<String> = run
        .texts()
        .skip_while(|text| !text.contains(" failed "))
        .map(|text| {
            let words: Vec<&str> = text.split(' ').take(3).collect();
            words.join(" ")
        })
        .collect();
    let expected = [
        "ntmem: lock: failed",
        "ntmem: lock: unlock",
        "ntmem: lock: free-mdl",
        "ntmem: lock: free-pool",
        "ntmem: lock: end",
        "ntmem: driver: not-started",
    ];
    assert_eq!(after, expected);
    let failed = run.texts().find(|text| text.contains(" failed "));
    assert_eq!(
        failed,
        Some(
            "ntmem: lock: failed step=map call=MmMapLockedPagesSpecifyCache \
             status=STATUS_INSUFFICIENT_RESOURCES code=0xc000009a"
        )
    );
}

/// A question to the device, whose answer has the size of `T`.
#[track_caller]
fn ask<T: FromBytes>(host: &mut dyn Host, command: Command) -> Result<T, HostError> {
    let inquiry = IoctlRequest {
        code: command.code(),
        input: Vec::new(),
        output_size: size_of::<T>(),
    };
    match host.send_ioctl(DEVICE_LINK, &inquiry)? {
        IoctlResponse::Completed(0, output) => Ok(T::read_from_bytes(&output).expect("its size")),
        other => panic!("{command:?}: {other:x?}"),
    }
}

#[test]
fn service_without_scenario_starts_answers_and_unloads() {
    let service = service("none");
    let (run, answers) = service_run::run_with(&mut wine().wine, &service, |host| {
        let version: VersionReply = ask(host, Command::Version)?;
        let statistics: StatisticsReply = ask(host, Command::Statistics)?;
        Ok((version, statistics))
    })
    .expect("the host works");
    assert_eq!(run.start, StartResult::Running(0));
    assert!(run.findings.unloaded);
    assert_eq!(
        steps(&run),
        [
            "start",
            "limits",
            "parameters",
            "device",
            "started",
            "unload"
        ]
    );
    let errors = run.log.iter().all(|line| line.level == Some(Level::Error));
    assert!(errors, "all of it shows on a fresh system");
    let (version, statistics) = answers.expect("it started");
    assert_eq!(version.protocol, ntmem_ioctl::VERSION);
    assert_eq!(version.is_debug, 0);
    assert_eq!(statistics.open, 1, "the handle that asks");
}

#[test]
fn context_is_that_of_requesting_process() {
    let (_, context) = service_run::run_with(&mut wine().wine, &service("none"), |host| {
        ask::<ContextReply>(host, Command::Context)
    })
    .expect("the host works");
    let context = context.expect("it started");
    assert_eq!((context.irql, context.from_user), (0, 1));
}

#[test]
fn ioctl_with_unknown_code_is_refused() {
    let (_, asked) = service_run::run_with(&mut wine().wine, &service("none"), |host| {
        let unknown = IoctlRequest {
            code: 0x8000_2FFC,
            ..IoctlRequest::default()
        };
        let refused = host.send_ioctl(DEVICE_LINK, &unknown)?;
        let nowhere = host.send_ioctl(r"\\.\NoSuchDeviceHere", &unknown)?;
        Ok((refused, nowhere))
    })
    .expect("the host works");
    let (refused, nowhere) = asked.expect("it started");
    assert_eq!(
        refused,
        IoctlResponse::Completed(nt_status::STATUS_INVALID_DEVICE_REQUEST, Vec::new())
    );
    assert_eq!(
        nowhere,
        IoctlResponse::OpenFailed(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
}

#[test]
fn parameters_invalid_are_logged_by_name() {
    for (name, value) in [
        ("Size", RegValue::Dword(0)),
        ("Scenario", RegValue::Sz("sideways".to_owned())),
        ("CacheType", RegValue::Dword(1)),
    ] {
        let service = Service::new(images::ntmem()).parameter(name, value);
        let run = run(&service);
        assert_eq!(
            run.start,
            StartResult::EntryFailed(nt_status::STATUS_INVALID_PARAMETER),
            "{name}"
        );
        let line = format!("ntmem: driver: refused value={name} reason=");
        assert!(run.texts().any(|text| text.starts_with(&line)), "{line}");
        assert_eq!(steps(&run).last(), Some(&"not-started"), "{name}");
    }
}

/// A stopped service may be started again, and a removed one installed again.
#[test]
fn service_starts_and_installs_repeatedly() {
    let mut turn = wine();
    let service = service("none");
    for _ in 0..2 {
        turn.wine.install(&service).expect("it installs");
        for _ in 0..2 {
            assert_eq!(
                turn.wine.start().expect("it starts"),
                StartResult::Running(0)
            );
            assert!(turn.wine.stop().expect("it stops").unloaded);
        }
        turn.wine.remove().expect("it is removed");
    }
}

#[test]
fn service_with_non_image_file_does_not_start() {
    let file = temp_file("text.sys", b"this is no image");
    let mut turn = wine();
    let service = Service {
        name: "text".to_owned(),
        ..Service::new(&file)
    };
    turn.wine.install(&service).expect("it installs");
    // Wine tells the failure of its loader like one of DriverEntry.
    let start = turn.wine.start().expect("an answer");
    assert!(matches!(start, StartResult::EntryFailed(_)), "{start:x?}");
    assert_eq!(turn.wine.output().expect("a log"), []);
    turn.wine.stop().expect("nothing to stop");
    turn.wine.remove().expect("it is removed");
}

/// The Windows program on its own, in the same prefix.
fn program(arguments: &[&str]) -> (Option<i32>, String) {
    let _prefix = PREFIX.lock().unwrap_or_else(PoisonError::into_inner);
    let output = std::process::Command::new("wine")
        .arg(variable("NTMEM_WINDOWS_PROGRAM"))
        .args(arguments)
        .env("WINEPREFIX", variable("NTMEM_WINE_PREFIX"))
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .env_remove("DISPLAY")
        .output()
        .expect("Wine can be started");
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    (output.status.code(), text)
}

/// Wine's registry stands for that of Windows.
#[test]
fn filter_command_shows_and_sets_the_value() {
    let (exit, text) = program(&["filter", "--set", "0x1"]);
    assert_eq!(exit, Some(0), "{text}");
    assert!(text.contains("IHVDRIVER = 0x1,"), "{text}");
    assert!(text.contains("--set 0xf"), "{text}");
    assert_eq!(program(&["filter", "--set", "0xf"]).0, Some(0));
    let (exit, text) = program(&["filter"]);
    assert_eq!(exit, Some(0), "{text}");
    assert_eq!(
        text,
        "IHVDRIVER = 0xf, in effect from the next start of Windows\n"
    );
}

//! Projects that this test writes are built, run, tested and packaged by `cargo ntbox`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of a test. What cargo built in it stays for the next run.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn cargo_ntbox(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cargo-ntbox"))
        .arg("ntbox")
        .args(arguments)
        .current_dir(directory)
        .env("XDG_CACHE_HOME", folder("cache"))
        // As cargo of the test would pass it on.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_PROFILE_DEV_PANIC")
        .output()
        .expect("the program runs")
}

#[track_caller]
fn succeed(directory: &Path, arguments: &[&str]) -> String {
    let output = cargo_ntbox(directory, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{arguments:?}: {}\n{text}\n{errors}",
        output.status
    );
    text
}

#[track_caller]
fn fail(directory: &Path, arguments: &[&str], status: i32) -> String {
    let output = cargo_ntbox(directory, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{errors}");
    errors
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// The sources of a driver with the crates of one release.
fn write_driver(folder: &Path, name: &str, versions: [&str; 3], metadata: bool) {
    let [wdk, wdk_sys, wdk_build] = versions;
    let model = if metadata {
        "[package.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n"
    } else {
        ""
    };
    write(
        &folder.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{model}\
             [lib]\ncrate-type = [\"cdylib\"]\n\
             [dependencies]\nwdk = \"{wdk}\"\nwdk-sys = \"{wdk_sys}\"\n\
             [build-dependencies]\nwdk-build = \"{wdk_build}\"\n"
        ),
    );
    write(
        &folder.join("build.rs"),
        "fn main() -> Result<(), wdk_build::ConfigError> { wdk_build::configure_wdk_binary_build() }\n",
    );
    write(
        &folder.join("src/lib.rs"),
        &format!(
            r#"#![no_std]
use wdk_sys::{{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, STATUS_SUCCESS}};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {{
    loop {{}}
}}

#[export_name = "DriverEntry"]
pub unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    _: PCUNICODE_STRING,
) -> NTSTATUS {{
    driver.DriverUnload = Some(unload);
    let irql = unsafe {{ wdk_sys::ntddk::KeGetCurrentIrql() }};
    wdk::println!("{name}: started at IRQL {{irql}}");
    STATUS_SUCCESS
}}

// What MinGW's headers lack, or have as another type.
const _: fn(wdk_sys::PETHREAD) -> wdk_sys::PKTHREAD = |thread| thread;
const _: usize = core::mem::size_of::<wdk_sys::MEMORY_BASIC_INFORMATION>();

unsafe extern "C" fn unload(_: *mut DRIVER_OBJECT) {{}}
"#
        ),
    );
}

const PROFILES: &str =
    "[profile.dev]\npanic = \"abort\"\nopt-level = 1\n\n[profile.release]\npanic = \"abort\"\n";

#[test]
fn new_project_runs_verifies_tests_and_packages() {
    let parent = folder("new");
    let project = parent.join("greeter");
    // The build of the run before may stay; the sources are created anew.
    let target = parent.join("kept-target");
    if project.join("target").is_dir() {
        fs::rename(project.join("target"), &target).expect("the build is kept");
    }
    if project.is_dir() {
        fs::remove_dir_all(&project).expect("the old project is removed");
    }
    succeed(&parent, &["new", "greeter"]);
    if target.is_dir() {
        fs::rename(&target, project.join("target")).expect("the build is kept");
    }

    let text = succeed(&project, &["verify"]);
    assert!(text.contains("greeter: started"), "{text}");
    assert!(text.contains("verdict  clean"), "{text}");
    assert!(
        !project.join("Cargo.lock").exists(),
        "the sources stay as they are"
    );

    let text = succeed(&project, &["test"]);
    assert!(text.contains("2 passed"), "{text}");

    let text = succeed(&project, &["package"]);
    let package = PathBuf::from(text.trim());
    for extension in ["sys", "pdb", "inf", "cat", "cer"] {
        let file = package.join("greeter").with_extension(extension);
        assert!(file.is_file(), "{}", file.display());
    }

    let errors = fail(&parent, &["new", "greeter"], 7);
    assert!(errors.contains("exists already"), "{errors}");
}

#[test]
fn workspace_of_two_drivers_of_an_older_release_builds_both() {
    let workspace = folder("older");
    write(
        &workspace.join("Cargo.toml"),
        &format!(
            "[workspace]\nresolver = \"2\"\nmembers = [\"one\", \"two-b\"]\n\n\
             [workspace.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n\n{PROFILES}"
        ),
    );
    for name in ["one", "two-b"] {
        write_driver(
            &workspace.join(name),
            name,
            ["0.3.1", "0.4.0", "0.4.0"],
            false,
        );
    }
    let text = succeed(&workspace, &["build"]);
    let files: Vec<&Path> = text.lines().map(Path::new).collect();
    assert_eq!(files.len(), 2, "{text}");
    assert!(files[0].ends_with("one_package/one.sys"), "{text}");
    assert!(files[1].ends_with("two_b_package/two_b.sys"), "{text}");

    let text = succeed(&workspace, &["run", "--package", "two-b"]);
    assert!(text.contains("two-b: started at IRQL 0"), "{text}");
    let text = succeed(&workspace, &["imports", "--package", "one"]);
    assert!(!text.contains("KeGetCurrentIrql"), "{text}");

    let errors = fail(&workspace, &["run"], 7);
    assert!(errors.contains("--package: one, two-b"), "{errors}");
    let errors = fail(&workspace, &["build", "--package", "three"], 7);
    assert!(errors.contains("no driver `three`"), "{errors}");
}

#[test]
fn framework_driver_is_refused() {
    let project = folder("framework");
    write_driver(&project, "framework", ["0.5.0", "0.5.2", "0.6.0"], true);
    let manifest = project.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    write(
        &manifest,
        &(text.replace("WDM", "KMDF") + "\n[workspace]\n"),
    );
    let errors = fail(&project, &["build"], 7);
    assert!(
        errors.starts_with("error: package `framework` is a KMDF driver"),
        "{errors}"
    );
}

#[test]
fn driver_without_model_or_of_old_release_is_refused() {
    let project = folder("no-model");
    write_driver(&project, "bare", ["0.3.0", "0.3.0", "0.3.0"], false);
    let manifest = project.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest") + "\n[workspace]\n";
    write(&manifest, &text);
    let errors = fail(&project, &["build"], 7);
    assert!(
        errors.starts_with("error: package `bare` names no driver model"),
        "{errors}"
    );
    write(&manifest, &text.replace("0.3.0", "0.2.0"));
    let errors = fail(&project, &["build"], 7);
    assert!(
        errors.starts_with("error: package `bare` depends on wdk-build 0.2 or older"),
        "{errors}"
    );
}

/// Writes a driver that panics in DriverEntry and imports a function of Windows 10.
fn write_panicking_driver(project: &Path) {
    write_driver(project, "checked", ["0.5.0", "0.5.2", "0.6.0"], true);
    let manifest = project.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let text = text.replace("[build-dep", "wdk-panic = \"0.5.0\"\n[build-dep");
    write(&manifest, &format!("{text}\n[workspace]\n\n{PROFILES}"));
    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("a source");
    let handler = &text[text.find("#[panic_handler]").expect("a handler")
        ..text.find("#[export_name").expect("an entry")];
    let text = text.replace(handler, "extern crate wdk_panic;\n").replace(
        "    STATUS_SUCCESS\n",
        "    let block = unsafe { wdk_sys::ntddk::ExAllocatePool2(0x40, 16, 0x7473_6554) };\n    \
             assert!(block.is_null(), \"a block\");\n    STATUS_SUCCESS\n",
    );
    write(&source, &text);
}

#[test]
fn check_finds_imports_newer_than_minimum_and_run_names_place_of_panic() {
    let project = folder("checked");
    write_panicking_driver(&project);

    let text = succeed(
        &project,
        &["check", "--release", "--json", "--min-os", "10.0.19041"],
    );
    assert!(text.contains("\"findings\": []"), "{text}");
    let older = ["--release", "--min-os", "10.0.17763"];
    let output = cargo_ntbox(&project, &[&["check"], &older[..]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(
        text.contains("ntoskrnl.exe!ExAllocatePool2 came with Windows 10.0.19041"),
        "{text}"
    );
    let errors = fail(&project, &[&["build"], &older[..]].concat(), 7);
    assert!(errors.contains("ExAllocatePool2"), "{errors}");

    let output = cargo_ntbox(&project, &["run", "--release"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(
        text.contains("the driver panicked at src/lib.rs:"),
        "{text}"
    );
}

#[test]
fn folder_without_driver_is_refused() {
    let project = folder("no-driver");
    write(
        &project.join("Cargo.toml"),
        "[package]\nname = \"plain\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n",
    );
    write(&project.join("src/lib.rs"), "");
    let errors = fail(&project, &["build"], 7);
    assert!(errors.contains("is a driver"), "{errors}");
    assert!(errors.contains("driver-type = \"WDM\""), "{errors}");
}

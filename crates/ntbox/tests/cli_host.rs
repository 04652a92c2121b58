//! The program and its host: files that are none, paths that are no text, and systems
//! that lack what it needs. Each is told in one line, with the status that is promised.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Output};

use common::{ntbox, status, text};

#[test]
fn file_invalid_or_too_large_is_refused_by_name() {
    let Some(driver) = common::with_gcc("CLEAN") else {
        return;
    };
    let image = driver.image.display().to_string();
    let fifo = driver.folder.file("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo is run").success());
    let large = driver.folder.file("large");
    let file = File::create(&large).expect("a file");
    file.set_len(ntbox::host_file::LIMIT + 1).expect("no data");
    let large = large.display().to_string();
    for (path, reason) in [
        ("/dev/zero", "it is not a regular file"),
        (&fifo.display().to_string(), "it is not a regular file"),
        (&large, "268435456 are the limit"),
    ] {
        let expected = format!("cannot read {path}: ");
        let option = format!(r"C:\x={path}");
        for arguments in [
            &["run", &image, "--file", &option][..],
            &["run", path],
            &["imports", path],
        ] {
            let output = ntbox(arguments);
            let said = text(&output.stderr);
            assert_eq!(status(&output), 6, "{arguments:?}: {said}");
            assert!(
                said.contains(&expected) && said.contains(reason) && said.lines().count() == 1,
                "{arguments:?}: {said}"
            );
        }
        let data = format!("write=file:{path}");
        let output = ntbox(&["ioctl", &image, r"\\.\None", &data]);
        let said = text(&output.stderr);
        assert_eq!(status(&output), 2, "{said}");
        assert!(said.contains(&format!("cannot read {path}: ")), "{said}");
    }
}

#[test]
fn image_path_may_be_non_utf8() {
    use std::os::unix::ffi::OsStringExt as _;

    let Some(driver) = common::with_gcc("CLEAN") else {
        return;
    };
    let name = std::ffi::OsString::from_vec(b"\xff\xfe.sys".to_vec());
    let copy = driver.folder.file("x").with_file_name(name);
    std::fs::copy(&driver.image, &copy).expect("it is copied");
    let output = Command::new(env!("CARGO_BIN_EXE_ntbox"))
        .arg("run")
        .arg(&copy)
        .output()
        .expect("ntbox is run");
    assert_eq!(status(&output), 0, "{output:?}");
}

/// Runs `ntbox` by `shell`, which does something before; `None` and a word if it
/// cannot.
fn after(shell: &[&str], before: &str, image: &str) -> Option<Output> {
    let ntbox = env!("CARGO_BIN_EXE_ntbox");
    let run = |script: &str| {
        Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", script])
            .output()
            .ok()
    };
    // Containers and chroots may not make namespaces.
    if !run(before).is_some_and(|output| output.status.success()) {
        let shell = shell.join(" ");
        let _ = writeln!(
            std::io::stderr(),
            "skipped: `{shell} -c '{before}'` cannot be done here"
        );
        return None;
    }
    run(&format!("{before} && exec '{ntbox}' run '{image}'"))
}

#[test]
fn host_without_proc_or_memory_is_an_error() {
    let Some(driver) = common::with_gcc("CLEAN") else {
        return;
    };
    let image = driver.image.display().to_string();
    let shell = &["sh"][..];
    let own_mounts = &["unshare", "--user", "--map-root-user", "--mount", "sh"][..];
    for (shell, before, part) in [
        (
            own_mounts,
            "mount -t tmpfs none /proc",
            "mount -t proc proc /proc",
        ),
        (shell, "ulimit -v 500000", "`ulimit -v` must allow 4 GiB"),
        (shell, "ulimit -f 1000", "`ulimit -f` must allow it"),
    ] {
        let Some(output) = after(shell, before, &image) else {
            continue;
        };
        let said = text(&output.stderr);
        assert_eq!(status(&output), 7, "{before}: {said}");
        assert!(
            said.contains(part) && said.lines().count() == 1,
            "{before}: {said}"
        );
    }
}

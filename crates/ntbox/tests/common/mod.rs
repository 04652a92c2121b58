//! Builds variants of `driver.c` with whatever compiler there is.

#![allow(dead_code, reason = "each user of this module needs a part of it")]

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

const GCC: &str = "x86_64-w64-mingw32-gcc";
/// Distributions that keep several versions name them all.
const CLANGS: &[&str] = &[
    "clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16",
    "clang-15", "clang-14",
];
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/driver.c");
const COMMON: &[&str] = &[
    "-O1",
    "-g",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-stack-protector",
];

/// A folder that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the driver");
        Self(path)
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind lies below `target`.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A driver that was built.
pub struct Driver {
    /// Its folder.
    pub folder: Folder,
    /// Its image, `test.sys`.
    pub image: PathBuf,
}

/// Builds a variant with MinGW's compiler, with DWARF in the image. `None`, and a
/// word to the person who runs the tests, if there is no such compiler.
pub fn with_gcc(variant: &str) -> Option<Driver> {
    with_gcc_and(variant, &[])
}

/// As [`with_gcc`], with more arguments for the compiler.
pub fn with_gcc_and(variant: &str, arguments: &[&str]) -> Option<Driver> {
    let variant = format!("-DDO={variant}");
    let arguments: Vec<&str> = [variant.as_str()]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    with_gcc_from(SOURCE, &arguments)
}

/// Builds a source of one's own with MinGW's compiler.
pub fn with_gcc_from(source: &str, arguments: &[&str]) -> Option<Driver> {
    let folder = Folder::new();
    let image = folder.file("test.sys");
    let mut gcc = Command::new(GCC);
    gcc.args(COMMON).args(arguments).args([
        "-mno-stack-arg-probe",
        "-shared",
        "-nostdlib",
        "-Wl,--entry,DriverEntry",
        "-Wl,--subsystem,native",
        "-Wl,--image-base,0x140000000",
        "-Wl,--dynamicbase",
    ]);
    gcc.args(["-o".as_ref(), image.as_os_str()])
        .args([source, "-lntoskrnl"]);
    build(&mut gcc, GCC)?;
    Some(Driver { folder, image })
}

/// Builds a variant with clang and LLVM's linker, with `test.pdb` beside the image.
/// `None`, and a word, if one of them or MinGW's import libraries are not there.
pub fn with_clang(variant: &str) -> Option<Driver> {
    let folder = Folder::new();
    let (object, image) = (folder.file("test.obj"), folder.file("test.sys"));
    let is_there = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let program = CLANGS.iter().find(is_there).unwrap_or(&"clang");
    let mut clang = Command::new(program);
    clang.args(COMMON).arg(format!("-DDO={variant}"));
    clang
        .args([
            "--target=x86_64-pc-windows-msvc",
            "-gcodeview",
            "-c",
            SOURCE,
            "-o",
        ])
        .arg(&object);
    build(&mut clang, program)?;
    let library = output(Command::new(GCC).arg("-print-file-name=libntoskrnl.a"), GCC)?;
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]), "rustc")?;
    let linker = format!("{sysroot}/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    let mut lld = Command::new(&linker);
    lld.args([
        "-flavor",
        "link",
        "/nologo",
        "/driver",
        "/subsystem:native",
        "/entry:DriverEntry",
    ]);
    lld.args(["/nodefaultlib", "/debug", "/opt:noref", &library])
        .arg(&object);
    lld.arg(format!("/out:{}", image.display()));
    build(&mut lld, &linker)?;
    Some(Driver { folder, image })
}

/// Runs a compiler. That it is missing skips a test; that it fails fails it.
fn build(command: &mut Command, name: &str) -> Option<()> {
    output(command, name).map(drop)
}

fn output(command: &mut Command, name: &str) -> Option<String> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Not by a macro: what those print is kept back for tests that pass.
            let _ = writeln!(
                io::stderr(),
                "skipped: there is no {name} to build a driver with"
            );
            return None;
        }
        Err(error) => panic!("{name} cannot be run: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} failed ({}): {said}",
        output.status
    );
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The line of `driver.c` that ends with this comment after a function begins.
pub fn line_of(mark: &str, nth: usize) -> u32 {
    let source = std::fs::read_to_string(SOURCE).expect("driver.c");
    let mark = format!("/* {mark} */");
    let mut lines = source
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.ends_with(&mark));
    lines.nth(nth).expect("a line with this mark").1
}

/// Runs the program.
pub fn ntbox(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ntbox"))
        .args(arguments)
        .output()
        .expect("ntbox is run")
}

/// Output as text.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// The exit status.
pub fn status(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

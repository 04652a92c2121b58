//! Makes a host that is not Windows able to build Windows drivers.
//!
//! Microsoft's crates want a WDK, its import libraries, MSVC's linker and a
//! standard library for the target. None of them can be assumed here, so
//! [`prepare`] puts together what serves instead, from packages that every
//! distribution has, below one folder (`target/cross`). Apart from system
//! packages, and a target that rustup may add to its own toolchain, nothing
//! outside that folder is changed. On Windows this crate is empty.
#![cfg(not(windows))]

pub mod c_drivers;
mod clang;
mod error;
mod exec;
mod import_library;
mod inline_library;
mod kit;
pub mod linker;
mod packages;
pub mod programs;
mod rust;
mod rust_src;
mod sysroot;
mod wrappers;

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use self::{clang::Clang, kit::Kit, rust_src::StandardLibrary};
pub use self::{
    error::Error,
    packages::{Requirement, requirements},
    rust::Rust,
};

/// The target that drivers are built for.
pub const TARGET: &str = "x86_64-pc-windows-msvc";

/// Tells the person who waits what is being done: one line a step.
pub type Say<'a> = &'a dyn Fn(&str);

/// Where things lie.
#[derive(Debug, Clone)]
pub struct Places {
    /// The folder with the sources of the kit: `include`, `include-bindgen`, `lib`.
    pub sources: PathBuf,
    /// The folder for everything made here.
    pub work: PathBuf,
    /// An archive of the standard library's source, for machines without a network.
    pub library_archive: Option<PathBuf>,
}

/// A workspace with drivers.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its folder.
    pub root: PathBuf,
    /// The lock file to use in place of its own, which stays as it is.
    pub lock_file: PathBuf,
    /// Where Cargo puts what it builds. Apart from the host's own folder, since the
    /// unstable switches of this build would have both builds redo each other's work.
    pub target: PathBuf,
    /// The name that stands for its folder in the image.
    pub name: String,
    /// Folders of the stand-ins for `wdk-build`, one for each version of it from the
    /// registry that the workspace depends on.
    pub stand_ins: Vec<PathBuf>,
    /// Folders of the stand-ins for each `wdk-build` that is in the workspace's own
    /// checkout, or in another repository.
    pub overrides: Vec<PathBuf>,
    /// The flags for rustc that cargo would use otherwise, and that those of this build
    /// would displace.
    pub rust_flags: Vec<String>,
}

/// All that Cargo needs for building drivers.
#[derive(Debug)]
pub struct Tools {
    places: Places,
    kit: Kit,
    clang: Clang,
    rust: Rust,
    library: StandardLibrary,
    linker: PathBuf,
    rustc: Option<PathBuf>,
    lld: linker::Lld,
}

/// Finds or makes everything that building drivers needs.
///
/// `program` is the running program, which Cargo will be told to use as linker:
/// it must hand control to [`linker::run_if_invoked`] first thing.
///
/// # Errors
///
/// Whatever is missing and cannot be had, with what to do about it.
pub fn prepare(places: &Places, rust: Rust, program: &Path, say: Say) -> Result<Tools, Error> {
    make_folder(&places.work)?;
    let lock_path = places.work.join("lock");
    let lock = File::create(&lock_path).map_err(|e| Error::io("create", &lock_path, e))?;
    // Two builds at once must not assemble the same kit; the lock goes with the file.
    lock.lock().map_err(|e| Error::io("lock", &lock_path, e))?;

    packages::ensure(packages::FOR_DRIVERS, &places.work, say)?;
    let clang = Clang::find().ok_or(Error::NotFoundAfterInstall("libclang"))?;
    let kit = Kit::assemble(places, say)?;
    let library = rust_src::find(places, &rust, say)?;
    let rustc = match &library {
        StandardLibrary::Prebuilt => None,
        StandardLibrary::Source(source) => Some(sysroot::with_source(places, &rust, source)?),
    };
    let lld = linker::Lld::find(&rust, &places.work, say)?;
    if let Some(compiler) = exec::find_versioned("llvm-rc") {
        let name = places.work.join(wrappers::PROGRAMS).join("rc");
        wrappers::link_to(&name, &compiler)?;
    }
    let linker = wrappers::link_to(&places.work.join("bin").join(linker::NAME), program)?;
    Ok(Tools {
        places: places.clone(),
        kit,
        clang,
        rust,
        library,
        linker,
        rustc,
        lld,
    })
}

impl Workspace {
    /// Adds to `cargo`, a command that already has its subcommand, what makes it use
    /// this lock file.
    ///
    /// On the command line and in no file: a stable cargo that is given such a file by
    /// hand ignores the setting, and writes the workspace's own lock file anew.
    pub fn use_lock_file(&self, cargo: &mut Command) {
        cargo
            .args(["-Z", "lockfile-path"])
            .arg("--config")
            .arg(format!(
                "resolver.lockfile-path='{}'",
                self.lock_file.display()
            ))
            .env("RUSTC_BOOTSTRAP", "1");
    }
}

impl Tools {
    /// Adds to `cargo`, a command that already has its subcommand, what makes it
    /// build `workspace` for Windows with the kit assembled here.
    pub fn configure(&self, cargo: &mut Command, workspace: &Workspace) {
        workspace.use_lock_file(cargo);
        for (number, stand_in) in workspace.stand_ins.iter().enumerate() {
            let patch = format!("patch.crates-io.wdk-build-{number}");
            cargo
                .arg("--config")
                .arg(format!("{patch}.package='wdk-build'"))
                .arg("--config")
                .arg(format!("{patch}.path='{}'", stand_in.display()));
        }
        if !workspace.overrides.is_empty() {
            let folders: Vec<String> = workspace
                .overrides
                .iter()
                .map(|folder| folder.display().to_string())
                .collect();
            cargo
                .arg("--config")
                .arg(toml_assignment("paths", &folders));
        }
        cargo
            .arg("--config")
            .arg(toml_assignment(
                "target.x86_64-pc-windows-msvc.rustflags",
                &self.rust_flags(workspace),
            ))
            .arg("--target")
            .arg(TARGET)
            .env("CARGO_TARGET_DIR", &workspace.target)
            // Build scripts find the workspace by it even if the target folder is
            // elsewhere.
            .env("NTBOX_MANIFEST", workspace.root.join("Cargo.toml"))
            .env("WDKContentRoot", self.kit.root())
            .env("LIBCLANG_PATH", self.clang.library_folder())
            .env("BINDGEN_EXTRA_CLANG_ARGS", self.clang_arguments())
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER", &self.linker)
            .env(linker::LLD_VARIABLE, self.lld.as_variable())
            .env("PATH", self.search_path())
            // They are among the flags above, whose place they would take.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        if let Some(rustc) = &self.rustc {
            cargo
                .args([
                    "--config",
                    r#"unstable.build-std=["core","alloc","panic_abort"]"#,
                ])
                .args([
                    "--config",
                    r#"unstable.build-std-features=["compiler-builtins-mem"]"#,
                ])
                .env("RUSTC", rustc);
        }
    }

    /// Sees to it that the programs are here that sign a driver package.
    ///
    /// # Errors
    ///
    /// What is missing and cannot be had, with what to do about it.
    pub fn ensure_signing(&self, say: Say) -> Result<(), Error> {
        packages::ensure(packages::FOR_SIGNING, &self.places.work, say)
    }

    /// The kit's folder with import libraries.
    #[must_use]
    pub fn library_folder(&self) -> PathBuf {
        self.kit.library_folder()
    }

    /// How clang must read headers that were written for gcc's MinGW, with
    /// Microsoft's extensions but without posing as Microsoft's compiler.
    fn clang_arguments(&self) -> String {
        format!(
            "--target=x86_64-w64-windows-gnu -fno-ms-compatibility -Wno-everything -D__BINDGEN__ \
             -isystem '{}'",
            self.clang.resource_headers().display()
        )
    }

    /// Flags that keep this machine's paths out of the image: each folder that
    /// sources come from gets a name that is the same everywhere.
    fn rust_flags(&self, workspace: &Workspace) -> Vec<String> {
        let mut folders = vec![(workspace.root.clone(), workspace.name.as_str())];
        if let Some(home) = cargo_home() {
            folders.push((home, "cargo"));
        }
        folders.push((self.rust.sysroot.clone(), "rust"));
        if let StandardLibrary::Source(source) = &self.library {
            folders.push((source.clone(), "rust/library"));
        }
        folders.push((self.places.work.join("sysroot"), "rust"));
        folders
            .into_iter()
            .map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display()))
            .chain(["-Ctarget-feature=+crt-static".to_owned()])
            .chain(workspace.rust_flags.iter().cloned())
            .collect()
    }

    /// Where build scripts find programs: first those that go by their names on Windows.
    fn search_path(&self) -> OsString {
        let own = self.places.work.join(wrappers::PROGRAMS);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::iter::once(own)
            .chain(std::env::split_paths(&path))
            .collect();
        // A folder that cannot be in a PATH was in none.
        std::env::join_paths(folders).unwrap_or(path)
    }
}

/// Where Cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// `key=["a","b"]`, as Cargo's `--config` takes it.
fn toml_assignment(key: &str, values: &[String]) -> OsString {
    let list: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("{key}=[{}]", list.join(",")).into()
}

/// Makes a folder and all above it.
fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|e| Error::io("create", path, e))
}

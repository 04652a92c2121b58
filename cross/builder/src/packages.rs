//! System packages: what the build needs of them, and how it gets them.
//!
//! As root on a system with apt they are installed, which is said; otherwise
//! the message carries the exact command. Everything that the build takes from
//! the system is listed here.

use std::{os::unix::fs::MetadataExt, path::Path, process::Command, time::Duration};

use crate::{Error, Say, clang::Clang, exec, kit};

/// How long apt may take over one call.
const APT_LIMIT: Duration = Duration::from_mins(15);

/// Something that packages provide.
#[derive(Debug)]
pub(crate) struct Need {
    /// What it is, for messages.
    what: &'static str,
    /// Whether it is here already.
    present: fn() -> bool,
    /// Debian's packages for it.
    packages: fn(scratch: &Path) -> Vec<String>,
}

/// What building the driver needs.
pub(crate) const FOR_DRIVERS: &[Need] = &[
    Need {
        what: "libclang (reads C headers)",
        present: || Clang::find().is_some(),
        packages: libclang_packages,
    },
    Need {
        what: "MinGW's headers of the Windows kernel",
        present: || kit::system_headers().is_some(),
        packages: |_| vec!["mingw-w64-common".to_owned()],
    },
];

/// What building test drivers written in C needs.
pub(crate) const FOR_C_DRIVERS: &[Need] = &[Need {
    what: "MinGW's gcc (builds test drivers written in C)",
    present: || exec::find_program("x86_64-w64-mingw32-gcc").is_some(),
    packages: |_| vec!["gcc-mingw-w64-x86-64-win32".to_owned()],
}];

/// What building Windows programs needs.
pub(crate) const FOR_PROGRAMS: &[Need] = &[Need {
    what: "MinGW's gcc (links Windows programs)",
    present: || exec::find_program("x86_64-w64-mingw32-gcc").is_some(),
    packages: |_| vec!["gcc-mingw-w64-x86-64-win32".to_owned()],
}];

/// What running Windows programs needs.
pub(crate) const FOR_WINE: &[Need] = &[Need {
    what: "Wine (runs Windows programs and drivers)",
    present: || exec::find_program("wine").is_some(),
    packages: |_| vec!["wine".to_owned(), "wine64".to_owned()],
}];

/// What building test drivers with `__try` in them needs.
pub(crate) const FOR_SEH_DRIVERS: &[Need] = &[Need {
    what: "clang (builds test drivers that use __try)",
    present: || exec::find_clang().is_some(),
    packages: |_| vec!["clang".to_owned()],
}];

/// What signing a driver package needs.
pub(crate) const FOR_SIGNING: &[Need] = &[
    Need {
        what: "openssl (makes the test certificate)",
        present: || exec::find_program("openssl").is_some(),
        packages: |_| vec!["openssl".to_owned()],
    },
    Need {
        what: "osslsigncode (signs for Windows)",
        present: || exec::find_program("osslsigncode").is_some(),
        packages: |_| vec!["osslsigncode".to_owned()],
    },
];

/// What build scripts that compile resources need.
const FOR_RESOURCES: &[Need] = &[Need {
    what: "llvm-rc (is `rc` to build scripts that compile resources)",
    present: || exec::find_versioned("llvm-rc").is_some(),
    packages: |_| vec!["llvm".to_owned()],
}];

/// What unpacking an archive of Rust's sources needs.
pub(crate) const FOR_ARCHIVES: &[Need] = &[Need {
    what: "xz (unpacks archives)",
    present: || exec::find_program("xz").is_some(),
    packages: |_| vec!["xz-utils".to_owned()],
}];

/// A linker, for toolchains that come without one.
pub(crate) const FOR_LINKING: &[Need] = &[Need {
    what: "LLVM's linker",
    present: || crate::linker::system_lld().is_some(),
    packages: |_| vec!["lld".to_owned()],
}];

/// Something that building, signing or testing needs, for a person who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What it is.
    pub name: &'static str,
    /// Whether building a driver is impossible without it.
    pub is_needed_to_build: bool,
    /// Whether it is here.
    pub is_present: bool,
    /// The command that installs it.
    pub remedy: String,
}

/// Everything that building drivers and signing them takes from the system.
#[must_use]
pub fn requirements() -> Vec<Requirement> {
    let scratch = std::env::temp_dir();
    let of = |needs: &'static [Need], is_needed_to_build: bool| {
        let scratch = scratch.clone();
        needs.iter().map(move |need| Requirement {
            name: need.what,
            is_needed_to_build,
            is_present: (need.present)(),
            remedy: format!(
                "sudo apt-get install -y --no-install-recommends {}",
                (need.packages)(&scratch).join(" ")
            ),
        })
    };
    of(FOR_DRIVERS, true)
        .chain(of(FOR_SIGNING, false))
        .chain(of(FOR_RESOURCES, false))
        .collect()
}

/// Sees to it that everything in `needs` is here.
pub(crate) fn ensure(needs: &[Need], scratch: &Path, say: Say) -> Result<(), Error> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = missing
        .iter()
        .map(|need| need.what)
        .collect::<Vec<_>>()
        .join(" and ");
    let names = || -> Vec<String> {
        missing
            .iter()
            .flat_map(|need| (need.packages)(scratch))
            .collect()
    };
    if exec::find_program("apt-get").is_none() {
        return Err(Error::NoPackageManager {
            needs: what,
            packages: names().join(" "),
        });
    }
    if !is_root() {
        return Err(Error::PackagesMissing {
            needs: what,
            command: format!(
                "sudo apt-get install -y --no-install-recommends {}",
                names().join(" ")
            ),
        });
    }
    if names().iter().any(|name| !is_known(name, scratch)) {
        say("apt-get update: packages are missing and this system's lists do not know them");
        exec::capture(apt_get().arg("update"), scratch, APT_LIMIT)?;
    }
    let names = names();
    say(&format!("apt-get install {}: {what}", names.join(" ")));
    exec::capture(
        apt_get()
            .args(["install", "-y", "--no-install-recommends"])
            .args(&names),
        scratch,
        APT_LIMIT,
    )?;
    match missing.iter().find(|need| !(need.present)()) {
        Some(need) => Err(Error::NotFoundAfterInstall(need.what)),
        None => Ok(()),
    }
}

/// libclang is packaged by version; `libclang-dev` depends on the default one.
/// It is itself several times as large as what is needed of it.
fn libclang_packages(scratch: &Path) -> Vec<String> {
    let depends = apt_cache(&["depends", "libclang-dev"], scratch);
    depends
        .split_whitespace()
        .find_map(|word| word.strip_prefix("libclang-")?.strip_suffix("-dev"))
        .map_or_else(
            || vec!["libclang-dev".to_owned()],
            |version| {
                vec![
                    format!("libclang1-{version}"),
                    format!("libclang-common-{version}-dev"),
                ]
            },
        )
}

/// Whether apt's lists have a version of `name` to install.
fn is_known(name: &str, scratch: &Path) -> bool {
    let policy = apt_cache(&["policy", name], scratch);
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .any(|candidate| candidate != "(none)")
}

/// What apt-cache says; nothing where it fails.
fn apt_cache(arguments: &[&str], scratch: &Path) -> String {
    let mut command = Command::new("apt-cache");
    command.args(arguments).env("LC_ALL", "C");
    exec::capture(&mut command, scratch, APT_LIMIT).unwrap_or_default()
}

/// apt-get that asks nothing, and waits for others that use it.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args([
            "-q",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-o",
            "Acquire::http::Timeout=30",
        ])
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Whether this process may install packages.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

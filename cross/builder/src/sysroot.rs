//! A sysroot that has the standard library's source.
//!
//! Cargo builds the library from `lib/rustlib/src/rust/library` of what
//! `rustc --print sysroot` says. The toolchain's own folder is not ours to add
//! to, so a second one is laid out beside it: symbolic links to the toolchain's
//! parts, and to the source. A one-line script runs the toolchain's rustc on it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, Places, Rust, wrappers};

/// Lays out a sysroot with `source` as its library; returns the rustc to use.
pub(crate) fn with_source(places: &Places, rust: &Rust, source: &Path) -> Result<PathBuf, Error> {
    let sysroot = places.work.join("sysroot").join(&rust.release);
    let rustlib = sysroot.join("lib/rustlib");
    let original = rust.sysroot.join("lib/rustlib");
    let entries = fs::read_dir(&original).map_err(|e| Error::io("read", &original, e))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name != "src" {
            wrappers::link_to(&rustlib.join(&name), &entry.path())?;
        }
    }
    wrappers::link_to(&rustlib.join("src/rust/library"), source)?;
    wrappers::script(
        &places.work.join("bin/rustc"),
        &format!(
            "#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n",
            rust.sysroot.join("bin/rustc").display(),
            sysroot.display()
        ),
    )
}

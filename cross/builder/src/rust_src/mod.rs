//! A standard library for the target: installed, or its source to build it from.
//!
//! rustup has the library ready made, where it can reach its server. Elsewhere
//! Cargo builds it from its source, which must be exactly this compiler's. The
//! ways to get one or the other are tried in order; what was found in the end
//! is used by later builds without asking anybody again.

mod debian;
mod rustup;
mod tarball;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, Places, Rust, Say, TARGET};

/// How the target's standard library comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StandardLibrary {
    /// The toolchain has it.
    Prebuilt,
    /// Cargo builds it from this folder, `library` of Rust's source.
    Source(PathBuf),
}

/// Where archives are unpacked, before the source moves to its place.
const SCRATCH: &str = "unpacking";

/// Why a step gave nothing.
type Miss = String;

/// Finds the standard library or its source.
pub(crate) fn find(places: &Places, rust: &Rust, say: Say) -> Result<StandardLibrary, Error> {
    if is_installed(rust) {
        return Ok(StandardLibrary::Prebuilt);
    }
    if let Some(source) = recorded(&unpacked(places, rust)) {
        return Ok(StandardLibrary::Source(source));
    }
    let missing = format!("{TARGET} is not installed in {}", rust.sysroot.display());
    match rustup::add_target(places, rust, say) {
        Ok(library) => Ok(library),
        Err(miss) => {
            say(&format!("standard library: {miss}"));
            source_after(vec![missing, miss], places, rust, say).map(StandardLibrary::Source)
        }
    }
}

/// Finds the library's source, for targets that nobody has it ready made for.
pub(crate) fn source(places: &Places, rust: &Rust, say: Say) -> Result<PathBuf, Error> {
    match recorded(&unpacked(places, rust)) {
        Some(source) => Ok(source),
        None => source_after(Vec::new(), places, rust, say),
    }
}

/// The folder for the source of this toolchain's library.
fn unpacked(places: &Places, rust: &Rust) -> PathBuf {
    places.work.join("rust-src").join(&rust.release)
}

/// Finds the source, after other ways gave nothing.
fn source_after(
    mut tried: Vec<Miss>,
    places: &Places,
    rust: &Rust,
    say: Say,
) -> Result<PathBuf, Error> {
    let unpacked = unpacked(places, rust);
    let steps: [&dyn Fn() -> Result<PathBuf, Miss>; 4] = [
        &|| in_toolchain(rust),
        &|| rustup::add_source(places, rust, say),
        &|| debian::unpack(places, rust, &unpacked, say),
        &|| tarball::unpack(places, &unpacked, say),
    ];
    for step in steps {
        match step() {
            Ok(source) => {
                record(&unpacked, &source)?;
                clear(&unpacked)?;
                return Ok(source);
            }
            Err(miss) => {
                say(&format!("standard library: {miss}"));
                tried.push(miss);
            }
        }
    }
    Err(Error::NoStandardLibrary {
        target: TARGET,
        release: rust.release.clone(),
        variable: tarball::VARIABLE,
        tried,
    })
}

/// Whether the toolchain has the library for the target.
fn is_installed(rust: &Rust) -> bool {
    let libraries = rust.rustlib(TARGET).join("lib");
    fs::read_dir(libraries)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .any(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(b"libcore-")
        })
}

/// The source that rustup's component `rust-src` or a distribution put into the
/// toolchain.
fn in_toolchain(rust: &Rust) -> Result<PathBuf, Miss> {
    let source = rust.sysroot.join("lib/rustlib/src/rust/library");
    if is_source(&source) {
        Ok(source)
    } else {
        Err(format!("no source in {}", source.display()))
    }
}

/// Whether `folder` holds the library's source.
fn is_source(folder: &Path) -> bool {
    folder.join("core/src/lib.rs").is_file() && folder.join("Cargo.lock").is_file()
}

/// The source that an earlier build settled on, if it is still there.
fn recorded(unpacked: &Path) -> Option<PathBuf> {
    let source = PathBuf::from(fs::read_to_string(unpacked.join("source")).ok()?.trim_end());
    is_source(&source).then_some(source)
}

/// Notes the source for later builds.
fn record(unpacked: &Path, source: &Path) -> Result<(), Error> {
    crate::make_folder(unpacked)?;
    let note = unpacked.join("source");
    fs::write(&note, format!("{}\n", source.display())).map_err(|e| Error::io("write", &note, e))
}

/// Moves `library`, unpacked somewhere below `unpacked`, to its final place.
fn settle(library: &Path, unpacked: &Path) -> Result<PathBuf, Miss> {
    if !is_source(library) {
        return Err(format!(
            "{} does not hold the library's source",
            library.display()
        ));
    }
    let place = unpacked.join("library");
    let moved = match fs::remove_dir_all(&place) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => fs::rename(library, &place),
    };
    moved.map_err(|e| {
        format!(
            "cannot move {} to {}: {e}",
            library.display(),
            place.display()
        )
    })?;
    Ok(place)
}

/// An empty folder below `unpacked`, to unpack into.
fn fresh_folder(unpacked: &Path) -> Result<PathBuf, Miss> {
    clear(unpacked).map_err(|e| e.to_string())?;
    let folder = unpacked.join(SCRATCH);
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    Ok(folder)
}

/// Removes what [`fresh_folder`] made.
fn clear(unpacked: &Path) -> Result<(), Error> {
    let folder = unpacked.join(SCRATCH);
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &folder, e)),
        _ => Ok(()),
    }
}

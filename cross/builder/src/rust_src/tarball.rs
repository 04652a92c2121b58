//! The library's source from an archive, for machines without a network.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Miss, fresh_folder, settle};
use crate::{Places, Say, exec, packages};

/// The variable that names an archive.
pub(super) const VARIABLE: &str = "NTBOX_RUST_LIBRARY";

/// How long unpacking may take.
const UNPACK_LIMIT: Duration = Duration::from_mins(5);

/// Unpacks the archive that [`VARIABLE`] names, or else the one that the caller has; returns where the source is.
pub(super) fn unpack(places: &Places, unpacked: &Path, say: Say) -> Result<PathBuf, Miss> {
    let archive = env::var_os(VARIABLE)
        .map(PathBuf::from)
        .or_else(|| places.library_archive.clone())
        .ok_or_else(|| format!("{VARIABLE} names no archive"))?;
    if !archive.is_file() {
        return Err(format!("no archive {}", archive.display()));
    }
    say(&format!(
        "standard library: unpacking {}",
        archive.display()
    ));
    packages::ensure(packages::FOR_ARCHIVES, &places.work, say).map_err(|e| e.to_string())?;
    let folder = fresh_folder(unpacked)?;
    let mut tar = Command::new("tar");
    tar.arg("-xJf").arg(&archive).arg("-C").arg(&folder);
    exec::capture(&mut tar, &places.work, UNPACK_LIMIT).map_err(|e| e.to_string())?;
    settle(&folder.join("library"), unpacked)
}

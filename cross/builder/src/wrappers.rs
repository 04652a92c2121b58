//! Small files that stand in for programs, put in place in one step so that a
//! build that runs at the same time never sees half of one.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use crate::Error;

/// The folder, below that for everything made here, of programs that build scripts call by
/// their names on Windows.
pub(crate) const PROGRAMS: &str = "programs";

/// Makes `link` a symbolic link to `target` and returns it.
pub(crate) fn link_to(link: &Path, target: &Path) -> Result<PathBuf, Error> {
    if fs::read_link(link).is_ok_and(|current| current == target) {
        return Ok(link.to_owned());
    }
    let fresh = fresh_name(link)?;
    symlink(target, &fresh).map_err(|e| Error::io("link", &fresh, e))?;
    fs::rename(&fresh, link).map_err(|e| Error::io("replace", link, e))?;
    Ok(link.to_owned())
}

/// Makes `path` an executable file with these contents, leaving it alone if it
/// is that already.
pub(crate) fn script(path: &Path, contents: &str) -> Result<PathBuf, Error> {
    if fs::read_to_string(path).is_ok_and(|current| current == contents) {
        return Ok(path.to_owned());
    }
    let fresh = fresh_name(path)?;
    fs::write(&fresh, contents).map_err(|e| Error::io("write", &fresh, e))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))
        .map_err(|e| Error::io("make executable", &fresh, e))?;
    fs::rename(&fresh, path).map_err(|e| Error::io("replace", path, e))?;
    Ok(path.to_owned())
}

/// A name beside `path` at which nothing is; its folder is made.
fn fresh_name(path: &Path) -> Result<PathBuf, Error> {
    if let Some(folder) = path.parent() {
        crate::make_folder(folder)?;
    }
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &fresh, e)),
        _ => Ok(fresh),
    }
}

//! Import libraries, written from lists of names.
//!
//! All that a linker needs to know of `ntoskrnl.exe` is what it exports; the
//! lists are the `.def` files in `cross/lib`.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use implib::{Flavor, ImportLibrary, MachineType};

use crate::{Error, kit};

/// A module definition file.
#[derive(Debug, Hash)]
pub(crate) struct Definition {
    path: PathBuf,
    text: String,
}

/// All module definitions in `folder`.
pub(crate) fn definitions(folder: &Path) -> Result<Vec<Definition>, Error> {
    kit::entries(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "def"))
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
            Ok(Definition { path, text })
        })
        .collect()
}

impl Definition {
    /// Writes the import library, named as the definition is, into `folder`.
    pub(crate) fn write_library(&self, folder: &Path) -> Result<(), Error> {
        let wrong = |e: std::io::Error| Error::ModuleDefinition {
            path: self.path.clone(),
            message: e.to_string(),
        };
        let library =
            ImportLibrary::new(&self.text, MachineType::AMD64, Flavor::Msvc).map_err(wrong)?;
        let mut bytes = Cursor::new(Vec::new());
        library.write_to(&mut bytes).map_err(wrong)?;
        let stem = self.path.file_stem().unwrap_or_default();
        write(&folder.join(stem).with_extension("lib"), bytes.get_ref())
    }
}

/// Writes an archive without members, for a library that must exist and is not
/// needed: MSVC's stack-cookie checks, which rustc does not emit.
pub(crate) fn write_empty(path: &Path) -> Result<(), Error> {
    write(path, b"!<arch>\n")
}

/// Writes a file, its folder first.
fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        crate::make_folder(folder)?;
    }
    fs::write(path, contents).map_err(|e| Error::io("write", path, e))
}

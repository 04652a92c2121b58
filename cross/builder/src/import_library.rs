//! Import libraries, written from lists of names.
//!
//! All that a linker needs to know of `ntoskrnl.exe` is what it exports; the
//! lists are the `.def` files in `cross/lib`. `NAME-later.def` lists what younger
//! kernels added to `NAME.def`: both go into `NAME.lib`, as in Microsoft's kit.

use std::{
    ffi::OsStr,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use implib::{Flavor, ImportLibrary, MachineType};

use crate::{Error, kit};

/// What ends the name of a definition file that adds to another.
const ADDITION: &str = "-later";

/// The module definition of one import library.
#[derive(Debug, Hash)]
pub(crate) struct Definition {
    /// The library's file name, without extension.
    name: String,
    /// The file that holds the first part of `text`.
    path: PathBuf,
    text: String,
}

/// All module definitions in `folder`, additions joined to what they add to.
pub(crate) fn definitions(folder: &Path) -> Result<Vec<Definition>, Error> {
    let mut paths: Vec<PathBuf> = kit::entries(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "def"))
        .collect();
    // An addition sorts behind what it adds to.
    paths.sort_by_key(|path| path.file_stem().map(OsStr::to_owned));
    let mut definitions: Vec<Definition> = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.strip_suffix(ADDITION).unwrap_or(&stem).to_owned();
        match definitions.last_mut() {
            Some(last) if last.name == name => {
                // Both open with the same LIBRARY and EXPORTS lines.
                let names = text.split_once("EXPORTS").map_or("", |(_, names)| names);
                last.text.push_str(names);
            }
            _ => definitions.push(Definition { name, path, text }),
        }
    }
    Ok(definitions)
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
        let file = folder.join(&self.name).with_extension("lib");
        write(&file, bytes.get_ref())
    }
}

/// Writes a file, its folder first.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        crate::make_folder(folder)?;
    }
    fs::write(path, contents).map_err(|e| Error::io("write", path, e))
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn definitions_with_addition_make_one_library() {
        let folder = env::temp_dir().join(format!("cross-definitions-{}", process::id()));
        fs::create_dir_all(&folder).expect("a scratch folder");
        let write = |name: &str, export: &str| {
            let text = format!("LIBRARY ntoskrnl.exe\nEXPORTS\n    {export}\n");
            fs::write(folder.join(name), text).expect("a definition can be written");
        };
        write("ntoskrnl.def", "IoAllocateMdl");
        write("ntoskrnl-later.def", "ExAllocatePool2");
        write("hal.def", "KeStallExecutionProcessor");
        let definitions = definitions(&folder).expect("definitions");
        for definition in &definitions {
            definition.write_library(&folder).expect("a library");
        }
        let names: Vec<&str> = definitions.iter().map(|each| each.name.as_str()).collect();
        assert_eq!(names, ["hal", "ntoskrnl"]);
        let library = fs::read(folder.join("ntoskrnl.lib")).expect("the library");
        fs::remove_dir_all(&folder).expect("the scratch folder can go");
        let library = String::from_utf8_lossy(&library);
        for export in ["IoAllocateMdl", "ExAllocatePool2"] {
            assert!(library.contains(&format!("__imp_{export}")), "{export}");
        }
    }
}

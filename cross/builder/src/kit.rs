//! A tree laid out like a WDK, made of headers that distributions package.
//!
//! MinGW's headers declare most of the kernel's interface. What they lack, or
//! lay out wrong, is put right by the headers in `cross/include` (and, for
//! bindgen alone, `cross/include-bindgen`), which come first in the search order
//! and include the others. Everything is linked, not
//! copied, so a change in either place is seen by the next build.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{Error, Places, Say, import_library, inline_library, wrappers};

/// The version that the tree goes by. It is no version of Microsoft's, and
/// build scripts only want one that starts with 10.
const VERSION: &str = "10.0.0.0";
/// Headers that drivers include by name; all others only support them.
const DRIVER_HEADERS: [&str; 4] = ["ntifs.h", "ntddk.h", "wdm.h", "ntstrsafe.h"];
/// Changes whenever the layout made here does.
const LAYOUT: u32 = 3;

/// An assembled tree.
#[derive(Debug)]
pub(crate) struct Kit {
    root: PathBuf,
}

impl Kit {
    /// Assembles the tree, or finds it assembled.
    pub(crate) fn assemble(places: &Places, say: Say) -> Result<Self, Error> {
        let headers =
            system_headers().ok_or(Error::NotFoundAfterInstall("the folder of MinGW's headers"))?;
        let overlays = [
            places.sources.join("include"),
            places.sources.join("include-bindgen"),
        ];
        let definitions = import_library::definitions(&places.sources.join("lib"))?;
        let kit = Self {
            root: places.work.join("kit"),
        };
        let stamp_path = kit.root.join("stamp");
        let stamp = stamp(&headers, &overlays, &definitions)?;
        if fs::read_to_string(&stamp_path).is_ok_and(|current| current == stamp) {
            return Ok(kit);
        }
        if kit.root.exists() {
            fs::remove_dir_all(&kit.root).map_err(|e| Error::io("remove", &kit.root, e))?;
        }
        let count = kit.link_headers(&headers, &overlays)?;
        for definition in &definitions {
            definition.write_library(&kit.library_folder())?;
        }
        inline_library::write(&kit.library_folder().join("BufferOverflowFastFailK.lib"))?;
        fs::write(&stamp_path, stamp).map_err(|e| Error::io("write", &stamp_path, e))?;
        say(&format!(
            "kit: {count} headers from {} and {}, {} import libraries",
            headers.display(),
            overlays[0].display(),
            definitions.len()
        ));
        Ok(kit)
    }

    /// The tree's root: `WDKContentRoot`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of import libraries.
    pub(crate) fn library_folder(&self) -> PathBuf {
        self.root.join("Lib").join(VERSION).join("km/x64")
    }

    /// Links all headers into their places; returns how many.
    fn link_headers(&self, headers: &Path, overlays: &[PathBuf]) -> Result<usize, Error> {
        let include = self.root.join("Include").join(VERSION);
        let mut count = 0;
        let mut link = |folder: &str, entry: &Path| -> Result<(), Error> {
            let link = include
                .join(folder)
                .join(entry.file_name().unwrap_or_default());
            if !link.exists() {
                wrappers::link_to(&link, entry)?;
                count += 1;
            }
            Ok(())
        };
        for overlay in overlays {
            for entry in entries(overlay)? {
                link("km/crt", &entry)?;
            }
        }
        let ddk = headers.join("ddk");
        for name in DRIVER_HEADERS {
            link("km", &ddk.join(name))?;
        }
        for entry in entries(&ddk)? {
            let is_driver_header = entry
                .file_name()
                .is_some_and(|name| DRIVER_HEADERS.iter().any(|header| name == *header));
            if !is_driver_header {
                link("shared", &entry)?;
            }
        }
        for entry in entries(headers)? {
            link("shared", &entry)?;
        }
        Ok(count)
    }
}

/// The folder of MinGW's headers, where distributions put it.
pub(crate) fn system_headers() -> Option<PathBuf> {
    [
        // Debian and those that follow it, Arch, Fedora.
        "/usr/share/mingw-w64/include",
        "/usr/x86_64-w64-mingw32/include",
        "/usr/x86_64-w64-mingw32/sys-root/mingw/include",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|folder| folder.join("ddk/wdm.h").is_file())
}

/// What the tree is made of, so that it is made anew when that changes.
fn stamp(
    headers: &Path,
    overlays: &[PathBuf],
    definitions: &[import_library::Definition],
) -> Result<String, Error> {
    let mut hasher = DefaultHasher::new();
    LAYOUT.hash(&mut hasher);
    definitions.hash(&mut hasher);
    let ddk = headers.join("ddk");
    for folder in [headers, &ddk]
        .into_iter()
        .chain(overlays.iter().map(PathBuf::as_path))
    {
        let metadata = fs::metadata(folder).map_err(|e| Error::io("read", folder, e))?;
        (metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
        folder.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// What is in a folder, in a fixed order.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| Error::io("read", folder, e))?
        .iter()
        .map(fs::DirEntry::path)
        .collect();
    found.sort();
    Ok(found)
}

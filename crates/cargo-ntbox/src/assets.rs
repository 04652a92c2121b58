//! The kit's sources, which travel inside the program, and the cache folder that they
//! are unpacked to: headers, lists of exports, and the stand-in for wdk-build.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest as _, Sha256};

static INCLUDE: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../cross/include");
static INCLUDE_BINDGEN: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../cross/include-bindgen");
static LIB: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../cross/lib");
static WDK_BUILD: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../cross/wdk-build/src");

/// The parts, by the names of their folders.
const PARTS: [(&str, &Dir<'static>); 4] = [
    ("include", &INCLUDE),
    ("include-bindgen", &INCLUDE_BINDGEN),
    ("lib", &LIB),
    ("wdk-build/src", &WDK_BUILD),
];

/// The folder in the user's cache folder that all versions of this program use.
pub fn cache_folder() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .context("there is no cache folder: set HOME or XDG_CACHE_HOME")?;
    Ok(base.join("cargo-ntbox"))
}

/// The lists of what the kernel, the HAL and WMI's library export: file name and text.
pub fn export_lists() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIB.files()
        .filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
}

/// The unpacked parts.
#[derive(Debug)]
pub struct Assets {
    root: PathBuf,
}

impl Assets {
    /// Unpacks the parts, unless this version's are there already.
    pub fn unpack() -> anyhow::Result<Self> {
        let cache = cache_folder()?;
        let root = cache.join(format!("{}-{}", env!("CARGO_PKG_VERSION"), hash()));
        if !root.is_dir() {
            fs::create_dir_all(&cache)
                .with_context(|| format!("cannot create {}", cache.display()))?;
            // Unpacked beside its place and moved there in one step: others that do the
            // same at this time never see half of it.
            let scratch = tempfile::tempdir_in(&cache)
                .with_context(|| format!("cannot write to {}", cache.display()))?;
            for (name, part) in PARTS {
                unpack(part, &scratch.path().join("sources").join(name))?;
            }
            let moved = fs::rename(scratch.path(), &root);
            if !root.is_dir() {
                moved.with_context(|| format!("cannot create {}", root.display()))?;
            }
        }
        Ok(Self { root })
    }

    /// The folder of the sources.
    pub fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// The folder for what is made of them.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// The folder of a stand-in for wdk-build.
    pub fn stand_in(&self, version: &str) -> PathBuf {
        self.root.join(format!("wdk-build-{version}"))
    }
}

fn unpack(part: &Dir<'static>, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for file in files(part) {
        let name = file.0.strip_prefix(part.path()).unwrap_or(file.0);
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        fs::write(&path, file.1).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// All files of a folder, by path.
fn files(part: &Dir<'static>) -> Vec<(&'static Path, &'static [u8])> {
    let mut list = Vec::new();
    for entry in part.entries() {
        match entry {
            DirEntry::File(file) => list.push((file.path(), file.contents())),
            DirEntry::Dir(folder) => list.extend(files(folder)),
        }
    }
    list.sort_unstable_by_key(|(path, _)| *path);
    list
}

/// A hash of all parts, short enough for a folder's name.
fn hash() -> String {
    let mut hasher = Sha256::new();
    for (name, part) in PARTS {
        hasher.update(name);
        for (path, contents) in files(part) {
            hasher.update(path.as_os_str().as_encoded_bytes());
            hasher.update((contents.len() as u64).to_le_bytes());
            hasher.update(contents);
        }
    }
    let digest = hasher.finalize();
    let number = digest.iter().take(8);
    let number = number.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

//! Finding libclang, which bindgen loads, and the headers that belong to it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// A libclang and its own headers (`stddef.h`, intrinsics).
#[derive(Debug, Clone)]
pub(crate) struct Clang {
    library_folder: PathBuf,
    resource_headers: PathBuf,
}

impl Clang {
    /// The libclang that `LIBCLANG_PATH` names, or the newest one installed.
    pub(crate) fn find() -> Option<Self> {
        let named = env::var_os("LIBCLANG_PATH").map(PathBuf::from).map(|path| {
            if path.is_dir() {
                path
            } else {
                path.parent().map(Path::to_owned).unwrap_or(path)
            }
        });
        named
            .into_iter()
            .chain(installed())
            .find_map(Self::in_folder)
    }

    /// The libclang in `folder`, if both it and its headers are there.
    fn in_folder(library_folder: PathBuf) -> Option<Self> {
        let libraries: Vec<String> = fs::read_dir(&library_folder)
            .ok()?
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_libclang(name))
            .collect();
        if libraries.is_empty() {
            return None;
        }
        let version = libraries.iter().find_map(|name| major_version(name));
        // Some distributions keep the library in lib64 and the headers in lib.
        let resource_headers = [library_folder.clone(), library_folder.join("../lib")]
            .iter()
            .find_map(|folder| headers_of(&folder.join("clang"), version))?;
        Some(Self {
            library_folder,
            resource_headers,
        })
    }

    /// The folder that holds the library.
    pub(crate) fn library_folder(&self) -> &Path {
        &self.library_folder
    }

    /// The folder that holds clang's own headers.
    pub(crate) fn resource_headers(&self) -> &Path {
        &self.resource_headers
    }
}

/// Folders that distributions put libclang in, newest version first.
fn installed() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("llvm-")?.parse().ok()?;
            Some((version, entry.path().join("lib")))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    let mut folders: Vec<PathBuf> = versions.into_iter().map(|(_, folder)| folder).collect();
    folders.extend(["/usr/lib64", "/usr/lib", "/usr/local/lib"].map(PathBuf::from));
    folders
}

/// Whether a file of this name is what bindgen would load.
fn is_libclang(name: &str) -> bool {
    name.strip_prefix("libclang").is_some_and(|rest| {
        rest.starts_with(".so") || (rest.starts_with('-') && rest.contains(".so"))
    }) && !name.starts_with("libclang-cpp")
}

/// The release that the name of a libclang tells: 14 of `libclang-14.so.14.0.6`.
/// Names of the interface's version (`libclang.so.1`, `libclang-14.so.1`) tell none
/// behind `.so`.
fn major_version(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("libclang")?;
    if let Some(release) = rest.strip_prefix('-') {
        return release.split('.').next()?.parse().ok();
    }
    let mut parts = rest.strip_prefix(".so.")?.split('.');
    let major = parts.next()?.parse().ok()?;
    // `libclang.so.19.1` is a release; `libclang.so.1` is not.
    parts.next().map(|_| major)
}

/// The headers of `version` below `clang`, or of the newest one if no version is
/// known. Another compiler's headers use builtins that this one does not have.
fn headers_of(clang: &Path, version: Option<u32>) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(clang)
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let major = name.split('.').next()?.parse().ok()?;
            Some((major, entry.path().join("include")))
        })
        .filter(|(major, include)| {
            version.is_none_or(|version| version == *major) && include.join("stddef.h").is_file()
        })
        .collect();
    found.sort();
    found.pop().map(|(_, include)| include)
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::{Clang, is_libclang, major_version};

    #[test]
    fn major_version_is_the_release() {
        let versions = [
            "libclang-14.so.14.0.6",
            "libclang-14.so.1",
            "libclang.so.19.1",
            "libclang.so.1",
            "libclang.so",
        ];
        assert_eq!(
            versions.map(major_version),
            [Some(14), Some(14), Some(19), None, None]
        );
    }

    #[test]
    fn resource_headers_match_clang_release() {
        let folder = env::temp_dir().join(format!("cross-clang-{}", process::id()));
        for release in ["14.0.6", "19"] {
            let include = folder.join("clang").join(release).join("include");
            fs::create_dir_all(&include).expect("a scratch folder");
            fs::write(include.join("stddef.h"), "").expect("a header");
        }
        fs::write(folder.join("libclang-14.so.14.0.6"), "").expect("a library");
        let clang = Clang::in_folder(folder.clone());
        fs::remove_dir_all(&folder).expect("the scratch folder can go");
        let clang = clang.expect("library and headers are there");
        assert!(clang.resource_headers().ends_with("14.0.6/include"));
    }

    #[test]
    fn is_libclang_rejects_other_libraries() {
        for name in [
            "libclang.so",
            "libclang.so.1",
            "libclang-14.so.14.0.6",
            "libclang-14.so",
        ] {
            assert!(is_libclang(name), "{name}");
        }
        for name in [
            "libclang-cpp.so.14",
            "libclangAST.a",
            "libclang.a",
            "liblldb.so",
        ] {
            assert!(!is_libclang(name), "{name}");
        }
    }
}

//! The stand-in for wdk-build: Microsoft's crate of this name does not compile on Linux,
//! and each of its versions has another interface. A copy with the version, features and
//! bindgen of the one that a workspace depends on is put in its place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cargo_metadata::semver::Version;

use crate::assets::Assets;

/// A dependency on wdk-build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The version that the workspace's lock file has.
    pub version: Version,
    /// Whether it is from the registry, not from a folder or a repository.
    pub is_released: bool,
    /// The bindgen that `wdk-sys` of the same interface uses, with which it shares types.
    pub bindgen: Option<Version>,
}

/// The feature for the interface of a version, if it is supported.
fn interface(version: &Version) -> Option<&'static str> {
    match (version.major, version.minor) {
        (0, 3) => Some("api-0-3"),
        (0, 4) => Some("api-0-4"),
        (0, 5) => Some("api-0-5"),
        (0, 6) => Some("api-0-6"),
        _ => None,
    }
}

/// Creates the stand-in for a dependency; returns its folder.
pub fn create(assets: &Assets, dependency: &Dependency) -> anyhow::Result<PathBuf> {
    let Dependency {
        version, bindgen, ..
    } = dependency;
    let Some(feature) = interface(version) else {
        bail!(
            "the workspace depends on wdk-build {version}; supported are 0.3, 0.4, 0.5 and 0.6. Depend on another version of wdk, wdk-sys and wdk-build"
        );
    };
    let bindgen = bindgen
        .as_ref()
        .map_or_else(|| "*".to_owned(), |bindgen| format!("={bindgen}"));
    let folder = assets.stand_in(&format!("{version}-{}", bindgen.trim_start_matches('=')));
    let manifest = format!(
        r#"[package]
name = "wdk-build"
version = "{version}"
edition = "2024"
rust-version = "1.91.0"
publish = false

[features]
default = ["{feature}"]
api-0-3 = []
api-0-4 = []
api-0-5 = []
api-0-6 = []
nightly = []

[dependencies]
bindgen = "{bindgen}"
serde_json = "1"

[workspace]
"#
    );
    let sources = assets.sources().join("wdk-build/src");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    write(&folder.join("Cargo.toml"), &manifest)?;
    let link = folder.join("src");
    if !link.exists() {
        // Several processes may do this at once; one of them succeeds.
        let linked = std::os::unix::fs::symlink(&sources, &link);
        if !link.exists() {
            linked.with_context(|| format!("cannot create {}", link.display()))?;
        }
    }
    Ok(folder)
}

/// Writes a file in one step, unless it has these contents.
fn write(path: &Path, contents: &str) -> anyhow::Result<()> {
    if fs::read_to_string(path).is_ok_and(|current| current == contents) {
        return Ok(());
    }
    let folder = path.parent().context("a file has a folder")?;
    let scratch = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    fs::write(scratch.path(), contents)
        .with_context(|| format!("cannot write {}", path.display()))?;
    scratch
        .persist(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_follows_minor_version() {
        for (version, feature) in [
            ("0.2.0", None),
            ("0.3.0", Some("api-0-3")),
            ("0.4.1", Some("api-0-4")),
            ("0.5.1", Some("api-0-5")),
            ("0.6.0", Some("api-0-6")),
            ("0.7.0", None),
            ("1.4.0", None),
        ] {
            let version = Version::parse(version).expect("a version");
            assert_eq!(interface(&version), feature, "{version}");
        }
    }
}

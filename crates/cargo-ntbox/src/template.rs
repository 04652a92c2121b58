//! `cargo ntbox new`: a project that builds, runs, tests and packages as it stands.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::args::{Interface, New};
use crate::build::report;

/// The files of a project: path and contents. `{{name}}` stands for the driver's name,
/// `{{package}}` for that of its package.
const COMMON: [(&str, &str); 6] = [
    ("build.rs", include_str!("template/build.rs.txt")),
    ("{{name}}.inx", include_str!("template/driver.inx.txt")),
    ("README.md", include_str!("template/README.md.txt")),
    (".gitignore", "/target\n"),
    ("tests/Cargo.toml", include_str!("template/tests.toml.txt")),
    (
        "tests/tests/driver.rs",
        include_str!("template/tests.rs.txt"),
    ),
];
const RAW: [(&str, &str); 2] = [
    ("Cargo.toml", include_str!("template/raw.toml.txt")),
    ("src/lib.rs", include_str!("template/raw.rs.txt")),
];
const SAFE: [(&str, &str); 2] = [
    ("Cargo.toml", include_str!("template/safe.toml.txt")),
    ("src/lib.rs", include_str!("template/safe.rs.txt")),
];

/// Creates a project.
pub fn create(arguments: &New) -> anyhow::Result<()> {
    let path = &arguments.path;
    let package = path
        .file_name()
        .and_then(|name| name.to_str())
        .context("the last part of the path is the driver's name")?;
    if !is_name(package) {
        bail!(
            "`{package}` cannot be the name of a driver: use small letters, digits, `-` and `_`, a letter first, at most 32"
        );
    }
    if path.exists() {
        bail!("{} exists already", path.display());
    }
    let own = match arguments.interface {
        Interface::Raw => RAW,
        Interface::Safe => SAFE,
    };
    let wdm = match &arguments.wdm {
        Some(folder) => {
            let folder = fs::canonicalize(folder)
                .with_context(|| format!("cannot find {}", folder.display()))?;
            if !folder.join("Cargo.toml").is_file() {
                bail!("{} is not the folder of a crate", folder.display());
            }
            folder.display().to_string()
        }
        None => String::new(),
    };
    let name = package.replace('-', "_");
    for (file, contents) in COMMON.iter().chain(&own) {
        let fill = |text: &str| {
            text.replace("{{name}}", &name)
                .replace("{{package}}", package)
                .replace("{{wdm}}", &wdm)
        };
        write(&path.join(fill(file)), &fill(contents))?;
    }
    report(&format!("created {}", path.display()));
    report(&format!(
        "next: cd {} && cargo ntbox run && cargo ntbox test && cargo ntbox package",
        path.display()
    ));
    Ok(())
}

/// Whether a name serves for a package, a service and a device.
fn is_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
}

fn write(path: &Path, contents: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn is_name_rejects_invalid_package_names() {
        for good in ["mydriver", "my-driver", "d2_x"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "2d", "My", "a b", "-a", "ä", &"a".repeat(33)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}

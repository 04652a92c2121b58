//! Finding one's way in a kit: which version's folders to use.

use std::{fs, path::Path};

use crate::{ConfigError, IoError};

/// The newest version folder (`10.0.26100.0`) below `Lib` of the kit at `root`;
/// the variable `Version_Number`, which the kit's own prompt sets, goes first.
pub(crate) fn newest_version(root: &Path) -> Result<String, ConfigError> {
    println!("cargo::rerun-if-env-changed=Version_Number");
    if let Ok(version) = std::env::var("Version_Number") {
        return Ok(version);
    }
    let lib = root.join("Lib");
    let entries = fs::read_dir(&lib).map_err(|source| IoError::with_path(&lib, source))?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| parse_version(&name).map(|version| (version, name)))
        .max()
        .map(|(_, name)| name)
        .ok_or_else(|| ConfigError::MissingFolder(lib.join("10.*")))
}

/// `10.a.b.c` as numbers, so that 10.0.9 sorts before 10.0.22.
fn parse_version(name: &str) -> Option<Vec<u32>> {
    let numbers: Vec<u32> = name
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    (numbers.len() == 4 && numbers.first() == Some(&10)).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("10.0.9600.0") < parse_version("10.0.22621.0"));
    }

    #[test]
    fn parse_version_of_other_folder_is_none() {
        for name in ["wdf", "8.1.0.0", "10.0.1", "10.0.x.0", "10.0.1.0.0", ""] {
            assert_eq!(parse_version(name), None, "{name}");
        }
    }
}

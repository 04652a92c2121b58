//! Which compiler this is.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{Error, exec};

/// The Rust toolchain that builds the driver.
#[derive(Debug, Clone)]
pub struct Rust {
    /// The release, as `1.95.0`.
    pub release: String,
    /// The host's target.
    pub host: String,
    /// Where the toolchain lies.
    pub sysroot: PathBuf,
    /// The toolchain's name for rustup, if one other than the current was chosen.
    pub rustup_toolchain: Option<String>,
}

impl Rust {
    /// Asks `rustc`; `rustup_toolchain` as in [`Rust::rustup_toolchain`].
    ///
    /// # Errors
    ///
    /// rustc cannot be run, or says nothing of use.
    pub fn detect(rustup_toolchain: Option<String>, scratch: &Path) -> Result<Self, Error> {
        crate::make_folder(scratch)?;
        let ask = |arguments: &[&str]| {
            let mut rustc = Command::new("rustc");
            rustc.args(arguments);
            if let Some(name) = &rustup_toolchain {
                rustc.env("RUSTUP_TOOLCHAIN", name);
            }
            exec::capture(&mut rustc, scratch, Duration::from_mins(1))
        };
        let version = ask(&["-vV"])?;
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
        Ok(Self {
            release: field(&version, "release")?,
            host: field(&version, "host")?,
            sysroot,
            rustup_toolchain,
        })
    }

    /// Where the toolchain keeps what belongs to `target`.
    pub(crate) fn rustlib(&self, target: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(target)
    }
}

/// The value of a line `name: value`.
fn field(version: &str, name: &'static str) -> Result<String, Error> {
    version
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::to_owned)
        .ok_or(Error::Rustc(name))
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn field_is_found_by_whole_name() {
        let version = "rustc 1.95.0 (x)\nhost: a-b-c\nrelease: 1.95.0\n";
        assert_eq!(field(version, "release").ok().as_deref(), Some("1.95.0"));
        assert_eq!(field(version, "host").ok().as_deref(), Some("a-b-c"));
        assert!(field(version, "hos").is_err());
    }
}

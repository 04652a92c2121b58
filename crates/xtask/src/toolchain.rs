//! Selects the toolchain.
//!
//! The field `rust-version` of the workspace is the only place of the release. xtask
//! selects that toolchain if rustup has it, and otherwise uses the one at hand and
//! reports that. (rustup would download the toolchain of a `rust-toolchain.toml`, and fail
//! on a machine without a network.)

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::context::say;

/// The release that CI uses, such as `1.95.0`.
pub const RELEASE: &str = env!("CARGO_PKG_RUST_VERSION");

/// A toolchain: the current one, or another that rustup has.
#[derive(Debug, Default)]
pub struct Toolchain {
    rustup_name: Option<String>,
}

impl Toolchain {
    /// Selects the toolchain `channel`, a release such as `1.95.0`, if it is installed.
    pub fn select(channel: &str) -> anyhow::Result<Self> {
        let current = current_release()?;
        if current == channel {
            return Ok(Self::default());
        }
        let rustup_name = installed(channel);
        if rustup_name.is_none() {
            say(&format!(
                "going on with Rust {current}; {channel}, which CI uses, is not installed"
            ));
        }
        Ok(Self { rustup_name })
    }

    /// Makes `command` use this toolchain.
    pub fn apply(&self, command: &mut Command) {
        if let Some(name) = &self.rustup_name {
            command.env("RUSTUP_TOOLCHAIN", name);
        }
    }

    /// The name to give rustup, if it is not the current toolchain.
    #[cfg(not(windows))]
    pub fn rustup_name(&self) -> Option<&str> {
        self.rustup_name.as_deref()
    }
}

/// The release of the rustc in PATH.
fn current_release() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run `rustc -vV`; is Rust installed?")?;
    if !output.status.success() {
        bail!(
            "`rustc -vV` failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .map(str::to_owned)
        .context("`rustc -vV` prints no release")
}

/// rustup's name for the installed toolchain of `channel`.
fn installed(channel: &str) -> Option<String> {
    // Without rustup there is no other toolchain.
    let output = Command::new("rustup")
        .args(["toolchain", "list"])
        .output()
        .ok()?;
    find(&String::from_utf8_lossy(&output.stdout), channel)
}

/// The toolchain of `channel` in what `rustup toolchain list` prints.
fn find(list: &str, channel: &str) -> Option<String> {
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| {
            name.strip_prefix(channel)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{RELEASE, find};

    #[test]
    fn readme_has_the_release_of_the_workspace() {
        let readme = include_str!("../../../README.md");
        let minor = RELEASE.rsplit_once('.').map_or(RELEASE, |(minor, _)| minor);
        assert!(readme.contains(&format!("Rust {minor} and")), "{RELEASE}");
    }

    #[test]
    fn find_channel_matches_the_whole_release() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\n\
                    1.95.01-x86_64-unknown-linux-gnu\n\
                    1.95.0-x86_64-unknown-linux-gnu\n";
        assert_eq!(
            find(list, "1.95.0").as_deref(),
            Some("1.95.0-x86_64-unknown-linux-gnu")
        );
        assert_eq!(find(list, "1.94.0"), None);
    }
}

//! `cargo xtask ci`: the checks that only CI runs.

#[cfg(not(windows))]
use std::fs;
use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};

#[cfg(not(windows))]
use crate::driver::Tools;
use crate::{
    context::{Context, say},
    process,
};

/// Checks the lock files, `cargo make`, and the driver in Wine.
pub fn ci(context: &Context) -> anyhow::Result<ExitCode> {
    lock_files(context)?;
    cargo_make(context)?;
    #[cfg(not(windows))]
    crate::programs::test_on_wine(context, &[])?;
    Ok(ExitCode::SUCCESS)
}

/// Fails if a lock file is out of date, or if the driver consists of other packages here
/// than on Windows.
fn lock_files(context: &Context) -> anyhow::Result<()> {
    say("checking that Cargo.lock is up to date");
    packages_of_driver(context, context.cargo("tree"), "Cargo.lock")?;
    #[cfg(not(windows))]
    {
        say("checking that cross/Cargo.lock is up to date and agrees with Cargo.lock");
        let tree = Tools::prepare(context)?.cargo(context, "tree");
        let here = packages_of_driver(context, tree, "cross/Cargo.lock")?;
        let path = context.root.join("Cargo.lock");
        let lock =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let strange: Vec<&str> = here
            .lines()
            .filter(|package| !is_locked(package, &lock))
            .collect();
        if !strange.is_empty() {
            bail!(
                "cross/Cargo.lock has packages that Cargo.lock has not, or in another version: {}; \
                 copy Cargo.lock over it and build",
                strange.join(", ")
            );
        }
    }
    Ok(())
}

/// The packages of the driver, one per line, as `name v1.2.3`; those of this repository
/// are followed by their folder.
fn packages_of_driver(
    context: &Context,
    mut tree: Command,
    lock_file: &str,
) -> anyhow::Result<String> {
    tree.args([
        "--locked",
        "--package",
        "ntmem",
        "--prefix",
        "none",
        "--no-dedupe",
    ]);
    let output = process::capture(context, &mut tree, &format!("checking {lock_file}"))
        .with_context(|| format!("{lock_file} may be out of date; build, and commit it"))?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Whether a lock file has this package, as `cargo tree` prints it; packages of
/// this repository need no lock.
#[cfg(not(windows))]
fn is_locked(package: &str, lock: &str) -> bool {
    let mut words = package.split_whitespace();
    let (Some(name), Some(version)) = (words.next(), words.next()) else {
        return true;
    };
    let version = version.trim_start_matches('v');
    words.any(|word| word.starts_with("(/"))
        || lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"))
}

/// Runs the driver by way of `cargo make`, which is installed below target if it
/// is missing.
fn cargo_make(context: &Context) -> anyhow::Result<()> {
    let tools = context.target.join("tools");
    let path = prepended(&tools.join("bin"))?;
    if !is_there(context, &path) {
        say("cargo install cargo-make: it is missing");
        let mut install = context.cargo("install");
        install
            // It only runs other programs, so optimisation does not pay.
            .args(["cargo-make", "--locked", "--debug", "--root"])
            .arg(&tools);
        process::quietly(context, &mut install, "installing cargo-make")?;
    }
    for task in ["build", "run", "package"] {
        say(&format!("cargo make {task}"));
        let mut make = context.cargo("make");
        make.arg(task).env("PATH", &path);
        process::quietly(context, &mut make, &format!("cargo make {task}"))?;
    }
    Ok(())
}

/// Whether `cargo make` is in `path`.
fn is_there(context: &Context, path: &OsString) -> bool {
    let mut make: Command = context.cargo("make");
    make.arg("--version").env("PATH", path);
    make.output().is_ok_and(|output| output.status.success())
}

/// PATH with `folder` before it.
fn prepended(folder: &Path) -> anyhow::Result<OsString> {
    let Some(path) = env::var_os("PATH") else {
        bail!("the variable PATH is not set");
    };
    let folders = std::iter::once(folder.to_owned()).chain(env::split_paths(&path));
    env::join_paths(folders).context("PATH cannot be extended")
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::is_locked;

    #[test]
    fn lock_file_lookup_matches_name_and_version() {
        let lock = "[[package]]\nname = \"wdk\"\nversion = \"0.5.0\"\nsource = \"x\"\n";
        assert!(is_locked("wdk v0.5.0", lock));
        assert!(!is_locked("wdk v0.5.1", lock));
        assert!(!is_locked("dk v0.5.0", lock));
        assert!(is_locked("wdm v0.1.0 (/somewhere/crates/wdm)", lock));
        assert!(!is_locked("wdk-macros v0.5.0 (proc-macro)", lock));
        assert!(is_locked("", lock));
    }
}

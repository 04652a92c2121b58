//! `cargo xtask ci`: what only CI must check.

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};

use crate::{
    context::{Context, say},
    driver::Tools,
    process,
};

/// Checks the lock files, and that `cargo make` does what `cargo xtask` does.
pub fn ci(context: &Context) -> anyhow::Result<ExitCode> {
    lock_files(context)?;
    cargo_make(context)?;
    Ok(ExitCode::SUCCESS)
}

/// Fails if a manifest asks for what its lock file does not have.
fn lock_files(context: &Context) -> anyhow::Result<()> {
    let tools = Tools::prepare(context)?;
    for (file, mut command) in [
        ("Cargo.lock", context.cargo("tree")),
        ("cross/Cargo.lock", tools.cargo(context, "tree")),
    ] {
        say(&format!("checking that {file} is up to date"));
        command.args(["--locked", "--package", "ntmem"]);
        process::capture(context, &mut command, &format!("checking {file}"))
            .with_context(|| format!("{file} may be out of date; build, and commit it"))?;
    }
    Ok(())
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
            .args(["cargo-make", "--locked", "--root"])
            .arg(&tools);
        process::quietly(context, &mut install, "installing cargo-make")?;
    }
    for task in ["build", "run"] {
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
    process::capture(context, &mut make, "looking for cargo-make").is_ok()
}

/// PATH with `folder` before it.
fn prepended(folder: &Path) -> anyhow::Result<OsString> {
    let Some(path) = env::var_os("PATH") else {
        bail!("the variable PATH is not set");
    };
    let folders = std::iter::once(folder.to_owned()).chain(env::split_paths(&path));
    env::join_paths(folders).context("PATH cannot be extended")
}

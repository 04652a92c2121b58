//! The files of the repository that are written by hand: all but those of Cargo's
//! target folders and of hidden folders, except `.github`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::context::Context;

/// Lists the files with one of these extensions, sorted by path.
pub fn with_extension(context: &Context, extensions: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(&context.root, &context.target, extensions, &mut files)?;
    files.sort();
    Ok(files)
}

/// Reads a text file; the error has its path.
pub fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Fails with `message` and the lines of files that it applies to, if there are any.
pub fn expect_none(
    context: &Context,
    message: &str,
    lines: &[(PathBuf, usize, String)],
) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut message = format!("{message}:");
    for (path, line, detail) in lines {
        let path = path.strip_prefix(&context.root).unwrap_or(path).display();
        write!(message, "\n  {path}:{line}{detail}")?;
    }
    bail!(message);
}

fn collect(
    folder: &Path,
    target: &Path,
    extensions: &[&str],
    files: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        let name = path.file_name().unwrap_or_default();
        let is_hidden = name.as_encoded_bytes().starts_with(b".") && name != ".github";
        if path.is_symlink() || is_hidden || path == target || name == "target" {
            continue;
        }
        if path.is_dir() {
            collect(&path, target, extensions, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
        {
            files.push(path);
        }
    }
    Ok(())
}

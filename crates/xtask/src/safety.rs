//! `// SAFETY:` comments that do not argue. One that points to another stays when that
//! one changes, and says nothing to who reads it alone; so each has its own words.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::context::Context;

/// What such a comment begins with, behind its `SAFETY:`.
const POINTERS: [&str; 6] = [
    "as above",
    "see above",
    "same",
    "the same",
    "ditto",
    "likewise",
];

/// Fails if a comment of the repository is such a one.
pub fn check(context: &Context) -> anyhow::Result<()> {
    let mut found = Vec::new();
    look_through(&context.root, &context.target, &mut found)?;
    if found.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = found
        .iter()
        .map(|(path, line)| {
            let path = path.strip_prefix(&context.root).unwrap_or(path);
            format!("\n  {}:{line}", path.display())
        })
        .collect();
    bail!(
        "SAFETY comments that only point elsewhere; let each argue for itself:{}",
        places.concat()
    );
}

fn look_through(
    folder: &Path,
    target: &Path,
    found: &mut Vec<(PathBuf, usize)>,
) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_symlink() || is_hidden || path == target {
            continue;
        }
        if path.is_dir() {
            look_through(&path, target, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let lines = text.lines().enumerate();
            let pointing = lines.filter(|(_, line)| only_points(line));
            found.extend(pointing.map(|(index, _)| (path.clone(), index + 1)));
        }
    }
    Ok(())
}

/// Whether a line is a comment that only points to another.
fn only_points(line: &str) -> bool {
    let Some((before, argument)) = line.split_once("SAFETY:") else {
        return false;
    };
    let argument = argument.trim_start().to_ascii_lowercase();
    before.trim_start().starts_with("//")
        && POINTERS.iter().any(|pointer| argument.starts_with(pointer))
}

#[cfg(test)]
mod tests {
    use super::only_points;

    #[test]
    fn a_comment_that_points_elsewhere_is_found() {
        for line in [
            "    // SAFETY: as above.",
            "// SAFETY: As above, and the box is borrowed mutably.",
            "        //SAFETY: see above",
            "// SAFETY:  same as for `take`.",
        ] {
            assert!(only_points(line), "{line}");
        }
        for line in [
            "// SAFETY: the list is initialised.",
            "let text = \"// SAFETY: as above\";",
            "// as above",
            "# Safety",
        ] {
            assert!(!only_points(line), "{line}");
        }
    }
}

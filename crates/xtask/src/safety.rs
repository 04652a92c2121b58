//! `// SAFETY:` comments that do not argue. One that points to another stays when that
//! one changes, and says nothing to who reads it alone; so each has its own words.

use crate::{context::Context, files};

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
    for path in files::with_extension(context, &["rs"])? {
        let text = files::read(&path)?;
        let lines = text.lines().enumerate();
        let pointing = lines.filter(|(_, line)| only_points(line));
        found.extend(pointing.map(|(index, _)| (path.clone(), index + 1, String::new())));
    }
    files::expect_none(
        context,
        "SAFETY comments that only point elsewhere; let each argue for itself",
        &found,
    )
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

//! Rejects `// SAFETY:` comments that only point to another one: the other can change, and
//! the reader of this one has no argument.

use crate::{context::Context, files};

/// The beginnings of such comments, after `SAFETY:`.
const POINTERS: [&str; 6] = [
    "as above",
    "see above",
    "same",
    "the same",
    "ditto",
    "likewise",
];

/// Fails if the repository has such a comment.
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
        "SAFETY comments that only point elsewhere; each needs its own argument",
        &found,
    )
}

/// Whether a line is such a comment.
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
    fn safety_comment_that_points_elsewhere_is_rejected() {
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

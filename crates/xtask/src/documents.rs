//! Checks the links of the documents: link targets and named paths exist, each page below
//! `docs` is linked from the table of contents, `docs/README.md`, and the page on the
//! architecture names each crate.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Range,
    path::{Path, PathBuf},
};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::{context::Context, files};

/// The folders whose files documents name by their path from the root.
const FOLDERS: [&str; 11] = [
    "build/",
    "crates/",
    "cross/",
    "docs/",
    "examples/",
    "inf/",
    "scripts/",
    "src/",
    "tests/",
    ".ci/",
    ".github/",
];

/// A document: its links, the paths that it names, and the anchors of its headings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Document {
    links: Vec<(String, usize)>,
    paths: Vec<(String, usize)>,
    anchors: HashSet<String>,
}

/// Fails if a link leads nowhere, a named path does not exist, or a page or a crate is in
/// no table.
pub fn check(context: &Context) -> anyhow::Result<()> {
    let mut documents = HashMap::new();
    for path in files::with_extension(context, &["md"])? {
        documents.insert(path.clone(), parse(&files::read(&path)?));
    }
    let mut dead = dead_links(context, &documents);
    dead.extend(dead_pages_in_code(context)?);
    dead.extend(dead_modules(context)?);
    dead.extend(unlisted(context, &documents)?);
    dead.sort();
    files::expect_none(context, "dead links in documents", &dead)
}

/// A file, a line of it, and what is wrong there.
type Finding = (PathBuf, usize, String);

/// Links and named paths of documents that lead nowhere.
fn dead_links(context: &Context, documents: &HashMap<PathBuf, Document>) -> Vec<Finding> {
    let mut dead = Vec::new();
    for (path, document) in documents {
        for (link, line) in &document.links {
            if !is_alive(path, link, documents) {
                dead.push((path.clone(), *line, format!(" links to {link}")));
            }
        }
        // The changes of former versions name files of former versions.
        if path.ends_with("CHANGELOG.md") {
            continue;
        }
        for (named, line) in &document.paths {
            if !context.root.join(named).exists() {
                dead.push((path.clone(), *line, format!(" names {named}")));
            }
        }
    }
    dead
}

/// Modules that the table of a module's documentation names and that do not exist.
fn dead_modules(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let mut dead = Vec::new();
    for path in files::with_extension(context, &["rs"])? {
        let is_root = ["mod", "lib", "main"]
            .iter()
            .any(|name| path.file_stem().is_some_and(|stem| stem == *name));
        let folder = match path.parent() {
            Some(parent) if is_root => parent.to_path_buf(),
            _ => path.with_extension(""),
        };
        for (number, line) in files::read(&path)?.lines().enumerate() {
            for module in modules_in(line) {
                let file = folder.join(format!("{module}.rs"));
                if !file.exists() && !folder.join(module).exists() {
                    dead.push((
                        path.clone(),
                        number + 1,
                        format!(" names the module {module}"),
                    ));
                }
            }
        }
    }
    Ok(dead)
}

/// The modules in the first column of a table in a module's documentation.
fn modules_in(line: &str) -> impl Iterator<Item = &str> {
    let cell = line
        .strip_prefix("//! | `")
        .and_then(|rest| rest.split(" | ").next());
    let names = cell.unwrap_or_default().split('`').step_by(2);
    names.filter(|name| {
        let mut letters = name.chars();
        letters
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

/// Pages that code names and that do not exist.
fn dead_pages_in_code(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let mut dead = Vec::new();
    for path in files::with_extension(context, &["rs", "c", "h", "ps1", "sh", "yml", "toml"])? {
        for (index, line) in files::read(&path)?.lines().enumerate() {
            for named in pages_in(line) {
                if !context.root.join(named).exists() {
                    dead.push((path.clone(), index + 1, format!(" names {named}")));
                }
            }
        }
    }
    Ok(dead)
}

/// Pages that the table of contents does not lead to, and crates that the page on the
/// architecture does not name.
fn unlisted(
    context: &Context,
    documents: &HashMap<PathBuf, Document>,
) -> anyhow::Result<Vec<Finding>> {
    let mut unlisted = Vec::new();
    let docs = context.root.join("docs");
    let reachable = reachable(&docs.join("README.md"), documents);
    for path in documents.keys() {
        if path.starts_with(&docs) && !reachable.contains(path) {
            unlisted.push((path.clone(), 1, " is not linked from docs/README.md".into()));
        }
    }
    let architecture = docs.join("explanation/architecture.md");
    let parts = documents.get(&architecture).map(|page| &page.paths);
    for manifest in files::with_extension(context, &["toml"])? {
        let manifest = manifest.strip_prefix(&context.root).unwrap_or(&manifest);
        let Some(folder) = manifest.to_str().and_then(crate_folder) else {
            continue;
        };
        if !parts.is_some_and(|parts| parts.iter().any(|(path, _)| path == folder)) {
            unlisted.push((architecture.clone(), 1, format!(" does not name {folder}")));
        }
    }
    Ok(unlisted)
}

/// Reads a document.
fn parse(text: &str) -> Document {
    let mut document = Document::default();
    let mut heading: Option<String> = None;
    let line = |range: Range<usize>| {
        text.get(..range.start)
            .map_or(1, |before| before.matches('\n').count() + 1)
    };
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    for (event, range) in parser {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                document.links.push((dest_url.into_string(), line(range)));
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap_or_default());
                let same = (1..).map(|number| format!("{anchor}-{number}"));
                let mut candidates = std::iter::once(anchor.clone()).chain(same);
                let free = candidates.find(|anchor| !document.anchors.contains(anchor));
                document.anchors.extend(free);
            }
            Event::Text(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
            }
            Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
                if is_path(&words) {
                    document.paths.push((words.into_string(), line(range)));
                }
            }
            _ => {}
        }
    }
    document
}

/// The anchor that a forge gives a heading: small letters, hyphens for blanks, no
/// punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    let kept: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
    kept.to_lowercase()
}

/// Whether a span of code is the path of a file or folder of the repository; a word in
/// capitals or a pattern in it stands for several.
fn is_path(words: &str) -> bool {
    let is_pattern = words.split(['/', '.']).any(|part| {
        part.len() > 1
            && part.chars().all(|c| c.is_ascii_uppercase())
            && part != "README"
            && part != "CONTRIBUTING"
    });
    FOLDERS.iter().any(|folder| words.starts_with(folder))
        && words
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        && !is_pattern
}

/// The folder of a crate, of the path of its manifest.
fn crate_folder(manifest: &str) -> Option<&str> {
    let folder = manifest.strip_suffix("/Cargo.toml")?;
    let name = folder.strip_prefix("crates/")?;
    (!name.contains('/')).then_some(folder)
}

/// The pages below `docs` that a line of code names.
fn pages_in(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("docs/").filter_map(|(start, _)| {
        let before = line[..start].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c)) {
            return None;
        }
        let rest = &line[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c)));
        let path = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        Path::new(path)
            .extension()
            .is_some_and(|extension| extension == "md")
            .then_some(path)
    })
}

/// The file that a relative link of a document leads to, and its anchor.
fn target<'l>(document: &Path, link: &'l str) -> (PathBuf, &'l str) {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    if file.is_empty() {
        return (document.to_owned(), anchor);
    }
    let mut path = document.parent().unwrap_or(document).to_owned();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    (path, anchor)
}

/// Whether a link leads to a file and, in a document, to a heading of it. Links to the web
/// are not checked.
fn is_alive(document: &Path, link: &str, documents: &HashMap<PathBuf, Document>) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (path, anchor) = target(document, link);
    match documents.get(&path) {
        Some(document) => anchor.is_empty() || document.anchors.contains(anchor),
        None => path.exists() && anchor.is_empty(),
    }
}

/// The documents that links lead to from `start`.
fn reachable(start: &Path, documents: &HashMap<PathBuf, Document>) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start.to_owned()];
    while let Some(path) = next.pop() {
        let Some(document) = documents.get(&path) else {
            continue;
        };
        if reached.insert(path.clone()) {
            next.extend(document.links.iter().map(|(link, _)| target(&path, link).0));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> HashMap<PathBuf, Document> {
        let texts = [
            ("/r/docs/README.md", "# Contents\n\n[a](guides/a.md)\n"),
            (
                "/r/docs/guides/a.md",
                "# A `b`: C\n\n## Same\n\n## Same\n\n[up](../README.md#contents)\n",
            ),
            ("/r/docs/guides/alone.md", "# Alone\n"),
        ];
        texts.map(|(path, text)| (path.into(), parse(text))).into()
    }

    #[test]
    fn link_to_missing_file_or_heading_is_dead() {
        let documents = documents();
        let from = Path::new("/r/docs/guides/a.md");
        for link in [
            "alone.md",
            "../README.md#contents",
            "#a-b-c",
            "#same",
            "#same-1",
            "https://example.org/#x",
        ] {
            assert!(is_alive(from, link, &documents), "{link}");
        }
        for link in [
            "missing.md",
            "README.md",
            "#contents",
            "#same-2",
            "alone.md#a-b-c",
        ] {
            assert!(!is_alive(from, link, &documents), "{link}");
        }
    }

    #[test]
    fn page_without_link_from_contents_is_not_reachable() {
        let reached = reachable(Path::new("/r/docs/README.md"), &documents());
        let reached: Vec<_> = reached.iter().map(|path| path.to_str()).collect();
        assert_eq!(
            reached,
            [Some("/r/docs/README.md"), Some("/r/docs/guides/a.md")]
        );
    }

    #[test]
    fn code_span_with_path_is_checked_and_pattern_is_not() {
        let document = parse("text\n`tests/a.rs` and `src/`, `tests/NAME.rs`, `src/*.rs`, `a/b`\n");
        let named = [("tests/a.rs".to_owned(), 2), ("src/".to_owned(), 2)];
        assert_eq!(document.paths, named);
    }

    #[test]
    fn line_of_code_names_pages() {
        let line = "see docs/README.md, ../docs/b.md and `docs/guides/ci.md`. docs/ has more";
        let pages: Vec<_> = pages_in(line).collect();
        assert_eq!(pages, ["docs/README.md", "docs/guides/ci.md"]);
    }

    #[test]
    fn row_of_module_table_names_its_modules() {
        let modules = |line| modules_in(line).collect::<Vec<_>>();
        assert_eq!(
            modules("//! | `assign`, `sid_2` | `SeAssignSecurity` |"),
            ["assign", "sid_2"]
        );
        assert_eq!(modules("//! | `SeExports` | all |"), [""; 0]);
        assert_eq!(modules("//! The file `sid` |"), [""; 0]);
    }
}

//! Names that C headers declare as imports. Headers are not understood, only searched:
//! an import has one of a few macros before its type, and its name stands before the
//! first parenthesis, or before the semicolon if it is a variable.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Where distributions put MinGW's headers.
const FOLDERS: [&str; 3] = [
    "/usr/share/mingw-w64/include/ddk",
    "/usr/x86_64-w64-mingw32/include/ddk",
    "/usr/x86_64-w64-mingw32/sys-root/mingw/include/ddk",
];

/// The macros that begin a declaration of what is imported.
const MARKS: [&str; 6] = [
    "NTKERNELAPI",
    "NTSYSAPI",
    "NTHALAPI",
    "NTSYSCALLAPI",
    "DECLSPEC_IMPORT",
    "NTOSAPI",
];

/// What the named headers declare as imports; `None` if they are not installed.
pub fn importable(headers: &[&str]) -> Option<BTreeSet<String>> {
    let folder = FOLDERS
        .iter()
        .map(PathBuf::from)
        .find(|folder| folder.join("wdm.h").is_file())?;
    let names = headers
        .iter()
        .flat_map(|header| imports(&read(&folder.join(header))))
        .collect();
    Some(names)
}

/// What the headers that come before MinGW's for bindings declare themselves.
pub fn own_declarations() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include-bindgen");
    ["kernel_functions.h", "kernel_functions_io.h"]
        .iter()
        .flat_map(|header| imports(&read(&folder.join(header))))
        .collect()
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The names in a header's text.
fn imports(text: &str) -> BTreeSet<String> {
    let text = without_comments(text);
    let mut names = BTreeSet::new();
    for mark in MARKS {
        for (at, _) in text.match_indices(mark) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let rest = &text[at + mark.len()..];
            let is_word =
                !text[..at].ends_with(is_part_of_name) && !rest.starts_with(is_part_of_name);
            if !is_word || text[line..at].trim_start().starts_with('#') {
                continue;
            }
            let head = rest.find(['(', ';']).map_or("", |end| &rest[..end]);
            let name = head
                .rsplit(|letter| !is_part_of_name(letter))
                .find(|word| !word.is_empty());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

fn is_part_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// A header's text without what is between `/*` and `*/` or behind `//`.
fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut code = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    code.lines()
        .flat_map(|line| [line.split("//").next().unwrap_or_default(), "\n"])
        .collect()
}

#[test]
fn imports_of_header_are_functions_and_variables() {
    let text = "
        #define NTKERNELAPI DECLSPEC_IMPORT
        /* NTKERNELAPI VOID NTAPI Old(VOID); */
        NTKERNELAPI
        PMDL
        NTAPI
        IoAllocateMdl(IN PVOID Address OPTIONAL, IN ULONG (*Routine)(VOID));
        // NTHALAPI VOID NTAPI Older(VOID);
        extern NTSYSAPI CCHAR KeNumberProcessors;
        FORCEINLINE VOID Inline(VOID) {}
        MY_NTKERNELAPI VOID Other(VOID);";
    let names: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(names, ["IoAllocateMdl", "KeNumberProcessors"]);
}

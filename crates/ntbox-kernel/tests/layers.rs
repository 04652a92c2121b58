//! The layers of the kernel: a component imports those below it only. The order is that
//! of `src/lib.rs`. Cargo keeps the layers that are crates of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenTree;
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// The layers, lowest first.
const LAYERS: [&str; 26] = [
    "unwind", "base", "mm", "ke", "ob", "ex", "rtl", "seh", "se", "ps", "sections", "cm", "kd",
    "etw", "io", "po", "pnp", "fsrtl", "ramfs", "sysinfo", "loader", "um", "verifier", "trap",
    "exports", "init",
];

/// The layer of a path from the root of the crate; `None` for what lies above all
/// layers: the root itself, and what is public at the root.
fn layer(path: &[String]) -> Option<usize> {
    let first = path.first()?;
    LAYERS.iter().position(|layer| layer == first)
}

/// An import that points upward.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UpwardImport {
    file: String,
    path: String,
}

/// Collects the paths in a file that begin with `crate` or `super`.
struct Paths {
    /// The module that the file is.
    module: Vec<String>,
    /// Inline modules around the place that is visited.
    nested: usize,
    found: Vec<Vec<String>>,
}

impl Paths {
    fn add(&mut self, segments: &[String]) {
        let absolute = match segments.first().map(String::as_str) {
            Some("crate") => segments[1..].to_vec(),
            Some("super") => {
                let levels = segments.iter().take_while(|part| *part == "super").count();
                let Some(up) = levels.checked_sub(self.nested).filter(|up| *up > 0) else {
                    return;
                };
                let kept = self.module.len().saturating_sub(up);
                [&self.module[..kept], &segments[levels..]].concat()
            }
            _ => return,
        };
        self.found.push(absolute);
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.add_tree(&inner.tree, &path);
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Glob(_) => self.add(&path),
            UseTree::Group(group) => {
                for item in &group.items {
                    self.add_tree(item, before);
                }
            }
        }
    }

    /// Paths in the arguments of a macro, which are tokens: `exports!` holds functions.
    fn add_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut is_after_colon = false;
        for token in tokens {
            let is_colon = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == ':');
            let continues = is_after_colon && matches!(token, TokenTree::Ident(_));
            if !is_colon && !continues {
                self.add(&path);
                path.clear();
            }
            is_after_colon = is_colon;
            match token {
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                // `pub(crate)` in a macro is a group of one word.
                TokenTree::Group(group) if group.stream().into_iter().count() < 2 => {}
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        self.add(&path);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Meta>()
                .is_ok_and(|meta| meta.path().is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(module) if is_test(&module.attrs) => {}
            Item::Mod(module) if module.content.is_some() => {
                self.nested += 1;
                visit::visit_item_mod(self, module);
                self.nested -= 1;
            }
            Item::Use(import) => self.add_tree(&import.tree, &[]),
            other => visit::visit_item(self, other),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let segments: Vec<String> = segments.map(|part| part.ident.to_string()).collect();
        self.add(&segments);
        visit::visit_path(self, path);
    }

    /// `pub(crate)` and its kin import nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.add_tokens(invocation.tokens.clone());
    }
}

fn source_files(folder: &Path, list: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            if path
                .file_name()
                .is_some_and(|name| name != "tests" && name != "bin")
            {
                source_files(&path, list);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path
                .file_stem()
                .is_some_and(|name| name != "tests" && name != "test_support")
        {
            list.push(path);
        }
    }
}

fn module_of(source: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(source).expect("the file is a source");
    let path = path.with_extension("");
    let mut parts: Vec<String> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        parts.pop();
    }
    parts
}

/// The imports of a file that point upward.
fn upward_imports(module: &[String], file: &str, text: &str) -> Vec<UpwardImport> {
    let Some(own) = layer(module) else {
        // The root lies above all layers.
        assert!(
            module.is_empty(),
            "{file}: its folder is not one of the layers"
        );
        return Vec::new();
    };
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut paths = Paths {
        module: module.to_vec(),
        nested: 0,
        found: Vec::new(),
    };
    paths.visit_file(&parsed);
    let upward = paths
        .found
        .into_iter()
        .filter(|path| layer(path).is_none_or(|target| target > own));
    upward
        .map(|path| UpwardImport {
            file: file.to_owned(),
            path: path.join("::"),
        })
        .collect()
}

#[test]
fn components_import_lower_layers_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&source, &mut files);
    assert!(files.len() > 300, "only {} files were found", files.len());
    let mut upward = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("a source can be read");
        let name = file.strip_prefix(&source).expect("a source").display();
        upward.extend(upward_imports(
            &module_of(&source, file),
            &name.to_string(),
            &text,
        ));
    }
    upward.sort();
    upward.dedup();
    let mut message = String::new();
    for UpwardImport { file, path } in &upward {
        let _ = writeln!(message, "{file} imports {path}, which lies above it");
    }
    assert!(upward.is_empty(), "{message}");
}

#[test]
fn upward_imports_finds_each_form() {
    let module = ["mm", "pool"].map(str::to_owned);
    let cases: BTreeMap<&str, usize> = BTreeMap::from([
        ("use crate::io::irp;", 1),
        ("use super::super::io::irp;", 1),
        ("use crate::{base::diag, ke::{apc, dpc}};", 2),
        ("fn f() { crate::ob::create(); }", 1),
        ("exports! { fn F() { crate::cm::any() } }", 1),
        ("exports! { fn F() { return crate::cm::any() } }", 1),
        ("exports! { fn F() { if super::super::io::any() {} } }", 1),
        ("use crate::io;", 1),
        ("use crate::io as i;", 1),
        ("use super::super::*;", 1),
        ("use crate::functions;", 1),
        ("#[cfg(any(test, unix))] mod inner { use crate::io; }", 1),
        ("mod inner { use super::super::super::ke; }", 1),
        ("mod inner { use super::super::super::base; }", 0),
        ("#[cfg(test)] mod tests { use crate::io; }", 0),
        (
            "use super::mdl; use ntbox_host::cpu; use crate::base::diag;",
            0,
        ),
    ]);
    for (text, count) in cases {
        let found = upward_imports(&module, "mm/pool.rs", text);
        assert_eq!(found.len(), count, "{text}: {found:?}");
    }
}

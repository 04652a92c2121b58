//! What bindgen made of the headers.

use std::{collections::BTreeMap, path::Path};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use std::{collections::BTreeSet, fs};

use syn::{Expr, ForeignItem, Item, Lit, Stmt, Type, UseTree};

use crate::{
    abi::{Names, Signature},
    rust_source,
};

/// Functions, types and layouts of wdk-sys's generated files.
#[derive(Default)]
pub struct Generated {
    functions: BTreeMap<String, Signature>,
    types: Types,
}

/// Types by name.
#[derive(Default)]
struct Types {
    aliases: BTreeMap<String, Type>,
    layouts: BTreeMap<String, Layout>,
}

/// Where bindgen saw the parts of a structure.
#[derive(Debug, Default, Clone)]
pub struct Layout {
    pub size: usize,
    pub offsets: BTreeMap<String, usize>,
}

impl Generated {
    /// Reads the files in wdk-sys's `OUT_DIR`.
    pub fn read(folder: &Path) -> Self {
        Self::parse(&["types.rs", "ntddk.rs"].map(|name| rust_source::parse(&folder.join(name))))
    }

    /// All words in the files: each name that they bind is one.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub fn words(folder: &Path) -> BTreeSet<String> {
        ["types.rs", "ntddk.rs", "constants.rs"]
            .iter()
            .map(|name| fs::read_to_string(folder.join(name)).expect("a readable source"))
            .flat_map(|text| {
                text.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Reads files already parsed.
    pub fn parse(files: &[syn::File]) -> Self {
        let mut types = Types::default();
        for file in files {
            types.add(&file.items);
        }
        let functions = files
            .iter()
            .flat_map(|file| &file.items)
            .flat_map(declarations)
            .map(|declaration| {
                let name = declaration.ident.to_string();
                (name, Signature::new(declaration, &types))
            })
            .collect();
        Self { functions, types }
    }

    /// All functions.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &Signature)> {
        self.functions
            .iter()
            .map(|(name, signature)| (name.as_str(), signature))
    }

    /// How the function `name` is bound.
    pub fn function(&self, name: &str) -> Option<&Signature> {
        self.functions.get(name)
    }

    /// The structure that `name` stands for (`MDL` for `_MDL`), if it is one and
    /// not a pointer to one.
    pub fn structure(&self, name: &str) -> Option<&Layout> {
        let mut name = name.to_owned();
        loop {
            if let Some(layout) = self.types.layouts.get(&name) {
                return Some(layout);
            }
            match self.types.alias(&name)? {
                Type::Path(path) => name = path.path.segments.last()?.ident.to_string(),
                _ => return None,
            }
        }
    }

    /// Reads a declaration as the generated ones are read.
    pub fn signature(&self, declaration: &syn::Signature) -> Signature {
        Signature::new(declaration, &self.types)
    }
}

/// The functions of an item: imported ones, and those that are defined inline.
fn declarations(item: &Item) -> Vec<&syn::Signature> {
    match item {
        Item::ForeignMod(module) => module
            .items
            .iter()
            .filter_map(|item| match item {
                ForeignItem::Fn(function) => Some(&function.sig),
                _ => None,
            })
            .collect(),
        Item::Fn(function) => vec![&function.sig],
        _ => Vec::new(),
    }
}

impl Types {
    /// Takes in aliases, enumerations and layouts.
    fn add(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Type(alias) => {
                    self.aliases
                        .insert(alias.ident.to_string(), (*alias.ty).clone());
                }
                // An enumeration: a module of constants and the alias `Type`.
                Item::Mod(module) => {
                    for item in module.content.iter().flat_map(|(_, items)| items) {
                        if let Item::Type(alias) = item {
                            let name = format!("{}::{}", module.ident, alias.ident);
                            self.aliases.insert(name, (*alias.ty).clone());
                        }
                    }
                }
                // `pub use self::_POOL_TYPE::Type as POOL_TYPE;`
                Item::Use(import) => self.add_renamed(&import.tree),
                Item::Const(assertions) => self.add_layout(&assertions.expr),
                _ => {}
            }
        }
    }

    /// Takes in `self::module::Type as NAME` as an alias.
    fn add_renamed(&mut self, tree: &UseTree) {
        let mut path = Vec::new();
        let mut tree = tree;
        while let UseTree::Path(part) = tree {
            path.push(part.ident.to_string());
            tree = &part.tree;
        }
        if let (UseTree::Rename(rename), Some(module)) = (tree, path.last()) {
            let original = format!("{module}::{}", rename.ident);
            let ty = syn::parse_str(&original).expect("a path is a type");
            self.aliases.insert(rename.rename.to_string(), ty);
        }
    }

    /// Takes in one block of `["Size of X"][size_of::<X>() - 8usize];`.
    fn add_layout(&mut self, block: &Expr) {
        let Expr::Block(block) = block else { return };
        for statement in &block.block.stmts {
            let Stmt::Expr(Expr::Index(index), _) = statement else {
                continue;
            };
            let (Some(text), Some(number)) = (label(&index.expr), subtrahend(&index.index)) else {
                continue;
            };
            if let Some(name) = text.strip_prefix("Size of ") {
                self.layouts.entry(name.to_owned()).or_default().size = number;
            } else if let Some((name, field)) = text
                .strip_prefix("Offset of field: ")
                .and_then(|rest| rest.split_once("::"))
            {
                let layout = self.layouts.entry(name.to_owned()).or_default();
                layout.offsets.insert(field.to_owned(), number);
            }
        }
    }
}

/// The text of `["text"]`.
fn label(array: &Expr) -> Option<String> {
    let Expr::Array(array) = array else {
        return None;
    };
    match array.elems.first()? {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The number of `something - number`.
fn subtrahend(difference: &Expr) -> Option<usize> {
    let Expr::Binary(difference) = difference else {
        return None;
    };
    match &*difference.right {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

impl Names for Types {
    fn alias(&self, name: &str) -> Option<Type> {
        self.aliases.get(name).cloned()
    }

    fn size(&self, name: &str) -> Option<usize> {
        self.layouts.get(name).map(|layout| layout.size)
    }
}

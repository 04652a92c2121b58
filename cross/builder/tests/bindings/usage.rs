//! What of the bindings `wdm` uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{ForeignItem, visit::Visit};

use crate::{abi::Signature, generated::Generated, rust_source};

/// Every kernel function that the sources in `folder` call, as they see it: bound
/// by bindgen, or declared by themselves.
pub fn kernel_functions(folder: &Path, generated: &Generated) -> BTreeMap<String, Signature> {
    let mut functions: BTreeMap<String, Signature> = identifiers(folder)
        .into_iter()
        .filter_map(|name| {
            let signature = generated.function(&name)?.clone();
            Some((name, signature))
        })
        .collect();
    for file in rust_source::below(folder) {
        let mut own = Declarations {
            generated,
            found: &mut functions,
        };
        own.visit_file(&rust_source::parse(&file));
    }
    functions
}

/// Every structure of the bindings that the sources in `folder` name.
pub fn structures(folder: &Path, generated: &Generated) -> BTreeSet<String> {
    identifiers(folder)
        .into_iter()
        .filter(|name| generated.structure(name).is_some())
        .collect()
}

/// Gathers what a file declares in `extern` blocks.
struct Declarations<'a> {
    generated: &'a Generated,
    found: &'a mut BTreeMap<String, Signature>,
}

impl<'ast> Visit<'ast> for Declarations<'_> {
    fn visit_item_foreign_mod(&mut self, module: &'ast syn::ItemForeignMod) {
        for item in &module.items {
            if let ForeignItem::Fn(function) = item
                && !is_own(function)
            {
                let signature = self.generated.signature(&function.sig);
                self.found.insert(function.sig.ident.to_string(), signature);
            }
        }
    }
}

/// Whether a function is `wdm`'s own, written in assembly, by its name or the symbol
/// that it is linked to.
fn is_own(function: &syn::ForeignItemFn) -> bool {
    let mut symbols = function
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("link_name"))
        .map(|attribute| attribute.to_token_stream().to_string());
    function.sig.ident.to_string().starts_with("wdm_")
        || symbols.any(|symbol| symbol.contains("\"wdm_"))
}

/// All identifiers of `wdk_sys` in the code of a folder, in imports, in paths and
/// inside macros: a function of `wdm`'s own may be called as one of C's library is.
fn identifiers(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in rust_source::below(folder) {
        gather(rust_source::parse(&file).into_token_stream(), &mut found);
    }
    found
}

/// The identifiers that follow `wdk_sys::` among `tokens`.
fn gather(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(name) if name == "wdk_sys" => {
                while let Some(part) = tokens.next_if(continues_path) {
                    gather_all(part.into(), found);
                }
            }
            TokenTree::Group(group) => gather(group.stream(), found),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Whether a token goes on with a path, or with the braces of an import.
fn continues_path(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == ':',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Literal(_) => false,
    }
}

/// All identifiers among `tokens`.
fn gather_all(tokens: TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                found.insert(name.to_string());
            }
            TokenTree::Group(group) => gather_all(group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

//! What the real WDK declares, as `windows-sys` has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use syn::{
    LitStr, Type,
    parse::{Parse, ParseStream},
};

use crate::{
    abi::{Names, Signature},
    pages::PAGES,
    rust_source,
};

/// Functions by name. Their declarations are one line each in the sources and
/// only those asked for are parsed: there are thousands.
pub struct Reference {
    functions: BTreeMap<String, String>,
    /// Those that the kernel or the HAL exports.
    of_kernel: BTreeSet<String>,
    /// Types and constants of the kernel's headers.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    named: BTreeSet<String>,
    names: Aliases,
}

/// Types by name.
struct Aliases(BTreeMap<String, String>);

/// What `windows_link::link!` takes: the library, the convention, the function.
struct Link(syn::Signature);

impl Parse for Link {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        input.parse::<LitStr>()?;
        input.parse::<LitStr>()?;
        input.parse().map(Self)
    }
}

impl Reference {
    /// Reads the sources of the `windows-sys` that Cargo.lock names.
    pub fn read() -> Self {
        let sources = sources().join("src");
        let mut functions = BTreeMap::new();
        let mut of_kernel = BTreeSet::new();
        let mut aliases = BTreeMap::new();
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        let mut named = BTreeSet::new();
        for file in rust_source::below(&sources) {
            let text = fs::read_to_string(&file).expect("a readable source");
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            if KERNEL_MODULES.iter().any(|module| file.ends_with(module)) {
                named.extend(text.lines().filter_map(named_item).map(str::to_owned));
            }
            for line in text.lines() {
                if let Some((name, link)) = function(line)
                    && file.components().any(|part| part.as_os_str() == "Wdk")
                {
                    if is_kernel(link) {
                        of_kernel.insert(name.to_owned());
                    }
                    functions.insert(name.to_owned(), link.to_owned());
                } else if let Some((name, ty)) = alias(line) {
                    aliases.insert(name.to_owned(), ty.to_owned());
                }
            }
        }
        let pages = PAGES
            .iter()
            .map(|&(name, link)| (name.to_owned(), link.to_owned()));
        functions.extend(pages);
        Self {
            functions,
            of_kernel,
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            named,
            names: Aliases(aliases),
        }
    }

    /// The functions that the kernel or the HAL exports.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub fn kernel_functions(&self) -> BTreeSet<String> {
        self.of_kernel.clone()
    }

    /// The types and constants of the kernel's headers.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub fn kernel_names(&self) -> &BTreeSet<String> {
        &self.named
    }

    /// What the function `name` takes and gives.
    pub fn function(&self, name: &str) -> Option<Signature> {
        let declaration = self.functions.get(name)?;
        let link: Link =
            syn::parse_str(declaration).unwrap_or_else(|e| panic!("{declaration}: {e}"));
        Some(Signature::new(&link.0, &self.names))
    }
}

/// The modules of `windows-sys` for wdm.h, ntddk.h and ntifs.h.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const KERNEL_MODULES: [&str; 3] = [
    "Wdk/Foundation/mod.rs",
    "Wdk/Storage/FileSystem/mod.rs",
    "Wdk/System/SystemServices/mod.rs",
];

/// The name of a public type or constant, unless it is a nested one, which `windows-sys`
/// numbers.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn named_item(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?;
    let rest = ["const ", "struct ", "union ", "type "]
        .iter()
        .find_map(|word| rest.strip_prefix(word))?;
    let name = rest
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    let (_, end) = name.rsplit_once('_').unwrap_or(("", name));
    let is_nested = !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    (!is_nested).then_some(name)
}

/// Name and inside of `windows_link::link!("library" "convention" fn name(…) -> …);`.
fn function(line: &str) -> Option<(&str, &str)> {
    let inside = line
        .strip_prefix("windows_link::link!(")?
        .strip_suffix(");")?;
    let (_, rest) = inside.split_once(" fn ")?;
    let (name, _) = rest.split_once('(')?;
    Some((name, inside))
}

/// Whether the inside of a `link!` begins with the kernel's module or the HAL's.
fn is_kernel(link: &str) -> bool {
    ["\"ntoskrnl.exe\"", "\"hal.dll\""]
        .iter()
        .any(|library| link.starts_with(library))
}

/// Name and meaning of `pub type NAME = TYPE;`.
fn alias(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("pub type ")?
        .strip_suffix(';')?
        .split_once(" = ")
}

impl Names for Aliases {
    fn alias(&self, name: &str) -> Option<Type> {
        let text = self.0.get(name)?;
        Some(syn::parse_str(text).unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    fn size(&self, name: &str) -> Option<usize> {
        // The one structure that a function takes by value: an address, virtual or
        // physical.
        (name == "MM_COPY_ADDRESS").then_some(8)
    }
}

/// The folder of the package `windows-sys`.
fn sources() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {errors}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let newest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| package["name"] == "windows-sys")
        .filter_map(|package| {
            let version = package["version"].as_str()?.to_owned();
            Some((version, PathBuf::from(package["manifest_path"].as_str()?)))
        })
        .max()
        .expect("windows-sys is a dependency of this test");
    newest
        .1
        .parent()
        .expect("a manifest is in a folder")
        .to_owned()
}

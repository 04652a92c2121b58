//! What a driver wants from the kernel, and what this kernel has: known without
//! running anything.

use std::path::Path;

use ntbox_api::{OsVersion, host_file, parse};
use ntbox_host::gate::Reference;
use ntbox_kernel::{data_exports, missing};

use super::{Error, kernel_process};

/// The highest IRQL.
const HIGH_LEVEL: u8 = 15;

/// Something that a driver imports.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Import {
    /// Module that it is imported from, as the image spells it.
    pub module: String,
    /// Its name, or `#` and its number.
    pub name: String,
    /// Whether this kernel provides it. What it does not is an error only when
    /// the driver calls it.
    pub provided: bool,
    /// The version of Windows that it came with, if drivers are built for older ones.
    pub since: Option<OsVersion>,
    /// Why this kernel does not, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// Something that Windows provides and this kernel does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct MissingExport {
    /// Name that drivers import.
    pub name: &'static str,
    /// Why it is missing.
    pub reason: &'static str,
}

/// Something that this kernel provides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Export {
    /// Name that drivers import.
    pub name: &'static str,
    /// Function or variable.
    #[serde(flatten)]
    pub kind: ExportKind,
    /// The source file that it is in, from the root of this project.
    pub source: &'static str,
    /// The version of Windows that it came with, if drivers are built for older ones.
    pub since: Option<OsVersion>,
    /// What of its reference this kernel leaves out, if it leaves out something.
    pub partial: Option<&'static str>,
    /// Address of its reference page; `None` if it is undocumented.
    pub page: Option<String>,
    /// Where the contract of an undocumented export is taken from, if not from headers
    /// and books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undocumented: Option<&'static str>,
}

/// What an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ExportKind {
    /// A function.
    Function {
        /// Highest IRQL at which it may be called.
        max_irql: u8,
        /// Whether a [`Fault`](crate::Fault) can make it fail.
        can_fail: bool,
    },
    /// A variable.
    Variable,
}

/// What the driver in a file imports, in the order of its import table. What came after
/// a version of Windows is not provided.
///
/// # Errors
/// The file cannot be read or is no driver image.
pub fn imports_on(image: &Path, version: OsVersion) -> Result<Vec<Import>, Error> {
    kernel_process::check_file(image)?;
    let file = host_file::read(image, host_file::LIMIT).map_err(|source| Error::Read {
        path: image.to_owned(),
        source,
    })?;
    let list = ntbox_kernel::imports(&file).map_err(|reason| Error::Image {
        path: image.to_owned(),
        reason,
    })?;
    let known = exports();
    let find = |name: &str| {
        let at = known.binary_search_by(|export| export.name.cmp(name));
        at.ok().map(|at| &known[at])
    };
    Ok(list
        .into_iter()
        .map(|import| {
            let of_kernel = ntbox_kernel::is_kernel(&import.module);
            let export = find(&import.name).filter(|_| of_kernel);
            let since = export.and_then(|export| export.since);
            let came_later = since.is_some_and(|since| since > version);
            let provided = export.is_some() && !came_later;
            let is_missing = of_kernel && !provided;
            Import {
                provided,
                since,
                reason: is_missing.then(|| missing::reason(&import.name)).flatten(),
                module: import.module,
                name: import.name,
            }
        })
        .collect())
}

/// What the driver in a file imports, in the order of its import table.
///
/// # Errors
/// The file cannot be read or is no driver image.
pub fn imports(image: &Path) -> Result<Vec<Import>, Error> {
    imports_on(image, OsVersion::default())
}

/// What a module that this kernel does not have is, in a sentence, if it is one of
/// those that drivers often need, such as a framework.
#[must_use]
pub fn describe_module(module: &str) -> Option<String> {
    ntbox_kernel::describe_module(module)
}

/// What this kernel provides, by name.
#[must_use]
pub fn exports() -> Vec<Export> {
    let entry = |name, kind, source, reference: Reference| Export {
        name,
        kind,
        source,
        since: None,
        partial: None,
        page: reference.url(name),
        undocumented: match reference {
            Reference::Undocumented(from) => Some(from).filter(|from| !from.is_empty()),
            Reference::Header(..) | Reference::Page(_) => None,
        },
    };
    let functions = ntbox_kernel::functions().map(|export| {
        let kind = ExportKind::Function {
            max_irql: export.max_irql,
            can_fail: export.failure.is_some(),
        };
        Export {
            since: export.since,
            partial: export.partial,
            ..entry(export.name, kind, export.source, export.reference)
        }
    });
    // They only touch their caller's registers and stack: any IRQL will do.
    let native = ExportKind::Function {
        max_irql: HIGH_LEVEL,
        can_fail: false,
    };
    let native = ntbox_kernel::native_functions()
        .map(|function| entry(function.name, native, function.source, function.reference));
    let variables = data_exports::names().map(|name| {
        let headers = Reference::Undocumented("");
        Export {
            partial: data_exports::partial(name),
            ..entry(name, ExportKind::Variable, data_exports::SOURCE, headers)
        }
    });
    let mut list: Vec<_> = functions.chain(native).chain(variables).collect();
    list.sort_unstable();
    list
}

/// What Windows provides by its import libraries and headers and this kernel does not,
/// by name, each with the reason.
#[must_use]
pub fn missing_exports() -> Vec<MissingExport> {
    let mut list: Vec<_> = missing::names()
        .map(|(name, reason)| MissingExport { name, reason })
        .collect();
    list.sort_unstable();
    list
}

/// Why no call of an export can be made to fail, if so.
pub fn cannot_fail(name: &str) -> Option<String> {
    let list = exports();
    let Ok(at) = list.binary_search_by(|export| export.name.cmp(name)) else {
        let names = list.iter().map(|export| export.name);
        let near = parse::similar(name, names);
        let hint = parse::did_you_mean(&near, "; `ntbox exports` lists them");
        return Some(format!(
            "`{name}` is no export of this kernel, so no call of it can fail{hint}"
        ));
    };
    match list[at].kind {
        ExportKind::Function { can_fail: true, .. } => None,
        ExportKind::Function { .. } => Some(format!("`{name}` cannot fail, by its reference")),
        ExportKind::Variable => Some(format!("`{name}` is a variable, which nobody calls")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_have_distinct_names() {
        let list = exports();
        let same: Vec<_> = list
            .windows(2)
            .filter(|pair| pair[0].name == pair[1].name)
            .collect();
        assert!(same.is_empty(), "{same:?}");
        assert!(list.iter().any(|export| export.name == "IoAllocateMdl"));
    }

    #[test]
    fn missing_exports_are_not_provided() {
        let list = exports();
        let both: Vec<_> = missing_exports()
            .into_iter()
            .filter(|missing| list.iter().any(|export| export.name == missing.name))
            .map(|missing| missing.name)
            .collect();
        assert!(
            both.is_empty(),
            "built, so no longer to be listed in crates/ntbox-kernel/src/base/missing.txt: {both:?}"
        );
    }

    #[test]
    fn exports_have_their_source() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for export in exports() {
            let file = std::fs::read_to_string(root.join(export.source)).expect(export.source);
            // A variable may be named by its type.
            let named = file.contains(export.name) || export.kind == ExportKind::Variable;
            assert!(named, "{} is not in {}", export.name, export.source);
        }
    }

    #[test]
    fn export_declaration_gives_page_version_and_partial_note() {
        let list = exports();
        let find = |name: &str| {
            let at = list.binary_search_by(|export| export.name.cmp(name));
            &list[at.expect(name)]
        };
        let page = |name| find(name).page.clone().expect(name);
        let ddi = "https://learn.microsoft.com/windows-hardware/drivers/ddi";
        assert_eq!(
            page("IoAllocateMdl"),
            format!("{ddi}/wdm/nf-wdm-ioallocatemdl")
        );
        assert_eq!(
            page("FsRtlInitializeFileLock"),
            format!("{ddi}/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlinitializefilelock")
        );
        assert_eq!(
            page("NtQuerySystemInformation"),
            "https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation"
        );
        assert_eq!(find("KeGenericCallDpc").page, None);
        assert_eq!(find("IoAllocateMdl").since, None);
        assert_eq!(find("ExAllocatePool2").since, Some(OsVersion::VERSION_2004));
        assert!(
            find("MmMapIoSpace")
                .partial
                .expect("a note")
                .contains("no devices")
        );
        assert!(find("HalDispatchTable").partial.is_some());
        for export in &list {
            assert!(export.partial != Some(""), "{}", export.name);
        }
    }

    #[test]
    fn exports_with_page_are_two_thirds() {
        let list = exports();
        let documented = list.iter().filter(|export| export.page.is_some()).count();
        assert!(
            documented * 3 > list.len() * 2,
            "{documented} of {}",
            list.len()
        );
    }

    #[test]
    fn cannot_fail_has_reason() {
        assert_eq!(cannot_fail("IoAllocateMdl"), None);
        for (name, part) in [
            ("NoSuchFunction", "no export"),
            ("IoFreeMdl", "cannot fail"),
            ("MmSystemRangeStart", "variable"),
        ] {
            let why = cannot_fail(name).expect(name);
            assert!(why.contains(part), "{name}: {why}");
        }
    }
}

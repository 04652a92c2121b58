//! One list of names: what drivers can import by the import libraries (`cross/lib`),
//! by the open headers' wdm.h, ntddk.h and ntifs.h, and by `windows-sys`, held against
//! what ntbox exports, what it lists as missing, and what the bindings declare. A name
//! that is known in one place and forgotten in another fails a test.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    VARIABLE,
    abi::{Signature, Value},
    generated, header,
    reference::Reference,
};

/// The import libraries of the kernel and the HAL.
const LIBRARIES: [&str; 3] = ["ntoskrnl.def", "ntoskrnl-later.def", "hal.def"];

/// What `windows-sys` has as exports of the kernel or the HAL and is not bound.
const UNBOUND: &[(&str, &[&str])] = &[
    (
        "deprecated: wdk-build leaves it out",
        &[
            "ExAllocatePool",
            "ExAllocatePoolWithQuotaTag",
            "ExAllocatePoolWithTag",
            "ExAllocatePoolWithTagPriority",
        ],
    ),
    (
        "inline in the open headers, over the table of the adapter",
        &[
            "HalAllocateAdapterChannel",
            "HalAllocateCommonBuffer",
            "HalFreeCommonBuffer",
            "HalReadDmaCounter",
            "IoAllocateAdapterChannel",
            "IoFlushAdapterBuffers",
            "IoFreeAdapterChannel",
            "IoFreeMapRegisters",
            "IoMapTransfer",
        ],
    ),
    (
        "a routine of a driver, which windows-sys has as an export",
        &["CcErrorCallbackRoutine"],
    ),
];

/// What `windows-sys` has as exports and no import library: the reason.
const UNLINKED: &[(&str, &str)] = &[
    (
        "CcErrorCallbackRoutine",
        "a routine of a driver, which windows-sys has as an export",
    ),
    (
        "KeGetCurrentIrql",
        "inline in the headers; the kit defines it, so that it runs on every kernel",
    ),
    (
        "KeInitializeSpinLock",
        "inline in the headers; the kit defines it, so that it runs on every kernel",
    ),
];

/// Functions that take numbers of pages: `windows-sys` has those in 32 bits, the bindings
/// that Microsoft published in 64.
const PAGE_NUMBERS: [&str; 2] = ["FsRtlIsExtentDangling", "MmMapMemoryDumpMdlEx"];

/// The folder of the import libraries.
fn libraries() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lib")
}

/// The names of the import libraries, and each that is in two of them.
fn linked() -> (BTreeSet<String>, Vec<String>) {
    let mut names = BTreeSet::new();
    let mut twice = Vec::new();
    for library in LIBRARIES {
        let text = fs::read_to_string(libraries().join(library)).expect(library);
        let (head, exports) = text.split_once("\nEXPORTS\n").expect("a list of exports");
        let is_head = |line: &str| line.starts_with("; ") || line.starts_with("LIBRARY ");
        assert!(head.lines().all(is_head), "{library} begins with {head}");
        for line in exports.lines() {
            let line = line.split(';').next().unwrap_or_default();
            if let Some(name) = line.split_whitespace().next()
                && !names.insert(name.to_owned())
            {
                twice.push(name.to_owned());
            }
        }
    }
    (names, twice)
}

/// What ntbox exports, and what it lists as missing.
fn known() -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let exports = ntbox::exports().iter().map(|export| export.name).collect();
    let missing = ntbox::missing_exports();
    (
        exports,
        missing.iter().map(|missing| missing.name).collect(),
    )
}

/// The names of the open headers, or `None` with a word on why the test cannot run.
fn declared() -> Option<BTreeSet<String>> {
    let names = header::importable(&["wdm.h", "ntddk.h", "ntifs.h"]);
    if names.is_none() {
        // Written past the test harness, which hides what tests print.
        let _ = writeln!(io::stderr(), "skipped: MinGW's headers are not installed");
    }
    names
}

/// Those of `names` that ntbox neither exports nor lists.
fn forgotten<'n>(names: impl IntoIterator<Item = &'n String>) -> Vec<&'n str> {
    let (exports, missing) = known();
    names
        .into_iter()
        .map(String::as_str)
        .filter(|name| !exports.contains(name) && !missing.contains(name))
        .collect()
}

#[test]
fn name_of_import_library_is_exported_or_listed_as_missing() {
    let (linked, twice) = linked();
    assert!(linked.len() > 2_000, "too few to be true: {}", linked.len());
    assert_eq!(twice, Vec::<String>::new(), "in two import libraries");
    assert_eq!(forgotten(&linked), Vec::<&str>::new());
}

#[test]
fn name_of_header_is_exported_or_listed_as_missing() {
    let Some(declared) = declared() else { return };
    assert!(declared.len() > 1_000, "too few: {}", declared.len());
    for name in ["IoAllocateMdl", "KeNumberProcessors", "ZwClose"] {
        assert!(declared.contains(name), "the headers declare {name}");
    }
    assert_eq!(forgotten(&declared), Vec::<&str>::new());
}

#[test]
fn name_of_windows_sys_is_exported_or_listed_and_linked() {
    let names = Reference::read().kernel_functions();
    assert!(names.len() > 1_000, "too few: {}", names.len());
    assert_eq!(forgotten(&names), Vec::<&str>::new());
    let (linked, _) = linked();
    let unlinked: Vec<&str> = names
        .iter()
        .filter(|name| !linked.contains(*name))
        .map(String::as_str)
        .collect();
    let expected: Vec<&str> = UNLINKED.iter().map(|(name, _)| *name).collect();
    assert_eq!(unlinked, expected, "not in cross/lib");
}

#[test]
fn missing_name_is_known_elsewhere() {
    let Some(declared) = declared() else { return };
    let functions = Reference::read().kernel_functions();
    let (linked, _) = linked();
    let (_, missing) = known();
    let invented: Vec<&&str> = missing
        .iter()
        .filter(|name| {
            ![&linked, &declared, &functions]
                .iter()
                .any(|names| names.contains(**name))
        })
        .collect();
    assert_eq!(invented, Vec::<&&str>::new());
}

#[test]
fn function_of_windows_sys_is_bound() {
    let Some(generated) = generated() else {
        return;
    };
    let reference = Reference::read();
    let unbound: BTreeMap<&str, &str> = UNBOUND
        .iter()
        .flat_map(|(reason, names)| names.iter().map(move |name| (*name, *reason)))
        .collect();
    let mut wrong = Vec::new();
    for name in reference.kernel_functions() {
        match (generated.function(&name), unbound.get(name.as_str())) {
            (None, None) => wrong.push(format!("{name} is not bound")),
            (Some(_), Some(reason)) => wrong.push(format!("{name} is bound, so not: {reason}")),
            (None, Some(_)) | (Some(_), None) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn type_of_windows_sys_is_bound() {
    let Some(folder) = env::var_os(VARIABLE) else {
        return;
    };
    let reference = Reference::read();
    let names = reference.kernel_names();
    assert!(names.len() > 5_000, "too few to be true: {}", names.len());
    let bound = generated::Generated::words(Path::new(&folder));
    // wdk-sys has these itself, because bindgen does not evaluate their macros.
    let is_of_wdk_sys = |name: &str| name.starts_with("POOL_FLAG_") || name.starts_with("STATUS_");
    let unbound: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !bound.contains(*name) && !is_of_wdk_sys(name))
        .collect();
    let expected: Vec<&str> = include_str!("unbound.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(unbound, expected, "not as in unbound.txt");
}

#[test]
fn function_missing_in_headers_matches_wdk() {
    let Some(generated) = generated() else {
        return;
    };
    let reference = Reference::read();
    let own = header::own_declarations();
    assert!(own.len() > 300, "too few to be true: {}", own.len());
    let wrong: Vec<String> = own
        .iter()
        .filter(|name| !PAGE_NUMBERS.contains(&name.as_str()))
        .filter_map(|name| disagreement(name, &generated, &reference))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the binding of a function, if something is. The reference has
/// addresses of opaque objects as integers.
fn disagreement(
    name: &str,
    generated: &generated::Generated,
    reference: &Reference,
) -> Option<String> {
    let Some(ours) = generated.function(name) else {
        return Some(format!("{name} is declared by an overlay, but not bound"));
    };
    crate::disagreement(name, ours, reference).filter(|_| {
        let theirs = reference.function(name);
        theirs.is_none_or(|theirs| without_pointers(ours) != without_pointers(&theirs))
    })
}

/// A signature in which addresses are integers.
fn without_pointers(signature: &Signature) -> Signature {
    let flat = |value: &Value| match value {
        Value::Pointer => Value::Integer(8),
        other => *other,
    };
    Signature {
        parameters: signature.parameters.iter().map(flat).collect(),
        variadic: signature.variadic,
        result: flat(&signature.result),
    }
}

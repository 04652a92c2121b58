//! The bindings that drivers are built with, checked against the real WDK.
//!
//! They are generated here from headers that are not Microsoft's. `windows-sys`
//! carries signatures and structures generated from the WDK itself, so each
//! function that `wdm` calls must take there what it takes here, and each
//! structure that `wdm` touches must be laid out alike. A function or structure
//! that cannot be compared fails the test: it must be given a reference.

mod abi;
mod generated;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod header;
mod layout;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod names;
mod pages;
mod reference;
mod rust_source;
mod usage;

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use abi::Signature;
use generated::Generated;
use reference::Reference;

/// The variable by which `cargo xtask test` says where wdk-sys's bindings are.
const VARIABLE: &str = "NTMEM_BINDINGS";

/// The bindings, or `None` with a word on why the test cannot run.
fn generated() -> Option<Generated> {
    let Some(folder) = env::var_os(VARIABLE) else {
        // Written past the test harness, which hides what tests print.
        let _ = writeln!(
            io::stderr(),
            "skipped: {VARIABLE} is not set; `cargo xtask test` builds the driver and sets it"
        );
        return None;
    };
    Some(Generated::read(Path::new(&folder)))
}

/// The sources of the crate that calls the kernel.
fn wdm() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/wdm/src")
}

#[test]
fn function_declarations_match_wdk() {
    let Some(generated) = generated() else { return };
    let reference = Reference::read();
    let calls = usage::kernel_functions(&wdm(), &generated);
    assert!(calls.len() >= 10, "too few to be true: {:?}", calls.keys());
    let wrong: Vec<String> = calls
        .iter()
        .filter_map(|(name, ours)| disagreement(name, ours, &reference))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn structure_layouts_match_wdk() {
    let Some(generated) = generated() else { return };
    let mut wrong = layout::disagreements(&generated);
    for name in usage::structures(&wdm(), &generated) {
        if !layout::is_known(&name) {
            wrong.push(format!(
                "wdm touches {name}, which has no reference in layout.rs"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_declaration_is_a_disagreement() {
    let reference = Reference::read();
    let right = "fn ExFreePoolWithTag(p: PVOID, tag: ULONG)";
    let scope = "type PVOID = *mut u8; type ULONG = u32;";
    assert_eq!(disagreement_of(right, scope, &reference), None);
    for wrong in [
        "fn ExFreePoolWithTag(p: PVOID)",
        "fn ExFreePoolWithTag(tag: ULONG, p: PVOID)",
        "fn ExFreePoolWithTag(p: PVOID, tag: u64)",
        "fn ExFreePoolWithTag(p: PVOID, tag: ULONG, more: ULONG)",
        "fn ExFreePoolWithTag(p: PVOID, tag: ULONG, ...)",
        "fn ExFreePoolWithTag(p: PVOID, tag: ULONG) -> u32",
        "fn ExFreePoolWithNobody(p: PVOID, tag: ULONG)",
    ] {
        assert!(
            disagreement_of(wrong, scope, &reference).is_some(),
            "{wrong}"
        );
    }
}

/// What is wrong with a declaration, read in a scope of type aliases.
fn disagreement_of(declaration: &str, scope: &str, reference: &Reference) -> Option<String> {
    let source = format!("{scope} unsafe extern \"C\" {{ {declaration}; }}");
    let generated = Generated::parse(&[syn::parse_str(&source).expect("a declaration")]);
    let (name, ours) = generated.functions().next().expect("one function");
    disagreement(name, ours, reference)
}

/// How the declaration of `name` differs from the reference's, if it does.
fn disagreement(name: &str, ours: &Signature, reference: &Reference) -> Option<String> {
    match reference.function(name) {
        None => Some(format!(
            "{name} is not in windows-sys, so nothing says what it takes"
        )),
        Some(theirs) if theirs == *ours => None,
        Some(theirs) => Some(format!("{name}: bound as {ours}, but it is {theirs}")),
    }
}

//! Modules that drivers import from and that this kernel does not have: what they
//! are, so that a report can say of which kind a driver is, and what would help.

/// Names, without extension and in lower case, and what stands behind each.
const MODULES: &[(&str, &str)] = &[
    ("classpnp", "the class driver of storage devices"),
    ("cng", "Windows' cryptography"),
    ("drmk", "Windows' audio stack"),
    ("dxgkrnl", "Windows' graphics stack"),
    ("fltmgr", "the filter manager, which minifilters run in"),
    ("fwpkclnt", "the Windows Filtering Platform"),
    ("hidclass", "the class driver of input devices"),
    ("hidparse", "the class driver of input devices"),
    ("ks", "Windows' streaming stack"),
    ("ksecdd", "Windows' cryptography"),
    ("ndis", "Windows' network stack"),
    ("netio", "Windows' network stack"),
    ("portcls", "Windows' audio stack"),
    ("scsiport", "Windows' storage stack"),
    ("storport", "Windows' storage stack"),
    ("tdi", "Windows' network stack"),
    ("usbd", "Windows' USB stack"),
    ("videoprt", "Windows' graphics stack"),
    (
        "wdfldr",
        "the Kernel-Mode Driver Framework (KMDF), a part of WDF",
    ),
    ("win32k", "Windows' graphics stack"),
];

/// What a module is, in a sentence; `None` if that is not known.
#[must_use]
pub fn describe(module: &str) -> Option<String> {
    let stem = module.rsplit_once('.').map_or(module, |(stem, _)| stem);
    let (name, what) = MODULES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(stem))?;
    Some(format!(
        "{name}.sys is {what}; this kernel runs drivers that need the kernel alone (WDM)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describe_names_frameworks_by_module() {
        for (module, part) in [
            (
                "WDFLDR.SYS",
                "wdfldr.sys is the Kernel-Mode Driver Framework",
            ),
            ("fltmgr.sys", "minifilters"),
            ("NDIS.SYS", "network"),
        ] {
            let text = describe(module).expect(module);
            assert!(text.contains(part), "{text}");
        }
        for module in ["ntoskrnl.exe", "wdf", "mydriver.sys", ""] {
            assert_eq!(describe(module), None, "{module}");
        }
        assert!(MODULES.is_sorted());
    }
}

//! Names as their authors wrote them. Which compiler made a name is told by how
//! it begins.

use cpp_demangle::DemangleOptions;
use msvc_demangler::DemangleFlags;

/// The name without its mangling, or as it is.
pub fn demangle(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        // Without the hash at its end.
        return format!("{rust:#}");
    }
    let readable = if name.starts_with('?') {
        msvc_demangler::demangle(name, DemangleFlags::NAME_ONLY).ok()
    } else if name.starts_with("_Z") {
        let options = DemangleOptions::new().no_params().no_return_type();
        cpp_demangle::Symbol::new(name)
            .ok()
            .and_then(|symbol| symbol.demangle_with_options(&options).ok())
    } else {
        None
    };
    readable.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn demangle_names_of_four_compilers() {
        for (mangled, plain) in [
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
            (
                "_ZN5ntmem4walk4lock17h0123456789abcdefE",
                "ntmem::walk::lock",
            ),
            ("_ZN6Device5StartEi", "Device::Start"),
            ("?Start@Device@@QEAAJH@Z", "Device::Start"),
            ("DriverEntry", "DriverEntry"),
        ] {
            assert_eq!(demangle(mangled), plain);
        }
    }

    #[test]
    fn demangle_of_invalid_name_is_identity() {
        for name in [
            "",
            "?",
            "_Z",
            "_R",
            "_ZN",
            "?@@@",
            "_ZN99999999999999999999x",
        ] {
            assert_eq!(demangle(name), name);
        }
    }
}

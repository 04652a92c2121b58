//! What a WDM driver's linker is told, and the libraries that go into it.
//!
//! The arguments are those that the WDK's build rules for WDM give, as the
//! original crate passes them on.

use crate::{ApiSubset, Config};

/// Arguments for the linker of a WDM driver.
pub(crate) const DRIVER_ARGUMENTS: &[&str] = &[
    "/DRIVER",
    "/KERNEL",
    "/NODEFAULTLIB",
    "/SUBSYSTEM:NATIVE",
    "/ENTRY:DriverEntry",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/INTEGRITYCHECK",
    "/OPT:REF,ICF",
    "/MANIFEST:NO",
    "/MAP",
    "/MAPINFO:EXPORTS",
    // Objects from rustc are not marked for kernel mode, and the entry point is
    // exported: neither is worth a warning.
    "/IGNORE:4257",
    "/IGNORE:4216",
];

/// Libraries that every WDM driver links.
const LIBRARIES: [&str; 4] = ["BufferOverflowFastFailK", "ntoskrnl", "hal", "wmilib"];

impl Config {
    /// Rust source that links the libraries of `subset`, if it has any.
    #[must_use]
    pub fn bindgen_library_link_raw_lines(&self, subset: ApiSubset) -> Option<String> {
        (subset == ApiSubset::Base).then(|| LIBRARIES.map(link_attribute).concat())
    }
}

/// Rust source that links one library, except into tests and where `wdk-sys` is
/// asked not to.
fn link_attribute(name: &str) -> String {
    format!(
        "#[cfg(not(any(test, feature = \"suppress-wdk-linking\")))]\n\
         #[link(name = \"{name}\", kind = \"static\", modifiers = \"-bundle\")]\n\
         unsafe extern \"C\" {{}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{LIBRARIES, link_attribute};

    #[test]
    fn every_library_is_linked_once() {
        let source = LIBRARIES.map(link_attribute).concat();
        for name in LIBRARIES {
            assert_eq!(source.matches(&format!("name = \"{name}\"")).count(), 1);
        }
    }
}

//! What a WDM driver's linker is told, and the libraries that go into it.
//!
//! The arguments are those that the WDK's build rules for WDM give, as the
//! original crate passes them on.

#[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
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

/// Libraries that every WDM driver links. The first one goes first: what it defines is not
/// imported.
pub(crate) const LIBRARIES: [&str; 4] = ["BufferOverflowFastFailK", "ntoskrnl", "hal", "wmilib"];

#[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
impl Config {
    /// Rust source that links the libraries of `subset`, if it has any. `wdk-sys` calls it
    /// from 0.6 on, and in what was developed for 0.6 under the number 0.5.1.
    #[must_use]
    pub fn bindgen_library_link_raw_lines(&self, subset: ApiSubset) -> Option<String> {
        (subset == ApiSubset::Base).then(|| LIBRARIES.map(link_attribute).concat())
    }
}

/// Rust source that links one library, except into tests and where `wdk-sys` is
/// asked not to.
#[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
fn link_attribute(name: &str) -> String {
    format!(
        "#[cfg(not(any(test, feature = \"suppress-wdk-linking\")))]\n\
         #[link(name = \"{name}\", kind = \"static\", modifiers = \"-bundle\")]\n\
         unsafe extern \"C\" {{}}\n"
    )
}

#[cfg(all(test, feature = "api-0-6"))]
mod tests {
    use super::{LIBRARIES, link_attribute};

    #[test]
    fn libraries_are_each_linked_once() {
        let source = LIBRARIES.map(link_attribute).concat();
        for name in LIBRARIES {
            assert_eq!(source.matches(&format!("name = \"{name}\"")).count(), 1);
        }
    }
}

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

/// Libraries that every WDM driver links.
pub(crate) const LIBRARIES: [&str; 4] = ["BufferOverflowFastFailK", "ntoskrnl", "hal", "wmilib"];

/// What the WDK's headers define inline on x64 or declare in a form that bindgen passes
/// over. `KeGetCurrentIrql` and `KeInitializeSpinLock` are exports of younger kernels
/// only: inline, they run on every kernel and need no import.
#[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
const INLINE_FUNCTIONS: &str = r#"
/// Reads the IRQL, which the processor keeps in CR8.
///
/// # Safety
/// Only in kernel mode.
#[inline]
pub unsafe extern "C" fn KeGetCurrentIrql() -> KIRQL {
    let irql: u64;
    // SAFETY: kernel mode may read CR8, which changes nothing.
    unsafe {
        ::core::arch::asm!("mov {}, cr8", out(reg) irql, options(nomem, nostack, preserves_flags));
    }
    irql as KIRQL
}
/// Makes a spin lock that nobody holds.
///
/// # Safety
/// `SpinLock` can be written, and nobody uses it as a lock yet.
#[inline]
pub unsafe extern "C" fn KeInitializeSpinLock(SpinLock: PKSPIN_LOCK) {
    // SAFETY: the caller says that it can be written.
    unsafe { SpinLock.write_volatile(0) };
}
unsafe extern "C" {
    pub fn KfRaiseIrql(NewIrql: KIRQL) -> KIRQL;
}
unsafe extern "C" {
    pub fn KeLowerIrql(NewIrql: KIRQL);
}
unsafe extern "C" {
    pub fn KeRaiseIrqlToDpcLevel() -> KIRQL;
}
"#;

#[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
impl Config {
    /// Rust source that links the libraries of `subset`, if it has any, and defines
    /// what bindgen cannot bind of it. `wdk-sys` calls it from 0.6 on, and in what was
    /// developed for 0.6 under the number 0.5.1.
    #[must_use]
    pub fn bindgen_library_link_raw_lines(&self, subset: ApiSubset) -> Option<String> {
        (subset == ApiSubset::Base)
            .then(|| LIBRARIES.map(link_attribute).concat() + INLINE_FUNCTIONS)
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

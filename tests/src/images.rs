//! Paths of the images that the build made. `cargo xtask test` builds the driver and the
//! test drivers and passes their paths in environment variables; a test without its image
//! fails, because a skipped test proves nothing.

use std::path::PathBuf;

/// The release build of the driver (`NTMEM_SYS`).
#[must_use]
pub fn ntmem() -> PathBuf {
    file("NTMEM_SYS", "")
}

/// The debug build of the driver (`NTMEM_SYS_DEBUG`).
#[must_use]
pub fn ntmem_debug() -> PathBuf {
    file("NTMEM_SYS_DEBUG", "")
}

/// The driver of `tests/overhead-driver` (`NTMEM_OVERHEAD_DRIVER`).
#[must_use]
pub fn overhead_driver() -> PathBuf {
    file("NTMEM_OVERHEAD_DRIVER", "")
}

/// The driver of `tests/wdk-sys-driver` (`NTMEM_WDK_SYS_DRIVER`).
#[must_use]
pub fn wdk_sys_driver() -> PathBuf {
    file("NTMEM_WDK_SYS_DRIVER", "")
}

/// The driver of `tests/wdm-misuse-driver` (`NTMEM_WDM_MISUSE_DRIVER`).
#[must_use]
pub fn wdm_misuse_driver() -> PathBuf {
    file("NTMEM_WDM_MISUSE_DRIVER", "")
}

/// The driver of `examples/<name>`; all are in the folder `NTMEM_EXAMPLES`.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    file("NTMEM_EXAMPLES", &format!("{name}.sys"))
}

/// The small driver that was built from `tests/drivers/<name>.c`; all are in
/// the folder `NTMEM_TEST_DRIVERS`.
#[must_use]
pub fn driver(name: &str) -> PathBuf {
    file("NTMEM_TEST_DRIVERS", &format!("{name}.sys"))
}

fn file(variable: &str, name: &str) -> PathBuf {
    let Some(value) = std::env::var_os(variable) else {
        panic!(
            "{variable} is not set; run the tests with `cargo xtask test`, which builds the drivers and sets it"
        );
    };
    let mut path = PathBuf::from(value);
    if !name.is_empty() {
        path.push(name);
    }
    assert!(
        path.is_file(),
        "there is no file {} ({variable}); `cargo xtask test` builds it",
        path.display()
    );
    path
}

//! Finds what the build made. `cargo xtask test` builds the driver and the small
//! drivers of `tests/drivers/` and says in the environment where they are; a
//! test that cannot find them fails, for a test that skips itself proves
//! nothing.

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

/// The driver of `tests/cost` (`NTMEM_COST_SYS`).
#[must_use]
pub fn cost() -> PathBuf {
    file("NTMEM_COST_SYS", "")
}

/// The driver of `tests/families` (`NTMEM_FAMILIES_SYS`).
#[must_use]
pub fn families() -> PathBuf {
    file("NTMEM_FAMILIES_SYS", "")
}

/// The driver of `tests/attempts` (`NTMEM_ATTEMPTS_SYS`).
#[must_use]
pub fn attempts() -> PathBuf {
    file("NTMEM_ATTEMPTS_SYS", "")
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
            "{variable} is not set; run the suites with `cargo xtask test`, which builds the drivers and sets it"
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

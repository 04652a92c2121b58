//! Support for the integration tests: the paths of the images that the build made,
//! images made by hand, and functions that run them on a host.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod client_program;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod control_code_driver;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod device;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod embedded;
pub mod images;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod ioctl_fuzz;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod mistakes;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod ntmem;
pub mod pe;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod self_check;

use std::io::Write as _;

/// A file with these bytes and this suffix, which is removed at the drop.
///
/// # Panics
///
/// If the temporary folder cannot be written.
#[must_use]
pub fn temp_file(suffix: &str, bytes: &[u8]) -> tempfile::TempPath {
    let created = tempfile::Builder::new()
        .prefix("ntmem-test-")
        .suffix(suffix)
        .tempfile();
    let written = created.and_then(|mut file| file.write_all(bytes).map(|()| file));
    match written {
        Ok(file) => file.into_temp_path(),
        Err(error) => panic!("cannot write a temporary file: {error}"),
    }
}

/// The configuration of every property test: the same cases at every run, and
/// nothing written into the work tree.
#[macro_export]
macro_rules! fixed_cases {
    ($cases:expr) => {
        proptest::test_runner::Config {
            cases: $cases,
            rng_seed: proptest::test_runner::RngSeed::Fixed(0x6E74_6D65),
            failure_persistence: None,
            ..proptest::test_runner::Config::default()
        }
    };
}

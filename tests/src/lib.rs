//! What several suites need: the images that the build made for them, images
//! made by hand, and the way from either to a host.

pub mod build;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod checked;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod device;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod embedded;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod hostile;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod mistakes;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod ntmem;
pub mod pe;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod planted;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod program;

use std::io::Write as _;

/// A file with these bytes and this suffix, which is removed at the drop.
///
/// # Panics
///
/// If the temporary folder cannot be written.
#[must_use]
pub fn temp_file(suffix: &str, bytes: &[u8]) -> tempfile::TempPath {
    let created = tempfile::Builder::new()
        .prefix("suites-")
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

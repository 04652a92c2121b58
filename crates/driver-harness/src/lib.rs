//! Loads a driver on a host, collects its log and compares the log with the
//! expected one, line by line. The host is a parameter: the embedded kernel, the
//! Service Control Manager of Windows, or Wine.

pub mod expectations;
pub mod host;
pub mod image;
pub mod json_lines;
pub mod logmatch;
pub mod logs;
pub mod offline;
pub mod record;
pub mod service_run;
pub mod verdict;

/// The configuration of the property tests: every run has the same cases.
#[cfg(test)]
pub(crate) fn fixed_cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6E_746D_656D),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}

//! Loads a driver on a host, collects what it logged, and checks that line by
//! line. A test or a person says what must happen; where it happens is a
//! parameter.

pub mod debugview;
pub mod host;
pub mod image;
pub mod lifecycle;
pub mod logs;
pub mod promise;
pub mod record;
pub mod remote;
pub mod saved;
pub mod transcript;
pub mod verdict;

/// The same cases at every run: a test that fails tomorrow must have failed
/// today.
#[cfg(test)]
pub(crate) fn fixed_cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6E_746D_656D),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}

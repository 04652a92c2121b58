//! What the executive says of the system: the processor's features, the product's
//! suites, local time.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};

use crate::base::export::exports;
use crate::base::os_version;

/// Whether the processor has a feature with one of the numbers `PF_…`.
fn has_feature(number: u32) -> bool {
    match number {
        // What every x86-64 processor and kernel has: compare-exchange of 8 bytes,
        // MMX, SSE, the time stamp counter, PAE, SSE2, no-execute, fast fail.
        2 | 3 | 6 | 8 | 9 | 10 | 12 | 23 => true,
        13 => std::is_x86_feature_detected!("sse3"),
        14 => std::is_x86_feature_detected!("cmpxchg16b"),
        17 => std::is_x86_feature_detected!("xsave"),
        28 => std::is_x86_feature_detected!("rdrand"),
        36 => std::is_x86_feature_detected!("ssse3"),
        37 => std::is_x86_feature_detected!("sse4.1"),
        38 => std::is_x86_feature_detected!("sse4.2"),
        39 => std::is_x86_feature_detected!("avx"),
        40 => std::is_x86_feature_detected!("avx2"),
        41 => std::is_x86_feature_detected!("avx512f"),
        _ => false,
    }
}

exports! {
    /// `ExIsProcessorFeaturePresent`: FALSE for what it does not know.
    fn ExIsProcessorFeaturePresent(feature: u32) -> bool [max HIGH_LEVEL, wdm] {
        Ok(has_feature(feature))
    }

    /// `ExVerifySuite`: by the number of a suite.
    fn ExVerifySuite(suite: u32) -> bool [max PASSIVE_LEVEL, undocumented] {
        Ok(1_u32.checked_shl(suite).is_some_and(|bit| u32::from(os_version::SUITE) & bit != 0))
    }

    /// `ExSystemTimeToLocalTime`: the zone is UTC.
    fn ExSystemTimeToLocalTime(system: u64, local: u64) -> () [max HIGH_LEVEL, wdm] {
        Ok(driver_mem::write_u64(local, driver_mem::read_u64(system)?)?)
    }

    /// `ExLocalTimeToSystemTime`.
    fn ExLocalTimeToSystemTime(local: u64, system: u64) -> () [max HIGH_LEVEL, wdm] {
        Ok(driver_mem::write_u64(system, driver_mem::read_u64(local)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::value;

    #[test]
    fn processor_features_and_suites_match_machine() {
        // PF_XMMI64_INSTRUCTIONS_AVAILABLE, PF_FLOATING_POINT_PRECISION_ERRATA.
        assert_eq!(value(ExIsProcessorFeaturePresent, &[10]), 1);
        assert_eq!(value(ExIsProcessorFeaturePresent, &[0]), 0);
        assert_eq!(value(ExIsProcessorFeaturePresent, &[1000]), 0);
        // SingleUserTS, Enterprise.
        assert_eq!(value(ExVerifySuite, &[8]), 1);
        assert_eq!(value(ExVerifySuite, &[1]), 0);
        assert_eq!(value(ExVerifySuite, &[32]), 0);
    }
}

//! Assertions, arithmetic on access masks, and locally unique identifiers.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, HIGH_LEVEL};

use crate::base::altitude::Altitude;
use crate::base::diag;
use crate::base::export::exports;

/// Longest text of an assertion that is reported.
const LIMIT: usize = 512;

/// Generic rights, from the highest bit down, and where `GENERIC_MAPPING` says
/// what they are for a kind of object.
const GENERIC: [(u32, u64); 4] = [(1 << 31, 0), (1 << 30, 4), (1 << 29, 8), (1 << 28, 12)];

exports! {
    /// `RtlAssert`: where a debugger would ask, the failure is reported and the
    /// driver goes on.
    fn RtlAssert<call>(assertion: u64, file: u64, line: u32, message: u64) -> () [max HIGH_LEVEL, undocumented] {
        let text = |va| -> Result<String, driver_mem::Fault> {
            let bytes = if va == 0 { Vec::new() } else { driver_mem::read_c_string(va, LIMIT)? };
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (assertion, file, message) = (text(assertion)?, text(file)?, text(message)?);
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        let what = format!("the assertion '{assertion}' failed at {file}, line {line}{message}");
        diag::violation(rules::ASSERTION_FAILED, what, call.return_address());
        Ok(())
    }

    /// `RtlMapGenericMask`: replaces generic rights by those of the object's type.
    fn RtlMapGenericMask(mask: u64, mapping: u64) -> () [max APC_LEVEL, ntddk] {
        let mut rights = driver_mem::read_u32(mask)?;
        for (generic, offset) in GENERIC {
            if rights & generic != 0 {
                rights = rights & !generic | driver_mem::read_u32(mapping.wrapping_add(offset))?;
            }
        }
        Ok(driver_mem::write_u32(mask, rights)?)
    }

    /// `RtlCopyLuid`.
    fn RtlCopyLuid(to: u64, from: u64) -> () [max APC_LEVEL, ntifs] {
        Ok(driver_mem::write_u64(to, driver_mem::read_u64(from)?)?)
    }

    /// `RtlEqualLuid`.
    fn RtlEqualLuid(first: u64, second: u64) -> bool [max HIGH_LEVEL, wdm] {
        Ok(driver_mem::read_u64(first)? == driver_mem::read_u64(second)?)
    }

    /// `RtlCompareAltitudes`: below 0, 0 or above 0, as numbers.
    fn RtlCompareAltitudes(first: u64, second: u64) -> i32 [max APC_LEVEL, undocumented] {
        Ok(Altitude::read(first)?.cmp(&Altitude::read(second)?) as i32)
    }

    /// `RtlAreAllAccessesGranted`.
    fn RtlAreAllAccessesGranted(granted: u32, desired: u32) -> bool [max HIGH_LEVEL, undocumented] {
        Ok(desired & !granted == 0)
    }

    /// `RtlAreAnyAccessesGranted`.
    fn RtlAreAnyAccessesGranted(granted: u32, desired: u32) -> bool [max HIGH_LEVEL, undocumented] {
        Ok(desired & granted != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Counted, address, address_mut, value, violations, wide};

    #[test]
    fn rtl_assert_is_reported() {
        value(
            RtlAssert,
            &[address(b"x > 0\0"), address(b"a.c\0"), 7, address(b"why\0")],
        );
        value(RtlAssert, &[address(b"y\0"), address(b"b.c\0"), 8, 0]);
        let found: Vec<String> = violations()
            .into_iter()
            .map(|violation| violation.message)
            .collect();
        assert_eq!(
            found,
            [
                "the assertion 'x > 0' failed at a.c, line 7: why",
                "the assertion 'y' failed at b.c, line 8",
            ]
        );
    }

    #[test]
    fn map_generic_mask_replaces_rights() {
        let mapping = [0x1_u32, 0x2, 0x4, 0xf00];
        for (before, after) in [
            (0x8000_0000_u32, 0x1_u32),
            (0x4000_0010, 0x12),
            (0x2000_0000, 0x4),
            (0x1000_0000, 0xf00),
            (0xf000_0000, 0xf07),
            (0x30, 0x30),
        ] {
            let mut mask = before;
            value(
                RtlMapGenericMask,
                &[address_mut(&mut mask), address(&mapping)],
            );
            assert_eq!(mask, after, "{before:#x}");
        }
    }

    #[test]
    fn luid_copy_and_compare() {
        let (first, mut second) = ([7_u32, 1], [7_u32, 2]);
        let compared = [address(&first), address(&second)];
        assert_eq!(value(RtlEqualLuid, &compared), 0);
        value(RtlCopyLuid, &[address_mut(&mut second), address(&first)]);
        assert_eq!(value(RtlEqualLuid, &compared), 1);
        assert_eq!(second, first);
    }

    #[test]
    fn compare_altitudes_as_numbers() {
        for (first, second, expected) in [
            ("9", "10", -1),
            ("380000.5", "380000.05", 1),
            ("0100.10", "100.1", 0),
        ] {
            let (mut first, mut second) = (wide(first), wide(second));
            let (used, other) = (first.len() - 1, second.len() - 1);
            let first = Counted::unicode(&mut first, used);
            let second = Counted::unicode(&mut second, other);
            let compared = value(RtlCompareAltitudes, &[address(&first), address(&second)]);
            assert_eq!(compared.cast_signed(), expected);
        }
    }

    #[test]
    fn are_accesses_granted_compares_masks() {
        assert_eq!(value(RtlAreAllAccessesGranted, &[0b110, 0b100]), 1);
        assert_eq!(value(RtlAreAllAccessesGranted, &[0b110, 0b101]), 0);
        assert_eq!(value(RtlAreAnyAccessesGranted, &[0b110, 0b101]), 1);
        assert_eq!(value(RtlAreAnyAccessesGranted, &[0b110, 0b001]), 0);
    }
}

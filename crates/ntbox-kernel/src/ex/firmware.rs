//! Firmware: that of a PC with a BIOS, which has no variables, and no hypervisor that
//! restarts the kernel softly.

use nt_status::STATUS_NOT_IMPLEMENTED;
use ntbox_host::gate::irql::{APC_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};

use crate::base::export::exports;

/// `FirmwareTypeBios`.
const BIOS: u32 = 1;

exports! {
    /// `ExGetFirmwareType`.
    fn ExGetFirmwareType() -> u32 [max APC_LEVEL, wdm] {
        Ok(BIOS)
    }

    /// `ExGetFirmwareEnvironmentVariable`: a BIOS has none.
    fn ExGetFirmwareEnvironmentVariable(name: u64, vendor: u64, data: u64, length: u64, attributes: u64) -> u32
        [max PASSIVE_LEVEL, wdm, since WINDOWS_8]
    {
        Ok(STATUS_NOT_IMPLEMENTED)
    }

    /// `ExSetFirmwareEnvironmentVariable`: a BIOS has none.
    fn ExSetFirmwareEnvironmentVariable(name: u64, vendor: u64, data: u64, length: u32, attributes: u32) -> u32
        [max PASSIVE_LEVEL, wdm, since WINDOWS_8]
    {
        Ok(STATUS_NOT_IMPLEMENTED)
    }

    /// `ExIsSoftBoot`: the kernel was started, not restarted.
    fn ExIsSoftBoot() -> bool [max HIGH_LEVEL, wdm] {
        Ok(false)
    }

    /// `ExIsManufacturingModeEnabled`.
    fn ExIsManufacturingModeEnabled() -> bool [max HIGH_LEVEL, undocumented] {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, status, value};

    #[test]
    fn firmware_is_a_bios_without_variables() {
        assert_eq!(value(ExGetFirmwareType, &[]), 1);
        let mut length = 7_u32;
        let at = address_mut(&mut length);
        let arguments = [0x1000, 0x2000, 0x3000, at, 0];
        let read = status(ExGetFirmwareEnvironmentVariable, &arguments);
        assert_eq!((read, length), (STATUS_NOT_IMPLEMENTED, 7));
        let written = status(
            ExSetFirmwareEnvironmentVariable,
            &[0x1000, 0x2000, 0x3000, 4, 0],
        );
        assert_eq!(written, STATUS_NOT_IMPLEMENTED);
        assert_eq!(value(ExIsSoftBoot, &[]), 0);
        assert_eq!(value(ExIsManufacturingModeEnabled, &[]), 0);
    }
}

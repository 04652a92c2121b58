//! `ZwPowerInformation`: what the machine can do to save power. It always runs, so
//! that is little.

use nt_status::{STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::log;
use crate::base::processor_mode::Mode;

/// `PlatformInformation`, the only level that the reference supports.
const PLATFORM: u32 = 66;
/// The first number that is no level of Windows 10.
const END: u32 = 96;

/// Buffers of a query and their lengths.
struct Buffers {
    input: u64,
    output: u64,
    output_length: u32,
}

fn query(level: u32, buffers: &Buffers, mode: Mode) -> Result<(), Refusal> {
    if level != PLATFORM {
        if level >= END {
            return Err(STATUS_INVALID_PARAMETER.into());
        }
        log::note(&format!(
            "ZwPowerInformation refuses level {level}: this kernel has the documented one, {PLATFORM}, only"
        ));
        return Err(STATUS_NOT_SUPPORTED.into());
    }
    if buffers.input != 0 || buffers.output == 0 {
        return Err(STATUS_INVALID_PARAMETER.into());
    }
    if buffers.output_length == 0 {
        return Err(STATUS_BUFFER_TOO_SMALL.into());
    }
    mode.probe(buffers.output, u64::from(buffers.output_length), 1)?;
    // `AoAc`: the machine is not one that is always on and always connected.
    Ok(driver_mem::write_u8(buffers.output, 0)?)
}

exports! {
    /// `ZwPowerInformation`.
    fn ZwPowerInformation(level: u32, input: u64, input_length: u32, output: u64, output_length: u32) -> u32
        [max PASSIVE_LEVEL, ntddk, partial "PlatformInformation only, as documented"]
    {
        Mode::Kernel.status(query(level, &Buffers { input, output, output_length }, Mode::Kernel))
    }

    /// `NtPowerInformation`.
    fn NtPowerInformation(level: u32, input: u64, input_length: u32, output: u64, output_length: u32) -> u32
        [max PASSIVE_LEVEL, wdm, partial "PlatformInformation only, as documented"]
    {
        let mode = Mode::previous();
        mode.status(query(level, &Buffers { input, output, output_length }, mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{NOWHERE, address_mut, fault, lines, processor, status};

    #[test]
    fn power_information_platform_is_not_aoac() {
        processor();
        let mut answer = [7_u8; 2];
        let to = address_mut(&mut answer);
        let query =
            |level, input, to, length| status(ZwPowerInformation, &[level, input, 0, to, length]);
        assert_eq!(query(66, 0, to, 1), 0);
        assert_eq!(answer, [0, 7]);
        assert_eq!(query(66, 0, to, 0), STATUS_BUFFER_TOO_SMALL);
        assert_eq!(query(66, 0, 0, 1), STATUS_INVALID_PARAMETER);
        assert_eq!(query(66, to, to, 1), STATUS_INVALID_PARAMETER);
        assert_eq!(query(9_999, 0, to, 1), STATUS_INVALID_PARAMETER);
        assert_eq!(fault(ZwPowerInformation, &[66, 0, 0, NOWHERE, 1]), NOWHERE);
        assert_eq!(status(NtPowerInformation, &[66, 0, 0, to, 2]), 0);
    }

    #[test]
    fn power_information_unsupported_level_is_logged() {
        processor();
        let mut answer = [7_u8; 0x50];
        let to = address_mut(&mut answer);
        let refused = status(ZwPowerInformation, &[4, 0, 0, to, 0x50]);
        assert_eq!(refused, STATUS_NOT_SUPPORTED);
        assert_eq!(answer, [7; 0x50]);
        assert!(lines()[0].contains("level 4"));
    }
}

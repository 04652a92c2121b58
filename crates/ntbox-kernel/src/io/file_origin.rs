//! Whether a file was opened for a client of another machine, as a server that is a
//! driver says of it.

use nt_layout::FileObject;
use nt_status::{STATUS_INVALID_PARAMETER_MIX, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

/// `FO_REMOTE_ORIGIN`.
const REMOTE_ORIGIN: u32 = 0x0100_0000;

exports! {
    /// `IoIsFileOriginRemote`.
    fn IoIsFileOriginRemote(device: DriverPtr<FileObject>) -> bool [max HIGH_LEVEL, ntddk] {
        let flags = device.get(|file| &file.flags)?;
        Ok(flags & REMOTE_ORIGIN != 0)
    }

    /// `IoSetFileOrigin`: refused if the file has that origin already.
    fn IoSetFileOrigin(device: DriverPtr<FileObject>, remote: bool) -> u32 [max HIGH_LEVEL, ntddk] {
        let at = device.at(|file| &file.flags).address();
        let flags = driver_mem::read_u32(at)?;
        if (flags & REMOTE_ORIGIN != 0) == remote {
            return Ok(STATUS_INVALID_PARAMETER_MIX);
        }
        driver_mem::write_u32(at, flags ^ REMOTE_ORIGIN)?;
        Ok(STATUS_SUCCESS)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "sizes of small structures")]
mod tests {
    use super::*;
    use crate::test_support::{NOWHERE, address_mut, fault, status, value};

    #[test]
    fn file_origin_is_set_and_cleared_once() {
        let mut file = [0_u32; DriverPtr::<FileObject>::SIZE as usize / 4];
        let at = address_mut(&mut file);
        let flags = DriverPtr::<FileObject>::new(at).at(|file| &file.flags);
        flags.write(0x42).expect("the test's memory");
        assert_eq!(value(IoIsFileOriginRemote, &[at]), 0);
        assert_eq!(
            status(IoSetFileOrigin, &[at, 0]),
            STATUS_INVALID_PARAMETER_MIX
        );
        assert_eq!(status(IoSetFileOrigin, &[at, 1]), STATUS_SUCCESS);
        assert_eq!(value(IoIsFileOriginRemote, &[at]), 1);
        assert_eq!(
            status(IoSetFileOrigin, &[at, 1]),
            STATUS_INVALID_PARAMETER_MIX
        );
        assert_eq!(status(IoSetFileOrigin, &[at, 0]), STATUS_SUCCESS);
        assert_eq!(flags.read(), Ok(0x42));
        let flags = DriverPtr::<FileObject>::new(NOWHERE).at(|file| &file.flags);
        assert_eq!(fault(IoIsFileOriginRemote, &[NOWHERE]), flags.address());
    }
}

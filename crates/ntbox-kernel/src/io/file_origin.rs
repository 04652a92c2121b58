//! Whether a file was opened for a client of another machine, as a server that is a
//! driver says of it.

use nt_status::{STATUS_INVALID_PARAMETER_MIX, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::export::exports;
use crate::base::io_layout::file;

/// `FO_REMOTE_ORIGIN`.
const REMOTE_ORIGIN: u32 = 0x0100_0000;

exports! {
    /// `IoIsFileOriginRemote`.
    fn IoIsFileOriginRemote(body: u64) -> bool [max HIGH_LEVEL, ntddk] {
        let flags = driver_mem::read_u32(body.wrapping_add(file::FLAGS))?;
        Ok(flags & REMOTE_ORIGIN != 0)
    }

    /// `IoSetFileOrigin`: refused if the file has that origin already.
    fn IoSetFileOrigin(body: u64, remote: bool) -> u32 [max HIGH_LEVEL, ntddk] {
        let at = body.wrapping_add(file::FLAGS);
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
    fn origin_of_file_is_set_and_cleared_once() {
        let mut body = [0_u32; file::SIZE_OF as usize / 4];
        body[file::FLAGS as usize / 4] = 0x42;
        let at = address_mut(&mut body);
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
        assert_eq!(body[file::FLAGS as usize / 4], 0x42);
        let va = NOWHERE + file::FLAGS;
        assert_eq!(fault(IoIsFileOriginRemote, &[NOWHERE]), va);
    }
}

//! Reads and writes the debug print filter in the registry: the levels of each component
//! that Windows passes on. The kernel reads it at its start.

use windows_registry::LOCAL_MACHINE;

use super::super::HostError;
use super::NAME;

const KEY: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager\Debug Print Filter";
/// The component of third-party drivers.
const VALUE: &str = "IHVDRIVER";
/// `ERROR_FILE_NOT_FOUND` as an `HRESULT`: no such key or value.
const NOT_FOUND: i32 = 0x8007_0002_u32.cast_signed();

/// The mask for third-party drivers; `None` if it is not set, which lets only level
/// ERROR through.
///
/// # Errors
///
/// [`HostError::Failed`] if the registry cannot be read.
pub fn mask() -> Result<Option<u32>, HostError> {
    match LOCAL_MACHINE.open(KEY).and_then(|key| key.get_u32(VALUE)) {
        Ok(mask) => Ok(Some(mask)),
        Err(error) if error.code().0 == NOT_FOUND => Ok(None),
        Err(error) => Err(failed("read the debug print filter", &error)),
    }
}

/// Writes the mask, which takes effect at the next start of Windows.
///
/// # Errors
///
/// [`HostError::Failed`] if the registry cannot be written, for example without elevation.
pub fn set_mask(mask: u32) -> Result<(), HostError> {
    LOCAL_MACHINE
        .create(KEY)
        .and_then(|key| key.set_u32(VALUE, mask))
        .map_err(|error| failed("write the debug print filter", &error))
}

fn failed(action: &'static str, error: &impl ToString) -> HostError {
    HostError::Failed {
        host: NAME,
        action,
        reason: error.to_string(),
    }
}

//! The device of the driver `ntmem`.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::AsRawHandle;

use ntmem_ioctl::{BlocksRequest, Command, DEVICE_LINK};
use windows_sys::Win32::System::IO::DeviceIoControl;
use zerocopy::IntoBytes;

use super::ACCESS_DENIED;
use crate::Error;
use crate::kernel::{Ask, ROOM};

/// `ERROR_FILE_NOT_FOUND`.
const FILE_NOT_FOUND: i32 = 2;
/// `ERROR_INVALID_FUNCTION`: what an older driver answers.
const INVALID_FUNCTION: i32 = 1;
/// `ERROR_NOT_SUPPORTED`.
const NOT_SUPPORTED: i32 = 50;
/// `ERROR_INVALID_PARAMETER`.
const INVALID_PARAMETER: i32 = 87;

/// The device, open.
#[derive(Debug)]
pub struct Device(File);

impl Device {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// The driver is not running, or this user may not.
    pub fn open() -> Result<Self, Error> {
        let opened = OpenOptions::new().read(true).write(true).open(DEVICE_LINK);
        opened.map(Self).map_err(|error| Error::NoDevice {
            device: DEVICE_LINK,
            why: match error.raw_os_error() {
                Some(FILE_NOT_FOUND) => {
                    "the driver ntmem is not running; start it with `sc start ntmem`".to_owned()
                }
                Some(ACCESS_DENIED) => {
                    "it admits administrators only, from an elevated prompt".to_owned()
                }
                _ => error.to_string(),
            },
        })
    }
}

impl Ask for &Device {
    fn blocks(&mut self, request: &BlocksRequest) -> Result<Vec<u8>, Error> {
        let input = request.as_bytes();
        let mut output = vec![0_u8; ROOM];
        let mut written = 0;
        // SAFETY: the device is open, both buffers are as long as said, and the
        // call has ended when it returns, as the file is no overlapped one.
        let answered = unsafe {
            DeviceIoControl(
                self.0.as_raw_handle(),
                Command::Blocks.code(),
                input.as_ptr().cast::<c_void>(),
                u32::try_from(input.len()).unwrap_or(0),
                output.as_mut_ptr().cast(),
                u32::try_from(output.len()).unwrap_or(0),
                &raw mut written,
                std::ptr::null_mut(),
            )
        };
        if answered == 0 {
            return Err(refused(request.process, &io::Error::last_os_error()));
        }
        output.truncate(usize::try_from(written).unwrap_or(0));
        Ok(output)
    }
}

fn refused(process: u64, error: &io::Error) -> Error {
    let why = match error.raw_os_error() {
        Some(INVALID_FUNCTION) => "it is older than this program".to_owned(),
        Some(NOT_SUPPORTED) => "this kernel does not export ZwQueryVirtualMemory".to_owned(),
        Some(INVALID_PARAMETER) => "there is no such process any more".to_owned(),
        _ => error.to_string(),
    };
    Error::Refused { process, why }
}

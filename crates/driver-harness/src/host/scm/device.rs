//! Opening a device and sending it requests. `NtDeviceIoControlFile` instead of
//! `DeviceIoControl`, which turns several statuses into one code.

use std::fs::{File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr;

use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, WaitForSingleObject};

use crate::host::win32::status_of;
use crate::host::{Asked, Inquiry};

const STATUS_PENDING: u32 = 0x103;

/// A handle for a device.
pub struct Device {
    file: File,
}

/// A request that has begun. What the kernel writes to has to stay where it is
/// until the request has ended, so it has to be waited for.
pub struct Begun<'a> {
    _device: &'a Device,
    request: Box<Request>,
    event: OwnedHandle,
    is_pending: bool,
}

struct Request {
    block: IO_STATUS_BLOCK,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// The status for a Win32 error of this thread.
fn status(error: &std::io::Error) -> u32 {
    status_of(error.raw_os_error().unwrap_or_default().cast_unsigned())
}

impl Device {
    /// Opens `path` to read and write; the status if that is refused.
    pub fn open(path: &str) -> Result<Self, u32> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .open(path)
            .map(|file| Self { file })
            .map_err(|error| status(&error))
    }

    /// Sends a control request, and does not wait for its end.
    pub fn begin(&self, inquiry: &Inquiry) -> Result<Begun<'_>, u32> {
        // SAFETY: no pointer is passed; the handle is checked below.
        let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
        if event.is_null() {
            return Err(status(&std::io::Error::last_os_error()));
        }
        // SAFETY: the handle was just made, and nobody else has it.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        let mut request = Box::new(Request {
            block: IO_STATUS_BLOCK::default(),
            input: inquiry.input.clone(),
            output: vec![0; inquiry.room],
        });
        let too_long = |_| nt_status::STATUS_INVALID_PARAMETER;
        let input_length = u32::try_from(request.input.len()).map_err(too_long)?;
        let output_length = u32::try_from(request.output.len()).map_err(too_long)?;
        // SAFETY: the buffers have the lengths given. They and the block stay
        // where they are until the request has ended: `Begun` waits for that, at
        // the latest when it is dropped.
        let status = unsafe {
            NtDeviceIoControlFile(
                self.file.as_raw_handle(),
                event.as_raw_handle(),
                None,
                ptr::null(),
                &raw mut request.block,
                inquiry.code,
                request.input.as_ptr().cast(),
                input_length,
                request.output.as_mut_ptr().cast(),
                output_length,
            )
        };
        let is_pending = status.cast_unsigned() == STATUS_PENDING;
        if !is_pending {
            request.block.Anonymous.Status = status;
        }
        Ok(Begun {
            _device: self,
            request,
            event,
            is_pending,
        })
    }
}

impl Begun<'_> {
    /// Waits for the end; the status, and what the driver says that it wrote.
    pub fn end(mut self) -> (u32, Vec<u8>) {
        self.wait();
        // SAFETY: both members of the union are plain numbers of the kernel's.
        let status = unsafe { self.request.block.Anonymous.Status };
        let mut output = std::mem::take(&mut self.request.output);
        output.truncate(self.request.block.Information);
        (status.cast_unsigned(), output)
    }

    fn wait(&mut self) {
        if self.is_pending {
            // SAFETY: the handle is an event's, and open.
            unsafe { WaitForSingleObject(self.event.as_raw_handle(), INFINITE) };
            self.is_pending = false;
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Opens, asks and closes.
pub fn ask(path: &str, inquiry: &Inquiry) -> Asked {
    let device = match Device::open(path) {
        Ok(device) => device,
        Err(status) => return Asked::Unopened(status),
    };
    let asked = device.begin(inquiry).map(Begun::end);
    answered(asked)
}

/// The same with a second handle, whose request follows the first one's.
pub fn ask_both(path: &str, first: &Inquiry, second: &Inquiry) -> (Asked, Asked) {
    let device = match Device::open(path) {
        Ok(device) => device,
        Err(status) => return (Asked::Unopened(status), ask(path, second)),
    };
    let begun = device.begin(first);
    let second = ask(path, second);
    (answered(begun.map(Begun::end)), second)
}

fn answered(asked: Result<(u32, Vec<u8>), u32>) -> Asked {
    match asked {
        Ok((status, output)) => Asked::Answered(status, output),
        Err(status) => Asked::Answered(status, Vec::new()),
    }
}

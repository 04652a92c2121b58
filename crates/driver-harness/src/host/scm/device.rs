//! Opens devices and sends them requests, with `NtDeviceIoControlFile`:
//! `DeviceIoControl` maps several statuses to one error code.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::fs::{File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr;

use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, WaitForSingleObject};

use crate::host::win32::status_of;
use crate::host::{IoctlRequest, IoctlResponse};

const STATUS_PENDING: u32 = 0x103;

/// A handle to a device.
pub struct Device {
    file: File,
}

/// A request that may be pending. The kernel writes to its buffers until the request is
/// completed, so the drop waits for the completion.
pub struct PendingIo<'a> {
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

/// The status for a Win32 error.
fn status(error: &std::io::Error) -> u32 {
    status_of(error.raw_os_error().unwrap_or_default().cast_unsigned())
}

impl Device {
    /// Opens `path` for reading and writing; the error is the status.
    pub fn open(path: &str) -> Result<Self, u32> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .open(path)
            .map(|file| Self { file })
            .map_err(|error| status(&error))
    }

    /// Sends a control request and does not wait for its completion.
    pub fn send(&self, ioctl: &IoctlRequest) -> Result<PendingIo<'_>, u32> {
        // SAFETY: both pointers are null, which the function allows.
        let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
        if event.is_null() {
            return Err(status(&std::io::Error::last_os_error()));
        }
        // SAFETY: the handle is valid, and only this function has it.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        let mut request = Box::new(Request {
            block: IO_STATUS_BLOCK::default(),
            input: ioctl.input.clone(),
            output: vec![0; ioctl.output_size],
        });
        let too_long = |_| nt_status::STATUS_INVALID_PARAMETER;
        let input_length = u32::try_from(request.input.len()).map_err(too_long)?;
        let output_length = u32::try_from(request.output.len()).map_err(too_long)?;
        // SAFETY: the buffers have the lengths passed. They and the status block are on
        // the heap and stay valid until the request is completed: `PendingIo` owns them,
        // and its drop waits for the completion.
        let status = unsafe {
            NtDeviceIoControlFile(
                self.file.as_raw_handle(),
                event.as_raw_handle(),
                None,
                ptr::null(),
                &raw mut request.block,
                ioctl.code,
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
        Ok(PendingIo {
            _device: self,
            request,
            event,
            is_pending,
        })
    }
}

impl PendingIo<'_> {
    /// Waits for the completion; returns the status and the output.
    pub fn finish(mut self) -> (u32, Vec<u8>) {
        self.wait();
        // SAFETY: both members of the union are plain data, and the kernel has written it.
        let status = unsafe { self.request.block.Anonymous.Status };
        let mut output = std::mem::take(&mut self.request.output);
        output.truncate(self.request.block.Information);
        (status.cast_unsigned(), output)
    }

    fn wait(&mut self) {
        if self.is_pending {
            // SAFETY: the handle is an open event handle.
            unsafe { WaitForSingleObject(self.event.as_raw_handle(), INFINITE) };
            self.is_pending = false;
        }
    }
}

impl Drop for PendingIo<'_> {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Opens the device, sends the request and closes the device.
pub fn send_ioctl(path: &str, ioctl: &IoctlRequest) -> IoctlResponse {
    let device = match Device::open(path) {
        Ok(device) => device,
        Err(status) => return IoctlResponse::OpenFailed(status),
    };
    response(device.send(ioctl).map(PendingIo::finish))
}

/// Like [`send_ioctl`] with two handles; the second request follows the first.
pub fn send_ioctl_pair(
    path: &str,
    first: &IoctlRequest,
    second: &IoctlRequest,
) -> (IoctlResponse, IoctlResponse) {
    let device = match Device::open(path) {
        Ok(device) => device,
        Err(status) => return (IoctlResponse::OpenFailed(status), send_ioctl(path, second)),
    };
    let pending = device.send(first);
    let second = send_ioctl(path, second);
    (response(pending.map(PendingIo::finish)), second)
}

fn response(result: Result<(u32, Vec<u8>), u32>) -> IoctlResponse {
    match result {
        Ok((status, output)) => IoctlResponse::Completed(status, output),
        Err(status) => IoctlResponse::Completed(status, Vec::new()),
    }
}

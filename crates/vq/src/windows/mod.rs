//! Living processes of Windows, and of Wine. All that is `unsafe` in this crate is
//! here: calls of the system, each with what it needs beside it.

#![expect(unsafe_code, reason = "calls of Windows")]

mod device;
mod landmarks;
mod process;
mod suspended;
mod working_set;

pub use self::{
    device::Device,
    landmarks::landmarks,
    process::{Named, Process, all, find},
    suspended::Suspended,
};

use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle, RawHandle};

use crate::Error;

/// `ERROR_ACCESS_DENIED`.
const ACCESS_DENIED: i32 = 5;
/// `ERROR_INVALID_PARAMETER`.
const INVALID_PARAMETER: i32 = 87;

/// What the last call of this thread that failed left behind.
fn last(call: &'static str) -> Error {
    failed(call, &io::Error::last_os_error())
}

fn failed(call: &'static str, error: &io::Error) -> Error {
    Error::System {
        call,
        why: error.to_string(),
    }
}

/// Takes a handle that a call returned, unless it failed.
///
/// # Safety
///
/// The handle is open and nobody else's, or one of the two numbers that stand for
/// failure.
unsafe fn owned(handle: RawHandle) -> Option<OwnedHandle> {
    let failed = handle.is_null() || handle.addr() == usize::MAX;
    // SAFETY: the caller vouches for a handle that is none of the two.
    (!failed).then(|| unsafe { OwnedHandle::from_raw_handle(handle) })
}

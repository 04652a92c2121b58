//! A process whose threads stand still, so that its address space does not change
//! by itself. Threads that another process starts in it meanwhile do run.

use std::os::windows::io::{AsRawHandle, OwnedHandle};

use windows_sys::Win32::System::Threading::{
    OpenThread, ResumeThread, SuspendThread, THREAD_SUSPEND_RESUME,
};

use super::{Process, landmarks::threads, last, owned};
use crate::Error;

/// Threads that go on when this is dropped.
#[derive(Debug)]
pub struct Suspended(Vec<OwnedHandle>);

impl Suspended {
    /// Suspends all threads of a process.
    ///
    /// # Errors
    ///
    /// One of them cannot be; those that were suspended go on.
    pub fn new(process: &Process) -> Result<Self, Error> {
        let mut suspended = Self(Vec::new());
        let mut done = Vec::new();
        // A thread may have started another one before its own turn came.
        loop {
            let before = done.len();
            for id in threads(process.id())? {
                if !done.contains(&id) {
                    done.push(id);
                    suspended.suspend(id)?;
                }
            }
            if done.len() == before {
                return Ok(suspended);
            }
        }
    }

    fn suspend(&mut self, id: u32) -> Result<(), Error> {
        // SAFETY: the function takes any numbers; what it returns is ours.
        let handle = unsafe { owned(OpenThread(THREAD_SUSPEND_RESUME, 0, id)) };
        let handle = handle.ok_or_else(|| last("OpenThread"))?;
        // SAFETY: the thread is open for this.
        if unsafe { SuspendThread(handle.as_raw_handle()) } == u32::MAX {
            return Err(last("SuspendThread"));
        }
        self.0.push(handle);
        Ok(())
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        for thread in &self.0 {
            // SAFETY: the thread is open for this, and was suspended once.
            unsafe { ResumeThread(thread.as_raw_handle()) };
        }
    }
}

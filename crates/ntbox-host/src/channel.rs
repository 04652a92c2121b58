//! The channel to the process that started this one: events go there.

use std::io;
use std::os::unix::net::UnixStream;

use ntbox_api::ipc::{Event, write};

use super::hook::Hook;
use super::kernel_cell::KernelCell;

static STREAM: KernelCell<Option<UnixStream>> = KernelCell::new(None);

/// Records events in unit tests.
pub static RECORDER: Hook<fn(&Event)> = Hook::new();

/// From now on events are sent to the other end of `stream`.
pub fn send_to(stream: &UnixStream) -> io::Result<()> {
    *STREAM.lock() = Some(stream.try_clone()?);
    Ok(())
}

/// Sends an event to the caller. If the caller is gone there is nobody to run
/// for: the kernel process ends.
pub fn send(event: &Event) {
    if let Some(record) = RECORDER.registered() {
        record(event);
    }
    let mut guard = STREAM.lock();
    if let Some(stream) = guard.as_mut()
        && write(stream, event).is_err()
    {
        std::process::exit(0);
    }
}

//! The file system behind the volume `C:`, as the I/O manager asks it for what no IRP
//! can: its devices, and the path of an open file.

use ntbox_host::hook::Hook;

/// The file system's answers.
#[derive(Debug, Clone, Copy)]
pub struct FileSystem {
    /// Whether a device object is the volume's, or that of the file system.
    pub has_device: fn(u64) -> bool,
    /// The path on the volume of a file object; `None` if it is open elsewhere.
    pub path_of: fn(u64) -> Option<Vec<u16>>,
}

/// The file system.
pub static FILE_SYSTEM: Hook<FileSystem> = Hook::new();

/// Whether a device object is the volume's, or that of the file system.
pub fn has_device(device: u64) -> bool {
    (FILE_SYSTEM.get().has_device)(device)
}

/// The path on the volume of a file object; `None` if it is open elsewhere.
pub fn path_of(file: u64) -> Option<Vec<u16>> {
    (FILE_SYSTEM.get().path_of)(file)
}

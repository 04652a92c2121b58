//! The file system: a small volume in memory, `C:`, behind the I/O manager as the driver
//! of a file system is. A driver opens files by `\??\C:\…`, `\SystemRoot\…` or
//! `\Device\HarddiskVolume1\…`; the requests arrive here as IRPs.

mod cleanup_close;
pub mod create;
pub mod dir_tree;
mod directory;
mod dispatch;
pub mod lock_control;
mod path;
mod query_info;
pub mod section_pointers;
mod set_info;
mod transfer;
mod volume;
mod volume_info;

use ntbox_host::gate::Export;
use ntbox_host::kernel_cell::KernelCell;
use rustc_hash::FxHashMap;

use super::io::file_system::FileSystem;
use super::ramfs::dir_tree::{Id, Tree};
pub use super::ramfs::volume::{InitialFile, initialize};
pub use super::sections::file_data::Content;
use super::sections::section::FileData;
use crate::sections::file_data;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    dispatch::EXPORTS,
    lock_control::EXPORTS,
    section_pointers::EXPORTS,
];

/// A file object that is open on the volume.
#[derive(Debug, Default)]
pub struct Open {
    /// What it is open on; `None` for the volume itself.
    pub node: Option<Id>,
    /// Whether the file goes when this one is closed.
    delete_on_close: bool,
    /// Whether its last handle is closed.
    cleaned_up: bool,
    /// What a listing of the directory has come to.
    scan: directory::Scan,
    /// The context that belongs to it alone, a block of pool.
    context: u64,
}

/// The volume.
#[derive(Debug)]
pub struct Volume {
    pub tree: Tree,
    /// By the address of the file object.
    pub opens: FxHashMap<u64, Open>,
    /// When it was made.
    created: u64,
    /// Its label.
    label: Vec<u16>,
    /// The storage device, and the file system's that is mounted on it.
    devices: [u64; 2],
}

static VOLUME: KernelCell<Option<Volume>> = KernelCell::new(None);

/// Works on the volume; `None` if there is none. The driver must not be called
/// meanwhile.
pub fn with<T>(work: impl FnOnce(&mut Volume) -> T) -> Option<T> {
    VOLUME.lock().as_mut().map(work)
}

/// This file system, for the I/O manager.
pub const FILE_SYSTEM: FileSystem = FileSystem {
    has_device,
    path_of,
};
/// The data of its files, for sections.
pub const FILE_DATA: FileData = FileData { content_of, extend };

/// Whether a device is the volume's, or that of the file system on it.
pub fn has_device(body: u64) -> bool {
    with(|volume| volume.devices.contains(&body)).unwrap_or(false)
}

/// The path on the volume of what a file object is open on, as names are spelled
/// there; `None` if it is open elsewhere.
pub fn path_of(object: u64) -> Option<Vec<u16>> {
    with(|volume| {
        let open = volume.opens.get(&object)?;
        Some(match open.node {
            None => Vec::new(),
            Some(node) => volume.tree.path(node),
        })
    })?
}

/// The data of a file that sections can be made of; `None` for what is no file of
/// the volume.
pub fn content_of(object: u64) -> Option<Content> {
    with(|volume| {
        let node = volume.opens.get(&object)?.node?;
        volume.tree.get(node)?.content()
    })?
}

/// Makes a file longer, for a section.
///
/// # Errors
/// `STATUS_DISK_FULL`, `STATUS_INVALID_FILE_FOR_SECTION`.
pub fn extend(object: u64, size: u64) -> Result<(), u32> {
    let extended = with(|volume| {
        let node = volume.opens.get(&object)?.node?;
        let room = file_data::CAPACITY - volume.used();
        let node = volume.tree.get_mut(node)?;
        Some(node.extend(size, room))
    });
    extended
        .flatten()
        .unwrap_or(Err(nt_status::STATUS_INVALID_FILE_FOR_SECTION))
}

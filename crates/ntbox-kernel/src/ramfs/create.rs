//! Opening files and directories.

use std::collections::BTreeMap;

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};

use super::dir_tree::{Id, Kind, Node, ROOT, attribute};
use super::dispatch::IoResult;
use super::path::Target;
use super::{Open, Volume, directory, path, with};
use crate::base::clock;
use crate::base::io_layout::stack::{create as parameter, special};
use crate::base::io_layout::{file, irp, stack};
use crate::io::share;
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::sections::file_data;
use crate::sections::file_data::Content;

/// `FILE_…` options of a create.
mod option {
    pub const DIRECTORY: u32 = 0x1;
    pub const NON_DIRECTORY: u32 = 0x40;
    pub const DELETE_ON_CLOSE: u32 = 0x1000;
    pub const OPEN_BY_FILE_ID: u32 = 0x2000;
}

/// `FILE_SUPERSEDED` and the other outcomes, as `IoStatus.Information`.
mod outcome {
    pub const SUPERSEDED: u64 = 0;
    pub const OPENED: u64 = 1;
    pub const CREATED: u64 = 2;
    pub const OVERWRITTEN: u64 = 3;
    pub const EXISTS: u64 = 4;
    pub const DOES_NOT_EXIST: u64 = 5;
}

/// What is to happen if the file is there, and if it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disposition {
    Supersede,
    Open,
    Create,
    OpenIf,
    Overwrite,
    OverwriteIf,
}

impl Disposition {
    fn of(options: u32) -> Option<Self> {
        Some(match options >> 24 {
            0 => Self::Supersede,
            1 => Self::Open,
            2 => Self::Create,
            3 => Self::OpenIf,
            4 => Self::Overwrite,
            5 => Self::OverwriteIf,
            _ => return None,
        })
    }

    /// Whether what is there loses its data.
    fn replaces(self) -> bool {
        matches!(self, Self::Supersede | Self::Overwrite | Self::OverwriteIf)
    }

    /// Whether there must be something already.
    fn needs_existing(self) -> bool {
        matches!(self, Self::Open | Self::Overwrite)
    }
}

/// Rights.
mod right {
    /// `FILE_WRITE_DATA` and `FILE_APPEND_DATA`.
    pub const WRITE: u32 = 0x6;
    /// What overwriting does: data, attributes and extended attributes.
    pub const OVERWRITE: u32 = 0x112;
    pub const DELETE: u32 = 0x1_0000;
}

/// What all file objects on a node share: a common header, sharing, section
/// pointers.
pub mod block {
    pub const SIZE_OF: u64 = 0x70;
    pub const NODE_TYPE: u64 = 0x00;
    pub const NODE_SIZE: u64 = 0x02;
    pub const ALLOCATION_SIZE: u64 = 0x18;
    pub const FILE_SIZE: u64 = 0x20;
    pub const VALID_DATA_LENGTH: u64 = 0x28;
    pub const SHARE: u64 = 0x30;
    pub const SECTION_OBJECT_POINTERS: u64 = 0x50;
}

/// A create request.
struct CreateRequest {
    file: u64,
    path: Vec<u16>,
    related: u64,
    access: u32,
    shared: u32,
    options: u32,
    disposition: Disposition,
    attributes: u32,
    allocation_size: u64,
    target_directory: bool,
}

impl CreateRequest {
    fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }

    /// Whether what is there may be opened as the options say.
    fn fits(&self, node: &Node) -> Result<(), u32> {
        if node.is_directory() && self.has(option::NON_DIRECTORY) {
            return Err(nt_status::STATUS_FILE_IS_A_DIRECTORY);
        }
        if !node.is_directory() && self.has(option::DIRECTORY) {
            return Err(nt_status::STATUS_NOT_A_DIRECTORY);
        }
        Ok(())
    }
}

/// Carries out `IRP_MJ_CREATE`.
pub fn create(packet: u64, place: u64) -> Result<IoResult, Fault> {
    let options = driver_mem::read_u32(place + parameter::OPTIONS)?;
    let context = driver_mem::read_u64(place + parameter::SECURITY_CONTEXT)?;
    let flags = driver_mem::read_u8(place + stack::FLAGS)?;
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let Some(disposition) = Disposition::of(options) else {
        return Ok((nt_status::STATUS_INVALID_PARAMETER, 0));
    };
    // There are no extended attributes on this volume.
    if driver_mem::read_u32(place + parameter::EA_LENGTH)? != 0 {
        return Ok((nt_status::STATUS_EAS_NOT_SUPPORTED, 0));
    }
    let wanted = CreateRequest {
        file: object,
        path: UnicodeString::read(object + file::FILE_NAME)?.units()?,
        related: driver_mem::read_u64(object + file::RELATED_FILE)?,
        access: driver_mem::read_u32(context + 0x10)?,
        shared: u32::from(driver_mem::read_u16(place + parameter::SHARE_ACCESS)?),
        options,
        disposition,
        attributes: u32::from(driver_mem::read_u16(place + parameter::FILE_ATTRIBUTES)?),
        allocation_size: driver_mem::read_u64(packet + irp::ALLOCATION_SIZE)?,
        target_directory: flags & special::OPEN_TARGET_DIRECTORY != 0,
    };
    let done = with(|volume| volume.create(&wanted));
    done.unwrap_or(Ok(Err(nt_status::STATUS_NO_SUCH_DEVICE)))
        .map(|done| match done {
            Ok(information) => (nt_status::STATUS_SUCCESS, information),
            Err(status) => (status, 0),
        })
}

impl Volume {
    /// Opens or makes a file; the information of the outcome.
    fn create(&mut self, wanted: &CreateRequest) -> Result<Result<u64, u32>, Fault> {
        let related = match wanted.related {
            0 => None,
            file => match self.opens.get(&file) {
                Some(open) => Some(open.node),
                None => return Ok(Err(nt_status::STATUS_INVALID_PARAMETER)),
            },
        };
        let on_volume = match related {
            None => wanted.path.is_empty(),
            Some(None) if wanted.path.is_empty() => true,
            Some(None) => return Ok(Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND)),
            Some(Some(_)) => false,
        };
        if on_volume {
            return self.open_volume(wanted);
        }
        let related = related.flatten();
        if wanted.target_directory {
            return self.open_target_directory(wanted, related);
        }
        match self.target(wanted, related) {
            _ if wanted.has(option::DIRECTORY) && wanted.has(option::NON_DIRECTORY) => {
                Ok(Err(nt_status::STATUS_INVALID_PARAMETER))
            }
            Ok(Target::Node(node)) => self.open_existing(wanted, node),
            Ok(Target::Missing {
                parent,
                name,
                trailing,
            }) => self.create_new(wanted, parent, name, trailing),
            Err(status) => Ok(Err(status)),
        }
    }

    fn target(&self, wanted: &CreateRequest, related: Option<Id>) -> Result<Target, u32> {
        if !wanted.has(option::OPEN_BY_FILE_ID) {
            return path::resolve(&self.tree, related, &wanted.path);
        }
        // The name is the number itself, eight bytes.
        let [a, b, c, d] = wanted.path[..] else {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        };
        let id = [a, b, c, d].into_iter().rev();
        let id = id.fold(0, |id, unit| id << 16 | u64::from(unit));
        match self.tree.get(id) {
            Some(_) => Ok(Target::Node(id)),
            None => Err(nt_status::STATUS_INVALID_PARAMETER),
        }
    }

    /// Opens the volume itself.
    fn open_volume(&mut self, wanted: &CreateRequest) -> Result<Result<u64, u32>, Fault> {
        if wanted.has(option::DIRECTORY) {
            let both = wanted.has(option::NON_DIRECTORY);
            return Ok(Err(if both {
                nt_status::STATUS_INVALID_PARAMETER
            } else {
                nt_status::STATUS_NOT_A_DIRECTORY
            }));
        }
        if !matches!(wanted.disposition, Disposition::Open | Disposition::OpenIf) {
            return Ok(Err(nt_status::STATUS_ACCESS_DENIED));
        }
        if wanted.has(option::DELETE_ON_CLOSE) {
            return Ok(Err(nt_status::STATUS_CANNOT_DELETE));
        }
        share::note(wanted.file, wanted.access, wanted.shared)?;
        let flags = driver_mem::read_u32(wanted.file + file::FLAGS)?;
        driver_mem::write_u32(wanted.file + file::FLAGS, flags | file::flag::VOLUME_OPEN)?;
        self.opens.insert(wanted.file, Open::default());
        Ok(Ok(outcome::OPENED))
    }

    /// Opens the directory that a file is to be renamed into, and says whether it
    /// has one of the name; the file object keeps the name alone.
    fn open_target_directory(
        &mut self,
        wanted: &CreateRequest,
        related: Option<Id>,
    ) -> Result<Result<u64, u32>, Fault> {
        let (parent, name) = match path::resolve_parent(&self.tree, related, &wanted.path) {
            Ok(found) => found,
            Err(status) => return Ok(Err(status)),
        };
        let there = self.tree.find(parent, &name).is_some();
        if let Err(status) = self.open_node(wanted, parent, wanted.access, wanted.access)? {
            return Ok(Err(status));
        }
        let mut string = UnicodeString::read(wanted.file + file::FILE_NAME)?;
        let bytes: Vec<u8> = name.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        driver_mem::write_bytes(string.buffer, &bytes)?;
        string.length = u16::try_from(bytes.len()).unwrap_or(string.length);
        string.write(wanted.file + file::FILE_NAME)?;
        Ok(Ok(if there {
            outcome::EXISTS
        } else {
            outcome::DOES_NOT_EXIST
        }))
    }

    fn open_existing(&mut self, wanted: &CreateRequest, id: Id) -> Result<Result<u64, u32>, Fault> {
        let Some(node) = self.tree.get(id) else {
            return Ok(Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND));
        };
        if let Err(status) = may_open(wanted, id, node) {
            return Ok(Err(status));
        }
        let added = match wanted.disposition {
            Disposition::Supersede => right::DELETE,
            disposition if disposition.replaces() => right::OVERWRITE,
            _ => 0,
        };
        let access = wanted.access | added;
        if let Err(status) = self.open_node(wanted, id, wanted.access, access)? {
            return Ok(Err(status));
        }
        if !wanted.disposition.replaces() {
            return Ok(Ok(outcome::OPENED));
        }
        if let Some(node) = self.tree.get_mut(id) {
            replace(node, wanted);
            write_sizes(node)?;
        }
        Ok(Ok(if wanted.disposition == Disposition::Supersede {
            outcome::SUPERSEDED
        } else {
            outcome::OVERWRITTEN
        }))
    }

    fn create_new(
        &mut self,
        wanted: &CreateRequest,
        parent: Id,
        name: Vec<u16>,
        trailing: bool,
    ) -> Result<Result<u64, u32>, Fault> {
        let is_directory = wanted.has(option::DIRECTORY);
        if wanted.disposition.needs_existing() {
            return Ok(Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND));
        }
        if trailing && !is_directory {
            return Ok(Err(nt_status::STATUS_OBJECT_NAME_INVALID));
        }
        if is_directory && wanted.disposition.replaces() {
            return Ok(Err(nt_status::STATUS_INVALID_PARAMETER));
        }
        if self.tree.get(parent).is_none_or(|node| node.delete_pending) {
            return Ok(Err(nt_status::STATUS_DELETE_PENDING));
        }
        let kind = if is_directory {
            Kind::Directory(BTreeMap::new())
        } else {
            let mut content = Content::new();
            content.allocate(wanted.allocation_size.min(file_data::CAPACITY));
            Kind::File(content)
        };
        let id = self.tree.add(parent, name, kind);
        if let Some(node) = self.tree.get_mut(id) {
            let archive = if is_directory { 0 } else { attribute::ARCHIVE };
            node.attributes = wanted.attributes & attribute::SETTABLE | archive;
        }
        match self.open_node(wanted, id, wanted.access, wanted.access)? {
            Ok(()) => Ok(Ok(outcome::CREATED)),
            Err(status) => {
                self.tree.unlink(id);
                if let Some(content) = self.tree.forget(id) {
                    content.release();
                }
                Ok(Err(status))
            }
        }
    }

    /// Ties a file object to a node. `checked` are the rights that others must
    /// share.
    fn open_node(
        &mut self,
        wanted: &CreateRequest,
        id: Id,
        access: u32,
        checked: u32,
    ) -> Result<Result<(), u32>, Fault> {
        const TAG: u32 = u32::from_le_bytes(*b"Ntfs");
        let Some(node) = self.tree.get_mut(id) else {
            return Ok(Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND));
        };
        let Some(context) = pool::allocate(PoolKind::NonPaged, 0x10, TAG) else {
            return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
        };
        if node.block == 0 {
            let Some(block) = pool::allocate(PoolKind::NonPaged, block::SIZE_OF, TAG) else {
                pool::free(context);
                return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
            };
            node.block = block;
            driver_mem::write_u16(
                block + block::NODE_TYPE,
                if node.is_directory() { 0x703 } else { 0x702 },
            )?;
            driver_mem::write_u16(
                block + block::NODE_SIZE,
                u16::try_from(block::SIZE_OF).unwrap_or(0),
            )?;
        }
        let shares = node.block + block::SHARE;
        let object = wanted.file;
        if !share::check(checked, wanted.shared, object, shares, false)? {
            pool::free(context);
            if node.references == 0 {
                pool::free(std::mem::take(&mut node.block));
            }
            return Ok(Err(nt_status::STATUS_SHARING_VIOLATION));
        }
        share::check(access, wanted.shared, object, shares, true)?;
        node.handles += 1;
        node.references += 1;
        driver_mem::write_u64(object + file::FS_CONTEXT, node.block)?;
        driver_mem::write_u64(object + file::FS_CONTEXT2, context)?;
        if !node.is_directory() {
            let pointers = node.block + block::SECTION_OBJECT_POINTERS;
            driver_mem::write_u64(object + file::SECTION_OBJECT_POINTER, pointers)?;
        }
        write_sizes(node)?;
        let open = Open {
            node: Some(id),
            delete_on_close: wanted.has(option::DELETE_ON_CLOSE),
            cleaned_up: false,
            scan: directory::Scan::default(),
            context,
        };
        self.opens.insert(object, open);
        Ok(Ok(()))
    }
}

/// Whether a node may be opened as it is.
fn may_open(wanted: &CreateRequest, id: Id, node: &Node) -> Result<(), u32> {
    if node.delete_pending {
        return Err(nt_status::STATUS_DELETE_PENDING);
    }
    let replaces = wanted.disposition.replaces();
    if wanted.disposition == Disposition::Create || (replaces && node.is_directory()) {
        if id == ROOT {
            return Err(nt_status::STATUS_ACCESS_DENIED);
        }
        wanted
            .fits(node)
            .or_else(|status| match wanted.disposition {
                Disposition::Create => Ok(()),
                _ => Err(status),
            })?;
        return Err(nt_status::STATUS_OBJECT_NAME_COLLISION);
    }
    wanted.fits(node)?;
    let read_only = node.attributes & attribute::READONLY != 0;
    if wanted.has(option::DELETE_ON_CLOSE) && (read_only || id == ROOT) {
        return Err(nt_status::STATUS_CANNOT_DELETE);
    }
    if read_only && !node.is_directory() && (replaces || wanted.access & right::WRITE != 0) {
        return Err(nt_status::STATUS_ACCESS_DENIED);
    }
    // Whoever replaces a hidden or system file must know that it is one.
    let marks = node.attributes & (attribute::HIDDEN | attribute::SYSTEM);
    if replaces && marks & !wanted.attributes != 0 {
        return Err(nt_status::STATUS_ACCESS_DENIED);
    }
    if replaces && node.content().is_some_and(|content| content.is_mapped()) {
        return Err(nt_status::STATUS_USER_MAPPED_FILE);
    }
    Ok(())
}

/// Empties a file that is superseded or overwritten.
fn replace(node: &mut Node, wanted: &CreateRequest) {
    let given = wanted.attributes & attribute::SETTABLE;
    if wanted.disposition == Disposition::Supersede {
        node.attributes = given;
        node.times.created = clock::system_time();
    } else {
        node.attributes |= given;
    }
    if let Kind::File(content) = &mut node.kind {
        content.resize(0);
        content.allocate(wanted.allocation_size.min(file_data::CAPACITY));
    }
    node.touch();
}

/// Tells in the block that file objects share how large the file is.
pub fn write_sizes(node: &Node) -> Result<(), Fault> {
    if node.block == 0 {
        return Ok(());
    }
    let (size, allocation) = node.sizes();
    driver_mem::write_u64(node.block + block::ALLOCATION_SIZE, allocation)?;
    driver_mem::write_u64(node.block + block::FILE_SIZE, size)?;
    driver_mem::write_u64(node.block + block::VALID_DATA_LENGTH, size)
}

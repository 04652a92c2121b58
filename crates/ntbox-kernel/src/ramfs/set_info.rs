//! What can be set of a file: its times and attributes, its sizes, its name, and
//! that it goes.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};

use super::create::write_sizes;
use super::dir_tree::{Id, Kind, Node, ROOT, attribute};
use super::dispatch::{IoResult, status};
use super::query_info::class;
use super::{Volume, path, with};
use crate::base::clock;
use crate::base::io_layout::stack::information as parameter;
use crate::base::io_layout::{file, irp, stack};
use crate::sections::file_data;
use crate::sections::file_data::CAPACITY;

/// `FILE_DISPOSITION_DELETE` and the flags beside it.
mod disposition {
    pub const DELETE: u32 = 1;
    pub const POSIX_SEMANTICS: u32 = 2;
    pub const FORCE_IMAGE_SECTION_CHECK: u32 = 4;
    pub const ON_CLOSE: u32 = 8;
    pub const IGNORE_READONLY: u32 = 0x10;
}

/// `FILE_RENAME_REPLACE_IF_EXISTS`.
const REPLACE_IF_EXISTS: u32 = 1;

/// What is set.
enum Change {
    Basic { times: [u64; 4], attributes: u32 },
    Position(u64),
    EndOfFile(u64),
    Allocation(u64),
    ValidDataLength(u64),
    Disposition(u32),
    Rename(Rename),
}

struct Rename {
    /// File object of the directory that it goes to; 0 for its own.
    target: u64,
    name: Vec<u16>,
    replace: bool,
}

/// Carries out `IRP_MJ_SET_INFORMATION`.
pub fn set(packet: u64, place: u64) -> Result<IoResult, Fault> {
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let change = match Change::read(packet, place)? {
        Ok(change) => change,
        Err(refused) => return Ok((refused, 0)),
    };
    if let Change::Position(position) = change {
        driver_mem::write_u64(object + file::CURRENT_BYTE_OFFSET, position)?;
        return Ok((nt_status::STATUS_SUCCESS, 0));
    }
    let done = with(|volume| volume.change(object, &change));
    let done = done.unwrap_or(Ok(Err(nt_status::STATUS_INVALID_PARAMETER)))?;
    if let (Ok(()), Change::Disposition(flags)) = (&done, &change) {
        let pending = u8::from(flags & disposition::DELETE != 0);
        driver_mem::write_u8(object + file::DELETE_PENDING, pending)?;
    }
    Ok(status(done))
}

impl Change {
    fn read(packet: u64, place: u64) -> Result<Result<Self, u32>, Fault> {
        let class = driver_mem::read_u32(place + parameter::CLASS)?;
        let length = driver_mem::read_u32(place + parameter::LENGTH)?;
        let buffer = driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?;
        let least = match class {
            class::BASIC => 0x28,
            class::RENAME | class::RENAME_EX => 0x14,
            class::DISPOSITION => 1,
            class::DISPOSITION_EX => 4,
            _ => 8,
        };
        if length < least {
            return Ok(Err(nt_status::STATUS_INFO_LENGTH_MISMATCH));
        }
        let number = || driver_mem::read_u64(buffer);
        Ok(Ok(match class {
            class::BASIC => {
                let mut times = [0; 4];
                for (n, time) in (0..).zip(&mut times) {
                    *time = driver_mem::read_u64(buffer + 8 * n)?;
                }
                let attributes = driver_mem::read_u32(buffer + 0x20)?;
                Self::Basic { times, attributes }
            }
            class::POSITION => Self::Position(number()?),
            class::END_OF_FILE => Self::EndOfFile(number()?),
            class::ALLOCATION => Self::Allocation(number()?),
            class::VALID_DATA_LENGTH => Self::ValidDataLength(number()?),
            class::DISPOSITION => Self::Disposition(u32::from(driver_mem::read_u8(buffer)? != 0)),
            class::DISPOSITION_EX => Self::Disposition(driver_mem::read_u32(buffer)?),
            class::RENAME | class::RENAME_EX => match Rename::read(place, buffer, length, class)? {
                Some(rename) => Self::Rename(rename),
                None => return Ok(Err(nt_status::STATUS_INVALID_PARAMETER)),
            },
            // Hard links need a file system that has them.
            class::LINK => return Ok(Err(nt_status::STATUS_INVALID_DEVICE_REQUEST)),
            _ => return Ok(Err(nt_status::STATUS_INVALID_PARAMETER)),
        }))
    }
}

impl Rename {
    /// `FILE_RENAME_INFORMATION`; if the I/O manager has opened the directory, the
    /// last component of the name counts.
    fn read(place: u64, buffer: u64, length: u32, class: u32) -> Result<Option<Self>, Fault> {
        let target = driver_mem::read_u64(place + parameter::TARGET)?;
        let replace = if class == class::RENAME_EX {
            driver_mem::read_u32(buffer)? & REPLACE_IF_EXISTS != 0
        } else {
            driver_mem::read_u8(buffer)? != 0
        };
        let name = if target == 0 {
            let bytes = driver_mem::read_u32(buffer + 0x10)?;
            if bytes == 0 || bytes % 2 != 0 || bytes > length - 0x14 {
                return Ok(None);
            }
            UnicodeString {
                length: u16::try_from(bytes).unwrap_or(u16::MAX - 1),
                maximum_length: u16::MAX,
                buffer: buffer + 0x14,
            }
            .units()?
        } else {
            UnicodeString::read(target + file::FILE_NAME)?.units()?
        };
        Ok(Some(Self {
            target,
            name,
            replace,
        }))
    }
}

impl Volume {
    fn change(&mut self, object: u64, change: &Change) -> Result<Result<(), u32>, Fault> {
        let invalid = Ok(Err(nt_status::STATUS_INVALID_PARAMETER));
        let Some(id) = self.opens.get(&object).and_then(|open| open.node) else {
            return invalid;
        };
        let done = match change {
            Change::Rename(rename) => self.rename(id, rename),
            Change::Disposition(flags) => self.dispose(id, *flags),
            other => {
                let used = self.used();
                let Some(node) = self.tree.get_mut(id) else {
                    return invalid;
                };
                node.change(other, used)
            }
        };
        if let Some(node) = self.tree.get(id) {
            write_sizes(node)?;
        }
        Ok(done)
    }

    fn dispose(&mut self, id: Id, flags: u32) -> Result<(), u32> {
        const KNOWN: u32 = disposition::DELETE
            | disposition::FORCE_IMAGE_SECTION_CHECK
            | disposition::IGNORE_READONLY;
        // Names that go at once, and deletion on close that is taken back, are
        // refused as by a file system that knows neither.
        if flags & (disposition::POSIX_SEMANTICS | disposition::ON_CLOSE) != 0 {
            return Err(nt_status::STATUS_NOT_SUPPORTED);
        }
        if flags & !KNOWN != 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        let node = self
            .tree
            .get_mut(id)
            .ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        if flags & disposition::DELETE == 0 {
            node.delete_pending = false;
            return Ok(());
        }
        let kept =
            node.attributes & attribute::READONLY != 0 && flags & disposition::IGNORE_READONLY == 0;
        if id == ROOT || kept {
            return Err(nt_status::STATUS_CANNOT_DELETE);
        }
        if node.is_full_directory() {
            return Err(nt_status::STATUS_DIRECTORY_NOT_EMPTY);
        }
        node.delete_pending = true;
        Ok(())
    }

    fn rename(&mut self, id: Id, rename: &Rename) -> Result<(), u32> {
        let node = self
            .tree
            .get(id)
            .ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        if id == ROOT {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        if node.delete_pending {
            return Err(nt_status::STATUS_ACCESS_DENIED);
        }
        let parent = match rename.target {
            0 => node.parent,
            target => self
                .opens
                .get(&target)
                .and_then(|open| open.node)
                .ok_or(nt_status::STATUS_INVALID_PARAMETER)?,
        };
        if !path::is_legal(&rename.name) {
            return Err(nt_status::STATUS_OBJECT_NAME_INVALID);
        }
        if self.tree.is_within(parent, id) {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        if node.is_directory() && self.has_open_below(id) {
            return Err(nt_status::STATUS_ACCESS_DENIED);
        }
        match self.tree.find(parent, &rename.name) {
            Some(other) if other != id => self.make_way(other, rename.replace)?,
            _ => {}
        }
        self.tree.rename(id, parent, rename.name.clone());
        Ok(())
    }

    /// Whether anything in a directory, however deep, is open.
    fn has_open_below(&self, id: Id) -> bool {
        self.opens
            .values()
            .filter(|open| !open.cleaned_up)
            .filter_map(|open| open.node)
            .any(|node| node != id && self.tree.is_within(node, id))
    }

    /// Removes a file that another one is to replace.
    fn make_way(&mut self, id: Id, replace: bool) -> Result<(), u32> {
        if !replace {
            return Err(nt_status::STATUS_OBJECT_NAME_COLLISION);
        }
        let node = self
            .tree
            .get_mut(id)
            .ok_or(nt_status::STATUS_OBJECT_NAME_COLLISION)?;
        let kept = node.attributes & attribute::READONLY != 0;
        let mapped = node.content().is_some_and(|content| content.is_mapped());
        if node.is_directory() || kept || mapped || node.handles != 0 {
            return Err(nt_status::STATUS_ACCESS_DENIED);
        }
        node.unlinked = true;
        node.delete_pending = true;
        self.tree.unlink(id);
        self.forget_if_unused(id);
        Ok(())
    }
}

impl Node {
    fn change(&mut self, change: &Change, used: u64) -> Result<(), u32> {
        match *change {
            Change::Basic { times, attributes } => self.set_basic(times, attributes),
            Change::EndOfFile(size) => self.set_size(size, used, |content, size| {
                content.resize(size);
            }),
            Change::Allocation(size) => self.set_size(size, used, |content, size| {
                content.allocate(size);
            }),
            // What is there is valid to its end already.
            Change::ValidDataLength(size) if size == self.sizes().0 => Ok(()),
            _ => Err(nt_status::STATUS_INVALID_PARAMETER),
        }
    }

    fn set_basic(&mut self, times: [u64; 4], attributes: u32) -> Result<(), u32> {
        /// -1: the handle's own requests are to leave a time alone; -2: no more.
        const LEAVE: i64 = -2;
        let wrong_kind = if self.is_directory() {
            attribute::TEMPORARY
        } else {
            attribute::DIRECTORY
        };
        let invalid = times.iter().any(|time| time.cast_signed() < LEAVE);
        if invalid || attributes & wrong_kind != 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        let own = &mut self.times;
        own.changed = clock::system_time();
        let all = [
            &mut own.created,
            &mut own.accessed,
            &mut own.written,
            &mut own.changed,
        ];
        for (own, given) in all.into_iter().zip(times) {
            if given.cast_signed() > 0 {
                *own = given;
            }
        }
        if attributes != 0 {
            self.attributes = attributes & attribute::SETTABLE;
        }
        Ok(())
    }

    fn set_size(
        &mut self,
        size: u64,
        used: u64,
        set: impl Fn(&mut file_data::Content, u64),
    ) -> Result<(), u32> {
        if size.cast_signed() < 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        let Kind::File(content) = &mut self.kind else {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        };
        if size > CAPACITY.saturating_sub(used).saturating_add(content.size) {
            return Err(nt_status::STATUS_DISK_FULL);
        }
        if size < content.size && content.is_mapped() {
            return Err(nt_status::STATUS_USER_MAPPED_FILE);
        }
        set(content, size);
        self.touch();
        Ok(())
    }
}

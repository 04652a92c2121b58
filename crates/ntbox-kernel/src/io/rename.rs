//! The other half of a rename: a name with a path is opened by the I/O manager,
//! up to its directory, so that the file system of the file can tell whether it
//! is on the same volume.

use nt_layout::{DeviceObject, FileObject, FileRenameInformation};
use ntbox_host::driver_mem::UnicodeString;

use super::file::OpenOptions;
use super::information_class::Direction;
use super::{file, file_close};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error::Refusal;
use crate::base::io_layout::stack::special;
use crate::base::utf16::SEPARATOR;
use crate::ob;
use crate::ob::{Attributes, Type, attributes};

/// `FileRenameInformation`, `FileLinkInformation` and `FileRenameInformationEx`.
const CLASSES: [u32; 3] = [10, 11, 65];
/// `FILE_WRITE_DATA | SYNCHRONIZE`, which a directory calls adding files.
const ADD_FILE: u32 = 0x10_0002;
/// `FILE_OPEN`, for backup intent.
const OPEN: u32 = 0x0100_4000;

/// An open directory.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its file object.
    pub object: u64,
}

impl Target {
    /// Closes it, as its handle would be.
    pub fn close(self, caller: &CallContext<'_>) {
        file_close::handle_closed(&file_close::no_handle(self.object), caller);
        ob::dereference(self.object, caller);
    }
}

/// Opens the directory that a rename leads to; `None` if it is no rename, or one
/// within the file's own directory.
///
/// # Errors
/// The directory cannot be opened, or is on another volume.
pub fn open_target(
    object: u64,
    direction: Direction,
    class: u32,
    buffer: u64,
    caller: &CallContext<'_>,
) -> Result<Option<Target>, Refusal> {
    if direction != Direction::Set || !CLASSES.contains(&class) {
        return Ok(None);
    }
    let rename = DriverPtr::<FileRenameInformation>::new(buffer);
    let root = rename.get(|rename| &rename.root_directory)?;
    let length = rename.get(|rename| &rename.file_name_length)?;
    let Ok(length) = u16::try_from(length) else {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    };
    let string = UnicodeString {
        length,
        maximum_length: length,
        buffer: rename.at(|rename| &rename.file_name).address(),
    };
    let name = string.units()?;
    if root == 0 && name.first() != Some(&SEPARATOR) {
        return Ok(None);
    }
    let attributes = Attributes {
        root,
        ..Attributes::named(name, attributes::CASE_INSENSITIVE)
    };
    let found = ob::lookup(&attributes, None)?;
    let opened = open(object, found.object, found.kind, &found.rest, caller);
    ob::dereference(found.object, caller);
    opened.map(Some)
}

fn open(
    object: u64,
    found: u64,
    kind: Type,
    rest: &[u16],
    caller: &CallContext<'_>,
) -> Result<Target, Refusal> {
    let (device, related) = match kind {
        Type::Device => (found, 0),
        Type::File => (
            DriverPtr::<FileObject>::new(found).get(|file| &file.device_object)?,
            found,
        ),
        _ => return Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into()),
    };
    let own = DriverPtr::<FileObject>::new(object).get(|file| &file.device_object)?;
    if device != own || DriverPtr::<DeviceObject>::new(device).get(|device| &device.vpb)? == 0 {
        return Err(nt_status::STATUS_NOT_SAME_DEVICE.into());
    }
    let opening = OpenOptions {
        access: ADD_FILE,
        share: 7,
        options: OPEN,
        related,
        flags: special::OPEN_TARGET_DIRECTORY,
        ..OpenOptions::default()
    };
    let (object, _) = file::open(device, rest, opening, caller)??;
    Ok(Target { object })
}

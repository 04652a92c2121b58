//! The volume's devices: the storage device that has the name, and the device of
//! the file system that is mounted on it, with a driver object for each; and the
//! directories and files that are there at boot.

use std::collections::BTreeMap;

use nt_layout::Vpb;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use super::dir_tree::{Id, Kind, ROOT, Tree};
use super::{VOLUME, Volume, path};
use crate::base::call_context::CallContext;
use crate::base::clock;
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout::{device as device_offset, vpb};
use crate::base::utf16::wide;
use crate::io::device::DeviceParams;
use crate::io::{device, system_devices};
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob;
use crate::ob::attributes::{CASE_INSENSITIVE, PERMANENT};
use crate::ob::{Attributes, Payload, Type};
use crate::ramfs::dir_tree;
use crate::sections::file_data::Content;

/// The volume's device.
pub const DEVICE: &str = r"\Device\HarddiskVolume1";
/// `FILE_DEVICE_DISK` and `FILE_DEVICE_DISK_FILE_SYSTEM`.
pub const DISK: u32 = 7;
const DISK_FILE_SYSTEM: u32 = 8;
/// Bytes of a sector.
pub const SECTOR: u16 = 512;
/// The volume's serial number.
pub const SERIAL: u32 = 0x4e54_4258;
/// Its label.
const LABEL: &str = "Windows";

/// Directories that are there, each after the one it is in.
const DIRECTORIES: [&str; 9] = [
    r"\Windows",
    r"\Windows\System32",
    r"\Windows\System32\config",
    r"\Windows\System32\drivers",
    r"\Windows\System32\drivers\etc",
    r"\Windows\Temp",
    r"\Users",
    r"\ProgramData",
    r"\Program Files",
];

/// Links to the volume: name and target.
const LINKS: [(&str, &str); 2] = [
    (r"\GLOBAL??\C:", DEVICE),
    (r"\SystemRoot", r"\Device\HarddiskVolume1\Windows"),
];

/// A file that the volume has from the start.
#[derive(Debug)]
pub struct InitialFile {
    /// Path from the root of the volume.
    pub path: String,
    /// Its data.
    pub data: Vec<u8>,
}

/// Makes the volume, with these files.
///
/// # Errors
/// Why it cannot be made, for a person.
pub fn initialize(files: &[InitialFile]) -> Result<(), String> {
    let no_memory = |what: &str| format!("no memory for {what}");
    let mut tree = Tree::new();
    for path in DIRECTORIES {
        make_directory(&mut tree, path)?;
    }
    for file in files {
        put(&mut tree, file)?;
    }
    let devices = devices().ok_or_else(|| no_memory("the volume's devices"))?;
    for (path, target) in LINKS {
        let payload = Payload::SymbolicLink {
            target: wide(target),
            capacity: u16::try_from(2 * target.len() + 2).unwrap_or(u16::MAX),
        };
        let link =
            ob::create(Type::SymbolicLink, 0x28, payload).map_err(|_| no_memory("a link"))?;
        let attributes = Attributes::named(wide(path), PERMANENT | CASE_INSENSITIVE);
        ob::insert(link, &attributes)
            .map_err(|status| format!("{path} cannot be made: {}", nt_status::Named(status)))?;
    }
    let volume = Volume {
        tree,
        opens: rustc_hash::FxHashMap::default(),
        created: clock::system_time(),
        label: wide(LABEL),
        devices,
    };
    *VOLUME.lock() = Some(volume);
    Ok(())
}

/// Makes a directory and those that it is in; nothing where there is one.
fn make_directory(tree: &mut Tree, path: &str) -> Result<Id, String> {
    let mut at = ROOT;
    for component in path.split('\\').filter(|part| !part.is_empty()) {
        let name = wide(component);
        if !path::is_legal(&name) {
            return Err(format!("no file can be named `{component}`"));
        }
        at = match tree.find(at, &name) {
            Some(found) if tree.get(found).is_some_and(dir_tree::Node::is_directory) => found,
            Some(_) => return Err(format!("`{component}` is a file, and no directory")),
            None => tree.add(at, name, Kind::Directory(BTreeMap::new())),
        };
    }
    Ok(at)
}

fn put(tree: &mut Tree, file: &InitialFile) -> Result<(), String> {
    let path = file.path.strip_suffix('\\').unwrap_or(&file.path);
    let (directory, last) = path.rsplit_once('\\').unwrap_or(("", path));
    let parent = make_directory(tree, directory)?;
    let name = wide(last);
    if !path::is_legal(&name) {
        return Err(format!("no file can be named `{last}`"));
    }
    if tree.find(parent, &name).is_some() {
        return Err(format!("{} is there already", file.path));
    }
    let mut content = Content::new();
    if !content.write(0, &file.data) {
        return Err(format!("no memory for {}", file.path));
    }
    tree.add(parent, name, Kind::File(content));
    Ok(())
}

/// Makes the devices; `None` without memory.
fn devices() -> Option<[u64; 2]> {
    let disk = system_devices::driver(r"\Driver\volmgr", "IopInvalidDeviceRequest")?;
    let file_system = system_devices::driver(r"\FileSystem\Ntfs", "IopFileSystemRequest")?;
    let make = |driver, name: Option<&str>, kind| {
        let wanted = DeviceParams {
            driver,
            extension: 0,
            name: name.map(wide),
            kind,
            characteristics: 0,
            exclusive: false,
        };
        device::create(wanted, &CallContext::kernel(0)).ok()?.ok()
    };
    let storage = make(disk, Some(DEVICE), DISK)?;
    let mounted = make(file_system, None, DISK_FILE_SYSTEM)?;
    let volume = pool::allocate(
        PoolKind::NonPaged,
        DriverPtr::<Vpb>::SIZE,
        u32::from_le_bytes(*b"Vpb "),
    )?;
    mount(storage, mounted, DriverPtr::new(volume)).ok()?;
    Some([storage, mounted])
}

/// Ties the two devices together.
fn mount(storage: u64, mounted: u64, volume: DriverPtr<Vpb>) -> Result<(), Fault> {
    volume.set(|volume| &volume.kind, vpb::TYPE_NUMBER)?;
    volume.set(|volume| &volume.size, DriverPtr::<Vpb>::SIZE_FIELD)?;
    volume.set(|volume| &volume.flags, vpb::MOUNTED)?;
    volume.set(|volume| &volume.device_object, mounted)?;
    volume.set(|volume| &volume.real_device, storage)?;
    volume.set(|volume| &volume.serial_number, SERIAL)?;
    set_label(volume, &wide(LABEL))?;
    driver_mem::write_u64(storage + device_offset::VPB, volume.address())?;
    for device in [storage, mounted] {
        driver_mem::write_u32(device + device_offset::ALIGNMENT_REQUIREMENT, 0)?;
        driver_mem::write_u16(device + device_offset::SECTOR_SIZE, SECTOR)?;
        let flags = driver_mem::read_u32(device + device_offset::FLAGS)?;
        let flags = flags & !device_offset::flag::INITIALIZING;
        driver_mem::write_u32(device + device_offset::FLAGS, flags)?;
    }
    Ok(())
}

/// Writes the label into a volume parameter block.
pub fn set_label(volume: DriverPtr<Vpb>, label: &[u16]) -> Result<(), Fault> {
    let bytes: Vec<u8> = label.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let length = u16::try_from(bytes.len()).unwrap_or(0);
    volume.set(|volume| &volume.volume_label_length, length)?;
    driver_mem::write_bytes(volume.at(|volume| &volume.volume_label).address(), &bytes)
}

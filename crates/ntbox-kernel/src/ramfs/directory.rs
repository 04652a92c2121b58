//! The listing of a directory: `.` and `..`, then its entries in the order of
//! their names, as far as the buffer holds them.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};

use super::dir_tree::{Id, Node, ROOT};
use super::dispatch::IoResult;
use super::query_info::class;
use super::{Volume, path, with};
use crate::base::info_buffer::Information;
use crate::base::io_layout::stack::{directory as parameter, special};
use crate::base::io_layout::{irp, stack};
use crate::base::utf16::fold;
use crate::fsrtl::name_in_expression::{has_wildcards, matches};
use crate::ramfs::transfer;

/// `IRP_MN_QUERY_DIRECTORY`.
const QUERY: u8 = 1;

/// What a listing has come to; kept for each file object.
#[derive(Debug, Default, Clone)]
pub struct Scan {
    /// What names must be like, folded; set by the first query.
    pattern: Option<Vec<u16>>,
    /// The last entry that was returned.
    last: LastEntry,
}

/// The last entry that was given.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum LastEntry {
    #[default]
    None,
    Dot,
    DotDot,
    Entry(Vec<u16>),
}

/// A query of a directory.
struct DirectoryQuery {
    file: u64,
    class: u32,
    length: usize,
    /// The pattern, as given; `None` if the argument was NULL.
    pattern: Option<Vec<u16>>,
    restart: bool,
    single: bool,
}

/// Carries out `IRP_MJ_DIRECTORY_CONTROL`.
pub fn control(packet: u64, place: u64) -> Result<IoResult, Fault> {
    // Changes of directories are not watched.
    if driver_mem::read_u8(place + stack::MINOR)? != QUERY {
        return Ok((nt_status::STATUS_INVALID_DEVICE_REQUEST, 0));
    }
    let flags = driver_mem::read_u8(place + stack::FLAGS)?;
    let pattern = driver_mem::read_u64(place + parameter::PATTERN)?;
    let pattern = match pattern {
        0 => None,
        at => Some(UnicodeString::read(at)?.units()?),
    };
    let length = driver_mem::read_u32(place + parameter::LENGTH)?;
    let wanted = DirectoryQuery {
        file: driver_mem::read_u64(place + stack::FILE_OBJECT)?,
        class: driver_mem::read_u32(place + parameter::CLASS)?,
        length: usize::try_from(length).unwrap_or(usize::MAX),
        pattern,
        restart: flags & special::RESTART_SCAN != 0,
        single: flags & special::RETURN_SINGLE_ENTRY != 0,
    };
    let listed =
        with(|volume| volume.list(&wanted)).unwrap_or(Err(nt_status::STATUS_INVALID_PARAMETER));
    match listed {
        Ok((status, bytes)) => {
            let buffer = transfer::buffer_of(packet)?;
            let system = driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?;
            let to = if system == 0 { buffer } else { system };
            if let Err(fault) = driver_mem::write_bytes(to, &bytes) {
                return transfer::refuse(fault);
            }
            Ok((status, bytes.len() as u64))
        }
        Err(status) => Ok((status, 0)),
    }
}

impl Volume {
    /// The next entries; how the query ends, and what it gives.
    fn list(&mut self, wanted: &DirectoryQuery) -> Result<(u32, Vec<u8>), u32> {
        let header = header_of(wanted.class).ok_or(nt_status::STATUS_INVALID_INFO_CLASS)?;
        let open = self
            .opens
            .get(&wanted.file)
            .ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        let directory = open.node.ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        if !self.tree.get(directory).is_some_and(Node::is_directory) {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        if open.cleaned_up {
            return Err(nt_status::STATUS_FILE_CLOSED);
        }
        if wanted.length < header {
            return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH);
        }
        let mut scan = open.scan.clone();
        let first = scan.pattern.is_none();
        if wanted.restart {
            scan.last = LastEntry::None;
        }
        // A new pattern counts with a scan that begins anew.
        if first || (wanted.restart && wanted.pattern.is_some()) {
            scan.pattern = Some(pattern(wanted.pattern.as_deref())?);
        }
        let result = self.fill(&mut scan, directory, wanted, header);
        if let Some(open) = self.opens.get_mut(&wanted.file) {
            open.scan = scan;
        }
        match result? {
            (_, bytes) if bytes.is_empty() && first => Err(nt_status::STATUS_NO_SUCH_FILE),
            (_, bytes) if bytes.is_empty() => Err(nt_status::STATUS_NO_MORE_FILES),
            filled => Ok(filled),
        }
    }

    fn fill(
        &self,
        scan: &mut Scan,
        directory: Id,
        wanted: &DirectoryQuery,
        header: usize,
    ) -> Result<(u32, Vec<u8>), u32> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut previous = None;
        while let Some((last, name, id)) = self.next(scan, directory) {
            let node = self.tree.get(id).ok_or(nt_status::STATUS_NO_MORE_FILES)?;
            let entry = entry(wanted.class, id, node, &name);
            let start = bytes.len().next_multiple_of(8);
            if start + entry.len() > wanted.length {
                if previous.is_some() {
                    break;
                }
                // Not even the first name fits: as much of it as does.
                scan.last = last;
                bytes.extend(&entry[..wanted.length.max(header).min(entry.len())]);
                return Ok((nt_status::STATUS_BUFFER_OVERFLOW, bytes));
            }
            scan.last = last;
            if let Some(before) = previous {
                let distance = u32::try_from(start - before).unwrap_or(0);
                bytes[before..before + 4].copy_from_slice(&distance.to_le_bytes());
            }
            bytes.resize(start, 0);
            bytes.extend(entry);
            previous = Some(start);
            if wanted.single {
                break;
            }
        }
        Ok((nt_status::STATUS_SUCCESS, bytes))
    }

    /// The next entry that the pattern stands for: what the scan has come to with
    /// it, its name, and its node.
    fn next(&self, scan: &Scan, directory: Id) -> Option<(LastEntry, Vec<u16>, Id)> {
        let pattern = scan.pattern.as_deref().unwrap_or_default();
        let mut last = scan.last.clone();
        loop {
            let (next, name, id) = match last {
                LastEntry::None => (LastEntry::Dot, vec![u16::from(b'.')], directory),
                LastEntry::Dot => {
                    let parent = match directory {
                        ROOT => ROOT,
                        _ => self.tree.get(directory)?.parent,
                    };
                    (LastEntry::DotDot, vec![u16::from(b'.'); 2], parent)
                }
                LastEntry::DotDot => self.entry_after(directory, &[])?,
                LastEntry::Entry(key) => self.entry_after(directory, &key)?,
            };
            if matches(pattern, &fold(&name)) {
                return Some((next, name, id));
            }
            last = next;
        }
    }

    fn entry_after(&self, directory: Id, key: &[u16]) -> Option<(LastEntry, Vec<u16>, Id)> {
        let (key, id) = self.tree.after(directory, key)?;
        let name = self.tree.get(id)?.name.clone();
        Some((LastEntry::Entry(key), name, id))
    }
}

/// A pattern, checked and folded: no pattern, and an empty one, is all.
fn pattern(given: Option<&[u16]>) -> Result<Vec<u16>, u32> {
    let given = given.filter(|pattern| !pattern.is_empty());
    let Some(pattern) = given else {
        return Ok(vec![u16::from(b'*')]);
    };
    let dots = pattern.iter().all(|unit| *unit == u16::from(b'.')) && pattern.len() <= 2;
    if !has_wildcards(pattern) && !dots && !path::is_legal(pattern) {
        return Err(nt_status::STATUS_OBJECT_NAME_INVALID);
    }
    Ok(fold(pattern))
}

/// Bytes of an entry before its name, for the classes that there are.
fn header_of(class: u32) -> Option<usize> {
    Some(match class {
        class::DIRECTORY => 0x40,
        class::FULL_DIRECTORY => 0x44,
        class::BOTH_DIRECTORY => 0x5e,
        class::NAMES => 0xc,
        class::ID_FULL_DIRECTORY => 0x50,
        class::ID_BOTH_DIRECTORY => 0x68,
        _ => return None,
    })
}

/// One entry, its distance to the next not known yet.
fn entry(class: u32, id: Id, node: &Node, name: &[u16]) -> Vec<u8> {
    let start = Information::default().u32(0).u32(0);
    if class == class::NAMES {
        return start.size(2 * name.len()).name(name).finish();
    }
    let times = node.times;
    let (size, allocation) = node.sizes();
    let common = start
        .u64(times.created)
        .u64(times.accessed)
        .u64(times.written)
        .u64(times.changed)
        .u64(size)
        .u64(allocation)
        .u32(node.shown_attributes())
        .size(2 * name.len());
    // No extended attributes; no short name, which takes two bytes for its length
    // and twelve units.
    let short_name = [0; 0x1a];
    let header = match class {
        class::FULL_DIRECTORY => common.u32(0),
        class::BOTH_DIRECTORY => common.u32(0).bytes(&short_name),
        class::ID_FULL_DIRECTORY => common.u32(0).align(8).u64(id),
        class::ID_BOTH_DIRECTORY => common.u32(0).bytes(&short_name).align(8).u64(id),
        _ => common,
    };
    header.name(name).finish()
}

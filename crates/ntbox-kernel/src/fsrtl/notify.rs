//! Who waits for changes in directories: lists that a file system keeps for a volume,
//! fills with requests, and reports its changes to.
//!
//! Each element of a list is a block of pool, for one file object; what it stands for
//! is kept beside it. Names are strings of bytes or of 16-bit characters, as the file
//! system likes.

use std::collections::{BTreeMap, VecDeque};

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::NoReturn;
use ntbox_host::kernel_cell::KernelCell;

use super::lock::mark_pending;
use crate::base::call_context::CallContext;
use crate::base::export_table;
use crate::base::io_layout::{file, irp, stack};
use crate::io::irp as packets;
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::se::token;

/// `PagedPool`, and the tag of elements.
const PAGED: u32 = 1;
pub const TAG: u32 = u32::from_le_bytes(*b"FSrN");
/// Bytes of an element.
const ELEMENT: u64 = 0x48;
/// `FILE_ACTION_RENAMED_OLD_NAME`: the new name follows, and both are told together.
const RENAMED_OLD_NAME: u32 = 4;

/// A watch of a directory for a file object.
#[derive(Debug, Clone)]
pub struct DirectoryWatch {
    pub list: u64,
    pub context: u64,
    /// Whether names have 16-bit characters.
    pub wide: bool,
    pub directory: Vec<u8>,
    pub tree: bool,
    pub ignore_buffer: bool,
    pub filter: u32,
    pub traverse: u64,
    pub subject: u64,
    pub report: u64,
    /// Room in the buffer of the one who waits.
    pub room: usize,
    pub waiting: VecDeque<u64>,
    /// What nobody has been told of; `None` if it was too much.
    pub untold: Option<Vec<Vec<u8>>>,
}

/// Watches by their elements.
pub static WATCHES: KernelCell<BTreeMap<u64, DirectoryWatch>> = KernelCell::new(BTreeMap::new());

/// The bytes of a string that may be missing.
pub fn bytes_of(string: u64) -> Result<Vec<u8>, Fault> {
    if string == 0 {
        return Ok(Vec::new());
    }
    let string = UnicodeString::read(string)?;
    let mut bytes = vec![0; usize::from(string.length)];
    driver_mem::read_bytes(string.buffer, &mut bytes)?;
    Ok(bytes)
}

pub fn find(list: u64, context: u64) -> Option<u64> {
    let watches = WATCHES.lock();
    let mut all = watches.iter();
    all.find(|(_, watch)| (watch.list, watch.context) == (list, context))
        .map(|(at, _)| *at)
}

/// Completes a request.
pub fn complete(
    packet: u64,
    status: u32,
    told: &[u8],
    caller: &CallContext<'_>,
) -> Result<(), NoReturn> {
    driver_mem::write_u64(packet + irp::CANCEL_ROUTINE, 0)?;
    let mut status = status;
    if !told.is_empty() && !put(packet, told)? {
        status = nt_status::STATUS_NOTIFY_ENUM_DIR;
    }
    let count = if status == nt_status::STATUS_SUCCESS {
        told.len() as u64
    } else {
        0
    };
    driver_mem::write_u32(packet + irp::STATUS, status)?;
    driver_mem::write_u64(packet + irp::INFORMATION, count)?;
    packets::complete(packet, caller)
}

/// Puts what is told where the end of the request takes it from; false without memory.
fn put(packet: u64, told: &[u8]) -> Result<bool, Fault> {
    let mut buffer = driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?;
    if buffer == 0 {
        let Some(block) = pool::allocate(PoolKind::NonPaged, told.len() as u64, TAG) else {
            return Ok(false);
        };
        buffer = block;
        let flags =
            irp::flag::BUFFERED_IO | irp::flag::INPUT_OPERATION | irp::flag::DEALLOCATE_BUFFER;
        let before = driver_mem::read_u32(packet + irp::FLAGS)?;
        driver_mem::write_u32(packet + irp::FLAGS, before | flags)?;
        driver_mem::write_u64(packet + irp::SYSTEM_BUFFER, buffer)?;
    }
    driver_mem::write_bytes(buffer, told)?;
    Ok(true)
}

/// A `FILE_NOTIFY_INFORMATION` without the way to the next.
fn record(action: u32, name: &[u8]) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let mut bytes = [0, action, length]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect::<Vec<u8>>();
    bytes.extend(name);
    bytes
}

/// Records one behind the other.
fn joined(records: &[Vec<u8>]) -> Vec<u8> {
    let mut all: Vec<u8> = Vec::new();
    for (n, record) in records.iter().enumerate() {
        let start = all.len();
        all.extend(record);
        if n + 1 < records.len() {
            all.resize(all.len().next_multiple_of(4), 0);
            let step = u32::try_from(all.len() - start).unwrap_or(0);
            all[start..start + 4].copy_from_slice(&step.to_le_bytes());
        }
    }
    all
}

impl DirectoryWatch {
    /// What is to be told now, and with which status; `None` if there is nothing.
    fn take(&mut self) -> Option<(u32, Vec<u8>)> {
        match self.untold.replace(Vec::new()) {
            Some(records) if records.is_empty() => None,
            Some(records) => Some((nt_status::STATUS_SUCCESS, joined(&records))),
            None => Some((nt_status::STATUS_NOTIFY_ENUM_DIR, Vec::new())),
        }
    }

    /// Notes a change for the next request.
    fn note(&mut self, record: Vec<u8>) {
        let room = if self.ignore_buffer { 0 } else { self.room };
        if let Some(records) = &mut self.untold {
            records.push(record);
            if joined(records).len() > room {
                self.untold = None;
            }
        }
    }

    /// The name of something as it is told here; `None` if it is elsewhere. Also,
    /// whether it is in the directory itself.
    fn name(&self, parent: &[u8], last: &[u8]) -> Option<(Vec<u8>, bool)> {
        let separator: &[u8] = if self.wide { b"\\\0" } else { b"\\" };
        let root = self.directory == separator;
        if parent == self.directory {
            return Some((last.to_vec(), true));
        }
        let rest = parent
            .strip_prefix(self.directory.as_slice())
            .filter(|_| self.tree)?;
        let rest = if root {
            rest
        } else {
            rest.strip_prefix(separator)?
        };
        Some(([rest, separator, last].concat(), false))
    }
}

/// What changed.
pub struct Change {
    pub parent: Vec<u8>,
    pub last: Vec<u8>,
    pub filter: u32,
    pub action: u32,
    pub target: u64,
    pub context: u64,
}

/// Tells one watch of a change, if it wants to hear of it.
fn tell(at: u64, change: &Change, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let Some(watch) = WATCHES.lock().get(&at).cloned() else {
        return Ok(());
    };
    if watch.filter & change.filter == 0 {
        return Ok(());
    }
    let Some((name, direct)) = watch.name(&change.parent, &change.last) else {
        return Ok(());
    };
    if !direct && watch.traverse != 0 {
        let status = caller.call(
            watch.traverse,
            &[watch.context, change.target, watch.subject],
        );
        if status & 0x8000_0000 != 0 {
            return Ok(());
        }
    }
    if watch.report != 0 {
        let wanted = caller.call(watch.report, &[watch.context, change.context]);
        if wanted.to_le_bytes()[0] == 0 {
            return Ok(());
        }
    }
    let ready = {
        let mut watches = WATCHES.lock();
        let Some(watch) = watches.get_mut(&at) else {
            return Ok(());
        };
        watch.note(record(change.action, &name));
        if watch.waiting.is_empty() || change.action == RENAMED_OLD_NAME {
            return Ok(());
        }
        let waiting = std::mem::take(&mut watch.waiting);
        watch.take().map(|told| (told, waiting))
    };
    let Some(((status, told), waiting)) = ready else {
        return Ok(());
    };
    // The first who waits is told what changed, others that something did.
    for (n, packet) in waiting.into_iter().enumerate() {
        match n {
            0 => complete(packet, status, &told, caller)?,
            _ => complete(packet, nt_status::STATUS_NOTIFY_ENUM_DIR, &[], caller)?,
        }
    }
    Ok(())
}

pub fn report(list: u64, change: &Change, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let of_list = |(at, watch): (&u64, &DirectoryWatch)| (watch.list == list).then_some(*at);
    let all: Vec<u64> = WATCHES.lock().iter().filter_map(of_list).collect();
    all.into_iter().try_for_each(|at| tell(at, change, caller))
}

/// Gives back a subject context that came with a request.
fn give_back(subject: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    if subject == 0 {
        return Ok(());
    }
    token::release(subject, caller)?;
    pool::free_by(subject, caller.address());
    Ok(())
}

/// Adds a request, which is completed at once if there is something to tell.
pub fn add(packet: u64, new: DirectoryWatch, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let place = packets::location(packet)?;
    let object = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let flags = driver_mem::read_u32(object + file::FLAGS)?;
    if flags & file::flag::CLEANUP_COMPLETE != 0 {
        give_back(new.subject, caller)?;
        return complete(packet, nt_status::STATUS_NOTIFY_CLEANUP, &[], caller);
    }
    let at = if let Some(at) = find(new.list, new.context) {
        give_back(new.subject, caller)?;
        at
    } else {
        let at = crate::ex::pool::allocate_or_raise(PAGED, ELEMENT, TAG, caller.address())?;
        let last = driver_mem::read_u64(new.list + 8)?;
        driver_mem::write_u64(at, new.list)?;
        driver_mem::write_u64(at + 8, last)?;
        driver_mem::write_u64(last, at)?;
        driver_mem::write_u64(new.list + 8, at)?;
        WATCHES.lock().insert(at, new);
        at
    };
    let told = WATCHES.lock().get_mut(&at).and_then(DirectoryWatch::take);
    if let Some((status, told)) = told {
        return complete(packet, status, &told, caller);
    }
    if driver_mem::read_u8(packet + irp::CANCEL)? != 0 {
        return complete(packet, nt_status::STATUS_CANCELLED, &[], caller);
    }
    mark_pending(place, true)?;
    let routine = export_table::resolve("IopCancelNotifyRequest").unwrap_or(0);
    driver_mem::write_u64(packet + irp::CANCEL_ROUTINE, routine)?;
    if let Some(watch) = WATCHES.lock().get_mut(&at) {
        watch.waiting.push_back(packet);
    }
    Ok(())
}

/// Completes all requests of a watch.
pub fn complete_all(at: u64, status: u32, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let waiting = WATCHES
        .lock()
        .get_mut(&at)
        .map(|watch| std::mem::take(&mut watch.waiting));
    for packet in waiting.unwrap_or_default() {
        complete(packet, status, &[], caller)?;
    }
    Ok(())
}

/// Ends a watch.
pub fn end(at: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    complete_all(at, nt_status::STATUS_NOTIFY_CLEANUP, caller)?;
    let (next, previous) = (driver_mem::read_u64(at)?, driver_mem::read_u64(at + 8)?);
    driver_mem::write_u64(previous, next)?;
    driver_mem::write_u64(next.wrapping_add(8), previous)?;
    pool::free_by(at, caller.address());
    let watch = WATCHES.lock().remove(&at);
    watch.map_or(Ok(()), |watch| give_back(watch.subject, caller))
}

//! Directories of the namespace.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::{Attributes, Directory, Payload, Type};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::{base, ob};

/// Bytes of a directory's body, which is nobody's business.
const BODY_SIZE: u64 = 0x158;
/// Bytes of an `OBJECT_DIRECTORY_INFORMATION`.
const ENTRY_SIZE: usize = 32;

exports! {
    /// `ZwCreateDirectoryObject`.
    fn ZwCreateDirectoryObject<call>(handle: u64, access: u32, attributes: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::outcome(create(handle, access, attributes, &CallContext::of(call)))
    }

    /// `ZwOpenDirectoryObject`.
    fn ZwOpenDirectoryObject<call>(handle: u64, access: u32, attributes: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let open = || -> Result<(), Refusal> {
            let attributes = Attributes::require(attributes)?;
            let opened = ob::open_by_name(&attributes, Type::Directory, access, &CallContext::of(call))?;
            Ok(driver_mem::write_u64(handle, opened)?)
        };
        error::status(open())
    }

    /// `ZwQueryDirectoryObject`: names and their types, in order of the names.
    fn ZwQueryDirectoryObject(
        handle: u64, buffer: u64, length: u32, single: bool, restart: bool, context: u64, return_length: u64,
    ) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let listing = Listing { buffer, length, single, restart, context, return_length };
        error::outcome(list(handle, &listing))
    }
}

fn create(
    handle: u64,
    access: u32,
    attributes: u64,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    let attributes = Attributes::read(attributes)?;
    let payload = Payload::Directory(Directory::default());
    let directory = ob::create(Type::Directory, BODY_SIZE, payload)?;
    let opened = ob::insert_and_open(directory, &attributes, access, caller)?;
    driver_mem::write_u64(handle, opened.handle)?;
    Ok(opened.status)
}

/// How a directory is to be listed.
struct Listing {
    buffer: u64,
    length: u32,
    single: bool,
    restart: bool,
    context: u64,
    return_length: u64,
}

/// A name and its type.
type Entry = (Vec<u16>, &'static str);

fn list(handle: u64, listing: &Listing) -> Result<u32, Refusal> {
    let directory = ob::by_handle(handle, 0, Some(Type::Directory), false)?.object;
    let first = if listing.restart {
        0
    } else {
        driver_mem::read_u32(listing.context)?
    };
    let entries: Vec<Entry> = ob::entries_of(directory)
        .into_iter()
        .skip(usize::try_from(first).unwrap_or(usize::MAX))
        .collect();
    let room = usize::try_from(listing.length).unwrap_or(usize::MAX);
    // The entry that ends the list takes room too.
    let mut total = ENTRY_SIZE;
    let mut fitting = 0;
    for entry in &entries {
        let needed = total + size_of_entry(entry);
        if needed > room {
            if listing.single {
                total = needed;
            }
            break;
        }
        total = needed;
        fitting += 1;
        if listing.single {
            break;
        }
    }
    if listing.return_length != 0 {
        driver_mem::write_u32(
            listing.return_length,
            u32::try_from(total).unwrap_or(u32::MAX),
        )?;
    }
    if entries.is_empty() {
        return Err(nt_status::STATUS_NO_MORE_ENTRIES.into());
    }
    if listing.single && fitting == 0 || room < ENTRY_SIZE {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    driver_mem::write_bytes(listing.buffer, &write(&entries[..fitting], listing.buffer))?;
    let next = first.saturating_add(u32::try_from(fitting).unwrap_or(u32::MAX));
    driver_mem::write_u32(listing.context, next)?;
    let more = !listing.single && fitting < entries.len();
    Ok(if more {
        nt_status::STATUS_MORE_ENTRIES
    } else {
        nt_status::STATUS_SUCCESS
    })
}

/// Bytes that an entry takes with its two strings.
fn size_of_entry((name, kind): &Entry) -> usize {
    ENTRY_SIZE + 2 * name.len() + 2 + 2 * kind.len() + 2
}

/// The entries as they lie at `at`: an array that an empty one ends, then the
/// strings.
fn write(entries: &[Entry], at: u64) -> Vec<u8> {
    let mut table = Information::default();
    let mut strings = Information::default();
    let mut next = at + ((entries.len() + 1) * ENTRY_SIZE) as u64;
    for (name, kind) in entries {
        for text in [name.clone(), base::utf16::wide(kind)] {
            let bytes = u32::try_from(2 * text.len()).unwrap_or(0);
            // Length in the low half, maximum length in the high half.
            table = table.u32(bytes | (bytes + 2) << 16).u32(0).u64(next);
            strings = strings.name(&text).name(&[0]);
            next += u64::from(bytes) + 2;
        }
    }
    let table = table.u64(0).u64(0).u64(0).u64(0);
    table.bytes(&strings.finish()).finish()
}

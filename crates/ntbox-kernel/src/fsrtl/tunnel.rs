//! Tunnel caches (`TUNNEL`): for some seconds a file system keeps the properties of a
//! removed name, for a new file of the same name.
//!
//! The structure is in the driver's memory. Its list holds the entries, the oldest
//! first, each a block of pool; the root of the tree that Windows has stays empty.

use nt_layout::{ListEntry, Tunnel, TunnelEntry};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::clock;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::upcase::upcase;
use crate::ex::{fast_mutex, pool};
use crate::mm;

type Cache = DriverPtr<Tunnel>;
type Entry = DriverPtr<TunnelEntry>;

/// Pool tags of an entry and of a long name that the caller frees.
const TAG: u32 = u32::from_le_bytes(*b"Tunl");
const NAME_TAG: u32 = u32::from_le_bytes(*b"TunP");
/// `PagedPool`.
const PAGED: u32 = 1;
/// How many entries there are at most, and how long they live, in units of 100 ns: what
/// Windows has where the registry says nothing else.
const MOST: u16 = 256;
const AGE: u64 = 15 * 10_000_000;

/// What a file is looked up by.
struct Key {
    directory: u64,
    name: Vec<u16>,
}

impl Key {
    fn matches(&self, entry: Entry) -> Result<bool, Fault> {
        if entry.get(|entry| &entry.directory_key)? != self.directory {
            return Ok(false);
        }
        let is_by_short_name = entry.get(|entry| &entry.is_by_short_name)? != 0;
        let name = if is_by_short_name {
            entry.at(|entry| &entry.short_name)
        } else {
            entry.at(|entry| &entry.long_name)
        };
        let name = UnicodeString::read(name.address())?.units()?;
        let upcased = |units: &[u16]| units.iter().map(|unit| upcase(*unit)).collect::<Vec<_>>();
        Ok(upcased(&name) == upcased(&self.name))
    }
}

/// The entries, the oldest first.
fn entries(cache: Cache) -> Result<Vec<Entry>, Fault> {
    let head = cache.at(|cache| &cache.timer_queue);
    let mut list = Vec::new();
    let mut links = DriverPtr::new(head.get(|head| &head.flink)?);
    while links != head && list.len() < usize::from(u16::MAX) {
        list.push(links.cast());
        links = DriverPtr::new(links.get(|links| &links.flink)?);
    }
    Ok(list)
}

fn set_count(cache: Cache, change: impl FnOnce(u16) -> u16) -> Result<(), Fault> {
    let count = cache.at(|cache| &cache.num_entries);
    count.write(change(count.read()?))
}

/// Removes an entry from the list and frees it.
fn drop_entry(cache: Cache, entry: Entry, caller: u64) -> Result<(), Fault> {
    let next = DriverPtr::<ListEntry>::new(entry.get(|entry| &entry.list_entry.flink)?);
    let previous = DriverPtr::<ListEntry>::new(entry.get(|entry| &entry.list_entry.blink)?);
    previous.set(|previous| &previous.flink, next.address())?;
    next.set(|next| &next.blink, previous.address())?;
    set_count(cache, |count| count.saturating_sub(1))?;
    mm::pool::free_by(entry.address(), caller);
    Ok(())
}

/// Frees the entries that are too old.
fn expire(cache: Cache, caller: u64) -> Result<(), Fault> {
    let now = clock::interrupt_time();
    for entry in entries(cache)? {
        if now.saturating_sub(entry.get(|entry| &entry.create_time)?) > AGE {
            drop_entry(cache, entry, caller)?;
        }
    }
    Ok(())
}

/// The text of a string that may be missing.
fn optional(string: u64) -> Result<Vec<u16>, Fault> {
    match string {
        0 => Ok(Vec::new()),
        at => UnicodeString::read(at)?.units(),
    }
}

/// Arguments of `FsRtlAddToTunnelCache`.
struct AddParams {
    key: Key,
    by_short_name: bool,
    short: Vec<u16>,
    long: Vec<u16>,
    data: Vec<u8>,
}

fn add(cache: Cache, new: &AddParams, caller: u64) -> Result<(), NoReturn> {
    expire(cache, caller)?;
    for entry in entries(cache)? {
        if new.key.matches(entry)? {
            drop_entry(cache, entry, caller)?;
        }
    }
    let text = 2 * (new.short.len() + new.long.len()) as u64;
    let size = Entry::SIZE + text.next_multiple_of(8) + new.data.len() as u64;
    // Without memory the cache has no entry; that is no error.
    let Ok(block) = pool::allocate_or_raise(PAGED, size, TAG, caller) else {
        return Ok(());
    };
    let entry = Entry::new(block);
    entry.set(|entry| &entry.create_time, clock::interrupt_time())?;
    entry.set(|entry| &entry.directory_key, new.key.directory)?;
    entry.set(|entry| &entry.is_by_short_name, new.by_short_name.into())?;
    let length = u32::try_from(new.data.len()).unwrap_or(0);
    entry.set(|entry| &entry.data_length, length)?;
    let mut buffer = text_of(entry);
    for (string, units) in [
        (entry.at(|entry| &entry.short_name), &new.short),
        (entry.at(|entry| &entry.long_name), &new.long),
    ] {
        let length = u16::try_from(2 * units.len()).unwrap_or(0);
        put_text(string.address(), buffer, length, units)?;
        buffer += u64::from(length);
    }
    driver_mem::write_bytes(text_of(entry) + text.next_multiple_of(8), &new.data)?;

    let head = cache.at(|cache| &cache.timer_queue);
    let last = DriverPtr::<ListEntry>::new(head.get(|head| &head.blink)?);
    entry.set(|entry| &entry.list_entry.flink, head.address())?;
    entry.set(|entry| &entry.list_entry.blink, last.address())?;
    last.set(|last| &last.flink, entry.address())?;
    head.set(|head| &head.blink, entry.address())?;
    set_count(cache, |count| count.saturating_add(1))?;
    if cache.get(|cache| &cache.num_entries)? > MOST {
        let oldest = Entry::new(head.get(|head| &head.flink)?);
        drop_entry(cache, oldest, caller)?;
    }
    Ok(())
}

/// Address of the texts and the data behind an entry.
fn text_of(entry: Entry) -> u64 {
    entry.next(1).address()
}

/// Writes text to a buffer, and the string that describes it.
fn put_text(string: u64, buffer: u64, maximum_length: u16, units: &[u16]) -> Result<(), Fault> {
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    driver_mem::write_bytes(buffer, &bytes)?;
    let string_value = UnicodeString {
        length: u16::try_from(bytes.len()).unwrap_or(0),
        maximum_length,
        buffer,
    };
    string_value.write(string)
}

/// The driver's buffers for the result of `FsRtlFindInTunnelCache`.
struct FindBuffers {
    short: u64,
    long: u64,
    length: u64,
    data: u64,
}

fn find(cache: Cache, key: &Key, out: &FindBuffers, caller: u64) -> Result<bool, NoReturn> {
    expire(cache, caller)?;
    let mut found = None;
    for entry in entries(cache)? {
        if key.matches(entry)? {
            found = Some(entry);
        }
    }
    let Some(entry) = found else { return Ok(false) };
    let short_name = entry.at(|entry| &entry.short_name).address();
    let long_name = entry.at(|entry| &entry.long_name).address();
    let short = UnicodeString::read(short_name)?.units()?;
    let given = UnicodeString::read(out.short)?;
    put_text(out.short, given.buffer, given.maximum_length, &short)?;

    let long = UnicodeString::read(long_name)?.units()?;
    let given = UnicodeString::read(out.long)?;
    let needed = u16::try_from(2 * long.len()).unwrap_or(0);
    if needed <= given.maximum_length {
        put_text(out.long, given.buffer, given.maximum_length, &long)?;
    } else {
        let buffer = pool::allocate_or_raise(PAGED, u64::from(needed), NAME_TAG, caller)?;
        put_text(out.long, buffer, needed, &long)?;
    }

    let length = entry.get(|entry| &entry.data_length)?;
    let text = u64::from(UnicodeString::read(short_name)?.length)
        + u64::from(UnicodeString::read(long_name)?.length);
    let data = text_of(entry) + text.next_multiple_of(8);
    driver_mem::copy(out.data, data, u64::from(length))?;
    driver_mem::write_u32(out.length, length)?;
    Ok(true)
}

fn forget(cache: Cache, directory: Option<u64>, caller: u64) -> Result<(), NoReturn> {
    for entry in entries(cache)? {
        let own = entry.get(|entry| &entry.directory_key)?;
        if directory.is_none_or(|directory| directory == own) {
            drop_entry(cache, entry, caller)?;
        }
    }
    Ok(())
}

exports! {
    /// `FsRtlInitializeTunnelCache`.
    fn FsRtlInitializeTunnelCache(cache: Cache) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        fast_mutex::initialize(cache.address())?;
        let head = cache.at(|cache| &cache.timer_queue);
        cache.set(|cache| &cache.cache, 0)?;
        head.set(|head| &head.flink, head.address())?;
        head.set(|head| &head.blink, head.address())?;
        Ok(cache.set(|cache| &cache.num_entries, 0)?)
    }

    /// `FsRtlAddToTunnelCache`: takes the place of an entry with the same key.
    fn FsRtlAddToTunnelCache<call>(
        cache: Cache, directory: u64, short: u64, long: u64, by_short_name: bool, length: u32, data: u64,
    ) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let (short, long) = (optional(short)?, optional(long)?);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        driver_mem::read_bytes(data, &mut bytes)?;
        let name = if by_short_name { short.clone() } else { long.clone() };
        let new = AddParams { key: Key { directory, name }, by_short_name, short, long, data: bytes };
        add(cache, &new, call.return_address())
    }

    /// `FsRtlFindInTunnelCache`: a long name that has no room gets a new buffer, which
    /// the caller frees.
    fn FsRtlFindInTunnelCache<call>(
        cache: Cache, directory: u64, name: u64, short: u64, long: u64, length: u64, data: u64,
    ) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let key = Key { directory, name: optional(name)? };
        find(cache, &key, &FindBuffers { short, long, length, data }, call.return_address())
    }

    /// `FsRtlDeleteKeyFromTunnelCache`.
    fn FsRtlDeleteKeyFromTunnelCache<call>(cache: Cache, directory: u64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        forget(cache, Some(directory), call.return_address())
    }

    /// `FsRtlDeleteTunnelCache`.
    fn FsRtlDeleteTunnelCache<call>(cache: Cache) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        forget(cache, None, call.return_address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Counted, address, address_mut, value, wide};

    fn string(units: &mut [u16]) -> Counted<'_> {
        let used = units.iter().position(|unit| *unit == 0);
        let used = used.unwrap_or(units.len());
        Counted::unicode(units, used)
    }

    fn remember(cache: u64, short: &str, long: &str, data: u32) {
        let (mut short, mut long) = (wide(short), wide(long));
        let (short, long) = (string(&mut short), string(&mut long));
        let arguments = [
            cache,
            7,
            address(&short),
            address(&long),
            1,
            4,
            address(&data),
        ];
        value(FsRtlAddToTunnelCache, &arguments);
    }

    /// What is found of a short name: short name, long name and data.
    fn recall(cache: u64, name: &str) -> Option<(String, String, u32)> {
        let (mut name, mut short, mut long) = (wide(name), [0; 12], [0; 4]);
        let name = string(&mut name);
        let mut short = Counted::unicode(&mut short, 0);
        let mut long = Counted::unicode(&mut long, 0);
        let (given, mut length, mut data) = (long.buffer, 4_u32, 0_u32);
        let arguments = [
            cache,
            7,
            address(&name),
            address_mut(&mut short),
            address_mut(&mut long),
            address_mut(&mut length),
            address_mut(&mut data),
        ];
        if value(FsRtlFindInTunnelCache, &arguments) == 0 {
            return None;
        }
        assert_eq!(length, 4);
        let found = (short.text(), long.text(), data);
        if long.buffer != given {
            assert_eq!(long.length, long.maximum_length);
            mm::pool::free(long.buffer);
        }
        Some(found)
    }

    #[test]
    fn tunnel_finds_name_until_directory_is_deleted() {
        let mut cache = [0_u64; 11];
        let at = address_mut(&mut cache);
        value(FsRtlInitializeTunnelCache, &[at]);
        remember(at, "LONGNA~1", "Long name", 1);
        remember(at, "SHORT", "ab", 2);
        let found = |short: &str, long: &str, data| Some((short.to_owned(), long.to_owned(), data));
        assert_eq!(recall(at, "longna~1"), found("LONGNA~1", "Long name", 1));
        assert_eq!(recall(at, "Long name"), None, "the short name is the key");
        remember(at, "Short", "cd", 3);
        assert_eq!(recall(at, "SHORT"), found("Short", "cd", 3));
        assert_eq!(Cache::new(at).get(|cache| &cache.num_entries), Ok(2));
        value(FsRtlDeleteKeyFromTunnelCache, &[at, 8]);
        assert!(recall(at, "SHORT").is_some(), "of another directory");
        value(FsRtlDeleteKeyFromTunnelCache, &[at, 7]);
        assert_eq!(recall(at, "SHORT"), None);
        value(FsRtlDeleteTunnelCache, &[at]);
    }

    #[test]
    fn tunnel_over_limit_drops_oldest() {
        let mut cache = [0_u64; 11];
        let at = address_mut(&mut cache);
        value(FsRtlInitializeTunnelCache, &[at]);
        for n in 0..=u32::from(MOST) {
            remember(at, &format!("N{n}"), "x", n);
        }
        assert_eq!(recall(at, "N0"), None);
        assert!(recall(at, "N1").is_some());
        value(FsRtlDeleteTunnelCache, &[at]);
        assert_eq!(Cache::new(at).get(|cache| &cache.num_entries), Ok(0));
    }
}

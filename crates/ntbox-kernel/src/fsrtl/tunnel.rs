//! Tunnel caches: what a file system remembers, for some seconds, of names that were
//! removed, so that a file of the same name that is made soon afterwards gets the same
//! properties.
//!
//! The structure is the driver's. Its list holds the entries, the oldest first, each a
//! block of pool; the root of the tree that Windows keeps beside it stays empty.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::clock;
use crate::base::export::exports;
use crate::base::upcase::upcase;
use crate::ex::{fast_mutex, pool};
use crate::mm;

/// Offsets in a `TUNNEL`.
mod offset {
    pub const CACHE: u64 = 0x38;
    pub const QUEUE: u64 = 0x40;
    pub const COUNT: u64 = 0x50;
}

/// Offsets in an entry, whose first bytes are its place in the list.
mod entry {
    pub const CREATED: u64 = 0x10;
    pub const DIRECTORY: u64 = 0x18;
    pub const BY_SHORT_NAME: u64 = 0x20;
    pub const DATA_LENGTH: u64 = 0x24;
    pub const SHORT_NAME: u64 = 0x28;
    pub const LONG_NAME: u64 = 0x38;
    pub const TEXT: u64 = 0x48;
}

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
    fn matches(&self, at: u64) -> Result<bool, Fault> {
        if driver_mem::read_u64(at + entry::DIRECTORY)? != self.directory {
            return Ok(false);
        }
        let by_short = driver_mem::read_u32(at + entry::BY_SHORT_NAME)? != 0;
        let name = if by_short {
            entry::SHORT_NAME
        } else {
            entry::LONG_NAME
        };
        let name = UnicodeString::read(at + name)?.units()?;
        let upcased = |units: &[u16]| units.iter().map(|unit| upcase(*unit)).collect::<Vec<_>>();
        Ok(upcased(&name) == upcased(&self.name))
    }
}

/// The entries, the oldest first.
fn entries(cache: u64) -> Result<Vec<u64>, Fault> {
    let head = cache.wrapping_add(offset::QUEUE);
    let mut list = Vec::new();
    let mut at = driver_mem::read_u64(head)?;
    while at != head && list.len() < usize::from(u16::MAX) {
        list.push(at);
        at = driver_mem::read_u64(at)?;
    }
    Ok(list)
}

fn set_count(cache: u64, change: impl FnOnce(u16) -> u16) -> Result<(), Fault> {
    let at = cache.wrapping_add(offset::COUNT);
    driver_mem::write_u16(at, change(driver_mem::read_u16(at)?))
}

/// Takes an entry out of the list and frees it.
fn drop_entry(cache: u64, at: u64, caller: u64) -> Result<(), Fault> {
    let next = driver_mem::read_u64(at)?;
    let previous = driver_mem::read_u64(at + 8)?;
    driver_mem::write_u64(previous, next)?;
    driver_mem::write_u64(next.wrapping_add(8), previous)?;
    set_count(cache, |count| count.saturating_sub(1))?;
    mm::pool::free_by(at, caller);
    Ok(())
}

/// Drops those that are too old.
fn expire(cache: u64, caller: u64) -> Result<(), Fault> {
    let now = clock::interrupt_time();
    for at in entries(cache)? {
        if now.saturating_sub(driver_mem::read_u64(at + entry::CREATED)?) > AGE {
            drop_entry(cache, at, caller)?;
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

/// What is to be remembered.
struct New {
    key: Key,
    by_short_name: bool,
    short: Vec<u16>,
    long: Vec<u16>,
    data: Vec<u8>,
}

fn add(cache: u64, new: &New, caller: u64) -> Result<(), Stop> {
    expire(cache, caller)?;
    for at in entries(cache)? {
        if new.key.matches(at)? {
            drop_entry(cache, at, caller)?;
        }
    }
    let text = 2 * (new.short.len() + new.long.len()) as u64;
    let size = entry::TEXT + text.next_multiple_of(8) + new.data.len() as u64;
    // Nobody misses what could not be remembered.
    let Ok(at) = pool::allocate_or_raise(PAGED, size, TAG, caller) else {
        return Ok(());
    };
    driver_mem::write_u64(at + entry::CREATED, clock::interrupt_time())?;
    driver_mem::write_u64(at + entry::DIRECTORY, new.key.directory)?;
    driver_mem::write_u32(at + entry::BY_SHORT_NAME, u32::from(new.by_short_name))?;
    let length = u32::try_from(new.data.len()).unwrap_or(0);
    driver_mem::write_u32(at + entry::DATA_LENGTH, length)?;
    let mut place = at + entry::TEXT;
    for (string, units) in [
        (entry::SHORT_NAME, &new.short),
        (entry::LONG_NAME, &new.long),
    ] {
        let length = u16::try_from(2 * units.len()).unwrap_or(0);
        put_text(at + string, place, length, units)?;
        place += u64::from(length);
    }
    driver_mem::write_bytes(at + entry::TEXT + text.next_multiple_of(8), &new.data)?;

    let head = cache.wrapping_add(offset::QUEUE);
    let last = driver_mem::read_u64(head.wrapping_add(8))?;
    driver_mem::write_u64(at, head)?;
    driver_mem::write_u64(at + 8, last)?;
    driver_mem::write_u64(last, at)?;
    driver_mem::write_u64(head.wrapping_add(8), at)?;
    set_count(cache, |count| count.saturating_add(1))?;
    if driver_mem::read_u16(cache.wrapping_add(offset::COUNT))? > MOST {
        drop_entry(cache, driver_mem::read_u64(head)?, caller)?;
    }
    Ok(())
}

/// Writes text to a buffer, and the string that says where it is.
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

/// Where what is found goes.
struct Out {
    short: u64,
    long: u64,
    length: u64,
    data: u64,
}

fn find(cache: u64, key: &Key, out: &Out, caller: u64) -> Result<bool, Stop> {
    expire(cache, caller)?;
    let mut found = None;
    for at in entries(cache)? {
        if key.matches(at)? {
            found = Some(at);
        }
    }
    let Some(at) = found else { return Ok(false) };
    let short = UnicodeString::read(at + entry::SHORT_NAME)?.units()?;
    let given = UnicodeString::read(out.short)?;
    put_text(out.short, given.buffer, given.maximum_length, &short)?;

    let long = UnicodeString::read(at + entry::LONG_NAME)?.units()?;
    let given = UnicodeString::read(out.long)?;
    let needed = u16::try_from(2 * long.len()).unwrap_or(0);
    if needed <= given.maximum_length {
        put_text(out.long, given.buffer, given.maximum_length, &long)?;
    } else {
        let buffer = pool::allocate_or_raise(PAGED, u64::from(needed), NAME_TAG, caller)?;
        put_text(out.long, buffer, needed, &long)?;
    }

    let length = driver_mem::read_u32(at + entry::DATA_LENGTH)?;
    let text = u64::from(UnicodeString::read(at + entry::SHORT_NAME)?.length)
        + u64::from(UnicodeString::read(at + entry::LONG_NAME)?.length);
    let data = at + entry::TEXT + text.next_multiple_of(8);
    driver_mem::copy(out.data, data, u64::from(length))?;
    driver_mem::write_u32(out.length, length)?;
    Ok(true)
}

fn forget(cache: u64, directory: Option<u64>, caller: u64) -> Result<(), Stop> {
    for at in entries(cache)? {
        let own = driver_mem::read_u64(at + entry::DIRECTORY)?;
        if directory.is_none_or(|wanted| wanted == own) {
            drop_entry(cache, at, caller)?;
        }
    }
    Ok(())
}

exports! {
    /// `FsRtlInitializeTunnelCache`.
    fn FsRtlInitializeTunnelCache(cache: u64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        fast_mutex::initialize(cache)?;
        let head = cache.wrapping_add(offset::QUEUE);
        driver_mem::write_u64(cache.wrapping_add(offset::CACHE), 0)?;
        driver_mem::write_u64(head, head)?;
        driver_mem::write_u64(head.wrapping_add(8), head)?;
        Ok(driver_mem::write_u16(cache.wrapping_add(offset::COUNT), 0)?)
    }

    /// `FsRtlAddToTunnelCache`: takes the place of an entry with the same key.
    fn FsRtlAddToTunnelCache<call>(
        cache: u64, directory: u64, short: u64, long: u64, by_short_name: bool, length: u32, data: u64,
    ) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let (short, long) = (optional(short)?, optional(long)?);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        driver_mem::read_bytes(data, &mut bytes)?;
        let name = if by_short_name { short.clone() } else { long.clone() };
        let new = New { key: Key { directory, name }, by_short_name, short, long, data: bytes };
        add(cache, &new, call.return_address())
    }

    /// `FsRtlFindInTunnelCache`: a long name that has no room gets a new buffer, which
    /// the caller frees.
    fn FsRtlFindInTunnelCache<call>(
        cache: u64, directory: u64, name: u64, short: u64, long: u64, length: u64, data: u64,
    ) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let key = Key { directory, name: optional(name)? };
        find(cache, &key, &Out { short, long, length, data }, call.return_address())
    }

    /// `FsRtlDeleteKeyFromTunnelCache`.
    fn FsRtlDeleteKeyFromTunnelCache<call>(cache: u64, directory: u64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        forget(cache, Some(directory), call.return_address())
    }

    /// `FsRtlDeleteTunnelCache`.
    fn FsRtlDeleteTunnelCache<call>(cache: u64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
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
    fn a_name_is_found_until_its_directory_goes() {
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
        assert_eq!(driver_mem::read_u16(at + offset::COUNT), Ok(2));
        value(FsRtlDeleteKeyFromTunnelCache, &[at, 8]);
        assert!(recall(at, "SHORT").is_some(), "of another directory");
        value(FsRtlDeleteKeyFromTunnelCache, &[at, 7]);
        assert_eq!(recall(at, "SHORT"), None);
        value(FsRtlDeleteTunnelCache, &[at]);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut cache = [0_u64; 11];
        let at = address_mut(&mut cache);
        value(FsRtlInitializeTunnelCache, &[at]);
        for n in 0..=u32::from(MOST) {
            remember(at, &format!("N{n}"), "x", n);
        }
        assert_eq!(recall(at, "N0"), None);
        assert!(recall(at, "N1").is_some());
        value(FsRtlDeleteTunnelCache, &[at]);
        assert_eq!(driver_mem::read_u16(at + offset::COUNT), Ok(0));
    }
}

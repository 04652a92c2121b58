//! The list of loaded modules: one entry for each image, which `DriverSection` of
//! its driver object points to. The reference keeps silent about both, but the
//! beginning of an entry has been the same since the first x64 Windows, and drivers
//! walk the list to find images, or set the flag that `/INTEGRITYCHECK` sets.

use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::kernel_cell::Exclusive;
use ntbox_host::memory_map::NT;
use ntbox_host::{driver_mem, modules};

use super::pool;
use super::pool::PoolKind;
use crate::base::diag;
use crate::base::utf16::wide;

/// Offsets in an entry (`KLDR_DATA_TABLE_ENTRY`).
mod offset {
    pub const NEXT: u64 = 0x00;
    pub const PREVIOUS: u64 = 0x08;
    pub const BASE: u64 = 0x30;
    pub const ENTRY_POINT: u64 = 0x38;
    pub const IMAGE_SIZE: u64 = 0x40;
    pub const FULL_NAME: u64 = 0x48;
    pub const BASE_NAME: u64 = 0x58;
    pub const FLAGS: u64 = 0x68;
    pub const LOAD_COUNT: u64 = 0x6c;
}

/// Bytes of an entry.
const SIZE: u64 = 0xa0;
/// Flag of an image that was linked with `/INTEGRITYCHECK`.
const INTEGRITY_CHECK: u32 = 0x20;
/// Pool tag of entries.
const TAG: u32 = u32::from_le_bytes(*b"MmLd");

/// The head of the list, once there is one, and the entry of each image by its base.
static LIST: Exclusive<(u64, Vec<(u64, u64)>)> = Exclusive::new((0, Vec::new()));

/// What an entry tells of an image.
#[derive(Debug, Clone, Copy)]
pub struct Module<'a> {
    /// Folder, with a backslash at its end.
    pub folder: &'a str,
    /// File name.
    pub name: &'a str,
    /// Where it lies.
    pub base: u64,
    /// Bytes in memory.
    pub size: u32,
    /// Address of its entry point.
    pub entry: u64,
    /// Whether it was linked with `/INTEGRITYCHECK`.
    pub checked: bool,
}

/// Adds an image at the end of the list, which begins with the kernel; gives its
/// entry, or `None` without memory.
pub fn add(module: Module<'_>) -> Option<u64> {
    let (mut head, _) = LIST.lock().clone();
    if head == 0 {
        // The head has the room of an entry: who takes it for one reads zeros.
        head = zeroed(SIZE)?;
        driver_mem::write_u64(head + offset::NEXT, head).ok()?;
        driver_mem::write_u64(head + offset::PREVIOUS, head).ok()?;
        LIST.lock().0 = head;
        let kernel = Module {
            folder: r"\SystemRoot\system32\",
            name: "ntoskrnl.exe",
            base: NT.base,
            size: u32::try_from(NT.size).unwrap_or(u32::MAX),
            entry: 0,
            checked: true,
        };
        append(head, kernel)?;
    }
    append(head, module)
}

fn append(head: u64, module: Module<'_>) -> Option<u64> {
    let entry = zeroed(SIZE)?;
    write(entry, module).ok()?;
    let last = driver_mem::read_u64(head + offset::PREVIOUS).ok()?;
    driver_mem::write_u64(entry + offset::NEXT, head).ok()?;
    driver_mem::write_u64(entry + offset::PREVIOUS, last).ok()?;
    driver_mem::write_u64(last + offset::NEXT, entry).ok()?;
    driver_mem::write_u64(head + offset::PREVIOUS, entry).ok()?;
    LIST.lock().1.push((module.base, entry));
    let path = wide(&format!("{}{}", module.folder, module.name));
    let bytes: Vec<u8> = path.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let buffer = zeroed(bytes.len() as u64 + 2)?;
    driver_mem::write_bytes(buffer, &bytes).ok()?;
    let folder = wide(module.folder).len() as u64 * 2;
    for (at, skipped) in [(offset::FULL_NAME, 0), (offset::BASE_NAME, folder)] {
        let length = u16::try_from(bytes.len() as u64 - skipped).ok()?;
        let name = UnicodeString {
            length,
            maximum_length: length.checked_add(2)?,
            buffer: buffer + skipped,
        };
        name.write(entry + at).ok()?;
    }
    Some(entry)
}

fn write(entry: u64, module: Module<'_>) -> Result<(), Fault> {
    let flags = if module.checked { INTEGRITY_CHECK } else { 0 };
    driver_mem::write_u64(entry + offset::BASE, module.base)?;
    driver_mem::write_u64(entry + offset::ENTRY_POINT, module.entry)?;
    driver_mem::write_u32(entry + offset::IMAGE_SIZE, module.size)?;
    driver_mem::write_u32(entry + offset::FLAGS, flags)?;
    driver_mem::write_u16(entry + offset::LOAD_COUNT, 1)
}

fn zeroed(bytes: u64) -> Option<u64> {
    let block = pool::allocate(PoolKind::NonPaged, bytes, TAG)?;
    driver_mem::fill(block, 0, bytes).ok()?;
    Some(block)
}

/// Whether the entry of the image at `base` has the flag of `/INTEGRITYCHECK`, as it
/// is now.
///
/// # Errors
/// The entry is not there any more.
fn flag_is_set(base: u64) -> Result<bool, Fault> {
    let entry = {
        let list = LIST.lock();
        let found = list.1.iter().find(|(known, _)| *known == base);
        found.map(|(_, entry)| *entry)
    };
    entry.map_or(Ok(false), |entry| {
        Ok(driver_mem::read_u32(entry + offset::FLAGS)? & INTEGRITY_CHECK != 0)
    })
}

/// Whether the image of a routine was linked with `/INTEGRITYCHECK`, which some
/// registrations demand, or its entry of the list of modules says so.
///
/// # Errors
/// Its entry cannot be read.
pub fn checks_integrity(routine: u64) -> Result<bool, Fault> {
    let Some(image) = modules::find(routine) else {
        return Ok(false);
    };
    flag_is_set(image.base)
}

/// The same for a registration by the export of that name, which is refused
/// otherwise: the reader is told why.
///
/// # Errors
/// The image's entry cannot be read.
pub fn may_register(export: &str, routine: u64) -> Result<bool, Fault> {
    let may = checks_integrity(routine)?;
    if !may {
        diag::note(format!(
            "{export} failed with STATUS_ACCESS_DENIED: the image that holds the routine was not linked with /INTEGRITYCHECK, which Windows demands of it"
        ));
    }
    Ok(may)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::processor;

    const BASE: u64 = 0x1234_0000;

    /// Base, size and both names of each entry, from the head on.
    fn walk(head: u64) -> Vec<(u64, u32, String, String)> {
        let mut found = Vec::new();
        let mut at = driver_mem::read_u64(head).expect("a link");
        while at != head {
            let text = |offset| {
                let name = UnicodeString::read(at + offset).expect("a name");
                name.text().expect("its text")
            };
            found.push((
                driver_mem::read_u64(at + offset::BASE).expect("a base"),
                driver_mem::read_u32(at + offset::IMAGE_SIZE).expect("a size"),
                text(offset::FULL_NAME),
                text(offset::BASE_NAME),
            ));
            let next = driver_mem::read_u64(at).expect("a link");
            assert_eq!(driver_mem::read_u64(next + offset::PREVIOUS), Ok(at));
            at = next;
        }
        found
    }

    #[test]
    fn the_list_has_the_kernel_and_the_driver() {
        processor();
        let module = Module {
            folder: r"\SystemRoot\System32\drivers\",
            name: "walk.sys",
            base: BASE,
            size: 0x3000,
            entry: BASE + 0x1000,
            checked: false,
        };
        let entry = add(module).expect("an entry");
        let list = walk(LIST.lock().0);
        assert_eq!(list[0].0, NT.base);
        assert_eq!(list[0].3, "ntoskrnl.exe");
        let name = "walk.sys".to_owned();
        let path = r"\SystemRoot\System32\drivers\walk.sys".to_owned();
        assert_eq!(list.last(), Some(&(BASE, 0x3000, path, name)));
        assert_eq!(
            driver_mem::read_u64(entry + offset::ENTRY_POINT),
            Ok(BASE + 0x1000)
        );
    }

    #[test]
    fn the_flag_counts_as_the_driver_leaves_it() {
        processor();
        let module = Module {
            folder: "",
            name: "a.sys",
            base: BASE + 0x10_0000,
            size: 0x1000,
            entry: 0,
            checked: false,
        };
        let entry = add(module).expect("an entry");
        assert_eq!(flag_is_set(module.base), Ok(false));
        driver_mem::write_u32(entry + offset::FLAGS, INTEGRITY_CHECK).expect("it is there");
        assert_eq!(flag_is_set(module.base), Ok(true));
        assert_eq!(flag_is_set(1), Ok(false), "no image");
    }
}

//! The list of loaded modules: one entry for each image, which `DriverSection` of
//! its driver object points to. The reference documents neither, but the
//! beginning of an entry has been the same since the first x64 Windows, and drivers
//! walk the list to find images, or set the flag that `/INTEGRITYCHECK` sets.

use nt_layout::KldrDataTableEntry;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::NT;
use ntbox_host::{driver_mem, modules};

use super::pool;
use super::pool::PoolKind;
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::utf16::wide;

/// Bytes of an entry.
const SIZE: u64 = DriverPtr::<KldrDataTableEntry>::SIZE;
/// Flag of an image that was linked with `/INTEGRITYCHECK`.
const INTEGRITY_CHECK: u32 = 0x20;
/// Pool tag of entries.
const TAG: u32 = u32::from_le_bytes(*b"MmLd");

/// The head of the list, once there is one, and the entry of each image by its base.
static LIST: KernelCell<(u64, Vec<(u64, u64)>)> = KernelCell::new((0, Vec::new()));

/// The fields of the entry at an address.
const fn module_entry(entry: u64) -> DriverPtr<KldrDataTableEntry> {
    DriverPtr::new(entry)
}

/// The fields of an entry that describe an image.
#[derive(Debug, Clone, Copy)]
pub struct Module<'a> {
    /// Folder, with a backslash at its end.
    pub folder: &'a str,
    /// File name.
    pub name: &'a str,
    /// Its base address.
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
        // The head is as large as an entry: a driver that reads it as one reads zeros.
        head = zeroed(SIZE)?;
        module_entry(head)
            .set(|entry| &entry.in_load_order_links.flink, head)
            .ok()?;
        module_entry(head)
            .set(|entry| &entry.in_load_order_links.blink, head)
            .ok()?;
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
    let last = module_entry(head)
        .get(|entry| &entry.in_load_order_links.blink)
        .ok()?;
    module_entry(entry)
        .set(|entry| &entry.in_load_order_links.flink, head)
        .ok()?;
    module_entry(entry)
        .set(|entry| &entry.in_load_order_links.blink, last)
        .ok()?;
    module_entry(last)
        .set(|entry| &entry.in_load_order_links.flink, entry)
        .ok()?;
    module_entry(head)
        .set(|entry| &entry.in_load_order_links.blink, entry)
        .ok()?;
    LIST.lock().1.push((module.base, entry));
    let path = wide(&format!("{}{}", module.folder, module.name));
    let bytes: Vec<u8> = path.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let buffer = zeroed(bytes.len() as u64 + 2)?;
    driver_mem::write_bytes(buffer, &bytes).ok()?;
    let folder = wide(module.folder).len() as u64 * 2;
    let names = [
        (module_entry(entry).at(|entry| &entry.full_dll_name), 0),
        (module_entry(entry).at(|entry| &entry.base_dll_name), folder),
    ];
    for (field, skipped) in names {
        let length = u16::try_from(bytes.len() as u64 - skipped).ok()?;
        let name = UnicodeString {
            length,
            maximum_length: length.checked_add(2)?,
            buffer: buffer + skipped,
        };
        name.write(field.address()).ok()?;
    }
    Some(entry)
}

fn write(entry: u64, module: Module<'_>) -> Result<(), Fault> {
    let flags = if module.checked { INTEGRITY_CHECK } else { 0 };
    module_entry(entry).set(|entry| &entry.dll_base, module.base)?;
    module_entry(entry).set(|entry| &entry.entry_point, module.entry)?;
    module_entry(entry).set(|entry| &entry.size_of_image, module.size)?;
    module_entry(entry).set(|entry| &entry.flags, flags)?;
    module_entry(entry).set(|entry| &entry.load_count, 1)
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
        Ok(module_entry(entry).get(|entry| &entry.flags)? & INTEGRITY_CHECK != 0)
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
/// otherwise, with a note that says why.
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
            let text = |name: DriverPtr<nt_layout::UnicodeString>| {
                let name = UnicodeString::read(name.address()).expect("a name");
                name.text().expect("its text")
            };
            found.push((
                module_entry(at)
                    .get(|entry| &entry.dll_base)
                    .expect("a base"),
                module_entry(at)
                    .get(|entry| &entry.size_of_image)
                    .expect("a size"),
                text(module_entry(at).at(|entry| &entry.full_dll_name)),
                text(module_entry(at).at(|entry| &entry.base_dll_name)),
            ));
            let next = driver_mem::read_u64(at).expect("a link");
            assert_eq!(
                module_entry(next).get(|entry| &entry.in_load_order_links.blink),
                Ok(at)
            );
            at = next;
        }
        found
    }

    #[test]
    fn module_list_has_kernel_and_driver() {
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
            module_entry(entry).get(|entry| &entry.entry_point),
            Ok(BASE + 0x1000)
        );
    }

    #[test]
    fn integrity_flag_is_read_from_module_entry() {
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
        module_entry(entry)
            .set(|entry| &entry.flags, INTEGRITY_CHECK)
            .expect("it is there");
        assert_eq!(flag_is_set(module.base), Ok(true));
        assert_eq!(flag_is_set(1), Ok(false), "no image");
    }
}

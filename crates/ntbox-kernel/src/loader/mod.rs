//! Loads a driver: the file as the linker wrote it, placed, relocated, bound to
//! the kernel's exports, and protected section by section.

use ntbox_host::kernel_address_space::{Protection, Use};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::{IMAGES, PAGE_SHIFT, PAGE_SIZE};
use ntbox_host::pe::{Headers, Refusal, Section, directory};
use ntbox_host::{driver_mem, modules, pe, translation};

use super::base::{export_table, image_layout, stack_trace_db};
use super::mm;
use super::mm::force_irql_image;
use crate::base::events;

/// A loaded image.
#[derive(Debug, Clone)]
pub struct Image {
    /// File name.
    pub name: String,
    /// Where it lies.
    pub base: u64,
    /// Bytes in memory.
    pub size: u32,
    /// Address of DriverEntry.
    pub entry: u64,
    /// Whether it was linked with `/INTEGRITYCHECK`.
    pub checked: bool,
    /// RVA and size of the function table.
    pub pdata: (u32, u32),
    /// Sections that are thrown away after DriverEntry.
    discarded: Vec<DiscardableSection>,
}

static IMAGES_LOADED: KernelCell<Vec<Image>> = KernelCell::new(Vec::new());

/// Loads an image from the bytes of its file.
pub fn load(name: &str, file: &[u8]) -> Result<Image, Refusal> {
    let headers = pe::parse(file)?;
    let mut bytes = image_layout::expand(file, &headers)?;
    let base = place(headers.image_size)?;
    image_layout::relocate(&mut bytes, &headers, base)?;
    bind(&mut bytes, &headers)?;
    if let Some(rva) = image_layout::security_cookie(&bytes, &headers, base)? {
        let at = rva as usize;
        bytes[at..at + 8].copy_from_slice(&new_cookie().to_le_bytes());
    }
    image_layout::check_exports(&bytes, &headers)?;
    let image = Image {
        name: name.to_owned(),
        base,
        size: headers.image_size,
        entry: base + u64::from(headers.entry),
        checked: headers.checked,
        pdata: function_table(&headers)?,
        discarded: map(&bytes, &headers, base)?,
    };
    modules::insert(modules::Module {
        base,
        size: image.size.into(),
        pdata: image.pdata,
        name: image.name.clone(),
    });
    IMAGES_LOADED.lock().push(image.clone());
    Ok(image)
}

fn function_table(headers: &Headers) -> Result<(u32, u32), Refusal> {
    let (rva, size) = headers.directories[directory::EXCEPTION];
    if u64::from(rva) + u64::from(size) > u64::from(headers.image_size) {
        return Err(format!(
            "its function table (.pdata) at {rva:#x} reaches past the image"
        ));
    }
    Ok((rva, size))
}

/// Finds an address for an image, on a boundary of 64 KiB as the loader does it.
fn place(size: u32) -> Result<u64, Refusal> {
    const GRANULARITY: u64 = 0x1_0000;
    let pages = u64::from(size).div_ceil(PAGE_SIZE) + 2 * GRANULARITY / PAGE_SIZE;
    mm::with(|memory| memory.space.room(IMAGES, pages))
        .map(|va| va.next_multiple_of(GRANULARITY) + GRANULARITY)
        .map_err(|_| "there is no address space left for it".to_owned())
}

/// What the driver in a file imports.
///
/// # Errors
/// The file is no image of a driver.
pub fn imports(file: &[u8]) -> Result<Vec<image_layout::Import>, Refusal> {
    let headers = pe::parse(file)?;
    image_layout::imports(&image_layout::expand(file, &headers)?, &headers)
}

/// Whether this kernel stands for a module.
#[must_use]
pub fn is_kernel(module: &str) -> bool {
    matches!(
        module.to_ascii_lowercase().as_str(),
        "ntoskrnl.exe" | "hal.dll" | "wmilib.sys"
    )
}

/// Fills the import table.
fn bind(bytes: &mut [u8], headers: &Headers) -> Result<(), Refusal> {
    for import in image_layout::imports(bytes, headers)? {
        events::import_bound(&import.name);
        let address = is_kernel(&import.module)
            .then(|| export_table::resolve_for_driver(&import.name))
            .flatten()
            .unwrap_or_else(|| export_table::missing(format!("{}!{}", import.module, import.name)));
        translation::bind_export(address);
        let at = import.slot as usize;
        bytes
            .get_mut(at..at + 8)
            .ok_or_else(|| {
                format!(
                    "the address of {} would lie outside of the image",
                    import.name
                )
            })?
            .copy_from_slice(&address.to_le_bytes());
    }
    Ok(())
}

/// A cookie as the loader of Windows makes it: unpredictable, its upper 16 bits
/// zero, and not the value that says "unset".
fn new_cookie() -> u64 {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the host has randomness");
    (u64::from_le_bytes(random) & 0x0000_ffff_ffff_ffff) | 1
}

/// A section that is discarded after DriverEntry.
#[derive(Debug, Clone)]
struct DiscardableSection {
    start: u64,
    size: u64,
    name: String,
}

/// Name of the section that an address lay in and that was discarded after
/// DriverEntry.
pub fn discarded_section(address: u64) -> Option<String> {
    let images = IMAGES_LOADED.lock();
    let mut sections = images.iter().flat_map(|image| &image.discarded);
    let section = sections
        .find(|section| address >= section.start && address - section.start < section.size)?;
    Some(section.name.clone())
}

/// Maps headers and sections, each with its protection. Returns the sections
/// that are discarded after DriverEntry.
fn map(bytes: &[u8], headers: &Headers, base: u64) -> Result<Vec<DiscardableSection>, Refusal> {
    if u64::from(headers.section_alignment) < PAGE_SIZE {
        // Such images cannot be protected by section; Windows maps them whole.
        map_range(bytes, base, 0, headers.image_size, Protection::ALL)?;
        return Ok(Vec::new());
    }
    map_range(bytes, base, 0, headers.size, Protection::READ)?;
    let mut discarded = Vec::new();
    for section in headers
        .sections
        .iter()
        .filter(|section| section.virtual_size != 0)
    {
        map_range(
            bytes,
            base,
            section.rva,
            section.virtual_size,
            protection(section),
        )?;
        if section.name.starts_with("PAGE") && stack_trace_db::is_on() {
            let pages = u64::from(section.virtual_size).div_ceil(PAGE_SIZE);
            force_irql_image::watch(base + u64::from(section.rva), pages, protection(section));
        }
        let goes = section.name.starts_with("INIT") || section.name == ".reloc";
        if goes && section.flags & pe::SCN_DISCARDABLE != 0 {
            discarded.push(DiscardableSection {
                start: base + u64::from(section.rva),
                size: section.virtual_size.into(),
                name: section.name.clone(),
            });
        }
    }
    Ok(discarded)
}

fn protection(section: &Section) -> Protection {
    Protection {
        read: section.flags & (pe::SCN_READ | pe::SCN_EXECUTE | pe::SCN_WRITE) != 0,
        write: section.flags & pe::SCN_WRITE != 0,
        execute: section.flags & pe::SCN_EXECUTE != 0,
    }
}

fn map_range(
    bytes: &[u8],
    base: u64,
    rva: u32,
    size: u32,
    protection: Protection,
) -> Result<(), Refusal> {
    let va = base + u64::from(rva);
    let pages = u64::from(size).div_ceil(PAGE_SIZE);
    let failed = || format!("{pages} pages at {va:#x} cannot be mapped");
    mm::with(|memory| memory.map_new(va, pages, Protection::READ_WRITE, Use::Image))
        .map_err(|_| failed())?;
    let from = rva as usize;
    let whole = usize::try_from(pages << PAGE_SHIFT).unwrap_or(usize::MAX);
    let to = from.saturating_add(whole).min(bytes.len());
    let content = bytes.get(from..to).ok_or_else(failed)?;
    driver_mem::write_bytes(va, content).map_err(|_| failed())?;
    mm::with(|memory| memory.space.protect(va, protection)).map_err(|_| failed())
}

/// Throws away what is only needed by DriverEntry.
pub fn discard_init(image: &Image) {
    mm::with(|memory| {
        for section in &image.discarded {
            memory.unmap_and_release(section.start);
        }
    });
}

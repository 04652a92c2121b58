//! Images as sections: a PE file laid out as it lies in memory, each page with the
//! protection that its section of the file asks for. What is written to is
//! copied first, so that every view begins with what the file holds.

use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::pe::{Bytes, Headers, SCN_EXECUTE, SCN_READ, SCN_WRITE};
use ntbox_host::pfn::Pfn;
use ntbox_host::{pe, protection};

use crate::base::image_layout::expand;
use crate::base::info_buffer::Information;
pub use crate::mm::section_table::Image;
use crate::mm::with;

/// Makes a segment of an image file; the segment and its bytes.
///
/// # Errors
/// `STATUS_INVALID_IMAGE_NOT_MZ`, `STATUS_INVALID_IMAGE_FORMAT`,
/// `STATUS_COMMITMENT_LIMIT`.
pub fn make(file: &[u8]) -> Result<(u64, u64), u32> {
    if !file.starts_with(b"MZ") {
        return Err(nt_status::STATUS_INVALID_IMAGE_NOT_MZ);
    }
    let invalid = |_| nt_status::STATUS_INVALID_IMAGE_FORMAT;
    let headers = pe::parse_any(file).map_err(invalid)?;
    let mut bytes = expand(file, &headers).map_err(invalid)?;
    let information = information(file, &headers).ok_or(nt_status::STATUS_INVALID_IMAGE_FORMAT)?;
    let size = u64::from(headers.image_size).next_multiple_of(PAGE_SIZE);
    bytes.resize(usize::try_from(size).unwrap_or(0), 0);
    let image = Image {
        base: headers.preferred_base,
        protections: protections(&headers, size / PAGE_SIZE),
        information,
    };
    with(|memory| {
        let segment = memory.segments.create();
        let pages = 0..size / PAGE_SIZE;
        if !memory.segments.commit(segment, pages, &mut memory.physical) {
            memory.segments.release(segment, &mut memory.physical);
            return Err(nt_status::STATUS_COMMITMENT_LIMIT);
        }
        for (page, part) in (0..).zip(bytes.chunks(0x1000)) {
            let frame: Option<Pfn> = memory.segments.frame(segment, page);
            if let Some(pfn) = frame {
                memory.physical.write(pfn, 0, part);
            }
        }
        memory.segments.set_image(segment, image);
        Ok((segment, size))
    })
}

/// The protection of each page: headers can be read, sections what they say.
fn protections(headers: &Headers, pages: u64) -> Vec<u32> {
    let mut list = vec![protection::NOACCESS; usize::try_from(pages).unwrap_or(0)];
    let mut set = |rva: u32, size: u32, protect: u32| {
        let first = (u64::from(rva) / PAGE_SIZE).min(pages);
        let end = (u64::from(rva) + u64::from(size)).div_ceil(PAGE_SIZE);
        let range =
            usize::try_from(first).unwrap_or(0)..usize::try_from(end.min(pages)).unwrap_or(0);
        if let Some(part) = list.get_mut(range) {
            part.fill(protect);
        }
    };
    set(0, headers.size, protection::READONLY);
    for section in &headers.sections {
        let flag = |flag: u32| section.flags & flag != 0;
        let protect = match (flag(SCN_EXECUTE), flag(SCN_READ), flag(SCN_WRITE)) {
            (true, _, true) => protection::EXECUTE_WRITECOPY,
            (true, true, false) => protection::EXECUTE_READ,
            (true, false, false) => protection::EXECUTE,
            (false, _, true) => protection::WRITECOPY,
            (false, true, false) => protection::READONLY,
            (false, false, false) => protection::NOACCESS,
        };
        set(
            section.rva,
            section.virtual_size.max(section.raw_size),
            protect,
        );
    }
    list
}

/// `SECTION_IMAGE_INFORMATION`, out of the headers.
fn information(file: &[u8], headers: &Headers) -> Option<Vec<u8>> {
    let bytes = Bytes(file);
    let coff = usize::try_from(bytes.u32(0x3c)?).ok()? + 4;
    let optional = coff + 20;
    // Versions are written major first, and answered minor first.
    let version = |at: usize| Some(u32::from(bytes.u16(at)?) << 16 | u32::from(bytes.u16(at + 2)?));
    let has_code = headers
        .sections
        .iter()
        .any(|section| section.flags & SCN_EXECUTE != 0);
    let halves = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
    Some(
        Information::default()
            .u64(headers.preferred_base + u64::from(headers.entry))
            .u32(0)
            .align(8)
            .u64(bytes.u64(optional + 72)?)
            .u64(bytes.u64(optional + 80)?)
            .u32(headers.subsystem.into())
            .u32(version(optional + 48)?)
            .u32(version(optional + 40)?)
            .u32(halves(bytes.u16(coff + 18)?, bytes.u16(optional + 70)?))
            .u32(halves(bytes.u16(coff)?, u16::from(has_code)))
            .u32(bytes.u32(optional + 104)?)
            .size(file.len())
            .u32(bytes.u32(optional + 64)?)
            .finish(),
    )
}

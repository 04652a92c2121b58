//! The PE32+ format: headers and directories of a driver image, every field of
//! which may be wrong.

/// Why an image cannot be used.
pub type Refusal = String;

/// A section of the image.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its name, up to eight characters.
    pub name: String,
    /// Offset in memory.
    pub rva: u32,
    /// Bytes in memory.
    pub virtual_size: u32,
    /// Offset in the file.
    pub raw_offset: u32,
    /// Bytes in the file.
    pub raw_size: u32,
    /// `IMAGE_SCN_…` flags.
    pub flags: u32,
}

/// `IMAGE_SCN_MEM_EXECUTE`.
pub const SCN_EXECUTE: u32 = 0x2000_0000;
/// `IMAGE_SCN_MEM_READ`.
pub const SCN_READ: u32 = 0x4000_0000;
/// `IMAGE_SCN_MEM_WRITE`.
pub const SCN_WRITE: u32 = 0x8000_0000;
/// `IMAGE_SCN_MEM_DISCARDABLE`.
pub const SCN_DISCARDABLE: u32 = 0x0200_0000;

/// Entries of the data directory.
pub mod directory {
    /// Exports.
    pub const EXPORT: usize = 0;
    /// Imports.
    pub const IMPORT: usize = 1;
    /// Exceptions: `.pdata`.
    pub const EXCEPTION: usize = 3;
    /// Base relocations.
    pub const RELOCATION: usize = 5;
    /// Load configuration.
    pub const LOAD_CONFIG: usize = 10;
    /// Imports that are bound when first called.
    pub const DELAY_IMPORT: usize = 13;
    /// Managed code.
    pub const CLR: usize = 14;
}

/// The headers of an image that can be loaded.
#[derive(Debug)]
pub struct Headers {
    /// Address that the image was linked for.
    pub preferred_base: u64,
    /// Bytes in memory.
    pub image_size: u32,
    /// Bytes of headers.
    pub size: u32,
    /// Offset of DriverEntry.
    pub entry: u32,
    /// Alignment of sections in memory.
    pub section_alignment: u32,
    /// `IMAGE_SUBSYSTEM_…`: what runs it.
    pub subsystem: u16,
    /// Whether it was linked with `/INTEGRITYCHECK`
    /// (`IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY`).
    pub checked: bool,
    /// Whether relocations were stripped.
    pub relocations_stripped: bool,
    /// RVA and size of each directory.
    pub directories: [(u32, u32); 16],
    /// Sections in ascending order.
    pub sections: Vec<Section>,
}

/// Largest image that is loaded. The largest drivers of Windows have a tenth.
const MAX_IMAGE: u32 = 256 << 20;
/// Most sections, the limit of Windows.
const MAX_SECTIONS: u16 = 96;

/// Little-endian fields of a byte string, none of which need be there.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    /// A 16-bit field.
    pub fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    /// A 32-bit field.
    pub fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// A 64-bit field.
    pub fn u64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// A string that ends with NUL, of printable ASCII.
    #[must_use]
    pub fn string(self, at: usize) -> Option<String> {
        let text = self.0.get(at..)?;
        let end = text.iter().take(512).position(|byte| *byte == 0)?;
        let text = text.get(..end)?;
        text.iter()
            .all(|byte| (0x20..0x7f).contains(byte))
            .then(|| String::from_utf8_lossy(text).into_owned())
    }
}

/// Reads and checks the headers of a driver.
pub fn parse(file: &[u8]) -> Result<Headers, Refusal> {
    parse_any(file).and_then(|headers| {
        check_subsystem(headers.subsystem)?;
        Ok(headers)
    })
}

/// Reads and checks the headers of any image.
pub fn parse_any(file: &[u8]) -> Result<Headers, Refusal> {
    let bytes = Bytes(file);
    let cut =
        |what: &str| format!("the file ends inside its {what}; it is cut off or not a PE image");
    if file.get(..2) != Some(b"MZ") {
        return Err("it does not begin with 'MZ', so it is not a PE image".into());
    }
    let pe = bytes.u32(0x3c).ok_or_else(|| cut("DOS header"))? as usize;
    let signature = bytes
        .u32(pe)
        .ok_or_else(|| cut("DOS header, or points past its end"))?;
    if signature != 0x4550 {
        return Err("it has no PE signature: a DOS program, or damaged".into());
    }
    let coff = pe + 4;
    let field16 = |at| bytes.u16(at).ok_or_else(|| cut("headers"));
    let field32 = |at| bytes.u32(at).ok_or_else(|| cut("headers"));
    check_machine(field16(coff)?)?;
    let section_count = field16(coff + 2)?;
    let optional_size = usize::from(field16(coff + 16)?);
    let characteristics = field16(coff + 18)?;
    if characteristics & 2 == 0 {
        return Err("it is not marked as executable: an object file, or linked with errors".into());
    }
    let optional = coff + 20;
    match field16(optional)? {
        0x20b => {}
        0x10b => return Err("it is a 32-bit image (PE32); a driver for x86-64 is PE32+".into()),
        magic => {
            return Err(format!(
                "its optional header has the unknown magic {magic:#x}"
            ));
        }
    }
    if optional_size < 112 {
        return Err(format!(
            "its optional header has {optional_size} bytes; PE32+ needs 112 at least"
        ));
    }
    let mut headers = Headers {
        preferred_base: bytes.u64(optional + 24).ok_or_else(|| cut("headers"))?,
        image_size: field32(optional + 56)?,
        size: field32(optional + 60)?,
        entry: field32(optional + 16)?,
        section_alignment: field32(optional + 32)?,
        relocations_stripped: characteristics & 1 != 0,
        subsystem: field16(optional + 68)?,
        checked: field16(optional + 70)? & 0x80 != 0,
        directories: [(0, 0); 16],
        sections: Vec::new(),
    };
    let file_alignment = field32(optional + 36)?;
    check_sizes(&headers, file_alignment)?;
    let directory_count = (field32(optional + 108)? as usize)
        .min(16)
        .min((optional_size - 112) / 8);
    for (n, slot) in headers
        .directories
        .iter_mut()
        .take(directory_count)
        .enumerate()
    {
        *slot = (
            field32(optional + 112 + 8 * n)?,
            field32(optional + 116 + 8 * n)?,
        );
    }
    if headers.directories[directory::CLR].1 != 0 {
        return Err("it is managed code (it has a CLR header)".into());
    }
    if section_count == 0 || section_count > MAX_SECTIONS {
        return Err(format!(
            "it claims {section_count} sections; 1 to {MAX_SECTIONS} are possible"
        ));
    }
    headers.sections = sections(bytes, optional + optional_size, section_count, &headers)?;
    check_entry(&headers)?;
    Ok(headers)
}

fn check_subsystem(subsystem: u16) -> Result<(), Refusal> {
    if subsystem == 1 {
        return Ok(());
    }
    Err(format!(
        "it is not a driver: its subsystem is {subsystem}{}, a driver's is 1 (native). Link with /SUBSYSTEM:NATIVE",
        match subsystem {
            2 => " (Windows GUI)",
            3 => " (Windows console)",
            10..=13 => " (EFI)",
            _ => "",
        }
    ))
}

fn check_machine(machine: u16) -> Result<(), Refusal> {
    let name = match machine {
        0x8664 => return Ok(()),
        0x014c => "32-bit x86",
        0xaa64 => "ARM64",
        0x01c4 => "ARM",
        0x0200 => "Itanium",
        _ => "an unknown processor",
    };
    Err(format!(
        "it is for {name} (machine {machine:#06x}); this kernel runs on x86-64 (0x8664)"
    ))
}

fn check_sizes(headers: &Headers, file_alignment: u32) -> Result<(), Refusal> {
    let Headers {
        image_size,
        size,
        section_alignment,
        ..
    } = *headers;
    if image_size == 0 || image_size > MAX_IMAGE {
        return Err(format!(
            "it claims {image_size:#x} bytes of memory; up to {MAX_IMAGE:#x} are loaded"
        ));
    }
    if size == 0 || size > image_size {
        return Err(format!(
            "its headers claim {size:#x} of the image's {image_size:#x} bytes"
        ));
    }
    if !section_alignment.is_power_of_two()
        || !file_alignment.is_power_of_two()
        || file_alignment > section_alignment
    {
        return Err(format!(
            "its alignments are impossible: {section_alignment:#x} in memory, {file_alignment:#x} in the file"
        ));
    }
    if section_alignment < 0x1000 && file_alignment != section_alignment {
        return Err(format!(
            "sections aligned to less than a page ({section_alignment:#x}) must lie in the file as in memory, \
             but are aligned to {file_alignment:#x} there"
        ));
    }
    if headers.preferred_base & 0xffff != 0 {
        return Err(format!(
            "its image base {:#x} is not a multiple of 64 KiB",
            headers.preferred_base
        ));
    }
    Ok(())
}

fn sections(
    bytes: Bytes<'_>,
    table: usize,
    count: u16,
    headers: &Headers,
) -> Result<Vec<Section>, Refusal> {
    let mut list: Vec<Section> = Vec::with_capacity(usize::from(count));
    let mut end = u64::from(headers.size);
    for n in 0..usize::from(count) {
        let at = table + 40 * n;
        let field = |offset| {
            bytes
                .u32(at + offset)
                .ok_or_else(|| "the file ends inside its section table".to_owned())
        };
        let name = bytes.0.get(at..at + 8).unwrap_or_default();
        let name = String::from_utf8_lossy(name)
            .trim_end_matches('\0')
            .to_owned();
        let mut section = Section {
            name,
            virtual_size: field(8)?,
            rva: field(12)?,
            raw_size: field(16)?,
            raw_offset: field(20)?,
            flags: field(36)?,
        };
        if section.virtual_size == 0 {
            section.virtual_size = section.raw_size;
        }
        let what = format!("section {} ('{}')", n + 1, section.name.escape_default());
        if !section.rva.is_multiple_of(headers.section_alignment) {
            return Err(format!(
                "{what} lies at {:#x}, which its alignment does not allow",
                section.rva
            ));
        }
        let section_end = u64::from(section.rva) + u64::from(section.virtual_size);
        if u64::from(section.rva) < end {
            return Err(format!("{what} overlaps what is before it in memory"));
        }
        if section_end > u64::from(headers.image_size) {
            return Err(format!(
                "{what} reaches to {section_end:#x}, past the image's {:#x} bytes",
                headers.image_size
            ));
        }
        let raw_end = u64::from(section.raw_offset) + u64::from(section.raw_size);
        if section.raw_size != 0 && raw_end > bytes.0.len() as u64 {
            return Err(format!(
                "{what} reaches to {raw_end:#x} in the file, which has {:#x} bytes: it is cut off",
                bytes.0.len()
            ));
        }
        end = section_end;
        list.push(section);
    }
    Ok(list)
}

fn check_entry(headers: &Headers) -> Result<(), Refusal> {
    if headers.entry == 0 {
        return Err("it has no entry point; link with /ENTRY:DriverEntry".into());
    }
    let section = headers.sections.iter().find(|section| {
        headers.entry >= section.rva && headers.entry - section.rva < section.virtual_size
    });
    match section {
        Some(section) if section.flags & SCN_EXECUTE != 0 => Ok(()),
        Some(section) => Err(format!(
            "its entry point {:#x} lies in section '{}', which is not executable",
            headers.entry,
            section.name.escape_default()
        )),
        None => Err(format!(
            "its entry point {:#x} lies in no section",
            headers.entry
        )),
    }
}

//! Makes small driver images by hand, right in every detail, so that a test can
//! then put one detail wrong and know that this detail is what was refused.
//!
//! The layout is always the same: headers, `.text` with the code and behind it
//! whatever the test adds, `.idata` with the import tables, `.reloc`. Each takes
//! one page of memory and one block of the file.

use std::ops::Range;

/// Where the headers' fields lie in the file.
pub mod at {
    /// `e_lfanew`.
    pub const PE_OFFSET: usize = 0x3C;
    /// The signature `PE\0\0`.
    pub const SIGNATURE: usize = 0x80;
    /// `Machine`, 16 bits.
    pub const MACHINE: usize = SIGNATURE + 4;
    /// `NumberOfSections`, 16 bits.
    pub const SECTION_COUNT: usize = SIGNATURE + 6;
    /// `SizeOfOptionalHeader`, 16 bits.
    pub const OPTIONAL_SIZE: usize = SIGNATURE + 20;
    /// `Characteristics`, 16 bits.
    pub const CHARACTERISTICS: usize = SIGNATURE + 22;
    /// The optional header; its `Magic`, 16 bits.
    pub const OPTIONAL: usize = SIGNATURE + 24;
    /// `AddressOfEntryPoint`.
    pub const ENTRY: usize = OPTIONAL + 16;
    /// `ImageBase`, 64 bits.
    pub const IMAGE_BASE: usize = OPTIONAL + 24;
    /// `SectionAlignment`.
    pub const SECTION_ALIGNMENT: usize = OPTIONAL + 32;
    /// `FileAlignment`.
    pub const FILE_ALIGNMENT: usize = OPTIONAL + 36;
    /// `SizeOfImage`.
    pub const IMAGE_SIZE: usize = OPTIONAL + 56;
    /// `SizeOfHeaders`.
    pub const HEADERS_SIZE: usize = OPTIONAL + 60;
    /// `Subsystem`, 16 bits.
    pub const SUBSYSTEM: usize = OPTIONAL + 68;
    /// `NumberOfRvaAndSizes`.
    pub const DIRECTORY_COUNT: usize = OPTIONAL + 108;
    /// Data directory `n`: RVA, then size.
    #[must_use]
    pub const fn directory(n: usize) -> usize {
        OPTIONAL + 112 + 8 * n
    }
    /// Header of section `n`: name, `VirtualSize` at 8, `VirtualAddress` at 12,
    /// `SizeOfRawData` at 16, `PointerToRawData` at 20, flags at 36.
    #[must_use]
    pub const fn section(n: usize) -> usize {
        OPTIONAL + 240 + 40 * n
    }
}

/// Bytes in a block of the file.
pub const FILE_BLOCK: u32 = 0x400;
/// RVA of `.text`.
pub const TEXT: u32 = 0x1000;
/// RVA of `.idata`, which begins with the import address table.
pub const IDATA: u32 = 0x2000;
/// RVA of `.reloc`.
pub const RELOC: u32 = 0x3000;
/// Bytes of the whole image in memory.
pub const IMAGE_END: u32 = 0x4000;
/// Address that the image is linked for.
pub const BASE: u64 = 0x1_4000_0000;

/// An imported function.
#[derive(Debug, Clone)]
pub enum Import {
    /// By name.
    Name(String),
    /// By number.
    Ordinal(u16),
}

impl From<&str> for Import {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// What an image is made of.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    code: Vec<u8>,
    modules: Vec<(String, Vec<Import>)>,
    relocations: Vec<u16>,
}

impl Plan {
    /// A driver whose DriverEntry is `code`, at the start of `.text`.
    #[must_use]
    pub fn new(code: &[u8]) -> Self {
        Self {
            code: code.to_vec(),
            ..Self::default()
        }
    }

    /// A driver that returns `status` at once.
    #[must_use]
    pub fn returning(status: u32) -> Self {
        // mov eax, status; ret
        Self::new(&[&[0xB8], &status.to_le_bytes()[..], &[0xC3]].concat())
    }

    /// Imports functions of a module; their slots follow one another from
    /// [`IDATA`] on, with an empty one after each module.
    #[must_use]
    pub fn import(mut self, module: &str, functions: impl IntoIterator<Item = Import>) -> Self {
        self.modules
            .push((module.to_owned(), functions.into_iter().collect()));
        self
    }

    /// Declares that a 64-bit address lies at this offset of `.text`.
    #[must_use]
    pub fn relocate(mut self, offset: u16) -> Self {
        self.relocations.push(offset);
        self
    }

    /// The image.
    ///
    /// # Panics
    ///
    /// When a part does not fit its block: a mistake in the test.
    #[must_use]
    pub fn build(&self) -> Image {
        let mut image = Image {
            bytes: vec![0; 4 * FILE_BLOCK as usize],
        };
        headers(&mut image);
        image.put(file_offset(TEXT), &self.code);
        self.imports(&mut image);
        self.relocations(&mut image);
        image
    }

    fn imports(&self, image: &mut Image) {
        if self.modules.is_empty() {
            return;
        }
        // Address tables first, then lookup tables, descriptors, names.
        let slots: u32 = self
            .modules
            .iter()
            .map(|(_, functions)| length(functions) + 1)
            .sum();
        let lookup = IDATA + 8 * slots;
        let descriptors = lookup + 8 * slots;
        let mut names = descriptors + 20 * (length(&self.modules) + 1);
        let mut add_name = |image: &mut Image, bytes: &[u8]| {
            let rva = names;
            image.put(file_offset(rva), bytes);
            names += u32::try_from(bytes.len())
                .expect("a short name")
                .next_multiple_of(2);
            rva
        };
        let mut slot = 0;
        for (n, (module, functions)) in self.modules.iter().enumerate() {
            let name = add_name(image, &[module.as_bytes(), b"\0"].concat());
            let descriptor = file_offset(descriptors) + 20 * n;
            image.set_u32(descriptor, lookup + 8 * slot);
            image.set_u32(descriptor + 12, name);
            image.set_u32(descriptor + 16, IDATA + 8 * slot);
            for function in functions {
                let entry = match function {
                    Import::Name(name) => {
                        u64::from(add_name(image, &[b"\0\0", name.as_bytes(), b"\0"].concat()))
                    }
                    Import::Ordinal(number) => 1 << 63 | u64::from(*number),
                };
                image.set_u64(file_offset(lookup + 8 * slot), entry);
                image.set_u64(file_offset(IDATA + 8 * slot), entry);
                slot += 1;
            }
            slot += 1;
        }
        assert!(
            file_offset(names) <= file_offset(IDATA) + FILE_BLOCK as usize,
            "too many imports for a block"
        );
        image.set_directory(
            1,
            descriptors..descriptors + 20 * (length(&self.modules) + 1),
        );
        image.set_directory(12, IDATA..lookup);
    }

    fn relocations(&self, image: &mut Image) {
        if self.relocations.is_empty() {
            return;
        }
        let entries = self.relocations.len().next_multiple_of(2);
        let size = 8 + 2 * u32::try_from(entries).expect("few relocations");
        let block = file_offset(RELOC);
        image.set_u32(block, TEXT);
        image.set_u32(block + 4, size);
        for (n, offset) in self.relocations.iter().enumerate() {
            image.set_u16(block + 8 + 2 * n, 10 << 12 | offset);
        }
        image.set_directory(5, RELOC..RELOC + size);
    }
}

/// The headers, which are the same for all.
fn headers(image: &mut Image) {
    const CODE: u32 = 0x6000_0020;
    const DATA: u32 = 0xC000_0040;
    const DISCARDABLE: u32 = 0x4200_0040;
    image.put(0, b"MZ");
    image.set_u32(at::PE_OFFSET, 0x80);
    image.put(at::SIGNATURE, b"PE\0\0");
    image.set_u16(at::MACHINE, 0x8664);
    image.set_u16(at::SECTION_COUNT, 3);
    image.set_u16(at::OPTIONAL_SIZE, 240);
    // Executable, knows large addresses.
    image.set_u16(at::CHARACTERISTICS, 0x22);
    image.set_u16(at::OPTIONAL, 0x20B);
    image.set_u32(at::ENTRY, TEXT);
    image.set_u64(at::IMAGE_BASE, BASE);
    image.set_u32(at::SECTION_ALIGNMENT, 0x1000);
    image.set_u32(at::FILE_ALIGNMENT, 0x200);
    image.set_u32(at::IMAGE_SIZE, IMAGE_END);
    image.set_u32(at::HEADERS_SIZE, FILE_BLOCK);
    image.set_u16(at::SUBSYSTEM, 1);
    image.set_u32(at::DIRECTORY_COUNT, 16);
    let sections = [
        (b".text\0\0\0", TEXT, CODE),
        (b".idata\0\0", IDATA, DATA),
        (b".reloc\0\0", RELOC, DISCARDABLE),
    ];
    for (n, (name, rva, flags)) in sections.into_iter().enumerate() {
        let header = at::section(n);
        image.put(header, name);
        image.set_u32(header + 8, FILE_BLOCK);
        image.set_u32(header + 12, rva);
        image.set_u32(header + 16, FILE_BLOCK);
        image.set_u32(header + 20, rva >> 12 << 10);
        image.set_u32(header + 36, flags);
    }
}

fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).expect("a short list")
}

/// Offset in the file of an RVA inside one of the sections.
#[must_use]
pub const fn file_offset(rva: u32) -> usize {
    ((rva >> 12 << 10) + (rva & 0xFFF)) as usize
}

/// The bytes of an image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// All of them.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Writes bytes at an offset of the file.
    ///
    /// # Panics
    ///
    /// Outside of the file.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes 16 bits.
    pub fn set_u16(&mut self, offset: usize, value: u16) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Writes 32 bits.
    pub fn set_u32(&mut self, offset: usize, value: u32) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Writes 64 bits.
    pub fn set_u64(&mut self, offset: usize, value: u64) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Says where data directory `n` lies.
    pub fn set_directory(&mut self, n: usize, range: Range<u32>) {
        self.set_u32(at::directory(n), range.start);
        self.set_u32(at::directory(n) + 4, range.end.wrapping_sub(range.start));
    }
}

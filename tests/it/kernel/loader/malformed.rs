//! Images that are refused, each with a message that says what is wrong with it.

use std::path::Path;

use integration_tests::pe::{FILE_BLOCK, IDATA, IMAGE_END, Image, RELOC, TEXT, at, file_offset};
use ntbox::{Config, Error, Machine};
use proptest::prelude::*;

use super::{full, load};

/// What an image with one thing wrong is refused for.
fn refusal(spoil: impl FnOnce(&mut Image)) -> String {
    let mut image = full();
    spoil(&mut image);
    load(&image.bytes).expect_err("an image with this wrong must be refused")
}

#[test]
fn load_rejects_forwarded_exports() {
    let mut image = full();
    // An export directory in `.reloc`'s page, behind the relocations.
    let table = RELOC + 0x100;
    let offset = file_offset(table);
    image.put(offset + 0x60, b"Name\0");
    image.put(offset + 0x70, b"other.Name\0");
    for (field, value) in [
        (20, 1),
        (24, 1),
        (28, table + 0x40),
        (32, table + 0x48),
        (36, table + 0x50),
        (0x40, table + 0x70),
        (0x48, table + 0x60),
    ] {
        image.set_u32(offset + field, value);
    }
    image.set_directory(0, table..table + 0x100);
    let reason = load(&image.bytes).expect_err("a forwarder");
    assert!(
        reason.contains("forward") && reason.contains("other.Name"),
        "{reason}"
    );
}

#[test]
fn load_rejects_each_truncation() {
    let image = full().bytes;
    load(&image).expect("the whole image");
    for length in (0..FILE_BLOCK as usize).chain((FILE_BLOCK as usize..image.len()).step_by(61)) {
        let reason = load(&image[..length]).expect_err("a part of an image");
        assert!(!reason.is_empty());
    }
}

#[test]
fn load_rejects_malformed_headers() {
    for (what, offset, value, part) in [
        (
            "an offset past the file",
            at::PE_OFFSET,
            0xFFFF_FFF0,
            "ends",
        ),
        ("no signature", at::PE_OFFSET, 0x40, "signature"),
        ("no entry point", at::ENTRY, 0, "no entry point"),
        (
            "an entry point nowhere",
            at::ENTRY,
            0x7FFF_FFFF,
            "in no section",
        ),
        ("an entry point in data", at::ENTRY, IDATA, "not executable"),
        ("no memory", at::IMAGE_SIZE, 0, "0x0 bytes of memory"),
        (
            "too much memory",
            at::IMAGE_SIZE,
            0xFFFF_FFFF,
            "bytes of memory",
        ),
        (
            "less memory than sections",
            at::IMAGE_SIZE,
            0x2000,
            "past the image",
        ),
        (
            "headers larger than the image",
            at::HEADERS_SIZE,
            0xFFFF_FFFF,
            "headers claim",
        ),
        (
            "headers over the sections",
            at::HEADERS_SIZE,
            0x2000,
            "overlaps",
        ),
        (
            "an odd alignment",
            at::SECTION_ALIGNMENT,
            0x1001,
            "alignments",
        ),
        ("no alignment", at::SECTION_ALIGNMENT, 0, "alignments"),
        (
            "no alignment in the file",
            at::FILE_ALIGNMENT,
            0,
            "alignments",
        ),
        (
            "a base within 64 KiB",
            at::IMAGE_BASE,
            0x4000_1000,
            "64 KiB",
        ),
    ] {
        let reason = refusal(|image| image.set_u32(offset, value));
        assert!(reason.contains(part), "{what}: {reason}");
    }
    for (what, offset, value, part) in [
        ("32-bit x86", at::MACHINE, 0x014C, "32-bit x86"),
        ("ARM64", at::MACHINE, 0xAA64, "ARM64"),
        ("PE32", at::OPTIONAL, 0x010B, "PE32+"),
        ("no magic", at::OPTIONAL, 0, "magic"),
        (
            "a short optional header",
            at::OPTIONAL_SIZE,
            8,
            "optional header",
        ),
        ("a console program", at::SUBSYSTEM, 3, "not a driver"),
        ("no sections", at::SECTION_COUNT, 0, "sections"),
        ("too many sections", at::SECTION_COUNT, 0xFFFF, "sections"),
        (
            "more sections than there are",
            at::SECTION_COUNT,
            96,
            "section",
        ),
        (
            "relocations stripped",
            at::CHARACTERISTICS,
            0x23,
            "stripped",
        ),
        ("an object file", at::CHARACTERISTICS, 0x20, "executable"),
    ] {
        let reason = refusal(|image| image.set_u16(offset, value));
        assert!(reason.contains(part), "{what}: {reason}");
    }
}

#[test]
fn load_rejects_malformed_sections() {
    for (what, section, field, value, part) in [
        ("overlapping", 1, 12, TEXT, "overlaps"),
        ("out of order", 0, 12, RELOC, "overlaps"),
        ("in the headers", 0, 12, 0, "overlaps"),
        ("off alignment", 1, 12, IDATA + 8, "alignment"),
        ("past the image", 2, 12, 0xFFFF_F000, "past the image"),
        ("larger than the image", 2, 8, 0xFFFF_FFFF, "past the image"),
        ("a byte too large", 2, 8, 0x1001, "past the image"),
        ("past the file", 0, 20, 0xFFFF_FFFF, "in the file"),
        ("more than the file", 0, 16, 0xFFFF_FFFF, "in the file"),
    ] {
        let reason = refusal(|image| image.set_u32(at::section(section) + field, value));
        assert!(reason.contains(part), "{what}: {reason}");
    }
}

#[test]
fn load_rejects_malformed_imports() {
    // The first descriptor lies behind five address and five lookup slots.
    const LOOKUP: usize = file_offset(IDATA + 40);
    const DESCRIPTOR: usize = file_offset(IDATA + 80);
    type Spoiler = fn(&mut Image);
    let spoilers: [(&str, Spoiler); 9] = [
        ("a directory past the image", |image| {
            image.set_directory(1, 0xFFFF_0000..0xFFFF_0028);
        }),
        ("a directory over the end", |image| {
            image.set_directory(1, IMAGE_END - 8..IMAGE_END + 8);
        }),
        ("a directory without an end", |image| {
            image.put(file_offset(RELOC), &[0x11; FILE_BLOCK as usize]);
            image.set_directory(5, 0..0);
            image.set_directory(1, RELOC..RELOC + 40);
        }),
        ("no module name", |image| {
            image.set_u32(DESCRIPTOR + 12, 0xFFFF_FFFF);
        }),
        ("a lookup table past the image", |image| {
            image.set_u32(DESCRIPTOR, 0xFFFF_FFF8);
        }),
        ("an address table past the image", |image| {
            image.set_u32(DESCRIPTOR + 16, IMAGE_END);
        }),
        ("a name past the image", |image| {
            image.set_u64(LOOKUP, i64::MAX.cast_unsigned());
        }),
        ("a name at the end of 32 bits", |image| {
            image.set_u64(LOOKUP, 0xFFFF_FFFF);
        }),
        ("delayed imports", |image| {
            image.set_directory(13, IDATA..IDATA + 0x20);
        }),
    ];
    for (what, spoil) in spoilers {
        let reason = refusal(spoil);
        assert!(reason.contains("import"), "{what}: {reason}");
    }
}

#[test]
fn load_rejects_malformed_relocations() {
    let block = file_offset(RELOC);
    for (what, offset, value, part) in [
        ("a block of a few bytes", block + 4, 4, "impossible size"),
        ("an odd block", block + 4, 11, "impossible size"),
        (
            "a block past the table",
            block + 4,
            0x7FFF_FFFE,
            "impossible size",
        ),
        (
            "a block of everything",
            block + 4,
            0xFFFF_FFFE,
            "impossible size",
        ),
        (
            "a page past the image",
            block,
            0xFFFF_F000,
            "outside of the image",
        ),
        (
            "the image's last bytes",
            block,
            IMAGE_END - 9,
            "outside of the image",
        ),
        ("an unknown kind", block + 8, 0x4000, "kind 4"),
    ] {
        let reason = refusal(|image| image.set_u32(offset, value));
        assert!(reason.contains(part), "{what}: {reason}");
    }
    let reason = refusal(|image| image.set_directory(5, RELOC..0xFFFF_FFFF));
    assert!(reason.contains("relocation directory"), "{reason}");
}

/// A table that describes far more than there is: every module lists the same
/// functions again.
#[test]
fn load_rejects_multiplied_imports() {
    const SIZE: u32 = 0x10_0000;
    let mut image = full();
    image.set_u32(at::IMAGE_SIZE, RELOC + SIZE);
    image.set_u32(at::section(2) + 8, SIZE);
    image.set_u32(at::section(2) + 16, SIZE);
    image.bytes.resize(file_offset(RELOC) + SIZE as usize, 0);
    image.set_directory(5, 0..0);
    let (lookup, descriptors) = (RELOC + 0x1000, RELOC + 0x8_0000);
    let name = RELOC + 8;
    image.put(file_offset(RELOC) + 8, b"  x\0");
    let offset = |rva: u32| file_offset(RELOC) + (rva - RELOC) as usize;
    for n in 0..16_000 {
        image.set_u64(offset(lookup) + 8 * n, name.into());
        image.set_u32(offset(descriptors) + 20 * n, lookup);
        image.set_u32(offset(descriptors) + 20 * n + 12, name);
        image.set_u32(offset(descriptors) + 20 * n + 16, lookup);
    }
    image.set_directory(1, descriptors..descriptors + 40);
    let reason = load(&image.bytes).expect_err("256 million imports");
    assert!(reason.contains("import"), "{reason}");
}

#[test]
fn load_rejects_non_pe_file() {
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("text", b"#!/bin/sh\necho no\n".to_vec()),
        ("zeros", vec![0; 0x1_0000]),
        ("ones", vec![0xFF; 0x1_0000]),
        (
            "this program",
            std::fs::read("/proc/self/exe").expect("our own file"),
        ),
    ] {
        let reason = load(&bytes).expect_err(what);
        assert!(reason.contains("MZ"), "{what}: {reason}");
    }
    for path in [Path::new("/no/such/file.sys"), &std::env::temp_dir()] {
        match Machine::boot(&Config::new(path)) {
            Err(Error::Read { .. }) => {}
            Err(other) => panic!("{}: {other}", path.display()),
            Ok(_) => panic!("{} was loaded", path.display()),
        }
    }
}

proptest! {
    #![proptest_config(integration_tests::fixed_cases!(1500))]

    /// Flipped bits give an error or an image that can be loaded; never a crash
    /// of the kernel process, which `load` would tell from a refusal.
    #[test]
    fn load_of_flipped_bits_does_not_crash(flips in prop::collection::vec((0usize..0x1000, 0u8..8), 1..6)) {
        let mut image = full().bytes;
        for (offset, bit) in flips {
            // Most of a file is zeros that mean nothing: aim at what does.
            let offset = if offset % 4 == 0 { offset } else { at::SIGNATURE + offset % 0x200 };
            image[offset] ^= 1 << bit;
        }
        let _ = load(&image);
    }

    /// Fields overwritten with extreme values likewise.
    #[test]
    fn load_of_extreme_fields_does_not_crash(
        fields in prop::collection::vec((0usize..0x60, prop::sample::select(vec![0u32, 1, 7, 0xFFF, 0x1000, 0x4000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_F000, 0xFFFF_FFFF])), 1..4)
    ) {
        let mut image = full();
        for (field, value) in fields {
            image.set_u32(at::MACHINE + 4 * field, value);
        }
        let _ = load(&image.bytes);
    }

    /// As are tables of imports and relocations with anything in them.
    #[test]
    fn load_of_random_tables_does_not_crash(offset in 0usize..0x3F0, bytes in prop::collection::vec(any::<u8>(), 1..16), relocations: bool) {
        let mut image = full();
        let table = if relocations { RELOC } else { IDATA };
        image.put(file_offset(table) + (offset % 0x100).min(offset), &bytes);
        let _ = load(&image.bytes);
    }
}

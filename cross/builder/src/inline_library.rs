//! The library of functions that the WDK's headers define inline. Bindings to Rust cannot
//! be inline, and an import would keep a driver from running on an older kernel, so the
//! kit's `BufferOverflowFastFailK.lib` defines them. MSVC's stack-cookie checks, which give
//! that library its name, are not needed: rustc emits none.

use std::path::Path;

use crate::{Error, import_library};

/// Each function and its code, which calls nothing and leaves the stack alone.
const FUNCTIONS: [(&str, &[u8]); 2] = [
    // mov rax, cr8; ret
    ("KeGetCurrentIrql", &[0x44, 0x0F, 0x20, 0xC0, 0xC3]),
    // mov qword ptr [rcx], 0; ret
    (
        "KeInitializeSpinLock",
        &[0x48, 0xC7, 0x01, 0x00, 0x00, 0x00, 0x00, 0xC3],
    ),
];

/// What an archive begins with.
const ARCHIVE_MARK: &[u8] = b"!<arch>\n";
/// The size of the head of an archive's member.
const MEMBER_HEAD: usize = 60;
/// `IMAGE_FILE_MACHINE_AMD64`.
const MACHINE: u16 = 0x8664;
/// `IMAGE_SCN_CNT_CODE`, `_ALIGN_16BYTES`, `_MEM_EXECUTE`, `_MEM_READ`.
const CODE_SECTION: u32 = 0x6050_0020;
/// The type of a symbol that is a function.
const FUNCTION: u16 = 0x20;
/// `IMAGE_SYM_CLASS_EXTERNAL`.
const EXTERNAL: u8 = 2;
/// The sizes of a COFF file's head and of a section's.
const FILE_HEAD: u32 = 20;
const SECTION_HEAD: u32 = 40;
/// Functions begin at multiples of it.
const ALIGNMENT: usize = 16;

/// Writes the library.
pub(crate) fn write(path: &Path) -> Result<(), Error> {
    let names: Vec<u8> = FUNCTIONS
        .iter()
        .flat_map(|(name, _)| name.bytes().chain([0]))
        .collect();
    let index_size = 4 + 4 * FUNCTIONS.len() + names.len();
    let object_at = ARCHIVE_MARK.len() + MEMBER_HEAD + index_size.next_multiple_of(2);
    let mut index = big_endian(FUNCTIONS.len());
    for _ in FUNCTIONS {
        index.extend(big_endian(object_at));
    }
    index.extend(names);
    let mut archive = ARCHIVE_MARK.to_vec();
    append(&mut archive, "/", &index);
    append(&mut archive, "inline.obj/", &object());
    import_library::write(path, &archive)
}

/// Appends a member to an archive.
fn append(archive: &mut Vec<u8>, name: &str, contents: &[u8]) {
    let head = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        "",
        "",
        0,
        contents.len()
    );
    archive.extend(head.bytes());
    archive.extend(contents);
    if !contents.len().is_multiple_of(2) {
        archive.push(b'\n');
    }
}

/// The object file with the functions.
fn object() -> Vec<u8> {
    let mut code = Vec::new();
    let mut symbols = Vec::new();
    let mut names = Vec::new();
    for (name, instructions) in FUNCTIONS {
        code.resize(code.len().next_multiple_of(ALIGNMENT), 0xCC);
        // All of these names are longer than the eight bytes that a symbol has room for.
        symbols.extend(0_u32.to_le_bytes());
        symbols.extend(little_endian(4 + names.len()));
        symbols.extend(little_endian(code.len()));
        symbols.extend(1_u16.to_le_bytes());
        symbols.extend(FUNCTION.to_le_bytes());
        symbols.extend([EXTERNAL, 0]);
        names.extend(name.bytes().chain([0]));
        code.extend(instructions);
    }
    let code_at = FILE_HEAD + SECTION_HEAD;
    let mut object = Vec::new();
    object.extend(MACHINE.to_le_bytes());
    object.extend(1_u16.to_le_bytes());
    object.extend(0_u32.to_le_bytes());
    object.extend(little_endian(code_at as usize + code.len()));
    object.extend(little_endian(FUNCTIONS.len()));
    object.extend([0; 4]);
    object.extend(b".text\0\0\0");
    object.extend([0; 8]);
    object.extend(little_endian(code.len()));
    object.extend(code_at.to_le_bytes());
    object.extend([0; 12]);
    object.extend(CODE_SECTION.to_le_bytes());
    object.extend(code);
    object.extend(symbols);
    object.extend(little_endian(4 + names.len()));
    object.extend(names);
    object
}

/// A number of this small file in four bytes.
fn little_endian(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

/// The same, most significant byte first.
fn big_endian(number: usize) -> Vec<u8> {
    little_endian(number).into_iter().rev().collect()
}

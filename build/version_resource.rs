//! The image's version resource, as a compiled resource file (`.res`).
//!
//! Explorer, WinDbg's `lmv` and installers read a driver's version there. The
//! resource compiler exists on Windows only, so the file that it would make is
//! written here; both `link.exe` and LLVM's linker take such files as they take
//! objects. Layouts: Microsoft's reference for `RESOURCEHEADER`,
//! `VS_VERSIONINFO` and `VS_FIXEDFILEINFO`.

/// `RT_VERSION`.
const RT_VERSION: u16 = 16;
/// `VS_VERSION_INFO`, the only name that a version resource may have.
const VS_VERSION_INFO: u16 = 1;
/// English, United States.
const LANGUAGE: u16 = 0x0409;
/// UTF-16.
const CODE_PAGE: u16 = 1200;

/// What the resource says.
pub struct Version<'a> {
    /// The version, most significant number first.
    pub numbers: [u16; 4],
    /// Names and texts, such as `FileDescription`.
    pub strings: &'a [(&'a str, &'a str)],
}

/// A resource file that holds nothing but this version.
pub fn resource_file(version: &Version<'_>) -> Vec<u8> {
    // Every resource file opens with an empty resource, which tells it from
    // those of 16-bit Windows.
    let mut file = resource(0, 0, 0, 0, &[]);
    file.extend(resource(
        RT_VERSION,
        VS_VERSION_INFO,
        0x30,
        LANGUAGE,
        &info(version),
    ));
    file
}

/// One resource with its `RESOURCEHEADER`.
fn resource(kind: u16, name: u16, memory_flags: u16, language: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(32_u32.to_le_bytes());
    for ordinal in [kind, name] {
        bytes.extend([0xFF, 0xFF]);
        bytes.extend(ordinal.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend(memory_flags.to_le_bytes());
    bytes.extend(language.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(data);
    align(&mut bytes);
    bytes
}

/// `VS_VERSIONINFO`.
fn info(version: &Version<'_>) -> Vec<u8> {
    let translation = [LANGUAGE.to_le_bytes(), CODE_PAGE.to_le_bytes()].concat();
    let strings: Vec<Vec<u8>> = version
        .strings
        .iter()
        .map(|(name, text)| {
            let text = utf16(text);
            block(name, true, text.len() / 2, &text, &[])
        })
        .collect();
    let table = format!("{LANGUAGE:04X}{CODE_PAGE:04X}");
    let table = block(&table, true, 0, &[], &strings);
    let texts = block("StringFileInfo", true, 0, &[], &[table]);
    let variable = block("Translation", false, translation.len(), &translation, &[]);
    let variables = block("VarFileInfo", true, 0, &[], &[variable]);
    let fixed = fixed_info(version.numbers);
    block(
        "VS_VERSION_INFO",
        false,
        fixed.len(),
        &fixed,
        &[texts, variables],
    )
}

/// `VS_FIXEDFILEINFO`.
fn fixed_info([major, minor, patch, build]: [u16; 4]) -> Vec<u8> {
    let high = u32::from(major) << 16 | u32::from(minor);
    let low = u32::from(patch) << 16 | u32::from(build);
    [
        0xFEEF_04BD, // dwSignature
        0x0001_0000, // dwStrucVersion
        high,
        low, // of the file
        high,
        low,         // of the product
        0x3F,        // dwFileFlagsMask: all flags are meant,
        0,           // dwFileFlags: none is set
        0x0004_0004, // VOS_NT_WINDOWS32
        3,           // VFT_DRV
        7,           // VFT2_DRV_SYSTEM
        0,
        0, // no date
    ]
    .into_iter()
    .flat_map(u32::to_le_bytes)
    .collect()
}

/// A node of the tree: lengths, key, value, children, each from a multiple of
/// four bytes on.
fn block(key: &str, is_text: bool, length: usize, value: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 2];
    bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(u16::from(is_text).to_le_bytes());
    bytes.extend(utf16(key));
    align(&mut bytes);
    bytes.extend(value);
    for child in children {
        align(&mut bytes);
        bytes.extend(child);
    }
    let whole = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    bytes[..2].copy_from_slice(&whole.to_le_bytes());
    bytes
}

/// UTF-16 with a zero at the end.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// Fills up to a multiple of four bytes.
fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

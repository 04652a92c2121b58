//! An image as it lies in memory, before it is mapped: sections copied to their
//! places, relocated, with its imports found.

use ntbox_host::pe::{Bytes, Headers, Refusal, directory};

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Module that it comes from.
    pub module: String,
    /// Its name, or `#` and its ordinal.
    pub name: String,
    /// Where its address goes.
    pub slot: u32,
}

/// Most modules, and most functions in all, that an image may import.
const MAX_IMPORTS: usize = 16_384;

/// Copies headers and sections to where they lie in memory.
pub fn expand(file: &[u8], headers: &Headers) -> Result<Vec<u8>, Refusal> {
    let mut image = vec![0; headers.image_size as usize];
    let head = (headers.size as usize).min(file.len());
    image[..head].copy_from_slice(&file[..head]);
    for section in &headers.sections {
        let length = section.raw_size.min(section.virtual_size) as usize;
        let from = section.raw_offset as usize;
        let to = section.rva as usize;
        let source = file.get(from..from + length);
        let target = image.get_mut(to..to + length);
        let (Some(source), Some(target)) = (source, target) else {
            return Err(format!(
                "section '{}' lies outside of the file or the image",
                section.name.escape_default()
            ));
        };
        target.copy_from_slice(source);
    }
    Ok(image)
}

/// A directory's bytes, from its start to the end of the image.
fn directory_at<'a>(
    image: &'a [u8],
    headers: &Headers,
    which: usize,
    name: &str,
) -> Result<Option<(&'a [u8], u32)>, Refusal> {
    let (rva, size) = headers.directories[which];
    if rva == 0 || size == 0 {
        return Ok(None);
    }
    let end = u64::from(rva) + u64::from(size);
    if end > image.len() as u64 {
        return Err(format!(
            "its {name} directory reaches to {end:#x}, past the image"
        ));
    }
    Ok(Some((&image[rva as usize..], size)))
}

/// Moves the image from its preferred base to `base`.
pub fn relocate(image: &mut [u8], headers: &Headers, base: u64) -> Result<(), Refusal> {
    let delta = base.wrapping_sub(headers.preferred_base);
    if delta == 0 {
        return Ok(());
    }
    if headers.relocations_stripped {
        return Err(format!(
            "its relocations are stripped, so it only runs at {:#x}, which is not free; link with /DYNAMICBASE",
            headers.preferred_base
        ));
    }
    let Some((table, size)) = directory_at(image, headers, directory::RELOCATION, "relocation")?
    else {
        return Ok(());
    };
    let table = table[..size as usize].to_vec();
    let mut at = 0;
    while at + 8 <= table.len() {
        let header = Bytes(&table);
        let (page, block) = (
            header.u32(at).unwrap_or(0),
            header.u32(at + 4).unwrap_or(0) as usize,
        );
        if block == 0 {
            break;
        }
        if block < 8 || block % 2 != 0 || at + block > table.len() {
            return Err(format!(
                "its relocation block at {at:#x} has the impossible size {block:#x}"
            ));
        }
        for entry in table[at + 8..at + block].chunks_exact(2) {
            let entry = u16::from_le_bytes([entry[0], entry[1]]);
            apply(
                image,
                page as usize + usize::from(entry & 0xfff),
                entry >> 12,
                delta,
            )?;
        }
        at += block;
    }
    Ok(())
}

fn apply(image: &mut [u8], at: usize, kind: u16, delta: u64) -> Result<(), Refusal> {
    let outside = || format!("it relocates {at:#x}, which lies outside of the image");
    match kind {
        0 => Ok(()),
        3 => {
            let slot = image.get_mut(at..at + 4).ok_or_else(outside)?;
            let value = Bytes(slot).u32(0).unwrap_or(0);
            // The low half of the distance, by definition of this kind.
            let low = u32::try_from(delta & 0xffff_ffff).unwrap_or(0);
            slot.copy_from_slice(&value.wrapping_add(low).to_le_bytes());
            Ok(())
        }
        10 => {
            let slot = image.get_mut(at..at + 8).ok_or_else(outside)?;
            let value = Bytes(slot).u64(0).unwrap_or(0);
            slot.copy_from_slice(&value.wrapping_add(delta).to_le_bytes());
            Ok(())
        }
        kind => Err(format!(
            "it has a relocation of kind {kind} at {at:#x}, which x86-64 does not have"
        )),
    }
}

/// Finds the imports.
pub fn imports(image: &[u8], headers: &Headers) -> Result<Vec<Import>, Refusal> {
    if headers.directories[directory::DELAY_IMPORT].1 != 0 {
        return Err("it has delay-loaded imports, which drivers cannot have".into());
    }
    let Some((table, _)) = directory_at(image, headers, directory::IMPORT, "import")? else {
        return Ok(Vec::new());
    };
    let table = Bytes(table);
    let bytes = Bytes(image);
    let mut imports = Vec::new();
    for n in 0..MAX_IMPORTS {
        let field = |offset| {
            table
                .u32(20 * n + offset)
                .ok_or_else(|| "its import table has no end".to_owned())
        };
        let (lookup, name, slots) = (field(0)?, field(12)?, field(16)?);
        if name == 0 && slots == 0 {
            return Ok(imports);
        }
        let module = bytes.string(name as usize).ok_or_else(|| {
            format!(
                "import {} names its module at {name:#x}, where no name is",
                n + 1
            )
        })?;
        module_imports(
            bytes,
            &module,
            if lookup == 0 { slots } else { lookup },
            slots,
            &mut imports,
        )?;
    }
    Err("its import table has no end".into())
}

fn module_imports(
    bytes: Bytes<'_>,
    module: &str,
    lookup: u32,
    slots: u32,
    imports: &mut Vec<Import>,
) -> Result<(), Refusal> {
    for n in 0..u32::try_from(MAX_IMPORTS).unwrap_or(u32::MAX) {
        let place = |table: u32| table.checked_add(8 * n);
        let entry = place(lookup)
            .and_then(|at| bytes.u64(at as usize))
            .ok_or_else(|| {
                format!("the list of what it imports from {module} reaches past the image")
            })?;
        if entry == 0 {
            return Ok(());
        }
        let slot = place(slots)
            .filter(|slot| bytes.u64(*slot as usize).is_some())
            .ok_or_else(|| {
                format!("the addresses of what it imports from {module} reach past the image")
            })?;
        let name = if entry >> 63 != 0 {
            format!("#{}", entry & 0xffff)
        } else {
            usize::try_from(entry)
                .ok()
                .and_then(|at| bytes.string(at.checked_add(2)?))
                .filter(|name| !name.is_empty())
                .ok_or_else(|| {
                    format!(
                        "import {} from {module} has its name at {entry:#x}, where no name is",
                        n + 1
                    )
                })?
        };
        if imports.len() == MAX_IMPORTS {
            return Err(format!("it imports more than {MAX_IMPORTS} functions"));
        }
        imports.push(Import {
            module: module.to_owned(),
            name,
            slot,
        });
    }
    Err(format!(
        "the list of what it imports from {module} has no end"
    ))
}

/// Checks what the image exports: names with addresses of its own.
pub fn check_exports(image: &[u8], headers: &Headers) -> Result<(), Refusal> {
    let Some((table, size)) = directory_at(image, headers, directory::EXPORT, "export")? else {
        return Ok(());
    };
    let start = headers.directories[directory::EXPORT].0;
    let table = Bytes(table);
    let bytes = Bytes(image);
    let cut = || "its export table reaches past the image".to_owned();
    let field = |at| table.u32(at).ok_or_else(cut);
    let (functions, names) = (field(20)? as usize, field(24)? as usize);
    let (function_table, name_table, ordinals) = (
        field(28)? as usize,
        field(32)? as usize,
        field(36)? as usize,
    );
    if functions > 0xffff || names > 0xffff {
        return Err(format!("it claims {functions} exports under {names} names"));
    }
    for n in 0..names {
        let name = bytes
            .u32(name_table + 4 * n)
            .and_then(|at| bytes.string(at as usize))
            .ok_or_else(cut)?;
        let ordinal = usize::from(bytes.u16(ordinals + 2 * n).ok_or_else(cut)?);
        if ordinal >= functions {
            return Err(format!("its export {name} has a number past the table"));
        }
        let rva = bytes.u32(function_table + 4 * ordinal).ok_or_else(cut)?;
        if rva >= start && rva - start < size {
            let target = bytes.string(rva as usize).unwrap_or_default();
            return Err(format!(
                "its export {name} is forwarded to {target}; forwarded exports are not supported"
            ));
        }
    }
    Ok(())
}

/// Offset of the security cookie, if the image has one that is still to be set.
pub fn security_cookie(image: &[u8], headers: &Headers, base: u64) -> Result<Option<u32>, Refusal> {
    /// What the compiler leaves there for the loader to replace.
    const UNSET: u64 = 0x0000_2b99_2ddf_a232;
    let Some((table, size)) =
        directory_at(image, headers, directory::LOAD_CONFIG, "load configuration")?
    else {
        return Ok(None);
    };
    // The structure says its own size; older ones end before the cookie.
    let table = Bytes(table);
    if size < 0x60 || table.u32(0).unwrap_or(0) < 0x60 {
        return Ok(None);
    }
    let va = table.u64(0x58).unwrap_or(0);
    if va == 0 {
        return Ok(None);
    }
    let rva = va.wrapping_sub(base);
    let value = usize::try_from(rva)
        .ok()
        .and_then(|at| Bytes(image).u64(at));
    match value {
        Some(UNSET) => Ok(u32::try_from(rva).ok()),
        Some(_) => Ok(None),
        None => Err(format!(
            "its security cookie at {va:#x} lies outside of the image"
        )),
    }
}

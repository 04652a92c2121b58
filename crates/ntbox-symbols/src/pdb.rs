//! Names and lines from a PDB, as Microsoft's linker and LLVM's write it beside
//! the image. The image says which PDB is its own: another build's would give
//! lines that look right and are not.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use ntbox_api::report::Inlined;
use object::read::CodeView;
use object::read::pe::PeFile64;
use object::{LittleEndian as LE, Object as _};
use pdb_addr2line::pdb::{FallibleIterator as _, PDB, SymbolData};
use pdb_addr2line::{Context, ContextPdbData, TypeFormatterFlags};
use uuid::Uuid;

use super::Name;
use super::demangle::demangle;

/// What the PDB knows of each place; `None` if the image says that it has none.
pub fn look_up(
    image: &Path,
    file: &PeFile64<'_>,
    places: &[u32],
) -> Result<Option<Vec<Option<Name>>>, String> {
    let record = match file.pdb_info() {
        Ok(Some(record)) if !record.path().is_empty() => record,
        Ok(_) => return Ok(None),
        Err(error) => return Err(format!("the image's record of its PDB is damaged: {error}")),
    };
    let (path, pdb) = find(image, &record)?;
    // Of the same file once more: names of variables, and damage there is none of
    // the functions'.
    let variables = open(&path, &record)
        .and_then(|pdb| variables(pdb).map_err(|error| error.to_string()))
        .unwrap_or_default();
    let wrong = |error: pdb_addr2line::Error| format!("{} is damaged: {error}", path.display());
    let data = ContextPdbData::try_from_pdb(pdb).map_err(wrong)?;
    let flags = TypeFormatterFlags::default() | TypeFormatterFlags::NO_ARGUMENTS;
    let context = data
        .make_context_with_formatter_flags(flags)
        .map_err(wrong)?;
    let name = |rva: &u32| match frames(&context, *rva) {
        Ok(None) => Ok(variable(file, &variables, *rva)),
        found => found,
    };
    let names: Vec<_> = places.iter().map(name).collect();
    // Damage in one function's part leaves the others.
    if names.iter().all(|name| !matches!(name, Ok(Some(_)))) {
        let error = names.iter().find_map(|name| name.as_ref().err());
        let known = || format!("{} knows none of the places", path.display());
        return Err(error.map_or_else(known, |error| {
            format!("{} is damaged: {error}", path.display())
        }));
    }
    Ok(Some(
        names.into_iter().map(|name| name.ok().flatten()).collect(),
    ))
}

fn frames(context: &Context<'_, '_>, rva: u32) -> Result<Option<Name>, pdb_addr2line::Error> {
    let Some(function) = context.find_frames(rva)? else {
        return Ok(None);
    };
    let start = function.start_rva;
    let frames: Vec<_> = function.frames;
    // Without private symbols the public one before the place is all there is: it
    // may be another function, so the distance belongs to it.
    let is_public = frames.iter().all(|frame| frame.line.is_none());
    Ok(super::name(frames.into_iter().map(|frame| {
        let symbol = frame.function.as_deref().map(demangle);
        Inlined {
            symbol: symbol.map(|name| {
                if is_public {
                    format!("{name}+{:#x}", rva.saturating_sub(start))
                } else {
                    name
                }
            }),
            source: frame.file.map(String::from).zip(frame.line),
        }
    })))
}

/// Where variables begin, and their names, in order.
fn variables(mut pdb: PDB<'static, File>) -> Result<Vec<(u32, String)>, pdb_addr2line::pdb::Error> {
    let map = pdb.address_map()?;
    let table = pdb.global_symbols()?;
    let mut symbols = table.iter();
    let mut list = Vec::new();
    while let Some(symbol) = symbols.next()? {
        let (offset, name) = match symbol.parse() {
            Ok(SymbolData::Data(data)) => (data.offset, data.name),
            Ok(SymbolData::Public(public)) if !public.function && !public.code => {
                (public.offset, public.name)
            }
            _ => continue,
        };
        if let Some(rva) = offset.to_rva(&map) {
            list.push((rva.0, name.to_string().into_owned()));
        }
    }
    list.sort_unstable();
    Ok(list)
}

/// The variable at an offset, or before it in the same section.
fn variable(file: &PeFile64<'_>, variables: &[(u32, String)], rva: u32) -> Option<Name> {
    let nearest = variables
        .partition_point(|(at, _)| *at <= rva)
        .checked_sub(1)?;
    let (at, name) = variables.get(nearest)?;
    let begins = |start: u32, size: u32| rva >= start && rva - start < size && *at >= start;
    let mut sections = file.section_table().iter();
    sections
        .any(|section| {
            begins(
                section.virtual_address.get(LE),
                section.virtual_size.get(LE),
            )
        })
        .then(|| Name {
            symbol: Some(format!("{}+{:#x}", demangle(name), rva - at)),
            ..Name::default()
        })
}

/// Finds the PDB that belongs to the image.
fn find(image: &Path, record: &CodeView<'_>) -> Result<(PathBuf, PDB<'static, File>), String> {
    let mut others = Vec::new();
    let candidates = candidates(image, &String::from_utf8_lossy(record.path()));
    for path in &candidates {
        // Asked before opening: a pipe would keep the reader waiting.
        if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        match open(path, record) {
            Ok(pdb) => return Ok((path.clone(), pdb)),
            Err(reason) => others.push(format!("{} {reason}", path.display())),
        }
    }
    if others.is_empty() {
        let places: Vec<_> = candidates
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        others.push(format!(
            "the image's PDB is at none of these places: {}",
            places.join(", ")
        ));
    }
    Err(others.join("; "))
}

fn open(path: &Path, record: &CodeView<'_>) -> Result<PDB<'static, File>, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let damaged = |error: pdb_addr2line::pdb::Error| format!("is not a sound PDB: {error}");
    let mut pdb = PDB::open(file).map_err(damaged)?;
    let information = pdb.pdb_information().map_err(damaged)?;
    // The age of the debug information is the one that an image repeats; a tool
    // that only rewrites other streams raises the other.
    let age = pdb
        .debug_information()
        .map_err(damaged)?
        .age()
        .unwrap_or(information.age);
    let wanted = Uuid::from_bytes_le(record.guid());
    if information.guid != wanted || (age != record.age() && information.age != record.age()) {
        return Err(format!(
            "is of another build of this driver: it has GUID {:X} age {age}, the image wants {wanted:X} age {}",
            information.guid,
            record.age()
        ));
    }
    Ok(pdb)
}

/// Where the PDB may be: beside the image under the recorded name, at the recorded
/// path, beside the image under the image's name.
fn candidates(image: &Path, recorded: &str) -> Vec<PathBuf> {
    let folder = image.parent().unwrap_or(Path::new(""));
    let name = recorded.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut list = vec![folder.join(name)];
    for path in [folder.join(recorded), image.with_extension("pdb")] {
        if !list.contains(&path) && path.file_name() != Some(OsStr::new("")) {
            list.push(path);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_begin_beside_the_image() {
        let places = |image: &str, recorded: &str| -> Vec<String> {
            candidates(Path::new(image), recorded)
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(places("/d/a.sys", "a.pdb"), ["/d/a.pdb"]);
        assert_eq!(
            places("/d/a.sys", "/build/b.pdb"),
            ["/d/b.pdb", "/build/b.pdb", "/d/a.pdb"]
        );
        assert_eq!(
            places("a.sys", r"C:\w\b.pdb"),
            ["b.pdb", r"C:\w\b.pdb", "a.pdb"]
        );
    }
}

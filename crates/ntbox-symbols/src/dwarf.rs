//! Names and lines from DWARF in the image, as MinGW's compilers write it.

use addr2line::gimli::{DwarfSections, EndianSlice, Error, LittleEndian, SectionId};
use ntbox_api::report::Inlined;
use object::read::pe::PeFile64;
use object::{Object as _, ObjectSection as _};

use super::Name;
use super::demangle::demangle;

type Slice<'d> = EndianSlice<'d, LittleEndian>;

/// What DWARF knows of each place; `None` if there is none in the image.
pub fn look_up(file: &PeFile64<'_>, places: &[u32]) -> Result<Option<Vec<Option<Name>>>, String> {
    if file.section_by_name(SectionId::DebugInfo.name()).is_none() {
        return Ok(None);
    }
    let load = |id: SectionId| -> Result<&[u8], Error> {
        let section = file.section_by_name(id.name());
        // A section that cannot be read is one that is not there.
        Ok(section
            .and_then(|section| section.data().ok())
            .unwrap_or_default())
    };
    let sections = DwarfSections::load(load).map_err(|error| error.to_string())?;
    let dwarf = sections.borrow(|data| EndianSlice::new(data, LittleEndian));
    let context = addr2line::Context::from_dwarf(dwarf).map_err(|error| error.to_string())?;
    let base = file.relative_address_base();
    let mut failure = None;
    let mut names = Vec::with_capacity(places.len());
    for rva in places {
        names.push(
            frames(&context, base.wrapping_add((*rva).into())).unwrap_or_else(|error| {
                failure = Some(error);
                None
            }),
        );
    }
    match failure {
        // Damage in one function's part leaves the others.
        Some(error) if names.iter().all(Option::is_none) => Err(error.to_string()),
        _ => Ok(Some(names)),
    }
}

fn frames(context: &addr2line::Context<Slice<'_>>, address: u64) -> Result<Option<Name>, Error> {
    let mut frames = context.find_frames(address).skip_all_loads()?;
    let mut list = Vec::new();
    while let Some(frame) = frames.next()? {
        let symbol = match &frame.function {
            Some(function) => Some(demangle(&function.raw_name()?)),
            None => None,
        };
        let source = frame
            .location
            .and_then(|at| Some((at.file?.to_owned(), at.line?)));
        list.push(Inlined { symbol, source });
    }
    // A line without its function is less than what a symbol table has.
    let name = super::name(list.into_iter());
    Ok(name.filter(|name| name.symbol.is_some()))
}

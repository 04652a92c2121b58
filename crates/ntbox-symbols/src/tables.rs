//! Names from the symbol table that MinGW's linker leaves in an image, and from
//! the table of exports: the nearest symbol before an address, and how far it is.

use object::pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION;
use object::read::pe::{ExportTarget, PeFile64};
use object::{LittleEndian as LE, Object as _, ObjectSymbol as _, SymbolKind};

use super::Name;
use super::demangle::demangle;

/// What the tables know of each place.
pub fn look_up(file: &PeFile64<'_>, places: &[u32]) -> Vec<Option<Name>> {
    let symbols = Symbols::of(file);
    let named = |rva: &u32| {
        let symbol = symbols.before(*rva)?;
        Some(Name {
            symbol: Some(symbol),
            ..Name::default()
        })
    };
    places.iter().map(named).collect()
}

/// Names of the linker's own, at which a variable of the driver begins.
const OF_LINKER: [&[u8]; 4] = [b"__bss_", b"__data_", b"___crt_x", b"__RUNTIME_PSEUDO"];

struct Symbols<'d> {
    /// Offset and name, in order.
    named: Vec<(u32, &'d [u8])>,
    /// Where functions begin that the unwind tables know, in order.
    begins: Vec<u32>,
    /// Start and end of the sections.
    sections: Vec<(u32, u32)>,
}

impl<'d> Symbols<'d> {
    fn of(file: &PeFile64<'d>) -> Self {
        let base = file.relative_address_base();
        let rva = |va: u64| va.checked_sub(base).and_then(|rva| u32::try_from(rva).ok());
        let sections = file.section_table().iter().map(|section| {
            let start = section.virtual_address.get(LE);
            (start, start.saturating_add(section.virtual_size.get(LE)))
        });
        let functions = file.symbols().filter(|symbol| {
            matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data) && symbol.is_definition()
        });
        let functions = functions
            .filter_map(|symbol| Some((rva(symbol.address())?, symbol.name_bytes().ok()?)));
        // Damaged exports leave the other symbols.
        let exports = file.export_table().ok().flatten();
        let exports = exports
            .and_then(|table| table.exports().ok())
            .unwrap_or_default();
        let exports = exports
            .into_iter()
            .filter_map(|export| match export.target {
                ExportTarget::Address(rva) => Some((rva, export.name?)),
                _ => None,
            });
        let mut symbols = Self {
            named: exports.chain(functions).collect(),
            begins: begins(file),
            sections: sections.collect(),
        };
        symbols.named.retain(|(rva, name)| {
            symbols
                .sections
                .iter()
                .any(|(start, end)| rva >= start && rva < end)
                && !name.is_empty()
                && !OF_LINKER.iter().any(|prefix| name.starts_with(prefix))
        });
        symbols.named.sort_unstable();
        symbols.begins.sort_unstable();
        symbols
    }

    /// The symbol before an address, in the same section, unless another function
    /// begins between them.
    fn before(&self, rva: u32) -> Option<String> {
        let nearest = self
            .named
            .partition_point(|(at, _)| *at <= rva)
            .checked_sub(1)?;
        let (at, name) = self.named[nearest];
        let (start, _) = self
            .sections
            .iter()
            .find(|(start, end)| rva >= *start && rva < *end)?;
        let begin = self
            .begins
            .partition_point(|begin| *begin <= rva)
            .checked_sub(1)
            .map_or(0, |n| self.begins[n]);
        if at < *start || at < begin {
            return None;
        }
        let name = demangle(&String::from_utf8_lossy(name));
        Some(format!("{name}+{:#x}", rva - at))
    }
}

/// Where the functions of the unwind tables begin.
fn begins(file: &PeFile64<'_>) -> Vec<u32> {
    const ENTRY: usize = 12;
    let table = file
        .data_directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION)
        .and_then(|directory| directory.data(file.data(), &file.section_table()).ok())
        .unwrap_or_default();
    table
        .chunks_exact(ENTRY)
        .map(|entry| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]))
        .collect()
}

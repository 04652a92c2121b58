//! Addresses of the driver in the sentences of a report. The kernel process knows
//! numbers only: a routine as an address, a call as image and offset. Here each gets
//! the name of what is there, as in `driver!Routine+0x10`.

use std::ops::Range;

use ntbox_api::report::{ImageInfo, Report};

use super::Name;

/// An address in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Where it is written.
    place: Range<usize>,
    /// Offset in the image.
    offset: u32,
    /// Whether it is a return address, written as image and offset.
    is_return: bool,
    /// The symbol, as far as the tables of the image know it: with a distance.
    by_table: Option<String>,
    /// The symbol of debug information.
    by_debug: Option<String>,
}

impl Mention {
    /// The offset to look up.
    pub fn position(&self) -> u32 {
        self.offset.saturating_sub(self.is_return.into())
    }

    /// Keeps what a source knows; later ones know better.
    pub fn name(&mut self, name: Name) {
        let Some(symbol) = name.symbol else { return };
        if symbol.contains('+') && name.source.is_none() {
            self.by_table = Some(symbol);
        } else {
            self.by_debug = Some(symbol);
        }
    }

    /// The symbol, with the distance from it if that is known and not 0.
    fn symbol(&self) -> Option<String> {
        let table = self.by_table.as_deref().and_then(|text| {
            let (name, distance) = text.rsplit_once("+0x")?;
            let distance = u32::from_str_radix(distance, 16).ok()?;
            Some((name, distance.saturating_add(self.is_return.into())))
        });
        let with = |name: &str, distance: u32| match distance {
            0 => name.to_owned(),
            distance => format!("{name}+{distance:#x}"),
        };
        match (table, &self.by_debug) {
            (Some((name, distance)), None) => Some(with(name, distance)),
            (Some((name, distance)), Some(symbol)) if name == symbol => Some(with(name, distance)),
            (_, symbol) => symbol.clone(),
        }
    }
}

/// Every sentence of a report.
pub fn texts(report: &mut Report) -> Vec<&mut String> {
    let mut texts = Vec::new();
    for violation in &mut report.violations {
        texts.push(&mut violation.message);
        texts.extend(violation.history.iter_mut().map(|past| &mut past.event));
    }
    if let Some(stop) = &mut report.bug_check {
        texts.push(&mut stop.message);
        texts.extend(stop.history.iter_mut().map(|past| &mut past.event));
    }
    texts
}

/// The addresses in a text that lie in the image.
pub fn find(text: &str, image: &ImageInfo) -> Vec<Mention> {
    let mut list = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("0x")) {
        let start = from + at;
        let digits = start + 2;
        let length = text
            .get(digits..)
            .unwrap_or_default()
            .bytes()
            .take_while(u8::is_ascii_hexdigit)
            .count();
        from = digits + length;
        let Some(value) = text
            .get(digits..from)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        else {
            continue;
        };
        let before = text.get(..start).unwrap_or_default();
        let written = before
            .strip_suffix('+')
            .filter(|before| before.ends_with(&image.name) && !image.name.is_empty());
        let (place, offset, is_return) = match written {
            Some(before) => (before.len() - image.name.len()..from, Some(value), true),
            // An address is written with all its digits, a number is not.
            None if length == 16 => (start..from, value.checked_sub(image.base), false),
            None => continue,
        };
        let offset = offset.filter(|offset| *offset < u64::from(image.size));
        if let Some(offset) = offset.and_then(|offset| u32::try_from(offset).ok()) {
            list.push(Mention {
                place,
                offset,
                is_return,
                by_table: None,
                by_debug: None,
            });
        }
    }
    list
}

/// Writes the names into a text.
pub fn write(text: &mut String, mentions: &[Mention], image: &ImageInfo) {
    let module = image
        .name
        .rsplit_once('.')
        .map_or(&*image.name, |(stem, _)| stem);
    for mention in mentions.iter().rev() {
        let Some(symbol) = mention.symbol() else {
            continue;
        };
        let named = format!("{module}!{symbol}");
        if mention.is_return {
            text.replace_range(mention.place.clone(), &named);
        } else {
            text.insert_str(mention.place.end, &format!(" ({named})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageInfo {
        ImageInfo {
            name: "a.sys".to_owned(),
            base: 0x4400_0000_0000,
            size: 0x1000,
        }
    }

    fn named(symbol: &str) -> Name {
        Name {
            symbol: Some(symbol.to_owned()),
            ..Name::default()
        }
    }

    #[test]
    fn find_takes_addresses_of_the_image_only() {
        let text = "0x0000440000000010, 0x0000440000001000, 0x10, a.sys+0x20 and b.sys+0x30";
        let found = find(text, &image());
        let offsets: Vec<_> = found
            .iter()
            .map(|one| (one.offset, one.is_return))
            .collect();
        assert_eq!(offsets, [(0x10, false), (0x20, true)]);
        assert_eq!(found[1].position(), 0x1f);
    }

    #[test]
    fn write_names_each_address() {
        let mut text = "the DPC 0x0000440000000010, set by a.sys+0x20".to_owned();
        let mut found = find(&text, &image());
        found[0].name(named("Routine+0x0"));
        found[0].name(named("Routine"));
        found[1].name(named("Entry+0xf"));
        found[1].name(named("Entry"));
        write(&mut text, &found, &image());
        assert_eq!(
            text,
            "the DPC 0x0000440000000010 (a!Routine), set by a!Entry+0x10"
        );
    }

    #[test]
    fn write_of_unnamed_address_changes_nothing() {
        let mut text = "a.sys+0x20".to_owned();
        let found = find(&text, &image());
        write(&mut text, &found, &image());
        assert_eq!(text, "a.sys+0x20");
    }
}

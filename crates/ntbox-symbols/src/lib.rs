//! Names and source lines for the places in a report.
//!
//! Debug information is foreign data, and libraries read it that were written for
//! sound files. What a damaged one does to them (a panic, an endless loop, all
//! memory taken) must not cost anybody the report. So a process of its own reads
//! it, with limits, and a place that it says nothing of stays module and offset.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod demangle;
mod dwarf;
mod mention;
mod pdb;
mod process;

pub use process::serve_if_asked;
mod tables;

use std::path::Path;

use ntbox_api::report::{Inlined, Location, Report};
use serde::{Deserialize, Serialize};

use crate::mention::Mention;

/// What debug information says of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    symbol: Option<String>,
    source: Option<(String, u32)>,
    inlined_into: Vec<Inlined>,
}

/// Fills in what debug information says of every place in the driver. Without
/// such places nothing is read at all.
pub fn resolve(report: &mut Report, image: &Path) {
    let info = report.image.clone();
    let mut notes = Vec::new();
    let mut mentions: Vec<Vec<Mention>> = mention::texts(report)
        .into_iter()
        .map(|text| mention::find(text, &info))
        .collect();
    let mut places: Vec<&mut Location> = locations(report)
        .filter(|place| place.module == info.name && place.symbol.is_none())
        .collect();
    let mut in_texts: Vec<&mut Mention> = mentions.iter_mut().flatten().collect();
    if places.is_empty() && in_texts.is_empty() {
        return;
    }
    let of_places = places.iter().map(|place| position(place));
    let of_texts = in_texts.iter().map(|mention| mention.position());
    let wanted: Vec<u32> = of_places.chain(of_texts).collect();
    process::look_up(image, &wanted, &mut notes, |index, name| {
        let behind = index.checked_sub(places.len());
        if let Some(place) = places.get_mut(index) {
            place.symbol = name.symbol;
            place.source = name.source;
            place.inlined_into = name.inlined_into;
        } else if let Some(mention) = behind.and_then(|index| in_texts.get_mut(index)) {
            mention.name(name);
        }
    });
    for (text, mentions) in mention::texts(report).into_iter().zip(&mentions) {
        mention::write(text, mentions, &info);
    }
    report.notes.append(&mut notes);
}

/// Every place that a report names.
fn locations(report: &mut Report) -> impl Iterator<Item = &mut Location> {
    let violations = report.violations.iter_mut().flat_map(|violation| {
        let history = violation.history.iter_mut();
        let past = history.flat_map(|past| past.stack.iter_mut());
        violation.location.iter_mut().chain(past)
    });
    let stop = report.bug_check.as_mut().into_iter();
    let stop = stop.flat_map(|stop| {
        let history = stop.history.iter_mut();
        let past = history.flat_map(|past| past.stack.iter_mut());
        let own = stop.location.iter_mut().chain(stop.stack.iter_mut());
        own.chain(past)
    });
    let points = report.fault_points.iter_mut();
    let points = points.flat_map(|point| point.stack.iter_mut());
    violations.chain(stop).chain(points)
}

/// The offset to look up: inside the call, where it is a return address that is
/// known. Behind a call that never returns another function may begin.
fn position(place: &Location) -> u32 {
    let offset = place.offset.saturating_sub(place.return_address.into());
    // An image has less than 4 GiB; what lies elsewhere has no name.
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// The frames that debug information has for one address, innermost first, as a
/// name.
fn name(mut frames: impl Iterator<Item = Inlined>) -> Option<Name> {
    let Inlined { symbol, source } = frames.next()?;
    Some(Name {
        symbol,
        source,
        inlined_into: frames.collect(),
    })
}

#[cfg(test)]
mod tests {
    use ntbox_api::report::{BugCheck, ImageInfo, Violation};
    use ntbox_api::{Guard, Verify};

    use super::*;

    fn report(place: Location) -> Report {
        let violation = Violation {
            rule: "r".to_owned(),
            former_ids: Vec::new(),
            driver_verifier_code: None,
            message: String::new(),
            location: Some(place.clone()),
            history: Vec::new(),
        };
        Report {
            image: ImageInfo {
                name: "a.sys".to_owned(),
                base: 0,
                size: 0x1000,
            },
            entry_status: None,
            unloaded: false,
            log: Vec::new(),
            bug_check: Some(BugCheck {
                code: 1,
                parameters: [0; 4],
                message: String::new(),
                location: Some(place.clone()),
                stack: vec![place.clone(), place],
                history: Vec::new(),
            }),
            violations: vec![violation],
            verify: Verify::Off,
            guard: Guard::After,
            ignored_rules: Vec::new(),
            schedule: None,
            calls: Vec::new(),
            fault_points: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn locations_finds_each() {
        assert_eq!(locations(&mut report(Location::new("a.sys", 1))).count(), 4);
    }

    #[test]
    fn position_of_return_address_is_the_call() {
        let mut place = Location::new("a.sys", 0x1000);
        assert_eq!(position(&place), 0x1000);
        place.return_address = true;
        assert_eq!(position(&place), 0xfff);
        place.offset = u64::MAX;
        assert_eq!(position(&place), u32::MAX);
    }

    #[test]
    fn resolve_without_reader_adds_note() {
        let mut before = report(Location::new("a.sys", 0x10));
        resolve(&mut before, Path::new("/no/such/a.sys"));
        let [note] = before.notes.as_slice() else {
            panic!("{:?}", before.notes)
        };
        assert!(note.contains("/no/such/a.sys"), "{note}");
        before.notes.clear();
        assert_eq!(before, report(Location::new("a.sys", 0x10)));
    }
}

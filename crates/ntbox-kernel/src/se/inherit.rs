//! What an object's access control list takes over from that of the one it is made
//! in: which entries, with which flags, and what they mean there.

use super::access::map_generic;
use super::sid::Sid;

/// Flags of an entry: `OBJECT_INHERIT_ACE` and its kin.
mod flag {
    pub const OBJECT: u8 = 0x1;
    pub const CONTAINER: u8 = 0x2;
    pub const NO_PROPAGATE: u8 = 0x4;
    pub const INHERIT_ONLY: u8 = 0x8;
    pub const INHERITED: u8 = 0x10;
    pub const AUDIT: u8 = 0xc0;
}

/// Bytes of an entry before its mask.
const HEADER: usize = 4;
/// Bytes of a list before its entries.
const LIST_HEADER: usize = 8;

/// Who makes an object, and what it is.
#[derive(Debug)]
pub struct Child {
    /// Its owner, whom `CREATOR OWNER` stands for.
    pub owner: Sid,
    /// Its group, whom `CREATOR GROUP` stands for.
    pub group: Sid,
    /// What generic rights mean for it.
    pub mapping: [u32; 4],
    /// Whether others can be made in it.
    pub container: bool,
    /// The GUID of its type.
    pub kind: Option<[u8; 16]>,
    /// Whether entries are marked as taken over.
    pub mark: bool,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry(Vec<u8>);

impl Entry {
    fn flags(&self) -> u8 {
        self.0[1]
    }

    fn with_flags(mut self, flags: u8) -> Self {
        self.0[1] = flags;
        self
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = self
            .0
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    }

    /// Which GUIDs an entry for some types of objects has: bits 0 and 1; `None` for
    /// the others.
    fn guids(&self) -> Option<u32> {
        matches!(self.0[0], 5..=8).then(|| self.number(HEADER + 4))
    }

    /// Where its SID begins.
    fn sid_at(&self) -> usize {
        let guids = self.guids().map_or(0, |guids| {
            4 + 16 * usize::try_from((guids & 3).count_ones()).unwrap_or(0)
        });
        HEADER + 4 + guids
    }

    /// Whether objects of a type take it over.
    fn is_for(&self, kind: Option<[u8; 16]>) -> bool {
        match self.guids() {
            // The GUID of the type that takes it over is the second.
            Some(guids) if guids & 2 != 0 => {
                let at = self.sid_at() - 16;
                kind.is_some_and(|kind| self.0.get(at..at + 16) == Some(&kind[..]))
            }
            _ => true,
        }
    }

    /// With rights that mean something for the object: not generic ones, and none
    /// that are not among all that there are.
    fn mapped(mut self, mapping: [u32; 4]) -> Self {
        if self.0.len() >= HEADER + 4 {
            let mask = map_generic(self.number(HEADER), mapping) & mapping[3];
            self.0[HEADER..HEADER + 4].copy_from_slice(&mask.to_le_bytes());
        }
        self
    }

    /// What it means for a child itself.
    fn effective(&self, child: &Child) -> Self {
        let at = self.sid_at();
        let mut bytes = self.clone().mapped(child.mapping).0;
        let sid = bytes.get(at..).and_then(Sid::from_bytes);
        let stands_for = |number| sid == Some(Sid::new(3, &[number]));
        let real = match () {
            () if stands_for(0) => Some(&child.owner),
            () if stands_for(1) => Some(&child.group),
            () => None,
        };
        if let Some(real) = real {
            bytes.truncate(at);
            bytes.extend(real.bytes());
            let size = u16::try_from(bytes.len()).unwrap_or(0);
            bytes[2..4].copy_from_slice(&size.to_le_bytes());
        }
        Self(bytes)
    }

    /// What a child takes over of it.
    fn inherited(&self, child: &Child) -> Vec<Self> {
        let mark = if child.mark { flag::INHERITED } else { 0 };
        let own = self.flags() & flag::AUDIT | mark;
        let further = self.flags() & (flag::OBJECT | flag::CONTAINER);
        let here = if child.container {
            flag::CONTAINER
        } else {
            flag::OBJECT
        };
        let counts = self.flags() & here != 0 && self.is_for(child.kind);
        let effective = || self.effective(child).with_flags(own);
        let propagates = child.container && self.flags() & flag::NO_PROPAGATE == 0 && further != 0;
        let passed = |flags| self.clone().with_flags(own | further | flags);
        match (counts, propagates) {
            (false, false) => Vec::new(),
            (true, false) => vec![effective()],
            (false, true) => vec![passed(flag::INHERIT_ONLY)],
            // One entry for both, if it means the same here and further down.
            (true, true) if effective().with_flags(0) == self.clone().with_flags(0) => {
                vec![passed(0)]
            }
            (true, true) => vec![effective(), passed(flag::INHERIT_ONLY)],
        }
    }
}

/// The entries of a list.
fn entries(list: &[u8]) -> Vec<Entry> {
    let count = list.get(4..6).map_or(0, |count| {
        usize::from(u16::from_le_bytes([count[0], count[1]]))
    });
    let mut rest = list.get(LIST_HEADER..).unwrap_or_default();
    let mut found = Vec::new();
    while let (&[_, _, low, high, ..], true) = (rest, found.len() < count) {
        let size = usize::from(u16::from_le_bytes([low, high]));
        let Some((entry, following)) = rest.split_at_checked(size.max(HEADER)) else {
            break;
        };
        found.push(Entry(entry.to_vec()));
        rest = following;
    }
    found
}

/// A list of entries, of the revision of another one.
fn list(like: &[u8], entries: &[Entry]) -> Vec<u8> {
    let body: Vec<u8> = entries.iter().flat_map(|entry| entry.0.clone()).collect();
    let size = u16::try_from(LIST_HEADER + body.len()).unwrap_or(0);
    let count = u16::try_from(entries.len()).unwrap_or(0);
    let mut bytes = vec![like.first().copied().unwrap_or(2), 0];
    bytes.extend(size.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(body);
    bytes
}

/// What a child takes over of a list; `None` if that is nothing.
pub fn inherit(parent: &[u8], child: &Child) -> Option<Vec<u8>> {
    let taken = entries(parent);
    let taken: Vec<Entry> = taken
        .iter()
        .flat_map(|entry| entry.inherited(child))
        .collect();
    (!taken.is_empty()).then(|| list(parent, &taken))
}

/// A list that was given for an object, with rights that mean something for it.
/// Entries that were taken over before are left out if new ones will be.
pub fn given(explicit: &[u8], mapping: [u32; 4], without_inherited: bool) -> Vec<u8> {
    let kept = entries(explicit).into_iter();
    let kept = kept.filter(|entry| !without_inherited || entry.flags() & flag::INHERITED == 0);
    let mapped = kept.map(|entry| match entry.flags() & flag::INHERIT_ONLY {
        0 => entry.mapped(mapping),
        _ => entry,
    });
    list(explicit, &mapped.collect::<Vec<_>>())
}

/// Two lists as one.
pub fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    let all = [entries(first), entries(second)].concat();
    list(first, &all)
}

//! Security descriptors, self-relative and absolute, with their discretionary
//! lists. Everything is read once from the driver's memory, then looked at.

use crate::kernel::guest::{self, Fault};

/// `SECURITY_DESCRIPTOR_REVISION`.
const REVISION: u8 = 1;

/// Bits of `SECURITY_DESCRIPTOR_CONTROL`.
mod control {
    pub const DACL_PRESENT: u16 = 0x0004;
    pub const SELF_RELATIVE: u16 = 0x8000;
}

/// Bytes before the entries of a list, and before the mask of an entry.
const LIST_HEADER: usize = 8;
const ENTRY_HEADER: usize = 4;

/// `INHERIT_ONLY_ACE`: an entry that says nothing of the object itself.
const INHERIT_ONLY: u8 = 0x08;

/// A SID without its revision: authority and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sid {
    /// The authority's six bytes.
    pub authority: [u8; 6],
    /// What follows in `S-1-authority-…`.
    pub numbers: Vec<u32>,
}

impl Sid {
    /// `S-1-5-…`.
    pub fn nt(numbers: &[u32]) -> Self {
        Self::of(5, numbers)
    }

    /// `S-1-authority-…`.
    pub fn of(authority: u8, numbers: &[u32]) -> Self {
        Self {
            authority: [0, 0, 0, 0, 0, authority],
            numbers: numbers.to_vec(),
        }
    }

    /// Reads one; `None` if it is not well formed.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[revision, count, ref authority @ ..], rest) = bytes.split_first_chunk::<8>()?;
        if revision != 1 || count > 15 {
            return None;
        }
        let numbers = rest.get(..usize::from(count) * 4)?;
        Some(Self {
            authority: *authority,
            numbers: numbers
                .chunks_exact(4)
                .map(|number| u32::from_le_bytes(number.try_into().unwrap_or_default()))
                .collect(),
        })
    }
}

/// What an entry of a list does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// It grants; otherwise it denies.
    pub allows: bool,
    /// Which rights.
    pub mask: u32,
    /// To whom.
    pub sid: Sid,
}

/// A discretionary list: `None` lets everybody do everything.
pub type List = Option<Vec<Entry>>;

/// Why a descriptor cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The caller gets this status.
    Status(u32),
    /// It is not there.
    Fault(Fault),
    /// It holds an entry that this kernel does not know.
    EntryType(u8),
}

impl From<Fault> for Unusable {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads the discretionary list of a descriptor.
pub fn read_list(descriptor: u64) -> Result<List, Unusable> {
    if guest::read_u8(descriptor)? != REVISION {
        return Err(Unusable::Status(ntstatus::STATUS_UNKNOWN_REVISION));
    }
    let flags = guest::read_u16(descriptor + 2)?;
    let list = if flags & control::SELF_RELATIVE != 0 {
        match guest::read_u32(descriptor + 0x10)? {
            0 => 0,
            offset => descriptor + u64::from(offset),
        }
    } else {
        guest::read_u64(descriptor + 0x20)?
    };
    if flags & control::DACL_PRESENT == 0 || list == 0 {
        return Ok(None);
    }
    let size = guest::read_u16(list + 2)?;
    let mut bytes = vec![0; usize::from(size)];
    guest::read_bytes(list, &mut bytes)?;
    parse_list(&bytes).map(Some)
}

fn parse_list(bytes: &[u8]) -> Result<Vec<Entry>, Unusable> {
    let invalid = || Unusable::Status(ntstatus::STATUS_INVALID_ACL);
    let header = bytes.get(..LIST_HEADER).ok_or_else(invalid)?;
    // ACL_REVISION to ACL_REVISION4.
    if !(2..=4).contains(&header[0]) {
        return Err(invalid());
    }
    let count = u16::from_le_bytes([header[4], header[5]]);
    let mut rest = &bytes[LIST_HEADER..];
    let mut entries = Vec::new();
    for _ in 0..count {
        let header = rest.get(..ENTRY_HEADER).ok_or_else(invalid)?;
        let size = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let body = rest.get(ENTRY_HEADER..size).ok_or_else(invalid)?;
        let (mask, sid) = body.split_first_chunk::<4>().ok_or_else(invalid)?;
        let allows = match header[0] {
            0 => true,
            1 => false,
            other => return Err(Unusable::EntryType(other)),
        };
        let sid = Sid::parse(sid).ok_or_else(invalid)?;
        if header[1] & INHERIT_ONLY == 0 {
            let mask = u32::from_le_bytes(*mask);
            entries.push(Entry { allows, mask, sid });
        }
        rest = &rest[size..];
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::processor;

    /// `D:(A;;GA;;;SY)(D;;GR;;;BU)`, self-relative.
    fn bytes() -> Vec<u8> {
        let mut bytes = vec![1, 0, 0x04, 0x80];
        bytes.extend([0; 12]);
        bytes.extend(20_u32.to_le_bytes());
        bytes.extend([2, 0, 52, 0, 2, 0, 0, 0]);
        bytes.extend([0, 0, 20, 0, 0, 0, 0, 0x10]);
        bytes.extend([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
        bytes.extend([1, 0, 24, 0, 0, 0, 0, 0x80]);
        bytes.extend([1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<List, Unusable> {
        processor();
        read_list(bytes.as_ptr() as u64)
    }

    #[test]
    fn entries_are_read_in_order() {
        let entry = |allows, mask, numbers: &[u32]| Entry {
            allows,
            mask,
            sid: Sid::nt(numbers),
        };
        let expected = vec![
            entry(true, 0x1000_0000, &[18]),
            entry(false, 0x8000_0000, &[32, 545]),
        ];
        assert_eq!(read(&bytes()), Ok(Some(expected)));
    }

    #[test]
    fn no_list_is_not_an_empty_list() {
        let mut none = bytes();
        none[2] = 0;
        assert_eq!(read(&none), Ok(None));
        let mut null = bytes();
        null[16] = 0;
        assert_eq!(read(&null), Ok(None));
        let mut empty = bytes();
        empty[24] = 0;
        assert_eq!(read(&empty), Ok(Some(Vec::new())));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let changed = |place: usize, byte| {
            let mut bytes = bytes();
            bytes[place] = byte;
            read(&bytes)
        };
        let invalid = Err(Unusable::Status(ntstatus::STATUS_INVALID_ACL));
        let unknown = Err(Unusable::Status(ntstatus::STATUS_UNKNOWN_REVISION));
        assert_eq!(changed(0, 2), unknown);
        assert_eq!(changed(20, 1), invalid, "revision of the list");
        assert_eq!(changed(22, 40), invalid, "an entry ends after the list");
        assert_eq!(changed(24, 3), invalid, "more entries than there are");
        assert_eq!(changed(30, 3), invalid, "an entry shorter than its header");
        assert_eq!(changed(36, 2), invalid, "revision of a SID");
        assert_eq!(changed(37, 9), invalid, "a SID longer than its entry");
        assert_eq!(changed(28, 9), Err(Unusable::EntryType(9)));
    }
}

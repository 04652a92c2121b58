//! A block: what `MEMORY_BASIC_INFORMATION` says of a run of pages, without the
//! numbers that mean nothing where they stand.

use crate::Protection;

/// `MEM_COMMIT`, `MEM_RESERVE` and `MEM_FREE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing is there.
    Free,
    /// Set aside, without memory behind it.
    Reserved,
    /// Memory is behind it.
    Committed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Free, Self::Reserved, Self::Committed];

    /// As the listing has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "Free",
            Self::Reserved => "Reserved",
            Self::Committed => "Committed",
        }
    }

    /// The number that Windows gives it.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Free => 0x1_0000,
            Self::Reserved => 0x2000,
            Self::Committed => 0x1000,
        }
    }

    /// The state that has this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// `MEM_PRIVATE`, `MEM_MAPPED` and `MEM_IMAGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Memory of the process alone.
    Private,
    /// A view of a section that is no image.
    Mapped,
    /// A view of an image.
    Image,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Image, Self::Mapped, Self::Private];

    /// As the listing has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "Private",
            Self::Mapped => "Mapped",
            Self::Image => "Image",
        }
    }

    /// The number that Windows gives it.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Private => 0x2_0000,
            Self::Mapped => 0x4_0000,
            Self::Image => 0x100_0000,
        }
    }

    /// The type that has this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// A run of pages with everything in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    /// Where the allocation begins that it is of; 0 if it is free.
    pub allocation_base: u64,
    /// Its first address.
    pub base: u64,
    /// Its bytes.
    pub size: u64,
    /// What is behind it.
    pub state: State,
    /// What it is of; `None` if it is free.
    pub kind: Option<Kind>,
    /// What may be done with it; none if it is not committed.
    pub protection: Protection,
    /// What the allocation was made with; none if it is free.
    pub allocation_protection: Protection,
}

/// The fields of `MEMORY_BASIC_INFORMATION`, as a system filled them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Raw {
    /// `AllocationBase`.
    pub allocation_base: u64,
    /// `BaseAddress`.
    pub base: u64,
    /// `RegionSize`.
    pub size: u64,
    /// `State`.
    pub state: u32,
    /// `Type`.
    pub kind: u32,
    /// `Protect`.
    pub protection: u32,
    /// `AllocationProtect`.
    pub allocation_protection: u32,
}

impl Block {
    /// The block that a system describes; `None` if the numbers are none that the
    /// reference knows, or the block has no bytes or no end. What the reference
    /// leaves undefined is dropped: all but address and size of what is free, the
    /// protection of what is reserved.
    #[must_use]
    pub fn from_raw(raw: &Raw) -> Option<Self> {
        let state = State::from_number(raw.state)?;
        raw.base.checked_add(raw.size).filter(|_| raw.size != 0)?;
        if state == State::Free {
            return Some(Self::free(raw.base, raw.size));
        }
        let protection = match state {
            State::Committed => raw.protection,
            State::Free | State::Reserved => 0,
        };
        Some(Self {
            allocation_base: raw.allocation_base,
            base: raw.base,
            size: raw.size,
            state,
            kind: Some(Kind::from_number(raw.kind)?),
            protection: Protection(protection),
            allocation_protection: Protection(raw.allocation_protection),
        })
    }

    /// A free block.
    #[must_use]
    pub const fn free(base: u64, size: u64) -> Self {
        Self {
            allocation_base: 0,
            base,
            size,
            state: State::Free,
            kind: None,
            protection: Protection::NONE,
            allocation_protection: Protection::NONE,
        }
    }

    /// The first address past it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// Whether two blocks side by side would have been one, had both been as they
    /// are at the same time.
    #[must_use]
    pub fn continues(&self, before: &Self) -> bool {
        self.base == before.end()
            && Self {
                base: before.base,
                size: before.size,
                ..*self
            } == *before
    }

    /// What a line of the listing keeps of it: a reserved block has no protections
    /// there, and of a protection seven letters are shown.
    #[must_use]
    pub fn listed(&self) -> Self {
        let allocation_protection = match self.state {
            State::Committed => self.allocation_protection.listed(),
            State::Free | State::Reserved => Protection::NONE,
        };
        Self {
            protection: self.protection.listed(),
            allocation_protection,
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A committed page of private memory.
    fn raw() -> Raw {
        Raw {
            allocation_base: 0x1_0000,
            base: 0x1_1000,
            size: 0x1000,
            state: 0x1000,
            kind: 0x2_0000,
            protection: 4,
            allocation_protection: 2,
        }
    }

    #[test]
    fn from_raw_drops_undefined_fields() {
        let block = Block::from_raw(&raw()).expect("a block");
        assert_eq!(block.kind, Some(Kind::Private));
        assert_eq!(block.protection, Protection(4));
        let reserved = Raw {
            state: 0x2000,
            ..raw()
        };
        let block = Block::from_raw(&reserved).expect("a block");
        assert_eq!(block.protection, Protection::NONE);
        assert_eq!(block.allocation_protection, Protection(2));
        let free = Raw {
            state: 0x1_0000,
            ..raw()
        };
        let block = Block::from_raw(&free).expect("a block");
        assert_eq!(block, Block::free(0x1_1000, 0x1000));
    }

    #[test]
    fn from_raw_of_invalid_numbers_is_none() {
        for wrong in [
            Raw { state: 0, ..raw() },
            Raw { kind: 1, ..raw() },
            Raw { size: 0, ..raw() },
            Raw {
                size: u64::MAX,
                ..raw()
            },
        ] {
            assert_eq!(Block::from_raw(&wrong), None, "{wrong:x?}");
        }
    }

    #[test]
    fn continues_requires_equal_attributes() {
        let before = Block::from_raw(&raw()).expect("a block");
        let next = Block {
            base: before.end(),
            size: 0x5000,
            ..before
        };
        assert!(next.continues(&before));
        assert!(!before.continues(&next));
        let other = Block {
            protection: Protection(2),
            ..next
        };
        assert!(!other.continues(&before));
    }
}

//! The number of a registry key: what a key object refers to.

/// Number of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u64);

impl KeyId {
    /// `\REGISTRY`.
    pub const ROOT: Self = Self(0);

    /// The number, as drivers may compare it: never 0.
    pub fn number(self) -> u64 {
        0xffff_f000_0000_0000 + 16 * self.0
    }

    /// The key with a number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

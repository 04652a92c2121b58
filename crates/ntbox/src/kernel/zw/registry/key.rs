//! One key: its values and the names of its subkeys.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::KeyId;
use crate::kernel::ob::name::fold;

/// `REG_LINK`.
pub const REG_LINK: u32 = 6;
/// The value that makes a key a link.
const LINK_VALUE: &str = "SymbolicLinkValue";
/// Time from the beginning of 1601 to that of 1970, in units of 100 ns.
const UNIX_EPOCH_TIME: u64 = 116_444_736_000_000_000;

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its name; empty for the default value.
    pub name: Vec<u16>,
    /// `REG_…` type.
    pub kind: u32,
    /// Its data.
    pub data: Vec<u8>,
}

/// A key.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key that it is in; `None` for the root.
    pub parent: Option<KeyId>,
    /// Its name.
    pub name: Vec<u16>,
    /// Time of the last change, in units of 100 ns since 1601.
    pub last_write: u64,
    /// Subkeys by folded name, which is the order in which they are enumerated.
    children: BTreeMap<Vec<u16>, KeyId>,
    /// In the order in which they were made.
    values: Vec<Value>,
}

impl Key {
    /// A key without anything.
    pub fn new(parent: Option<KeyId>, name: Vec<u16>) -> Self {
        Self { parent, name, last_write: now(), children: BTreeMap::new(), values: Vec::new() }
    }

    /// The subkey with this folded name.
    pub fn child(&self, folded: &[u16]) -> Option<KeyId> {
        self.children.get(folded).copied()
    }

    /// Enters a subkey.
    pub fn add_child(&mut self, folded: Vec<u16>, id: KeyId) {
        self.children.insert(folded, id);
        self.last_write = now();
    }

    /// A value by name, without regard to case.
    pub fn value(&self, name: &[u16]) -> Option<&Value> {
        let folded = fold(name);
        self.values.iter().find(|value| fold(&value.name) == folded)
    }

    /// Makes or replaces a value; a value that is replaced keeps its name and
    /// place.
    pub fn set_value(&mut self, name: &[u16], kind: u32, data: Vec<u8>) {
        let folded = fold(name);
        self.last_write = now();
        match self.values.iter_mut().find(|value| fold(&value.name) == folded) {
            Some(value) => {
                value.kind = kind;
                value.data = data;
            }
            None => self.values.push(Value { name: name.to_vec(), kind, data }),
        }
    }

    /// The path that the key links to, if it is a link.
    pub fn link(&self) -> Option<Vec<u16>> {
        let value = self.values.first().filter(|value| value.kind == REG_LINK)?;
        if fold(&value.name) != fold(&LINK_VALUE.encode_utf16().collect::<Vec<_>>()) {
            return None;
        }
        Some(value.data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
    }
}

/// The system time, in units of 100 ns since 1601.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH_TIME + u64::try_from(since.as_nanos() / 100).unwrap_or(0)
}

//! One key: its values and the names of its subkeys.

use std::collections::BTreeMap;

use crate::base::clock;
use crate::base::key_id::KeyId;
use crate::base::utf16::{fold, wide};

/// `REG_LINK`.
pub const REG_LINK: u32 = 6;
/// The value that says where a link leads.
pub const LINK_VALUE: &str = "SymbolicLinkValue";

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

/// What is decided when a key is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kind {
    /// Whether it is gone when the system restarts.
    pub volatile: bool,
    /// Whether it is a link.
    pub link: bool,
    /// Its class.
    pub class: Vec<u16>,
}

/// A key.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key that it is in; `None` for the root.
    pub parent: Option<KeyId>,
    /// Its name.
    pub name: Vec<u16>,
    /// What was decided when it was made.
    pub kind: Kind,
    /// Time of the last change, in units of 100 ns since 1601.
    pub last_write: u64,
    /// Whether it cannot be deleted: the roots of hives.
    pub permanent: bool,
    /// Whether only the system makes keys in it: where the hives are.
    pub sealed: bool,
    /// Subkeys by folded name, which is the order in which they are enumerated;
    /// those that stay first.
    children: [BTreeMap<Vec<u16>, KeyId>; 2],
    /// In the order in which they were made.
    values: Vec<Value>,
}

impl Key {
    /// A key without anything in it.
    pub fn new(parent: Option<KeyId>, name: Vec<u16>, kind: Kind) -> Self {
        Self {
            parent,
            name,
            kind,
            last_write: clock::system_time(),
            permanent: false,
            sealed: false,
            children: [BTreeMap::new(), BTreeMap::new()],
            values: Vec::new(),
        }
    }

    fn touch(&mut self) {
        self.last_write = clock::system_time();
    }

    /// The subkey with this folded name.
    pub fn child(&self, folded: &[u16]) -> Option<KeyId> {
        self.children
            .iter()
            .find_map(|children| children.get(folded))
            .copied()
    }

    /// All subkeys, in the order in which they are enumerated.
    pub fn children(&self) -> impl Iterator<Item = KeyId> {
        self.children.iter().flat_map(BTreeMap::values).copied()
    }

    /// Whether there is a subkey.
    pub fn has_children(&self) -> bool {
        self.children().next().is_some()
    }

    /// Enters a subkey.
    pub fn add_child(&mut self, folded: Vec<u16>, id: KeyId, volatile: bool) {
        self.children[usize::from(volatile)].insert(folded, id);
        self.touch();
    }

    /// Takes a subkey out.
    pub fn remove_child(&mut self, folded: &[u16]) {
        for children in &mut self.children {
            children.remove(folded);
        }
        self.touch();
    }

    /// Gives it another name.
    pub fn rename(&mut self, name: &[u16]) {
        self.name = name.to_vec();
        self.touch();
    }

    /// All values, in the order in which they are enumerated.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    fn position(&self, name: &[u16]) -> Option<usize> {
        let folded = fold(name);
        self.values
            .iter()
            .position(|value| fold(&value.name) == folded)
    }

    /// A value by name, without regard to case.
    pub fn value(&self, name: &[u16]) -> Option<&Value> {
        self.position(name).and_then(|at| self.values.get(at))
    }

    /// Makes or replaces a value; a value that is replaced keeps its name and
    /// place.
    pub fn set_value(&mut self, name: &[u16], kind: u32, data: Vec<u8>) {
        match self.position(name) {
            Some(at) => {
                self.values[at] = Value {
                    name: std::mem::take(&mut self.values[at].name),
                    kind,
                    data,
                }
            }
            None => self.values.push(Value {
                name: name.to_vec(),
                kind,
                data,
            }),
        }
        self.touch();
    }

    /// Deletes a value. False if there is none of that name.
    pub fn delete_value(&mut self, name: &[u16]) -> bool {
        let Some(at) = self.position(name) else {
            return false;
        };
        self.values.remove(at);
        self.touch();
        true
    }

    /// Where the key leads, if it is a link that leads anywhere.
    pub fn link(&self) -> Option<Vec<u16>> {
        let value = self
            .value(&wide(LINK_VALUE))
            .filter(|value| value.kind == REG_LINK)?;
        Some(
            value
                .data
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect(),
        )
    }
}

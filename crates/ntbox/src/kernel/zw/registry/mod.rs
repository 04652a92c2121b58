//! The registry: a tree of keys in memory.
//!
//! Keys are known by numbers that are never used again, so a number that leads
//! nowhere is that of a key which was deleted while somebody had it open.

mod key;
mod seed;

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

pub use key::{Key, Value};
pub use seed::seed;

use crate::kernel::ob::name::{SEPARATOR, fold, split_first, text};

/// Number of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u64);

impl KeyId {
    /// `\REGISTRY`.
    pub const ROOT: Self = Self(0);
}

/// All keys.
#[derive(Debug)]
pub struct Registry {
    keys: FxHashMap<KeyId, Key>,
    next: u64,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To this key.
    Key(KeyId),
    /// All but the last component is there: the parent, and the name.
    Missing(KeyId, Vec<u16>),
    /// Through a link: to this path from the root of the namespace.
    Link(Vec<u16>),
}

/// Longest name of a key, in units.
pub const MAX_KEY_NAME: usize = 255;

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// Works on the registry. Nothing else may be called meanwhile.
pub fn with<T>(work: impl FnOnce(&mut Registry) -> T) -> T {
    let mut guard = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    work(guard.get_or_insert_with(Registry::new))
}

/// Path of a key for a person.
pub fn path_text(key: KeyId) -> String {
    with(|registry| registry.path(key).map_or_else(|| "that was deleted".to_owned(), |path| text(&path)))
}

impl Registry {
    /// A key.
    ///
    /// # Errors
    /// STATUS_KEY_DELETED.
    pub fn key(&self, id: KeyId) -> Result<&Key, u32> {
        self.keys.get(&id).ok_or(ntstatus::STATUS_KEY_DELETED)
    }

    /// A key to be changed.
    ///
    /// # Errors
    /// STATUS_KEY_DELETED.
    pub fn key_mut(&mut self, id: KeyId) -> Result<&mut Key, u32> {
        self.keys.get_mut(&id).ok_or(ntstatus::STATUS_KEY_DELETED)
    }

    /// Follows a path from a key. Separators at the beginning, at the end and in
    /// a row count as one. The last key is itself taken, not what it links to,
    /// if `open_link` is set.
    ///
    /// # Errors
    /// STATUS_OBJECT_NAME_NOT_FOUND if more than the last component is missing,
    /// STATUS_INVALID_PARAMETER for a component that is too long,
    /// STATUS_KEY_DELETED.
    pub fn walk(&self, from: KeyId, path: &[u16], open_link: bool) -> Result<Step, u32> {
        let mut at = from;
        let mut rest = trim(path);
        loop {
            let key = self.key(at)?;
            if let Some(target) = key.link()
                && !(rest.is_empty() && (open_link || at == from))
            {
                let separator: &[u16] = if rest.is_empty() { &[] } else { &[SEPARATOR] };
                return Ok(Step::Link([target.as_slice(), separator, rest].concat()));
            }
            if rest.is_empty() {
                return Ok(Step::Key(at));
            }
            let (name, following) = split_first(rest);
            if name.len() > MAX_KEY_NAME {
                return Err(ntstatus::STATUS_INVALID_PARAMETER);
            }
            let following = trim(following);
            match key.child(&fold(name)) {
                Some(child) => at = child,
                None if following.is_empty() => return Ok(Step::Missing(at, name.to_vec())),
                None => return Err(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND),
            }
            rest = following;
        }
    }

    /// Makes a subkey that is not there yet.
    ///
    /// # Errors
    /// STATUS_KEY_DELETED.
    pub fn create(&mut self, parent: KeyId, name: &[u16]) -> Result<KeyId, u32> {
        self.key(parent)?;
        let id = KeyId(self.next);
        self.next += 1;
        self.keys.insert(id, Key::new(Some(parent), name.to_vec()));
        self.key_mut(parent)?.add_child(fold(name), id);
        Ok(id)
    }

    /// Full path of a key; `None` if it was deleted.
    pub fn path(&self, id: KeyId) -> Option<Vec<u16>> {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let key = self.keys.get(&id)?;
            names.push(&key.name);
            at = key.parent;
        }
        Some(names.into_iter().rev().flat_map(|name| [SEPARATOR].into_iter().chain(name.iter().copied())).collect())
    }
}

/// A path without separators around it.
fn trim(path: &[u16]) -> &[u16] {
    let begin = path.iter().position(|unit| *unit != SEPARATOR).unwrap_or(path.len());
    let end = path.iter().rposition(|unit| *unit != SEPARATOR).map_or(begin, |last| last + 1);
    &path[begin..end]
}

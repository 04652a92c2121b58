//! The registry: a tree of keys in memory.
//!
//! Keys are known by numbers that are never used again, so a number that leads
//! nowhere is that of a key which was deleted while somebody had it open.

mod key;
mod path;
mod seed;
#[cfg(test)]
mod tests;

use ntbox_host::kernel_cell::KernelCell;
use rustc_hash::FxHashMap;

pub use super::hive::key::{Key, Kind, LINK_VALUE, REG_LINK, Value};
pub use super::hive::path::Step;
pub use super::hive::seed::seed;
use super::nt_notify_key;
use super::nt_notify_key::filter;
pub use crate::base::key_id::KeyId;
use crate::base::utf16::{SEPARATOR, fold, text};

/// All keys.
#[derive(Debug)]
pub struct Registry {
    keys: FxHashMap<KeyId, Key>,
    next: u64,
    /// What has changed and is not told yet, if anybody wants to hear.
    changes: Vec<Change>,
}

/// A change of a key.
#[derive(Debug)]
pub struct Change {
    /// The key, and those that it is in.
    pub path: Vec<KeyId>,
    /// `REG_NOTIFY_CHANGE_…`.
    pub kind: u32,
}

/// Longest name of a key, in units.
pub const MAX_KEY_NAME: usize = 255;
/// Longest name of a value, in units.
pub const MAX_VALUE_NAME: usize = 16_383;

static REGISTRY: KernelCell<Option<Registry>> = KernelCell::new(None);

/// Works on the registry. Nothing else may be called meanwhile.
pub fn with<T>(work: impl FnOnce(&mut Registry) -> T) -> T {
    let mut guard = REGISTRY.lock();
    let registry = guard.get_or_insert_with(Registry::new);
    let done = work(registry);
    let changes = std::mem::take(&mut registry.changes);
    drop(guard);
    if !changes.is_empty() {
        nt_notify_key::tell(&changes);
    }
    done
}

/// Full path of a key; `None` if it was deleted.
pub fn path(key: KeyId) -> Option<Vec<u16>> {
    with(|registry| registry.path(key))
}

/// Path of a key for a person.
pub fn path_text(key: KeyId) -> String {
    path(key).map_or_else(|| "that was deleted".to_owned(), |path| text(&path))
}

impl Registry {
    /// A key.
    ///
    /// # Errors
    /// `STATUS_KEY_DELETED`.
    pub fn key(&self, id: KeyId) -> Result<&Key, u32> {
        self.keys.get(&id).ok_or(nt_status::STATUS_KEY_DELETED)
    }

    /// A key to be changed.
    ///
    /// # Errors
    /// `STATUS_KEY_DELETED`.
    pub fn key_mut(&mut self, id: KeyId) -> Result<&mut Key, u32> {
        self.keys.get_mut(&id).ok_or(nt_status::STATUS_KEY_DELETED)
    }

    /// Writes down that a key has changed.
    pub fn changed(&mut self, id: KeyId, kind: u32) {
        if !nt_notify_key::any() {
            return;
        }
        let mut path = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            path.push(id);
            at = self.keys.get(&id).and_then(|key| key.parent);
        }
        self.changes.push(Change { path, kind });
    }

    /// Makes a subkey that is not there yet.
    ///
    /// # Errors
    /// `STATUS_KEY_DELETED`; `STATUS_INVALID_PARAMETER` where only the system makes
    /// keys; `STATUS_ACCESS_DENIED` below a link; `STATUS_CHILD_MUST_BE_VOLATILE`.
    pub fn create(&mut self, parent: KeyId, name: &[u16], kind: Kind) -> Result<KeyId, u32> {
        let above = self.key(parent)?;
        if above.sealed {
            return Err(nt_status::STATUS_INVALID_PARAMETER);
        }
        if above.kind.link {
            return Err(nt_status::STATUS_ACCESS_DENIED);
        }
        if above.kind.volatile && !kind.volatile {
            return Err(nt_status::STATUS_CHILD_MUST_BE_VOLATILE);
        }
        self.add(parent, name, kind)
    }

    /// Makes a subkey, without regard to what drivers may do.
    fn add(&mut self, parent: KeyId, name: &[u16], kind: Kind) -> Result<KeyId, u32> {
        let id = KeyId::from_number(self.next);
        self.key_mut(parent)?
            .add_child(fold(name), id, kind.volatile);
        self.next += 1;
        self.keys
            .insert(id, Key::new(Some(parent), name.to_vec(), kind));
        self.changed(parent, filter::NAME);
        Ok(id)
    }

    /// Deletes a key. Handles to it stay, and lead nowhere.
    ///
    /// # Errors
    /// `STATUS_KEY_DELETED`; `STATUS_CANNOT_DELETE` for a key that has subkeys and
    /// for the roots of hives.
    pub fn delete(&mut self, id: KeyId) -> Result<(), u32> {
        let key = self.key(id)?;
        if key.permanent || key.has_children() {
            return Err(nt_status::STATUS_CANNOT_DELETE);
        }
        let (parent, name) = (key.parent, fold(&key.name));
        self.keys.remove(&id);
        if let Some(parent) = parent {
            self.key_mut(parent)?.remove_child(&name);
            self.changed(parent, filter::NAME);
        }
        Ok(())
    }

    /// Gives a key another name; what is below it stays.
    ///
    /// # Errors
    /// `STATUS_KEY_DELETED`; `STATUS_ACCESS_DENIED` for the roots of hives and what
    /// is above them; `STATUS_CANNOT_DELETE` if the key or one beside it has that
    /// name.
    pub fn rename(&mut self, id: KeyId, name: &[u16]) -> Result<(), u32> {
        let key = self.key(id)?;
        let (old, volatile) = (fold(&key.name), key.kind.volatile);
        let parent = key.parent.filter(|_| !key.permanent && !key.sealed);
        let parent = parent.ok_or(nt_status::STATUS_ACCESS_DENIED)?;
        let above = self.key_mut(parent)?;
        if above.child(&fold(name)).is_some() {
            return Err(nt_status::STATUS_CANNOT_DELETE);
        }
        above.remove_child(&old);
        above.add_child(fold(name), id, volatile);
        self.key_mut(id)?.rename(name);
        self.changed(parent, filter::NAME);
        Ok(())
    }

    /// Full path of a key; `None` if it was deleted.
    pub fn path(&self, id: KeyId) -> Option<Vec<u16>> {
        let mut path = Vec::new();
        for name in self.names(id)?.into_iter().rev() {
            path.push(SEPARATOR);
            path.extend(name);
        }
        Some(path)
    }

    /// Names from a key up to the root.
    fn names(&self, id: KeyId) -> Option<Vec<&[u16]>> {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let key = self.keys.get(&id)?;
            names.push(key.name.as_slice());
            at = key.parent;
        }
        Some(names)
    }

    /// Whether a key is in one of the hives that only the system can write to.
    pub fn is_trusted(&self, id: KeyId) -> bool {
        const HIVES: [&str; 5] = ["HARDWARE", "SOFTWARE", "SYSTEM", "SECURITY", "SAM"];
        let Some(names) = self.names(id) else {
            return false;
        };
        let below: Vec<String> = names
            .into_iter()
            .rev()
            .skip(1)
            .take(2)
            .map(|name| text(&fold(name)))
            .collect();
        matches!(below.as_slice(), [machine, hive] if machine == "MACHINE" && HIVES.contains(&hive.as_str()))
    }
}

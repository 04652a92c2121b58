//! The directories of the volume: nodes, their names, and what is known of each.

use std::collections::BTreeMap;

use crate::base::clock;
use crate::base::utf16::{SEPARATOR, fold};
use crate::fsrtl::lock::Locks;
use crate::sections::file_data::Content;

/// Number of a node, never used twice: the file's id.
pub type Id = u64;

/// The directory `\`.
pub const ROOT: Id = 5;

/// `FILE_ATTRIBUTE_…`.
pub mod attribute {
    /// `FILE_ATTRIBUTE_READONLY`.
    pub const READONLY: u32 = 0x1;
    /// `FILE_ATTRIBUTE_HIDDEN`.
    pub const HIDDEN: u32 = 0x2;
    /// `FILE_ATTRIBUTE_SYSTEM`.
    pub const SYSTEM: u32 = 0x4;
    /// `FILE_ATTRIBUTE_DIRECTORY`.
    pub const DIRECTORY: u32 = 0x10;
    /// `FILE_ATTRIBUTE_ARCHIVE`.
    pub const ARCHIVE: u32 = 0x20;
    /// `FILE_ATTRIBUTE_NORMAL`: none of the others.
    pub const NORMAL: u32 = 0x80;
    /// `FILE_ATTRIBUTE_TEMPORARY`.
    pub const TEMPORARY: u32 = 0x100;
    /// `FILE_ATTRIBUTE_OFFLINE` and `FILE_ATTRIBUTE_NOT_CONTENT_INDEXED`.
    pub const OTHER: u32 = 0x3000;
    /// Those that a caller sets.
    pub const SETTABLE: u32 = READONLY | HIDDEN | SYSTEM | ARCHIVE | TEMPORARY | OTHER;
}

/// The times of a file, in system time.
#[derive(Debug, Clone, Copy)]
pub struct FileTimes {
    /// It was made.
    pub created: u64,
    /// It was read.
    pub accessed: u64,
    /// Its data was changed.
    pub written: u64,
    /// Anything of it was changed.
    pub changed: u64,
}

impl FileTimes {
    fn now() -> Self {
        let now = clock::system_time();
        Self {
            created: now,
            accessed: now,
            written: now,
            changed: now,
        }
    }
}

/// A directory or a file.
#[derive(Debug)]
pub struct Node {
    /// The directory that it is in.
    pub parent: Id,
    /// Its name, as it was first spelled.
    pub name: Vec<u16>,
    /// What is in it.
    pub kind: Kind,
    /// `FILE_ATTRIBUTE_…` without the kind.
    pub attributes: u32,
    /// Its times.
    pub times: FileTimes,
    /// Whether it goes when the last handle is closed.
    pub delete_pending: bool,
    /// Whether its name is gone already.
    pub unlinked: bool,
    /// File objects that are not cleaned up.
    pub handles: u32,
    /// File objects that are not closed.
    pub references: u32,
    /// The block of pool that all file objects on it share, while there are any.
    pub block: u64,
    /// Byte ranges that are locked.
    pub locks: Locks,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// Its entries, by folded name.
    Directory(BTreeMap<Vec<u16>, Id>),
    /// Its data.
    File(Content),
}

impl Node {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// Whether nothing is in it; false for files.
    pub fn is_full_directory(&self) -> bool {
        matches!(&self.kind, Kind::Directory(entries) if !entries.is_empty())
    }

    /// Its data, if it is a file.
    pub fn content(&self) -> Option<Content> {
        match self.kind {
            Kind::File(content) => Some(content),
            Kind::Directory(_) => None,
        }
    }

    /// The attributes as callers see them.
    pub fn shown_attributes(&self) -> u32 {
        let kind = if self.is_directory() {
            attribute::DIRECTORY
        } else {
            0
        };
        match self.attributes | kind {
            0 => attribute::NORMAL,
            attributes => attributes,
        }
    }

    /// Bytes of data and bytes taken for them.
    pub fn sizes(&self) -> (u64, u64) {
        self.content()
            .map_or((0, 0), |content| (content.size, content.allocation))
    }

    /// Makes a file longer, if there is room for so many bytes more.
    ///
    /// # Errors
    /// `STATUS_DISK_FULL`, `STATUS_INVALID_FILE_FOR_SECTION`.
    pub fn extend(&mut self, size: u64, room: u64) -> Result<(), u32> {
        let Kind::File(content) = &mut self.kind else {
            return Err(nt_status::STATUS_INVALID_FILE_FOR_SECTION);
        };
        if size.saturating_sub(content.size) > room {
            return Err(nt_status::STATUS_DISK_FULL);
        }
        content.resize(size);
        self.touch();
        Ok(())
    }

    /// Notes that the data was changed.
    pub fn touch(&mut self) {
        let now = clock::system_time();
        self.times.written = now;
        self.times.changed = now;
        self.attributes |= attribute::ARCHIVE;
    }
}

/// All nodes.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<Id, Node>,
    next: Id,
}

impl Tree {
    /// An empty volume.
    pub fn new() -> Self {
        let root = node(ROOT, Vec::new(), Kind::Directory(BTreeMap::new()));
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: 0x20,
        }
    }

    /// A node by its number.
    pub fn get(&self, id: Id) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// All nodes.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// What a directory has under a name.
    pub fn find(&self, directory: Id, name: &[u16]) -> Option<Id> {
        match &self.nodes.get(&directory)?.kind {
            Kind::Directory(entries) => entries.get(&fold(name)).copied(),
            Kind::File(_) => None,
        }
    }

    /// The first entry of a directory after a folded name.
    pub fn after(&self, directory: Id, key: &[u16]) -> Option<(Vec<u16>, Id)> {
        use std::ops::Bound::{Excluded, Unbounded};
        match &self.nodes.get(&directory)?.kind {
            Kind::Directory(entries) => entries
                .range::<[u16], _>((Excluded(key), Unbounded))
                .next()
                .map(|(key, id)| (key.clone(), *id)),
            Kind::File(_) => None,
        }
    }

    /// Adds a node to a directory that has none of the name.
    pub fn add(&mut self, parent: Id, name: Vec<u16>, kind: Kind) -> Id {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node(parent, name, kind));
        self.link(id, parent);
        id
    }

    fn link(&mut self, id: Id, parent: Id) {
        let Some(name) = self.nodes.get(&id).map(|node| fold(&node.name)) else {
            return;
        };
        if let Some(directory) = self.nodes.get_mut(&parent) {
            if let Kind::Directory(entries) = &mut directory.kind {
                entries.insert(name, id);
            }
            directory.times.written = clock::system_time();
            directory.times.changed = directory.times.written;
        }
    }

    /// Takes the name of a node away.
    pub fn unlink(&mut self, id: Id) {
        let Some((parent, name)) = self
            .nodes
            .get(&id)
            .map(|node| (node.parent, fold(&node.name)))
        else {
            return;
        };
        if let Some(directory) = self.nodes.get_mut(&parent) {
            if let Kind::Directory(entries) = &mut directory.kind
                && entries.get(&name) == Some(&id)
            {
                entries.remove(&name);
            }
            directory.times.written = clock::system_time();
            directory.times.changed = directory.times.written;
        }
    }

    /// Gives a node another name, in another directory perhaps.
    pub fn rename(&mut self, id: Id, parent: Id, name: Vec<u16>) {
        self.unlink(id);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.parent = parent;
            node.name = name;
            node.times.changed = clock::system_time();
        }
        self.link(id, parent);
    }

    /// Forgets a node that has no name any more; returns its data.
    pub fn forget(&mut self, id: Id) -> Option<Content> {
        self.nodes.remove(&id)?.content()
    }

    /// Whether `inner` is `outer` or lies below it.
    pub fn is_within(&self, mut inner: Id, outer: Id) -> bool {
        while inner != outer {
            match self.nodes.get(&inner) {
                Some(node) if inner != ROOT => inner = node.parent,
                _ => return false,
            }
        }
        true
    }

    /// Full path of a node from the root of the volume.
    pub fn path(&self, id: Id) -> Vec<u16> {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let Some(node) = self.nodes.get(&at) else {
                break;
            };
            names.push(node.name.as_slice());
            at = node.parent;
        }
        if names.is_empty() {
            return vec![SEPARATOR];
        }
        names
            .into_iter()
            .rev()
            .flat_map(|name| std::iter::once(SEPARATOR).chain(name.iter().copied()))
            .collect()
    }
}

fn node(parent: Id, name: Vec<u16>, kind: Kind) -> Node {
    Node {
        parent,
        name,
        kind,
        attributes: 0,
        times: FileTimes::now(),
        delete_pending: false,
        unlinked: false,
        handles: 0,
        references: 0,
        block: 0,
        locks: Locks::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::utf16::{text, wide};

    fn directory() -> Kind {
        Kind::Directory(BTreeMap::new())
    }

    #[test]
    fn tree_lookup_ignores_and_keeps_case() {
        let mut tree = Tree::new();
        let windows = tree.add(ROOT, wide("Windows"), directory());
        let temp = tree.add(windows, wide("Temp"), directory());
        assert_eq!(tree.find(ROOT, &wide("WINDOWS")), Some(windows));
        assert_eq!(tree.find(windows, &wide("temp")), Some(temp));
        assert_eq!(tree.find(ROOT, &wide("temp")), None);
        assert_eq!(text(&tree.path(temp)), r"\Windows\Temp");
        assert_eq!(text(&tree.path(ROOT)), r"\");
        assert!(tree.is_within(temp, windows) && !tree.is_within(windows, temp));
    }

    #[test]
    fn tree_rename_replaces_name() {
        let mut tree = Tree::new();
        let a = tree.add(ROOT, wide("a"), directory());
        let b = tree.add(ROOT, wide("b"), directory());
        tree.rename(b, a, wide("C"));
        assert_eq!(tree.find(ROOT, &wide("b")), None);
        assert_eq!(tree.find(a, &wide("c")), Some(b));
        assert_eq!(text(&tree.path(b)), r"\a\C");
        assert!(tree.get(a).is_some_and(Node::is_full_directory));
        tree.unlink(b);
        assert!(!tree.get(a).is_some_and(Node::is_full_directory));
        assert_eq!(tree.forget(b).map(|content| content.size), None);
        assert!(tree.get(b).is_none());
    }

    #[test]
    fn tree_entries_are_sorted_by_folded_name() {
        let mut tree = Tree::new();
        for name in ["beta", "Alpha", "Gamma"] {
            tree.add(ROOT, wide(name), directory());
        }
        let mut key = Vec::new();
        let mut seen = Vec::new();
        while let Some((next, id)) = tree.after(ROOT, &key) {
            seen.extend(tree.get(id).map(|node| text(&node.name)));
            key = next;
        }
        assert_eq!(seen, ["Alpha", "beta", "Gamma"]);
    }
}

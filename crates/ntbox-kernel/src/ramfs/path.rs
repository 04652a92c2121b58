//! Paths on the volume: which names are legal, and what a path leads to.

use super::dir_tree::{Id, ROOT, Tree};
use crate::base::utf16::SEPARATOR;
use crate::ramfs::dir_tree;

/// Most units of one name.
pub const MAX_COMPONENT: usize = 255;

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// A file or directory that is there. `None` behind it for the root, else its
    /// last name as the path spells it.
    Node(Id),
    /// Nothing, but its directory is there.
    Missing {
        /// The directory.
        parent: Id,
        /// The name that is not in it.
        name: Vec<u16>,
        /// Whether a separator followed the name, as only directories' may be.
        trailing: bool,
    },
}

/// Whether a file can have a name. There are no streams, so no colon either.
pub fn is_legal(name: &[u16]) -> bool {
    const ILLEGAL: &[u8] = b"\"*/:<>?\\|";
    let dots = matches!(name.len(), 1 | 2) && name.iter().all(|unit| *unit == u16::from(b'.'));
    let legal = |unit: &u16| {
        *unit >= 0x20 && !u8::try_from(*unit).is_ok_and(|byte| ILLEGAL.contains(&byte))
    };
    !name.is_empty() && name.len() <= MAX_COMPONENT && !dots && name.iter().all(legal)
}

/// Follows a path: from the root if it begins with a separator, from `related` if
/// there is one.
///
/// # Errors
/// `STATUS_OBJECT_NAME_INVALID`, `STATUS_OBJECT_PATH_NOT_FOUND`.
pub fn resolve(tree: &Tree, related: Option<Id>, path: &[u16]) -> Result<Target, u32> {
    let absolute = path.first() == Some(&SEPARATOR);
    let (mut at, mut rest) = match related {
        Some(_) if absolute => return Err(nt_status::STATUS_OBJECT_NAME_INVALID),
        Some(node) => (node, path),
        // Two separators at the start count as one.
        None if path.starts_with(&[SEPARATOR; 2]) => (ROOT, &path[2..]),
        None => (ROOT, &path[usize::from(absolute)..]),
    };
    let trailing = rest.last() == Some(&SEPARATOR);
    if trailing {
        rest = &rest[..rest.len() - 1];
        if rest.is_empty() {
            return Err(nt_status::STATUS_OBJECT_NAME_INVALID);
        }
    }
    while !rest.is_empty() {
        if tree.get(at).is_none_or(|node| !node.is_directory()) {
            return Err(if rest[0] == SEPARATOR {
                nt_status::STATUS_OBJECT_NAME_INVALID
            } else {
                nt_status::STATUS_OBJECT_PATH_NOT_FOUND
            });
        }
        let end = rest.iter().position(|unit| *unit == SEPARATOR);
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        if !is_legal(name) {
            return Err(nt_status::STATUS_OBJECT_NAME_INVALID);
        }
        let behind = behind.get(1..).unwrap_or_default();
        match tree.find(at, name) {
            Some(found) => at = found,
            None if behind.is_empty() => {
                return Ok(Target::Missing {
                    parent: at,
                    name: name.to_vec(),
                    trailing: trailing || end.is_some(),
                });
            }
            None => return Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND),
        }
        rest = behind;
    }
    if trailing && tree.get(at).is_some_and(|node| !node.is_directory()) {
        return Err(nt_status::STATUS_OBJECT_NAME_INVALID);
    }
    Ok(Target::Node(at))
}

/// The directory that a path's last name is in, and that name.
///
/// # Errors
/// As for [`resolve`].
pub fn resolve_parent(
    tree: &Tree,
    related: Option<Id>,
    path: &[u16],
) -> Result<(Id, Vec<u16>), u32> {
    let path = path.strip_suffix(&[SEPARATOR]).unwrap_or(path);
    let end = path.iter().rposition(|unit| *unit == SEPARATOR);
    let (before, name) = match end {
        Some(at) => (&path[..=at], &path[at + 1..]),
        None => (&path[..0], path),
    };
    if !is_legal(name) {
        return Err(nt_status::STATUS_OBJECT_NAME_INVALID);
    }
    match resolve(tree, related, before)? {
        Target::Node(parent) if tree.get(parent).is_some_and(dir_tree::Node::is_directory) => {
            Ok((parent, name.to_vec()))
        }
        _ => Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::utf16::wide;
    use crate::ramfs::dir_tree::Kind;
    use crate::sections::file_data::Content;
    use crate::test_support::processor;

    /// `\Windows\explorer.exe`, and the numbers of both.
    fn tree() -> (Tree, Id, Id) {
        processor();
        let mut tree = Tree::new();
        let windows = tree.add(ROOT, wide("Windows"), Kind::Directory(BTreeMap::new()));
        let file = tree.add(windows, wide("explorer.exe"), Kind::File(Content::new()));
        (tree, windows, file)
    }

    #[test]
    fn resolve_absolute_paths() {
        let (tree, windows, file) = tree();
        let invalid = Err(nt_status::STATUS_OBJECT_NAME_INVALID);
        let nowhere = Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND);
        for (path, expected) in [
            (r"\", Ok(ROOT)),
            (r"\\", Ok(ROOT)),
            (r"\\\", invalid),
            (r"\Windows", Ok(windows)),
            (r"\windows\", Ok(windows)),
            (r"\Windows\\", Ok(windows)),
            (r"\Windows\\\", invalid),
            (r"\\Windows", Ok(windows)),
            (r"\Windows\EXPLORER.exe", Ok(file)),
            (r"\Windows\\explorer.exe", invalid),
            (r"\Windows\explorer.exe\", invalid),
            (r"\Windows\explorer.exe\file", nowhere),
            (r"\Windows\explorer.exe\\", invalid),
            (r"\Windows\explorer.exe\\\", invalid),
            (r"\Windows\no\file", nowhere),
            (r"\Windows\no\file?", nowhere),
            (r"\Windows\no\file\\\", nowhere),
            (r"\Windows\invalid?", invalid),
            (r"\Windows\.", invalid),
            (r"\Windows\stream:data", invalid),
        ] {
            let found = resolve(&tree, None, &wide(path));
            assert_eq!(found, expected.map(Target::Node), "{path}");
        }
        let missing = |trailing| {
            Ok(Target::Missing {
                parent: windows,
                name: wide("no"),
                trailing,
            })
        };
        assert_eq!(resolve(&tree, None, &wide(r"\Windows\no")), missing(false));
        assert_eq!(resolve(&tree, None, &wide(r"\Windows\no\")), missing(true));
    }

    #[test]
    fn resolve_relative_paths() {
        let (tree, windows, file) = tree();
        let from = |node, path| resolve(&tree, Some(node), &wide(path));
        assert_eq!(from(windows, ""), Ok(Target::Node(windows)));
        assert_eq!(from(file, ""), Ok(Target::Node(file)));
        assert_eq!(from(windows, "explorer.exe"), Ok(Target::Node(file)));
        assert_eq!(from(ROOT, r"Windows\"), Ok(Target::Node(windows)));
        let invalid = Err(nt_status::STATUS_OBJECT_NAME_INVALID);
        assert_eq!(from(ROOT, r"\Windows"), invalid);
        assert_eq!(from(ROOT, r"\"), invalid);
        let nowhere = Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND);
        assert_eq!(from(file, "file"), nowhere);
    }

    #[test]
    fn resolve_parent_of_missing_name() {
        let (tree, windows, _) = tree();
        let parent = |path| resolve_parent(&tree, None, &wide(path));
        assert_eq!(parent(r"\Windows\new"), Ok((windows, wide("new"))));
        assert_eq!(parent(r"\new"), Ok((ROOT, wide("new"))));
        assert_eq!(
            parent(r"\no\new"),
            Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND)
        );
        assert_eq!(parent(r"\Windows\"), Ok((ROOT, wide("Windows"))));
        assert_eq!(parent(r"\"), Err(nt_status::STATUS_OBJECT_NAME_INVALID));
        let relative = resolve_parent(&tree, Some(windows), &wide("new"));
        assert_eq!(relative, Ok((windows, wide("new"))));
    }
}

//! From a path to a key.

use super::{MAX_KEY_NAME, Registry};
use crate::base::key_id::KeyId;
use crate::base::utf16::{SEPARATOR, fold, split_first};

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

impl Registry {
    /// Follows a path from a key. Separators at the beginning, at the end and in
    /// a row count as one. The last key is itself taken, not what it links to,
    /// if `open_link` is set.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if more than the last component is missing,
    /// `STATUS_INVALID_PARAMETER` for a component that is too long,
    /// `STATUS_KEY_DELETED`.
    pub fn walk(&self, from: KeyId, path: &[u16], open_link: bool) -> Result<Step, u32> {
        let mut at = from;
        let mut rest = trim(path);
        loop {
            let key = self.key(at)?;
            let wanted_itself = rest.is_empty() && (open_link || at == from);
            if key.kind.link && !wanted_itself {
                let target = key.link().ok_or(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)?;
                let separator: &[u16] = if rest.is_empty() { &[] } else { &[SEPARATOR] };
                return Ok(Step::Link([target.as_slice(), separator, rest].concat()));
            }
            if rest.is_empty() {
                return Ok(Step::Key(at));
            }
            let (name, following) = split_first(rest);
            if name.len() > MAX_KEY_NAME {
                return Err(nt_status::STATUS_INVALID_PARAMETER);
            }
            let following = trim(following);
            match key.child(&fold(name)) {
                Some(child) => at = child,
                None if following.is_empty() => return Ok(Step::Missing(at, name.to_vec())),
                None => return Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
            }
            rest = following;
        }
    }
}

/// A path without separators around it.
fn trim(path: &[u16]) -> &[u16] {
    let begin = path
        .iter()
        .position(|unit| *unit != SEPARATOR)
        .unwrap_or(path.len());
    let end = path
        .iter()
        .rposition(|unit| *unit != SEPARATOR)
        .map_or(begin, |last| last + 1);
    &path[begin..end]
}

//! The namespace: directories of names, symbolic links between them, and the
//! way from a path to an object.
//!
//! The walk ends at the first object that has a syntax of its own for what
//! follows (a device, a file, a registry key); its owner goes on from there.

use std::collections::BTreeMap;

use super::attributes::{Attributes, CASE_INSENSITIVE, DONT_REPARSE, OPENIF, PERMANENT};
use super::object::{Named, Payload};
use super::types::Type;
use super::{ObjectTables, handles, object, with};
use crate::base::call_context::CallContext;
use crate::base::utf16::{SEPARATOR, fold};

/// Links that one look-up follows before it gives up.
const MAX_LINKS: usize = 32;
/// What a process sees as its own device names: here always the global ones.
const SESSION_NAMES: [u16; 2] = [b'?' as u16; 2];

/// The names in a directory object.
#[derive(Debug, Default)]
pub struct Directory {
    /// By folded name; names that differ in case only share an entry.
    entries: BTreeMap<Vec<u16>, Vec<(Vec<u16>, u64)>>,
}

impl Directory {
    fn find(&self, name: &[u16], any_case: bool) -> Option<u64> {
        let same = self.entries.get(&fold(name))?;
        let exact = same.iter().find(|(other, _)| other == name);
        exact
            .or_else(|| same.first().filter(|_| any_case))
            .map(|(_, object)| *object)
    }

    fn add(&mut self, name: Vec<u16>, object: u64) {
        self.entries
            .entry(fold(&name))
            .or_default()
            .push((name, object));
    }

    fn remove(&mut self, name: &[u16]) {
        let key = fold(name);
        if let Some(same) = self.entries.get_mut(&key) {
            same.retain(|(other, _)| other != name);
            if same.is_empty() {
                self.entries.remove(&key);
            }
        }
    }

    /// Names and objects, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u16], u64)> {
        self.entries
            .values()
            .flatten()
            .map(|(name, object)| (name.as_slice(), *object))
    }
}

/// The result of looking up a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathLookup {
    /// The object. The reference is the receiver's, who must give it back.
    pub object: u64,
    /// Its type.
    pub kind: Type,
    /// What of the path its owner must make sense of, with its separator: empty
    /// for types without a syntax of their own.
    pub rest: Vec<u16>,
}

/// Where looking up a path ends.
enum LookupEnd {
    Object {
        object: u64,
        rest: Vec<u16>,
    },
    /// All but the last component is there.
    Missing {
        directory: u64,
        name: Vec<u16>,
    },
}

/// The result of inserting a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameInsertion {
    /// The name is the new object's.
    New,
    /// There is an object of that name and type, and `OBJ_OPENIF` allows to take
    /// it. The reference is the receiver's.
    Existing(u64),
}

/// Finds the object that attributes name. `wanted` matters to symbolic links,
/// which are followed unless they are what is looked for.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND`, `STATUS_OBJECT_PATH_NOT_FOUND`,
/// `STATUS_OBJECT_PATH_SYNTAX_BAD`, `STATUS_OBJECT_NAME_INVALID`,
/// `STATUS_OBJECT_TYPE_MISMATCH`, `STATUS_INVALID_HANDLE`.
pub fn lookup(attributes: &Attributes, wanted: Option<Type>) -> Result<PathLookup, u32> {
    let start = start(attributes)?;
    with(|state| match state.walk(start, attributes, wanted)? {
        LookupEnd::Missing { .. } => Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
        LookupEnd::Object { object, rest } => {
            let kind = state
                .objects
                .get(&object)
                .ok_or(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)?
                .kind;
            state.reference(object);
            Ok(PathLookup { object, kind, rest })
        }
    })
}

/// Finds an object by its full path, without regard to case.
///
/// # Errors
/// As for [`lookup`].
pub fn lookup_path(path: &[u16], wanted: Option<Type>) -> Result<PathLookup, u32> {
    lookup(&Attributes::named(path.to_vec(), CASE_INSENSITIVE), wanted)
}

/// Gives an object the name that attributes say, if they say one. The name holds
/// a reference, and stays until [`make_temporary`] with `OBJ_PERMANENT`, else
/// until the last handle is closed.
///
/// # Errors
/// As for [`lookup`], and `STATUS_OBJECT_NAME_COLLISION`.
pub fn insert(new: u64, attributes: &Attributes) -> Result<NameInsertion, u32> {
    let kind = object::type_of(new).ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
    let permanent = attributes.has(PERMANENT);
    if attributes.name.as_ref().is_none_or(Vec::is_empty) {
        return Ok(NameInsertion::New);
    }
    let start = start(attributes)?;
    with(|state| match state.walk(start, attributes, Some(kind))? {
        LookupEnd::Missing { directory, name } => {
            state.name(new, directory, name, permanent);
            Ok(NameInsertion::New)
        }
        LookupEnd::Object { object, rest } => {
            let found = state.objects.get(&object).map(|header| header.kind);
            if rest.is_empty() && !attributes.has(OPENIF) {
                Err(nt_status::STATUS_OBJECT_NAME_COLLISION)
            } else if rest.is_empty() && found == Some(kind) {
                state.reference(object);
                Ok(NameInsertion::Existing(object))
            } else {
                Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH)
            }
        }
    })
}

/// Object that a walk begins at.
fn start(attributes: &Attributes) -> Result<Option<u64>, u32> {
    match attributes.root {
        0 => Ok(None),
        handle => handles::get(handle).map(|entry| Some(entry.object)),
    }
}

/// Takes the permanence of an object's name away; the name goes at once if no
/// handle is open.
pub fn make_temporary(object: u64, caller: &CallContext<'_>) {
    with(|state| {
        if let Some(header) = state.objects.get_mut(&object) {
            header.permanent = false;
        }
    });
    forget_if_unused(object, caller);
}

/// Removes the name of an object that has no handles and is not permanent.
pub(super) fn forget_if_unused(object: u64, caller: &CallContext<'_>) {
    let named = with(|state| {
        let header = state.objects.get_mut(&object)?;
        if header.handles > 0 || header.permanent {
            return None;
        }
        let named = header.name.take()?;
        if let Some(Payload::Directory(directory)) = state.payload_mut(named.directory) {
            directory.remove(&named.name);
        }
        Some(named)
    });
    if let Some(named) = named {
        object::dereference(named.directory, caller);
        object::dereference(object, caller);
    }
}

/// The names in a directory and the types of their objects, in order of the
/// names.
pub fn entries_of(directory: u64) -> Vec<(Vec<u16>, &'static str)> {
    with(|state| {
        let Some(Payload::Directory(entries)) = state.payload(directory) else {
            return Vec::new();
        };
        let kind = |object| {
            state
                .objects
                .get(&object)
                .map_or("", |header| header.kind.name())
        };
        entries
            .iter()
            .map(|(name, object)| (name.to_vec(), kind(object)))
            .collect()
    })
}

/// The directory `\`.
pub fn root() -> u64 {
    with(|state| state.root)
}

/// Full path of an object, `None` if it has no name.
pub fn path(object: u64) -> Option<Vec<u16>> {
    with(|state| {
        state
            .objects
            .get(&object)?
            .name
            .as_ref()
            .map(|_| state.path_of(object))
    })
}

impl ObjectTables {
    pub(super) fn payload(&self, object: u64) -> Option<&Payload> {
        self.objects.get(&object).map(|header| &header.payload)
    }

    pub(super) fn payload_mut(&mut self, object: u64) -> Option<&mut Payload> {
        self.objects
            .get_mut(&object)
            .map(|header| &mut header.payload)
    }

    /// Enters a name into a directory that has none like it.
    pub(super) fn name(&mut self, object: u64, directory: u64, name: Vec<u16>, permanent: bool) {
        self.reference(directory);
        self.reference(object);
        if let Some(Payload::Directory(entries)) = self.payload_mut(directory) {
            entries.add(name.clone(), object);
        }
        if let Some(header) = self.objects.get_mut(&object) {
            header.name = Some(Named { directory, name });
            header.permanent = permanent;
        }
    }

    /// Follows a path, through links.
    fn walk(
        &self,
        start: Option<u64>,
        attributes: &Attributes,
        wanted: Option<Type>,
    ) -> Result<LookupEnd, u32> {
        let given = attributes.name.as_deref().unwrap_or_default();
        let absolute = given.first() == Some(&SEPARATOR);
        let (mut at, mut path) = match start {
            None if absolute => (self.root, given.to_vec()),
            None => return Err(nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD),
            Some(start) => (start, given.to_vec()),
        };
        if let Some(start) = start {
            match self.objects.get(&start).map(|header| header.kind) {
                Some(Type::File) => {}
                _ if absolute => return Err(nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD),
                Some(Type::Directory) if path.is_empty() => {}
                Some(Type::Directory) => path.insert(0, SEPARATOR),
                Some(kind) if kind.has_syntax() => {}
                _ => return Err(nt_status::STATUS_INVALID_HANDLE),
            }
        } else if path == [SEPARATOR] {
            path.clear();
        }
        let any_case =
            attributes.has(CASE_INSENSITIVE) || wanted.is_none_or(Type::is_case_insensitive);
        for _ in 0..MAX_LINKS {
            let (object, rest) = match self.descend(at, &path, any_case)? {
                LookupEnd::Object { object, rest } => (object, rest),
                missing @ LookupEnd::Missing { .. } => return Ok(missing),
            };
            let header = self
                .objects
                .get(&object)
                .ok_or(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)?;
            match &header.payload {
                Payload::SymbolicLink { .. }
                    if rest.is_empty() && wanted == Some(Type::SymbolicLink) => {}
                Payload::SymbolicLink { .. } if attributes.has(DONT_REPARSE) => {
                    return Err(nt_status::STATUS_REPARSE_POINT_ENCOUNTERED);
                }
                Payload::SymbolicLink { target, .. } => {
                    path = join(target, &rest);
                    at = self.root;
                    continue;
                }
                _ if rest.is_empty() || header.kind.has_syntax() => {}
                _ => return Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH),
            }
            return Ok(LookupEnd::Object { object, rest });
        }
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    }

    /// Follows a path through directories, up to what is none.
    fn descend(&self, mut at: u64, path: &[u16], any_case: bool) -> Result<LookupEnd, u32> {
        let mut rest = path;
        while let Some(Payload::Directory(directory)) = self.payload(at) {
            let Some((_, name)) = rest.split_first() else {
                break;
            };
            let end = name
                .iter()
                .position(|unit| *unit == SEPARATOR)
                .unwrap_or(name.len());
            let (name, following) = name.split_at(end);
            if name.is_empty() {
                return Err(nt_status::STATUS_OBJECT_NAME_INVALID);
            }
            let next = match directory.find(name, any_case) {
                None if at == self.root && name == SESSION_NAMES => Some(self.global_names),
                other => other,
            };
            match next {
                Some(object) => at = object,
                None if following.is_empty() => {
                    return Ok(LookupEnd::Missing {
                        directory: at,
                        name: name.to_vec(),
                    });
                }
                None => return Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND),
            }
            rest = following;
        }
        Ok(LookupEnd::Object {
            object: at,
            rest: rest.to_vec(),
        })
    }

    /// Full path of an object by the names that lead to it.
    pub(super) fn path_of(&self, object: u64) -> Vec<u16> {
        let mut names = Vec::new();
        let mut at = object;
        while let Some(Named { directory, name }) = self
            .objects
            .get(&at)
            .and_then(|header| header.name.as_ref())
        {
            names.push(name);
            at = *directory;
        }
        if names.is_empty() {
            return vec![SEPARATOR];
        }
        names
            .into_iter()
            .rev()
            .flat_map(|name| [SEPARATOR].into_iter().chain(name.iter().copied()))
            .collect()
    }
}

/// A link's target with what followed the link.
fn join(target: &[u16], rest: &[u16]) -> Vec<u16> {
    let target = match (target.split_last(), rest.first()) {
        (Some((&SEPARATOR, before)), Some(&SEPARATOR)) => before,
        _ => target,
    };
    [target, rest].concat()
}

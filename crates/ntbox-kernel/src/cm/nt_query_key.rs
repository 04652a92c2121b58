//! What can be asked of a registry key.

use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::hive::{Key, Registry};
use super::nt_key::OpenKey;
use super::{hive, notify_class, nt_key};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::{Information, Reply};
use crate::base::key_id::KeyId;
use crate::cm;

/// `KEY_INFORMATION_CLASS`.
mod class {
    pub const BASIC: u32 = 0;
    pub const NODE: u32 = 1;
    pub const FULL: u32 = 2;
    pub const NAME: u32 = 3;
    pub const CACHED: u32 = 4;
    pub const FLAGS: u32 = 5;
    pub const VIRTUALIZATION: u32 = 6;
    pub const HANDLE_TAGS: u32 = 7;
}

/// `ClassOffset` of a key without a class.
const NO_CLASS: u32 = u32::MAX;
/// Nothing has a title index any more.
const TITLE_INDEX: u32 = 0;

exports! {
    /// `ZwQueryKey`: the classes up to `KeyHandleTagsInformation`.
    fn ZwQueryKey<call>(key: u64, class: u32, buffer: u64, length: u32, result_length: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query(key, class, Reply { buffer, length, result_length }, &CallContext::of(call)))
    }

    /// `ZwEnumerateKey`: subkeys that stay first, then volatile ones, each in the
    /// order of their names.
    fn ZwEnumerateKey<call>(key: u64, index: u32, class: u32, buffer: u64, length: u32, result_length: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(enumerate(key, index, class, Reply { buffer, length, result_length }, &CallContext::of(call)))
    }
}

fn query(handle: u64, class: u32, reply: Reply, caller: &CallContext<'_>) -> Result<(), Refusal> {
    if class > class::HANDLE_TAGS {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let OpenKey { object, key } = nt_key::opened(handle)?;
    // The class takes four bytes, and the buffer begins on a multiple of eight.
    let fields = reply.show(Information::default().u32(class));
    cm::on_key(notify_class::QUERY_KEY, object, fields, caller, || {
        let (information, fixed) = hive::with(|registry| describe(registry, key, class))?;
        reply.write(&information, fixed)
    })
}

fn enumerate(
    handle: u64,
    index: u32,
    class: u32,
    reply: Reply,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    if class > class::FULL {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let OpenKey { object, key } = nt_key::opened(handle)?;
    let fields = reply.show(Information::default().u32(index).u32(class));
    cm::on_key(notify_class::ENUMERATE_KEY, object, fields, caller, || {
        let (information, fixed) = hive::with(|registry| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let child = registry
                .key(key)?
                .children()
                .nth(index)
                .ok_or(nt_status::STATUS_NO_MORE_ENTRIES)?;
            describe(registry, child, class)
        })?;
        reply.write(&information, fixed)
    })
}

/// A key as a class of information, and how many of its bytes are the part that
/// must fit.
fn describe(registry: &Registry, id: KeyId, class: u32) -> Result<(Vec<u8>, usize), u32> {
    let key = registry.key(id)?;
    let start = Information::default();
    Ok(match class {
        class::BASIC => {
            let start = start.u64(key.last_write).u32(TITLE_INDEX);
            (start.size(2 * key.name.len()).name(&key.name).finish(), 16)
        }
        class::NODE => (node(key), 24),
        class::FULL => (full(registry, key), 44),
        class::NAME => {
            let path = registry.path(id).ok_or(nt_status::STATUS_KEY_DELETED)?;
            (start.size(2 * path.len()).name(&path).finish(), 4)
        }
        class::CACHED => {
            let sizes = Sizes::of(registry, key);
            let start = start.u64(key.last_write).u32(TITLE_INDEX);
            let start = start.size(sizes.children).size(sizes.child_name);
            let start = start
                .size(sizes.values)
                .size(sizes.value_name)
                .size(sizes.value_data);
            (start.size(2 * key.name.len()).align(8).finish(), 40)
        }
        class::FLAGS => {
            let flags = u32::from(key.kind.volatile) | u32::from(key.kind.link) << 1;
            (start.u32(0).u32(flags).u32(0).finish(), 12)
        }
        // Neither virtualised nor tagged: that is for programs of 32 bits.
        class::VIRTUALIZATION | class::HANDLE_TAGS => (start.u32(0).finish(), 4),
        _ => return Err(nt_status::STATUS_INVALID_PARAMETER),
    })
}

/// `KEY_NODE_INFORMATION`.
fn node(key: &Key) -> Vec<u8> {
    const NAME_OFFSET: usize = 24;
    let class = &key.kind.class;
    let start = Information::default().u64(key.last_write).u32(TITLE_INDEX);
    let offset = (NAME_OFFSET + 2 * key.name.len()).next_multiple_of(4);
    let start = if class.is_empty() {
        start.u32(NO_CLASS)
    } else {
        start.size(offset)
    };
    let named = start
        .size(2 * class.len())
        .size(2 * key.name.len())
        .name(&key.name);
    if class.is_empty() {
        named.finish()
    } else {
        named.align(4).name(class).finish()
    }
}

/// `KEY_FULL_INFORMATION`.
fn full(registry: &Registry, key: &Key) -> Vec<u8> {
    const CLASS_OFFSET: usize = 44;
    let class = &key.kind.class;
    let sizes = Sizes::of(registry, key);
    let start = Information::default().u64(key.last_write).u32(TITLE_INDEX);
    let start = if class.is_empty() {
        start.u32(NO_CLASS)
    } else {
        start.size(CLASS_OFFSET)
    };
    let start = start.size(2 * class.len());
    let start = start
        .size(sizes.children)
        .size(sizes.child_name)
        .size(sizes.child_class);
    let start = start
        .size(sizes.values)
        .size(sizes.value_name)
        .size(sizes.value_data);
    start.name(class).finish()
}

/// How many there are in a key, and the most bytes that one has.
struct Sizes {
    children: usize,
    child_name: usize,
    child_class: usize,
    values: usize,
    value_name: usize,
    value_data: usize,
}

impl Sizes {
    fn of(registry: &Registry, key: &Key) -> Self {
        let children: Vec<&Key> = key
            .children()
            .filter_map(|child| registry.key(child).ok())
            .collect();
        let longest = |sizes: &mut dyn Iterator<Item = usize>| sizes.max().unwrap_or(0);
        let values = key.values();
        Self {
            children: children.len(),
            child_name: longest(&mut children.iter().map(|child| 2 * child.name.len())),
            child_class: longest(&mut children.iter().map(|child| 2 * child.kind.class.len())),
            values: values.len(),
            value_name: longest(&mut values.iter().map(|value| 2 * value.name.len())),
            value_data: longest(&mut values.iter().map(|value| value.data.len())),
        }
    }
}

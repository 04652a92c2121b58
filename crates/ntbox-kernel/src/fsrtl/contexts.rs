//! Contexts that filters attach to streams, files and file objects of a file system, in
//! lists, looked up by owner.
//!
//! The contexts are in the drivers' memory, as is the list of a stream, in its
//! `FSRTL_ADVANCED_FCB_HEADER`. The list of a file is a block of pool whose address the
//! file system holds. The lists of file objects are kept here.

use std::collections::BTreeMap;

use nt_layout::{FsrtlAdvancedFcbHeader, FsrtlPerStreamContext, ListEntry};
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::list_walk::ListWalk;
use crate::ex::pool;
use crate::mm;

type Header = DriverPtr<FsrtlAdvancedFcbHeader>;
type Context = DriverPtr<FsrtlPerStreamContext>;
type List = DriverPtr<ListEntry>;

/// `FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS`.
const SUPPORTS_CONTEXTS: u8 = 0x02;
/// `PagedPool`, and the tag of a file's list.
const PAGED: u32 = 1;
const TAG: u32 = u32::from_le_bytes(*b"FSfc");

/// Contexts by the file object that they belong to, the newest first.
static OF_FILE_OBJECTS: KernelCell<BTreeMap<u64, Vec<u64>>> = KernelCell::new(BTreeMap::new());

/// The owner and instance of a lookup; NULL matches any.
#[derive(Debug, Clone, Copy)]
struct Key {
    owner: u64,
    instance: u64,
}

impl Key {
    fn matches(self, context: Context) -> Result<bool, Fault> {
        // An instance means nothing without its owner.
        Ok(self.owner == 0
            || context.get(|context| &context.owner_id)? == self.owner
                && (self.instance == 0
                    || context.get(|context| &context.instance_id)? == self.instance))
    }
}

/// The list of a stream; `None` if its file system has none.
fn of_stream(header: Header) -> Result<Option<List>, Fault> {
    if header.is_null() || header.get(|header| &header.base.flags2)? & SUPPORTS_CONTEXTS == 0 {
        return Ok(None);
    }
    Ok(Some(header.at(|header| &header.filter_contexts)))
}

/// The list of a file; `None` if its file system has none, or if nothing was inserted.
fn of_file(pointer: DriverPtr<u64>) -> Result<Option<List>, Fault> {
    if pointer.is_null() {
        return Ok(None);
    }
    Ok(Some(List::new(pointer.read()?)).filter(|list| !list.is_null()))
}

fn insert(list: List, context: Context) -> Result<(), Fault> {
    let first = List::new(list.get(|list| &list.flink)?);
    context.set(|context| &context.links.flink, first.address())?;
    context.set(|context| &context.links.blink, list.address())?;
    first.set(|first| &first.blink, context.address())?;
    list.set(|list| &list.flink, context.address())
}

fn find(list: List, key: Key) -> Result<Option<Context>, NoReturn> {
    let mut walk = ListWalk::from(list.address());
    let mut links = List::new(list.get(|list| &list.flink)?);
    while links != list {
        walk.visit(links.address())?;
        if key.matches(links.cast())? {
            return Ok(Some(links.cast()));
        }
        links = List::new(links.get(|links| &links.flink)?);
    }
    Ok(None)
}

fn remove(list: List, key: Key) -> Result<Option<Context>, NoReturn> {
    let found = find(list, key)?;
    if let Some(context) = found {
        let links = context.at(|context| &context.links);
        let next = List::new(links.get(|links| &links.flink)?);
        let previous = List::new(links.get(|links| &links.blink)?);
        previous.set(|previous| &previous.flink, next.address())?;
        next.set(|next| &next.blink, previous.address())?;
        // An empty list, so that the context does not look like a member.
        links.set(|links| &links.flink, links.address())?;
        links.set(|links| &links.blink, links.address())?;
    }
    Ok(found)
}

/// Removes all contexts, and calls their owners' routines, which free them.
fn tear_down(list: List, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let any_owner = Key {
        owner: 0,
        instance: 0,
    };
    while let Some(context) = remove(list, any_owner)? {
        let routine = context.get(|context| &context.free_callback)?;
        if routine != 0 {
            caller.call(routine, &[context.address()]);
        }
    }
    Ok(())
}

/// Drops the list of a deleted file object; the contexts belong to their owners.
pub fn file_object_deleted(object: u64) {
    OF_FILE_OBJECTS.lock().remove(&object);
}

fn find_of_file_object(object: u64, key: Key) -> Result<Option<(usize, u64)>, Fault> {
    let contexts = OF_FILE_OBJECTS
        .lock()
        .get(&object)
        .cloned()
        .unwrap_or_default();
    for (n, at) in contexts.into_iter().enumerate() {
        if key.matches(Context::new(at))? {
            return Ok(Some((n, at)));
        }
    }
    Ok(None)
}

exports! {
    /// `FsRtlInsertPerStreamContext`.
    fn FsRtlInsertPerStreamContext(stream: Header, context: Context) -> u32 [max APC_LEVEL, ntifs] {
        let Some(list) = of_stream(stream)? else { return Ok(nt_status::STATUS_INVALID_DEVICE_REQUEST) };
        insert(list, context)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlLookupPerStreamContextInternal`: or NULL.
    fn FsRtlLookupPerStreamContextInternal(stream: Header, owner: u64, instance: u64) -> u64 [max APC_LEVEL, ntifs] {
        let Some(list) = of_stream(stream)? else { return Ok(0) };
        Ok(find(list, Key { owner, instance })?.map_or(0, DriverPtr::address))
    }

    /// `FsRtlRemovePerStreamContext`: or NULL.
    fn FsRtlRemovePerStreamContext(stream: Header, owner: u64, instance: u64) -> u64 [max APC_LEVEL, ntifs] {
        let Some(list) = of_stream(stream)? else { return Ok(0) };
        Ok(remove(list, Key { owner, instance })?.map_or(0, DriverPtr::address))
    }

    /// `FsRtlTeardownPerStreamContexts`.
    fn FsRtlTeardownPerStreamContexts<call>(stream: Header) -> () [max APC_LEVEL, ntifs] {
        match of_stream(stream)? {
            Some(list) => tear_down(list, &CallContext::of(call)),
            None => Ok(()),
        }
    }

    /// `FsRtlInsertPerFileContext`: the first makes the list.
    fn FsRtlInsertPerFileContext<call>(pointer: DriverPtr<u64>, context: Context) -> u32 [max APC_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        /// Bytes of a list and the mutex beside it.
        const SIZE: u64 = 0x48;
        if pointer.is_null() {
            return Ok(nt_status::STATUS_INVALID_DEVICE_REQUEST);
        }
        let list = if let Some(list) = of_file(pointer)? {
            list
        } else {
            let Ok(list) = pool::allocate_or_raise(PAGED, SIZE, TAG, call.return_address()) else {
                return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
            };
            let list = List::new(list);
            list.set(|list| &list.flink, list.address())?;
            list.set(|list| &list.blink, list.address())?;
            pointer.write(list.address())?;
            list
        };
        insert(list, context)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlLookupPerFileContext`: or NULL.
    fn FsRtlLookupPerFileContext(pointer: DriverPtr<u64>, owner: u64, instance: u64) -> u64 [max APC_LEVEL, ntifs] {
        let Some(list) = of_file(pointer)? else { return Ok(0) };
        Ok(find(list, Key { owner, instance })?.map_or(0, DriverPtr::address))
    }

    /// `FsRtlRemovePerFileContext`: or NULL.
    fn FsRtlRemovePerFileContext(pointer: DriverPtr<u64>, owner: u64, instance: u64) -> u64 [max APC_LEVEL, ntifs] {
        let Some(list) = of_file(pointer)? else { return Ok(0) };
        Ok(remove(list, Key { owner, instance })?.map_or(0, DriverPtr::address))
    }

    /// `FsRtlTeardownPerFileContexts`: the list goes, too.
    fn FsRtlTeardownPerFileContexts<call>(pointer: DriverPtr<u64>) -> () [max APC_LEVEL, ntifs] {
        let Some(list) = of_file(pointer)? else { return Ok(()) };
        tear_down(list, &CallContext::of(call))?;
        mm::pool::free_by(list.address(), call.return_address());
        Ok(pointer.write(0)?)
    }

    /// `FsRtlInsertPerFileObjectContext`.
    fn FsRtlInsertPerFileObjectContext(object: u64, at: u64) -> u32 [max APC_LEVEL, ntifs] {
        if object == 0 {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        OF_FILE_OBJECTS.lock().entry(object).or_default().insert(0, at);
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlLookupPerFileObjectContext`: or NULL.
    fn FsRtlLookupPerFileObjectContext(object: u64, owner: u64, instance: u64) -> u64 [max APC_LEVEL, ntifs] {
        Ok(find_of_file_object(object, Key { owner, instance })?.map_or(0, |(_, at)| at))
    }

    /// `FsRtlRemovePerFileObjectContext`: or NULL.
    fn FsRtlRemovePerFileObjectContext(object: u64, owner: u64, instance: u64) -> u64 [max APC_LEVEL, ntifs] {
        let Some((n, at)) = find_of_file_object(object, Key { owner, instance })? else { return Ok(0) };
        if let Some(contexts) = OF_FILE_OBJECTS.lock().get_mut(&object) {
            contexts.remove(n);
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::driver_mem;

    use super::*;
    use crate::test_support::{address_mut, processor, status, value};

    /// A context of an owner, with an instance, and no routine.
    fn context(owner: u64, instance: u64) -> [u64; 5] {
        [0, 0, owner, instance, 0]
    }

    #[test]
    fn stream_context_lookup_by_owner_and_instance() {
        processor();
        let mut stream = [0_u64; 12];
        let mut contexts = [context(1, 1), context(1, 2), context(2, 1)];
        let at = address_mut(&mut stream);
        let list = Header::new(at)
            .at(|header| &header.filter_contexts)
            .address();
        let [one, two, three] = contexts.each_mut().map(address_mut);
        let refused = nt_status::STATUS_INVALID_DEVICE_REQUEST;
        assert_eq!(status(FsRtlInsertPerStreamContext, &[at, one]), refused);
        assert_eq!(value(FsRtlRemovePerStreamContext, &[at, 0, 0]), 0);
        Header::new(at)
            .set(|header| &header.base.flags2, SUPPORTS_CONTEXTS)
            .unwrap();
        driver_mem::write_u64(list, list).unwrap();
        driver_mem::write_u64(list + 8, list).unwrap();
        for context in [one, two, three] {
            assert_eq!(status(FsRtlInsertPerStreamContext, &[at, context]), 0);
        }
        let find =
            |owner, instance| value(FsRtlLookupPerStreamContextInternal, &[at, owner, instance]);
        assert_eq!(
            (find(0, 0), find(1, 0), find(1, 1), find(2, 2)),
            (three, two, one, 0)
        );
        assert_eq!(value(FsRtlRemovePerStreamContext, &[at, 1, 0]), two);
        assert_eq!((find(1, 0), find(1, 2)), (one, 0));
        value(FsRtlTeardownPerStreamContexts, &[at]);
        assert_eq!((find(0, 0), driver_mem::read_u64(list)), (0, Ok(list)));
    }

    #[test]
    fn file_context_first_insert_allocates_list() {
        processor();
        let (mut list, mut one) = (0_u64, context(1, 1));
        let (pointer, one) = (address_mut(&mut list), address_mut(&mut one));
        let refused = nt_status::STATUS_INVALID_DEVICE_REQUEST;
        assert_eq!(status(FsRtlInsertPerFileContext, &[0, one]), refused);
        assert_eq!(value(FsRtlLookupPerFileContext, &[pointer, 0, 0]), 0);
        assert_eq!(status(FsRtlInsertPerFileContext, &[pointer, one]), 0);
        assert_eq!(value(FsRtlLookupPerFileContext, &[pointer, 1, 1]), one);
        assert_eq!(value(FsRtlRemovePerFileContext, &[pointer, 1, 2]), 0);
        assert_eq!(value(FsRtlRemovePerFileContext, &[pointer, 1, 1]), one);
        let block = driver_mem::read_u64(pointer).unwrap();
        value(FsRtlTeardownPerFileContexts, &[pointer]);
        assert_eq!(driver_mem::read_u64(pointer), Ok(0));
        assert!(mm::with(|memory| memory.pools.block(block).is_none()));
    }

    #[test]
    fn file_object_contexts_are_removed_at_delete() {
        processor();
        let (mut one, mut two) = (context(1, 0), context(2, 0));
        let (one, two) = (address_mut(&mut one), address_mut(&mut two));
        let object = 0x4321_0000;
        let none = nt_status::STATUS_INVALID_PARAMETER;
        assert_eq!(status(FsRtlInsertPerFileObjectContext, &[0, one]), none);
        for context in [one, two] {
            assert_eq!(
                status(FsRtlInsertPerFileObjectContext, &[object, context]),
                0
            );
        }
        let find = |owner| value(FsRtlLookupPerFileObjectContext, &[object, owner, 0]);
        assert_eq!((find(0), find(1), find(3)), (two, one, 0));
        assert_eq!(value(FsRtlRemovePerFileObjectContext, &[object, 2, 0]), two);
        assert_eq!((find(0), find(2)), (one, 0));
        file_object_deleted(object);
        assert_eq!(find(0), 0);
    }
}

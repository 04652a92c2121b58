//! `ZwNotifyChangeKey`: who wants to hear when a key changes, and is told once, by a
//! status block, an event and, in the kernel, a work item.
//!
//! The registry writes changes down as they are made; they are told when nobody works
//! on it any more.

use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use super::hive::Change;
use super::nt_key;
use super::nt_key::OpenKey;
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::key_id::KeyId;
use crate::ex::worker::QueuedWork;
use crate::ex::{nt_event, work_item};
use crate::ke::{object, wait};
use crate::ob;
use crate::ob::Type;

/// `REG_NOTIFY_CHANGE_…`.
pub mod filter {
    /// `REG_NOTIFY_CHANGE_NAME`: a subkey came or went.
    pub const NAME: u32 = 1;
    /// `REG_NOTIFY_CHANGE_ATTRIBUTES`.
    pub const ATTRIBUTES: u32 = 2;
    /// `REG_NOTIFY_CHANGE_LAST_SET`: a value came, went or changed.
    pub const LAST_SET: u32 = 4;
    /// `REG_NOTIFY_CHANGE_SECURITY`.
    pub const SECURITY: u32 = 8;
    /// All of them, and `REG_NOTIFY_THREAD_AGNOSTIC`.
    pub const LEGAL: u32 = 0x1000_000f;
}

/// `EVENT_MODIFY_STATE`.
const MODIFY_STATE: u32 = 2;
/// Offsets in a `WORK_QUEUE_ITEM`.
const ROUTINE: u64 = 0x10;
const PARAMETER: u64 = 0x18;

/// A pending notification of a key.
#[derive(Debug, Clone, Copy)]
struct KeyWatch {
    /// The key object, and its key.
    object: u64,
    key: KeyId,
    filter: u32,
    tree: bool,
    /// An event object, referenced; 0 for none.
    event: u64,
    /// Address of the status block.
    block: u64,
    /// A work item, 0 for none, and its queue.
    item: u64,
    queue: u32,
    /// The call, in the driver.
    caller: u64,
}

static WATCHES: KernelCell<Vec<KeyWatch>> = KernelCell::new(Vec::new());
/// Whether there is one, for every change of the registry asks.
static ANY: AtomicBool = AtomicBool::new(false);

/// Whether anybody wants to hear.
pub fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Works on the list of those who do.
fn with<T>(work: impl FnOnce(&mut Vec<KeyWatch>) -> T) -> T {
    let mut watches = WATCHES.lock();
    let done = work(&mut watches);
    ANY.store(!watches.is_empty(), Ordering::Relaxed);
    done
}

impl KeyWatch {
    fn concerns(&self, change: &Change) -> bool {
        let at = if self.tree {
            change.path.contains(&self.key)
        } else {
            change.path.first() == Some(&self.key)
        };
        at && self.filter & change.kind != 0
    }

    /// Tells of the end, which it is in any case.
    fn complete(self, status: u32) -> Result<(), NoReturn> {
        let write = || -> Result<(), Fault> {
            driver_mem::write_u32(self.block, status)?;
            driver_mem::write_u64(self.block.wrapping_add(8), 0)?;
            if self.event != 0 {
                object::set_state(self.event, 1)?;
                wait::signal(self.event)?;
            }
            Ok(())
        };
        write()?;
        if self.event != 0 {
            ob::dereference(self.event, &CallContext::kernel(0));
        }
        if self.item == 0 {
            return Ok(());
        }
        let job = QueuedWork {
            item: self.item,
            routine: driver_mem::read_u64(self.item.wrapping_add(ROUTINE))?,
            arguments: [
                driver_mem::read_u64(self.item.wrapping_add(PARAMETER))?,
                0,
                0,
            ],
            object: 0,
            caller: self.caller,
        };
        work_item::enqueue(job, self.queue, "ZwNotifyChangeKey")
    }
}

/// Ends those that this is about.
fn end(about: impl Fn(&KeyWatch) -> bool, status: u32) {
    if !any() {
        return;
    }
    let ended: Vec<KeyWatch> =
        with(|watches| watches.extract_if(.., |watch| about(watch)).collect());
    for watch in ended {
        if let Err(stop) = watch.complete(status) {
            CallContext::kernel(0).end(stop);
        }
    }
}

/// Tells of changes.
pub fn tell(changes: &[Change]) {
    let about = |watch: &KeyWatch| changes.iter().any(|change| watch.concerns(change));
    end(about, nt_status::STATUS_NOTIFY_ENUM_DIR);
}

/// A key object is gone, and with it whoever wanted to hear by it.
pub fn object_ends(object: u64) {
    end(
        |watch| watch.object == object,
        nt_status::STATUS_NOTIFY_CLEANUP,
    );
}

/// A request to be notified.
struct NotifyRequest {
    key: u64,
    event: u64,
    block: u64,
    filter: u32,
    tree: bool,
    item: u64,
    queue: u32,
    asynchronous: bool,
}

fn notify(wanted: &NotifyRequest, caller: &CallContext<'_>) -> Result<u32, Refusal> {
    if wanted.filter == 0 || wanted.filter & !filter::LEGAL != 0 {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let OpenKey { object, key } = nt_key::opened(wanted.key)?;
    nt_key::check_there(key)?;
    let event = match (wanted.asynchronous, wanted.event) {
        (false, _) => nt_event::new_object()?,
        (true, 0) => 0,
        (true, handle) => {
            let event = ob::by_handle(handle, MODIFY_STATE, Some(Type::Event), false)?.object;
            ob::reference(event);
            object::set_state(event, 0)?;
            event
        }
    };
    // The waiter keeps the event beside whoever sets it.
    if !wanted.asynchronous {
        ob::reference(event);
    }
    let watch = KeyWatch {
        object,
        key,
        filter: wanted.filter,
        tree: wanted.tree,
        event,
        block: wanted.block,
        item: wanted.item,
        queue: wanted.queue,
        caller: caller.address(),
    };
    with(|watches| watches.push(watch));
    if wanted.asynchronous {
        return Ok(nt_status::STATUS_PENDING);
    }
    wait::wait(vec![event], false, wait::Timeout::Forever)?;
    ob::dereference(event, caller);
    Ok(driver_mem::read_u32(wanted.block)?)
}

exports! {
    /// `ZwNotifyChangeKey`: from the kernel, the routine is a work item and its
    /// context the queue. The buffer is reserved.
    fn ZwNotifyChangeKey<call>(
        key: u64, event: u64, item: u64, queue: u64, block: u64, filter: u32, tree: bool, buffer: u64, size: u32,
        asynchronous: bool,
    ) -> u32
        [max PASSIVE_LEVEL, ntifs, partial "deleting the key itself tells nobody before the handle is closed"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let queue = u32::try_from(queue).unwrap_or(u32::MAX);
        let wanted = NotifyRequest { key, event, block, filter, tree, item, queue, asynchronous };
        error::outcome(notify(&wanted, &CallContext::of(call)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cm::nt_key::ZwDeleteKey;
    use crate::cm::nt_set_value::{ZwDeleteValueKey, ZwSetValueKey};
    use crate::cm::tests::helper::*;
    use crate::test_support;
    use crate::test_support::{address_mut, status};

    fn watch(key: u64, filter: u32, tree: bool, block: &mut [u64; 2]) -> u32 {
        *block = [0; 2];
        let arguments = [
            key,
            0,
            0,
            0,
            address_mut(block),
            u64::from(filter),
            u64::from(tree),
            0,
            0,
            1,
        ];
        status(ZwNotifyChangeKey, &arguments)
    }

    fn set(key: u64, name: &str, data: u32) -> u32 {
        let at = test_support::address(&data);
        status(ZwSetValueKey, &[key, Text::new(name).at(), 0, 4, at, 4])
    }

    #[test]
    fn notify_key_completes_once_per_change() {
        let top = open(&Object::new(&seed("notified", &[]))).expect("it was just made");
        let (below, _) = create(&Object::below(top, "Below"), 0).expect("it is new");
        let (mut values, mut names, mut all) = ([0; 2], [0; 2], [0; 2]);
        assert_eq!(
            watch(top, 0, false, &mut values),
            nt_status::STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            watch(top, filter::LAST_SET, false, &mut values),
            nt_status::STATUS_PENDING
        );
        assert_eq!(
            watch(top, filter::NAME, false, &mut names),
            nt_status::STATUS_PENDING
        );
        assert_eq!(
            watch(top, filter::LAST_SET, true, &mut all),
            nt_status::STATUS_PENDING
        );
        assert_eq!(set(below, "Value", 1), 0);
        assert_eq!(
            (values[0], names[0], all[0]),
            (0, 0, u64::from(nt_status::STATUS_NOTIFY_ENUM_DIR))
        );
        assert_eq!(set(top, "Value", 1), 0);
        assert_eq!(
            (values[0], names[0]),
            (u64::from(nt_status::STATUS_NOTIFY_ENUM_DIR), 0)
        );
        assert_eq!(status(ZwDeleteKey, &[below]), 0);
        assert_eq!(names[0], u64::from(nt_status::STATUS_NOTIFY_ENUM_DIR));
        close(below);
        // The same data is no change, and nobody hears twice.
        values[0] = 7;
        assert_eq!(set(top, "Value", 2), 0);
        assert_eq!(values[0], 7);
        assert_eq!(
            watch(top, filter::LAST_SET, false, &mut values),
            nt_status::STATUS_PENDING
        );
        assert_eq!(set(top, "Value", 2), 0);
        assert_eq!(values[0], 0);
        let name = Text::new("Value");
        assert_eq!(status(ZwDeleteValueKey, &[top, name.at()]), 0);
        assert_eq!(values[0], u64::from(nt_status::STATUS_NOTIFY_ENUM_DIR));
        close(top);
        assert!(!any());
    }

    #[test]
    fn notify_key_completes_with_cleanup_at_close() {
        let top = open(&Object::new(&seed("unnotified", &[]))).expect("it was just made");
        let mut block = [0; 2];
        assert_eq!(
            watch(top, filter::NAME, true, &mut block),
            nt_status::STATUS_PENDING
        );
        close(top);
        assert_eq!(block[0], u64::from(nt_status::STATUS_NOTIFY_CLEANUP));
    }
}

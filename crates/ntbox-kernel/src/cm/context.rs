//! What callbacks remember of key objects, and get back when the object goes away
//! or the callback is unregistered.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use super::callback_buffer::CallbackBuffer;
use super::callback_list;
use super::notify_class::CONTEXT_CLEANUP;
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::ob;
use crate::ob::Type;

/// What one callback remembers of one object.
#[derive(Debug, Clone, Copy)]
struct ObjectContext {
    object: u64,
    cookie: u64,
    context: u64,
}

static KNOWN: KernelCell<Vec<ObjectContext>> = KernelCell::new(Vec::new());

fn with<T>(work: impl FnOnce(&mut Vec<ObjectContext>) -> T) -> T {
    work(&mut KNOWN.lock())
}

/// What a callback remembers of an object; 0 for nothing.
pub fn of(object: u64, cookie: u64) -> u64 {
    with(|all| {
        let mut all = all.iter();
        let found = all.find(|known| known.object == object && known.cookie == cookie);
        found.map_or(0, |known| known.context)
    })
}

/// Changes that, and gives what it was.
fn set(object: u64, cookie: u64, context: u64) -> u64 {
    with(|all| {
        let mut entries = all.iter_mut();
        let found = entries.find(|known| known.object == object && known.cookie == cookie);
        if let Some(known) = found {
            return std::mem::replace(&mut known.context, context);
        }
        all.push(ObjectContext {
            object,
            cookie,
            context,
        });
        0
    })
}

/// Gives back everything that is remembered of an object.
pub fn clean_up_object(object: u64, caller: &CallContext<'_>) {
    clean_up(|known| known.object == object, caller);
}

/// Gives a callback back everything that it remembers.
pub fn clean_up_callback(cookie: u64, caller: &CallContext<'_>) {
    clean_up(|known| known.cookie == cookie, caller);
}

/// Forgets everything, without a word to anybody.
pub fn forget_all() {
    with(Vec::clear);
}

fn clean_up(which: impl Fn(&ObjectContext) -> bool, caller: &CallContext<'_>) {
    while let Some(known) = with(|all| {
        let at = all.iter().position(&which)?;
        Some(all.remove(at))
    }) {
        if known.context == 0 {
            continue;
        }
        let information = Information::default();
        let information = information.u64(known.object).u64(known.context).u64(0);
        if let Ok(shown) = CallbackBuffer::new(&information.finish()) {
            callback_list::invoke(known.cookie, CONTEXT_CLEANUP, shown.at(), caller);
        }
    }
}

exports! {
    /// `CmSetCallbackObjectContext`: the cookie is passed by address; the old
    /// context is optional.
    fn CmSetCallbackObjectContext(object: u64, cookie: u64, context: u64, old: u64) -> u32
        [max APC_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let cookie = driver_mem::read_u64(cookie)?;
        if !callback_list::is_registered(cookie) || !is_key(object) {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let before = set(object, cookie, context);
        if old != 0 {
            driver_mem::write_u64(old, before)?;
        }
        Ok(nt_status::STATUS_SUCCESS)
    }
}

/// Whether an object is a key.
pub fn is_key(object: u64) -> bool {
    ob::inspect(object, |header| header.kind) == Some(Type::Key)
}

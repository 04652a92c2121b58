//! Making, replacing and deleting the values of registry keys.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::callback_buffer::CallbackBuffer;
use super::hive::{LINK_VALUE, REG_LINK, Value};
use super::nt_key::OpenKey;
use super::nt_notify_key::filter;
use super::nt_query_value::{name_at, new_name_at};
use super::{hive, notify_class, nt_key};
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::key_id::KeyId;
use crate::base::utf16::{fold, wide};
use crate::base::{error, events};
use crate::cm;

/// Most bytes that a value has.
const MAX_DATA: u32 = 0x7fff_ffff;
/// Bytes of a value that are looked at for memory that nobody wrote.
const MAX_LOOKED_AT: u32 = 0x1_0000;

exports! {
    /// `ZwSetValueKey`. The title index is not used.
    fn ZwSetValueKey<call>(key: u64, name: u64, title_index: u32, kind: u32, data: u64, size: u32) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(set(key, name, title_index, &Data { kind, at: data, size }, &CallContext::of(call)))
    }

    /// `ZwDeleteValueKey`.
    fn ZwDeleteValueKey<call>(key: u64, name: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let delete = || -> Result<(), Refusal> {
            nt_key::opened(key)?;
            delete_named(key, &name_at(name)?, &caller)
        };
        error::status(delete())
    }
}

/// What a value is set to.
#[derive(Debug, Clone, Copy)]
pub struct Data {
    /// `REG_…`.
    pub kind: u32,
    /// Address of the data.
    pub at: u64,
    /// Its bytes.
    pub size: u32,
}

/// Deletes a value of an open key, with all who hear of it.
///
/// # Errors
/// Those of [`nt_key::opened`] and [`remove`], or what callbacks make of them.
pub fn delete_named(handle: u64, name: &[u16], caller: &CallContext<'_>) -> Result<(), Refusal> {
    let OpenKey { object, key } = nt_key::opened(handle)?;
    let shown = CallbackBuffer::name(name)?;
    let fields = Information::default().u64(shown.at());
    cm::on_key(notify_class::DELETE_VALUE, object, fields, caller, || {
        Ok(remove(key, name)?)
    })
}

fn set(
    handle: u64,
    name: u64,
    title_index: u32,
    data: &Data,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    nt_key::opened(handle)?;
    let name = if name == 0 {
        Vec::new()
    } else {
        new_name_at(name)?
    };
    let mut bytes = vec![0; usize::try_from(data.size.min(MAX_LOOKED_AT)).unwrap_or(0)];
    if driver_mem::read_bytes(data.at, &mut bytes).is_ok() {
        events::registry_data_stored("ZwSetValueKey", &bytes, caller.address());
    }
    set_named(handle, &name, title_index, data, caller)
}

/// Sets a value of an open key, with all who hear of it.
///
/// # Errors
/// Those of [`nt_key::opened`] and [`store`], or what callbacks make of them.
pub fn set_named(
    handle: u64,
    name: &[u16],
    title_index: u32,
    data: &Data,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let OpenKey { object, key } = nt_key::opened(handle)?;
    let Data {
        kind,
        at: data,
        size,
    } = *data;
    let shown = CallbackBuffer::name(name)?;
    let fields = Information::default().u64(shown.at());
    let fields = fields.u32(title_index).u32(kind).u64(data).u32(size);
    cm::on_key(notify_class::SET_VALUE, object, fields, caller, || {
        store(key, name, kind, data, size)
    })
}

/// Sets a value to data of the driver.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for data past 2 GiB; those of [`replace`].
pub fn store(key: KeyId, name: &[u16], kind: u32, data: u64, size: u32) -> Result<(), Refusal> {
    if size > MAX_DATA {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let mut bytes = vec![0; size as usize];
    driver_mem::read_bytes(data, &mut bytes)?;
    Ok(replace(key, name, kind, bytes)?)
}

/// Makes or replaces a value.
///
/// # Errors
/// `STATUS_KEY_DELETED`; `STATUS_ACCESS_DENIED` for a link, which has no value but
/// its target.
pub fn replace(key: KeyId, name: &[u16], kind: u32, data: Vec<u8>) -> Result<(), u32> {
    hive::with(|registry| {
        let id = key;
        let key = registry.key_mut(id)?;
        if key.kind.link && (kind != REG_LINK || fold(name) != fold(&wide(LINK_VALUE))) {
            return Err(nt_status::STATUS_ACCESS_DENIED);
        }
        let same = |old: &Value| old.kind == kind && old.data == data;
        let changes = !key.value(name).is_some_and(same);
        key.set_value(name, kind, data);
        if changes {
            registry.changed(id, filter::LAST_SET);
        }
        Ok(())
    })
}

/// Deletes a value.
///
/// # Errors
/// `STATUS_KEY_DELETED`, `STATUS_OBJECT_NAME_NOT_FOUND`.
pub fn remove(key: KeyId, name: &[u16]) -> Result<(), u32> {
    hive::with(|registry| {
        let deleted = registry.key_mut(key)?.delete_value(name);
        if deleted {
            registry.changed(key, filter::LAST_SET);
            Ok(())
        } else {
            Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
        }
    })
}

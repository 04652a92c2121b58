//! The procedures of key objects, with registry callbacks around what is done to them.

use super::callback_buffer::CallbackBuffer;
use super::callout::{key_ends, on_key};
use super::{callback_list, hive, notify_class, nt_key};
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::info_buffer::Information;
use crate::ob::types::{ObjectFilter, OutputBuffer, Work};
use crate::ob::{ObjectTypeProcedures, Payload};

/// The procedures of key objects.
pub const OBJECT_TYPE: ObjectTypeProcedures = ObjectTypeProcedures {
    query_name: Some(nt_key::path),
    close: None,
    delete: Some(key_ends),
    security_changed: Some(nt_key::security_changed),
    describe: Some(describe),
    filter: Some(&RegistryCallbacks),
};

fn describe(payload: &Payload) -> Option<String> {
    match payload {
        Payload::Key(key) => Some(format!("key {}", hive::path_text(*key))),
        _ => None,
    }
}

/// The registry callbacks.
#[derive(Debug)]
struct RegistryCallbacks;

impl ObjectFilter for RegistryCallbacks {
    fn is_active(&self) -> bool {
        callback_list::any()
    }

    fn query_name(
        &self,
        object: u64,
        buffer: &OutputBuffer,
        caller: &CallContext<'_>,
        query: Work<'_>,
    ) -> Result<(), Refusal> {
        let fields = Information::default()
            .u64(buffer.address)
            .u32(buffer.length)
            .align(8)
            .u64(buffer.return_length);
        on_key(notify_class::QUERY_NAME, object, fields, caller, query)
    }

    fn query_security(
        &self,
        object: u64,
        parts: u32,
        buffer: &OutputBuffer,
        caller: &CallContext<'_>,
        query: Work<'_>,
    ) -> Result<(), Refusal> {
        let shown = Information::default().u32(parts).u32(buffer.length);
        let shown = CallbackBuffer::new(&shown.finish())?;
        let fields = Information::default()
            .u64(shown.at())
            .u64(buffer.address)
            .u64(shown.at() + 4);
        on_key(notify_class::QUERY_SECURITY, object, fields, caller, query)
    }

    fn set_security(
        &self,
        object: u64,
        parts: u32,
        descriptor: u64,
        caller: &CallContext<'_>,
        set: Work<'_>,
    ) -> Result<(), Refusal> {
        let shown = CallbackBuffer::new(&parts.to_le_bytes())?;
        let fields = Information::default().u64(shown.at()).u64(descriptor);
        on_key(notify_class::SET_SECURITY, object, fields, caller, set)
    }
}

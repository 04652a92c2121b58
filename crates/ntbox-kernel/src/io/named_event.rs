//! Events with a name, which drivers share.

use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::{driver_mem, gate};

use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::ke::object;
use crate::ke::object::Kind;
use crate::ob;
use crate::ob::{Attributes, Payload, Type};

/// `OBJ_OPENIF | OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE`.
const FLAGS: u32 = 0x2c0;
/// `EVENT_ALL_ACCESS`.
const ALL_ACCESS: u32 = 0x1f_0003;
/// Bytes of a KEVENT.
const SIZE: u64 = 0x18;

/// Makes an event, signaled, or opens the one that there is; gives its address. An
/// event without a name is always a new one.
fn create(name: u64, handle: u64, kind: Kind, caller: &CallContext<'_>) -> Result<u64, Refusal> {
    let name = match name {
        0 => None,
        name => Some(UnicodeString::read(name)?.units()?),
    };
    let event = ob::create(Type::Event, SIZE, Payload::None)?;
    object::initialize(event, kind, SIZE, 1)?;
    let attributes = Attributes {
        root: 0,
        name,
        flags: FLAGS,
        descriptor: 0,
        quality: 0,
    };
    let opened = ob::insert_and_open(event, &attributes, ALL_ACCESS, caller)?;
    driver_mem::write_u64(handle, opened.handle)?;
    Ok(opened.object)
}

/// The event, or NULL if there is none.
fn or_null(result: Result<u64, Refusal>) -> gate::ExportResult {
    match result {
        Ok(event) => Ok(event),
        Err(Refusal::Status(_)) => Ok(0),
        Err(Refusal::Stop(stop)) => Err(stop),
    }
}

exports! {
    /// `IoCreateSynchronizationEvent`: NULL on failure.
    fn IoCreateSynchronizationEvent<call>(name: u64, handle: u64) -> u64 [max PASSIVE_LEVEL, wdm] fails 0 {
        or_null(create(name, handle, Kind::SynchronizationEvent, &CallContext::of(call)))
    }

    /// `IoCreateNotificationEvent`: NULL on failure.
    fn IoCreateNotificationEvent<call>(name: u64, handle: u64) -> u64 [max PASSIVE_LEVEL, wdm] fails 0 {
        or_null(create(name, handle, Kind::NotificationEvent, &CallContext::of(call)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ob::handles;
    use crate::test_support::{address_mut, value};

    #[test]
    fn create_event_without_name_is_new() {
        let (mut first, mut second) = (0_u64, 0_u64);
        let event = value(IoCreateNotificationEvent, &[0, address_mut(&mut first)]);
        let other = value(IoCreateNotificationEvent, &[0, address_mut(&mut second)]);
        assert!(event != 0 && other != 0 && event != other && first != second);
        assert_eq!(object::state(event), Ok(1));
        for handle in [first, second] {
            assert_eq!(handles::close_for(handle, &CallContext::kernel(0)), 0);
        }
    }
}

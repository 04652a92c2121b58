//! Symbolic links of the namespace.

use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::{driver_mem, memory_map};

use super::{Attributes, Payload, Type};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::ob;

/// Bytes of a symbolic link's body, which is nobody's business.
const BODY_SIZE: u64 = 0x28;

exports! {
    /// `ZwCreateSymbolicLinkObject`: whether the target is there does not matter.
    fn ZwCreateSymbolicLinkObject<call>(handle: u64, access: u32, attributes: u64, target: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::outcome(create(handle, access, attributes, target, &CallContext::of(call)))
    }

    /// `ZwOpenSymbolicLinkObject`: a failure makes the handle NULL.
    fn ZwOpenSymbolicLinkObject<call>(handle: u64, access: u32, attributes: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let open = || -> Result<u64, Refusal> {
            let attributes = Attributes::require(attributes)?;
            Ok(ob::open_by_name(&attributes, Type::SymbolicLink, access, &CallContext::of(call))?)
        };
        let (status, opened) = match open() {
            Ok(opened) => (nt_status::STATUS_SUCCESS, opened),
            Err(Refusal::Status(status)) => (status, 0),
            Err(Refusal::Stop(stop)) => return Err(stop),
        };
        driver_mem::write_u64(handle, opened)?;
        Ok(status)
    }

    /// `ZwQuerySymbolicLinkObject`.
    fn ZwQuerySymbolicLinkObject(handle: u64, target: u64, returned_length: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query(handle, target, returned_length))
    }
}

fn create(
    handle: u64,
    access: u32,
    attributes: u64,
    target: u64,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    let attributes = Attributes::read(attributes)?;
    let target = UnicodeString::read(target)?;
    let UnicodeString {
        length,
        maximum_length,
        ..
    } = target;
    if length % 2 != 0 || maximum_length == 0 || maximum_length < length {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    // A text that is not there is the caller's mistake in kernel mode too, which
    // gets a status for it; a bad system address stops, as everywhere.
    let text = target.units().map_err(|fault| match fault.address {
        va if memory_map::is_system(va) => Refusal::from(fault),
        _ => nt_status::STATUS_ACCESS_VIOLATION.into(),
    })?;
    let payload = Payload::SymbolicLink {
        target: text,
        capacity: maximum_length,
    };
    let link = ob::create(Type::SymbolicLink, BODY_SIZE, payload)?;
    let opened = ob::insert_and_open(link, &attributes, access, caller)?;
    driver_mem::write_u64(handle, opened.handle)?;
    Ok(opened.status)
}

/// With a place for the length, the target is given with all of the buffer that
/// the link was made with, which ends in a NUL as a rule, and the length counts
/// that; without one, without.
fn query(handle: u64, to: u64, returned_length: u64) -> Result<(), Refusal> {
    let link = ob::by_handle(handle, 0, Some(Type::SymbolicLink), false)?.object;
    let target = ob::inspect(link, |header| match &header.payload {
        Payload::SymbolicLink { target, capacity } => (target.clone(), *capacity),
        _ => (Vec::new(), 0),
    });
    let (target, capacity) = target.ok_or(nt_status::STATUS_INVALID_HANDLE)?;
    let mut string = UnicodeString::read(to)?;
    let mut bytes: Vec<u8> = target.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let length = bytes.len();
    if returned_length != 0 {
        bytes.resize(usize::from(capacity), 0);
        driver_mem::write_u32(
            returned_length,
            u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        )?;
    }
    if bytes.len() > usize::from(string.maximum_length) {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    driver_mem::write_bytes(string.buffer, &bytes)?;
    string.length = u16::try_from(length).unwrap_or(u16::MAX);
    Ok(string.write(to)?)
}

//! Tokens by handles: opened of processes and threads, asked, and copied.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::{impersonation, token, token_information};
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::processor_mode::Mode;
use crate::ob;
use crate::ob::{Attributes, Type};

/// `PROCESS_QUERY_INFORMATION` and `THREAD_QUERY_INFORMATION`.
const PROCESS_QUERY: u32 = 0x400;
const THREAD_QUERY: u32 = 0x40;
/// `TOKEN_DUPLICATE`, `TOKEN_QUERY` and `TOKEN_QUERY_SOURCE`.
const DUPLICATE: u32 = 0x2;
const QUERY: u32 = 0x8;
const QUERY_SOURCE: u32 = 0x10;
/// `TokenSource` and `TokenSessionId`.
const SOURCE_CLASS: u32 = 7;
const SESSION_CLASS: u32 = 12;
/// `SecurityAnonymous` and `SecurityImpersonation`.
const ANONYMOUS: u32 = 0;

/// A handle to a token, told to the one who asks.
fn give(
    object: u64,
    access: u32,
    flags: u32,
    handle: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    mode.probe(handle, 8, 8)?;
    let access = Type::Token.grant(access);
    let value = ob::open_handle(object, Type::Token, access, flags, caller)?;
    Ok(driver_mem::write_u64(handle, value)?)
}

fn open_process(
    process: u64,
    access: u32,
    flags: u32,
    handle: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let entry = ob::by_handle(process, PROCESS_QUERY, Some(Type::Process), mode.is_user())?;
    let object = token::of_process(entry.object).ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    give(object, access, flags, handle, mode, caller)
}

fn open_thread(
    thread: u64,
    access: u32,
    flags: u32,
    handle: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let entry = ob::by_handle(thread, THREAD_QUERY, Some(Type::Thread), mode.is_user())?;
    let client = impersonation::of(entry.object).ok_or(nt_status::STATUS_NO_TOKEN)?;
    if client.level == ANONYMOUS {
        return Err(nt_status::STATUS_CANT_OPEN_ANONYMOUS.into());
    }
    give(client.token, access, flags, handle, mode, caller)
}

/// The address and room of an output.
struct OutputAddress {
    buffer: u64,
    length: u32,
    needed: u64,
}

fn query(handle: u64, class: u32, to: &OutputAddress, mode: Mode) -> Result<(), Refusal> {
    mode.probe(to.buffer, u64::from(to.length), 4)?;
    mode.probe(to.needed, 4, 4)?;
    let right = if class == SOURCE_CLASS {
        QUERY_SOURCE
    } else {
        QUERY
    };
    let entry = ob::by_handle(handle, right, Some(Type::Token), mode.is_user())?;
    let bytes = if class == SESSION_CLASS {
        vec![0; 4]
    } else {
        let token = token::get(entry.object).ok_or(nt_status::STATUS_INVALID_HANDLE)?;
        token_information::answer(&token, entry.object, class, to.buffer)?
    };
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    driver_mem::write_u32(to.needed, size)?;
    if to.length < size {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    Ok(driver_mem::write_bytes(to.buffer, &bytes)?)
}

/// A request to duplicate a token. That it is to have the effective parts alone makes no
/// difference: no token here has a privilege that is disabled, and its groups are
/// enabled or deny.
struct DuplicateRequest {
    access: u32,
    attributes: u64,
    kind: u32,
}

fn duplicate(
    handle: u64,
    copy: &DuplicateRequest,
    to: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    /// `TokenPrimary` and `TokenImpersonation`.
    const PRIMARY: u32 = 1;
    const IMPERSONATION: u32 = 2;
    /// Where a `SECURITY_QUALITY_OF_SERVICE` has its level.
    const LEVEL: u64 = 4;
    let entry = ob::by_handle(handle, DUPLICATE, Some(Type::Token), mode.is_user())?;
    let token = token::get(entry.object).ok_or(nt_status::STATUS_INVALID_HANDLE)?;
    let attributes = match copy.attributes {
        0 => Attributes::named(Vec::new(), 0),
        at => Attributes::read(at)?.with_quality_of(at)?,
    };
    let wanted = match attributes.quality {
        0 => token.level.unwrap_or(ANONYMOUS),
        at => driver_mem::read_u32(at.wrapping_add(LEVEL))?,
    };
    let level = match copy.kind {
        PRIMARY => None,
        IMPERSONATION => Some(wanted),
        _ => return Err(nt_status::STATUS_INVALID_PARAMETER.into()),
    };
    // Nobody can do more in a client's name than the client allowed.
    let too_much = token.level.is_some_and(|own| match level {
        Some(wanted) => wanted > own,
        None => own < impersonation::IMPERSONATION,
    });
    if too_much {
        return Err(nt_status::STATUS_BAD_IMPERSONATION_LEVEL.into());
    }
    let new = token::insert(token::Token { level, ..token });
    let new = new.ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    let access = if copy.access == 0 {
        entry.access
    } else {
        copy.access
    };
    let given = give(new, access, attributes.flags, to, mode, caller);
    ob::dereference(new, caller);
    given
}

exports! {
    /// `ZwOpenProcessToken`.
    fn ZwOpenProcessToken<call>(process: u64, access: u32, handle: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Mode::Kernel.status(open_process(process, access, 0, handle, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtOpenProcessToken`.
    fn NtOpenProcessToken<call>(process: u64, access: u32, handle: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::previous();
        mode.status(open_process(process, access, 0, handle, mode, &CallContext::of(call)))
    }

    /// `ZwOpenProcessTokenEx`: with attributes of the handle.
    fn ZwOpenProcessTokenEx<call>(process: u64, access: u32, flags: u32, handle: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        Mode::Kernel.status(open_process(process, access, flags, handle, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtOpenProcessTokenEx`.
    fn NtOpenProcessTokenEx<call>(process: u64, access: u32, flags: u32, handle: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::previous();
        mode.status(open_process(process, access, flags, handle, mode, &CallContext::of(call)))
    }

    /// `ZwOpenThreadToken`.
    fn ZwOpenThreadToken<call>(thread: u64, access: u32, as_self: bool, handle: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        Mode::Kernel.status(open_thread(thread, access, 0, handle, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtOpenThreadToken`.
    fn NtOpenThreadToken<call>(thread: u64, access: u32, as_self: bool, handle: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::previous();
        mode.status(open_thread(thread, access, 0, handle, mode, &CallContext::of(call)))
    }

    /// `ZwOpenThreadTokenEx`: with attributes of the handle.
    fn ZwOpenThreadTokenEx<call>(thread: u64, access: u32, as_self: bool, flags: u32, handle: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        Mode::Kernel.status(open_thread(thread, access, flags, handle, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtOpenThreadTokenEx`.
    fn NtOpenThreadTokenEx<call>(thread: u64, access: u32, as_self: bool, flags: u32, handle: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let mode = Mode::previous();
        mode.status(open_thread(thread, access, flags, handle, mode, &CallContext::of(call)))
    }

    /// `ZwQueryInformationToken`: the length is told in any case.
    fn ZwQueryInformationToken(token: u64, class: u32, buffer: u64, length: u32, needed: u64) -> u32
        [max PASSIVE_LEVEL, ntifs, partial "classes 1 to 8, 10 and 12"]
    {
        Mode::Kernel.status(query(token, class, &OutputAddress { buffer, length, needed }, Mode::Kernel))
    }

    /// `NtQueryInformationToken`.
    fn NtQueryInformationToken(token: u64, class: u32, buffer: u64, length: u32, needed: u64) -> u32
        [max PASSIVE_LEVEL, ntifs, partial "classes 1 to 8, 10 and 12"]
    {
        let mode = Mode::previous();
        mode.status(query(token, class, &OutputAddress { buffer, length, needed }, mode))
    }

    /// `ZwDuplicateToken`.
    fn ZwDuplicateToken<call>(token: u64, access: u32, attributes: u64, effective: bool, kind: u32, new: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let copy = DuplicateRequest { access, attributes, kind };
        Mode::Kernel.status(duplicate(token, &copy, new, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtDuplicateToken`.
    fn NtDuplicateToken<call>(token: u64, access: u32, attributes: u64, effective: bool, kind: u32, new: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let (mode, copy) = (Mode::previous(), DuplicateRequest { access, attributes, kind });
        mode.status(duplicate(token, &copy, new, mode, &CallContext::of(call)))
    }
}

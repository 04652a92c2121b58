//! Impersonation: a thread that acts in the name of a client is checked by the
//! client's token, as far as the level of impersonation allows.

use std::collections::BTreeMap;

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use super::token;
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::{error, thread_table};
use crate::ob;

/// `SecurityIdentification`: the client may be looked at.
const IDENTIFICATION: u32 = 1;
/// `SecurityImpersonation`: something may be done in its name, on this machine.
pub const IMPERSONATION: u32 = 2;
/// `SecurityDelegation`: on others, too.
const DELEGATION: u32 = 3;
/// `SeImpersonatePrivilege`.
const IMPERSONATE_PRIVILEGE: u32 = 29;

/// Offsets in a `SECURITY_CLIENT_CONTEXT`, which begins with a
/// `SECURITY_QUALITY_OF_SERVICE`.
mod context {
    pub const LEVEL: u64 = 4;
    pub const DYNAMIC: u64 = 8;
    pub const EFFECTIVE_ONLY: u64 = 9;
    pub const QUALITY_SIZE: usize = 0xc;
    pub const TOKEN: u64 = 0x10;
    pub const DIRECT: u64 = 0x18;
    pub const DIRECT_EFFECTIVE_ONLY: u64 = 0x19;
    pub const REMOTE: u64 = 0x1a;
    pub const CONTROL: u64 = 0x1c;
    pub const SIZE: u64 = 0x48;
}

/// Offsets in an `SE_IMPERSONATION_STATE`.
mod state {
    pub const TOKEN: u64 = 0;
    pub const COPY_ON_OPEN: u64 = 8;
    pub const EFFECTIVE_ONLY: u64 = 9;
    pub const LEVEL: u64 = 0xc;
}

/// In whose name a thread acts.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The token, which is referenced.
    pub token: u64,
    /// `SECURITY_IMPERSONATION_LEVEL`.
    pub level: u32,
    copy_on_open: bool,
    effective_only: bool,
}

/// Clients by thread.
static CLIENTS: KernelCell<BTreeMap<u64, Client>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, Client>) -> T) -> T {
    work(&mut CLIENTS.lock())
}

/// The client of a thread, if it impersonates one.
pub fn of(thread: u64) -> Option<Client> {
    with(|clients| clients.get(&thread).copied())
}

/// Whether a thread acts in a client's name.
pub fn is_impersonating(thread: u64) -> bool {
    of(thread).is_some()
}

/// A thread that ends no longer acts in anybody's name.
pub fn thread_ended(thread: u64, caller: &CallContext<'_>) {
    set(thread, None, caller);
}

/// Replaces the client of a thread; the reference to the one before goes.
fn set(thread: u64, client: Option<Client>, caller: &CallContext<'_>) {
    let before = with(|clients| match client {
        Some(client) => clients.insert(thread, client),
        None => clients.remove(&thread),
    });
    if let Some(before) = before {
        ob::dereference(before.token, caller);
    }
}

/// Lets a thread act in a client's name. One that its process may not impersonate
/// can only be looked at, by a copy of its token.
fn impersonate(thread: u64, mut client: Client, caller: &CallContext<'_>) -> Result<(), Refusal> {
    let token = token::get(client.token).ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
    let owner = thread_table::thread(thread)
        .ok_or(nt_status::STATUS_INVALID_PARAMETER)?
        .process;
    let own = token::of_process(owner).and_then(token::get);
    let allowed =
        own.is_some_and(|own| own.has_privilege(IMPERSONATE_PRIVILEGE) || own.user == token.user);
    if client.level > IDENTIFICATION && !allowed {
        client.token =
            token::copy(client.token, IDENTIFICATION).ok_or(nt_status::STATUS_NO_MEMORY)?;
        client.level = IDENTIFICATION;
    } else {
        ob::reference(client.token);
    }
    set(thread, Some(client), caller);
    Ok(())
}

/// Whom a security client context is made of: token and, if that is a client
/// already, its level and whether only what is enabled counts.
struct Source {
    token: u64,
    level: Option<u32>,
    effective_only: bool,
}

/// Fills a security client context.
fn create(source: &Source, quality: u64, remote: bool, to: u64) -> Result<(), Refusal> {
    let wanted = driver_mem::read_u32(quality.wrapping_add(context::LEVEL))?;
    if let Some(level) = source.level {
        let passes_on =
            level >= IMPERSONATION && wanted <= level && (!remote || level == DELEGATION);
        if !passes_on {
            return Err(nt_status::STATUS_BAD_IMPERSONATION_LEVEL.into());
        }
    }
    let mut qualities = [0; context::QUALITY_SIZE];
    driver_mem::read_bytes(quality, &mut qualities)?;
    let dynamic = driver_mem::read_u8(quality.wrapping_add(context::DYNAMIC))? != 0;
    let effective_only = driver_mem::read_u8(quality.wrapping_add(context::EFFECTIVE_ONLY))? != 0;
    let direct = dynamic && !remote;
    let token = if direct {
        ob::reference(source.token);
        source.token
    } else {
        token::copy(source.token, wanted).ok_or(nt_status::STATUS_NO_MEMORY)?
    };
    driver_mem::fill(to, 0, context::SIZE)?;
    driver_mem::write_bytes(to, &qualities)?;
    driver_mem::write_u64(to.wrapping_add(context::TOKEN), token)?;
    driver_mem::write_u8(to.wrapping_add(context::REMOTE), remote.into())?;
    driver_mem::write_u8(to.wrapping_add(context::DIRECT), direct.into())?;
    if direct {
        let only = source.effective_only || effective_only;
        driver_mem::write_u8(to.wrapping_add(context::DIRECT_EFFECTIVE_ONLY), only.into())?;
        let id = token::get(token).map_or(0, |token| token.id);
        // Ids of the token, its logon session and its last change; its source.
        let control = Information::default()
            .u64(id)
            .u64(token::authentication_id(token))
            .u64(id);
        let control = control.bytes(b"*SYSTEM*").u64(0).finish();
        driver_mem::write_bytes(to.wrapping_add(context::CONTROL), &control)?;
    }
    Ok(())
}

/// Lets a thread act in the name of whom a security client context is of.
fn impersonate_context(at: u64, thread: u64, caller: &CallContext<'_>) -> Result<(), Refusal> {
    let direct = driver_mem::read_u8(at.wrapping_add(context::DIRECT))? != 0;
    let only = if direct {
        context::DIRECT_EFFECTIVE_ONLY
    } else {
        context::EFFECTIVE_ONLY
    };
    let client = Client {
        token: driver_mem::read_u64(at.wrapping_add(context::TOKEN))?,
        level: driver_mem::read_u32(at.wrapping_add(context::LEVEL))?,
        copy_on_open: true,
        effective_only: driver_mem::read_u8(at.wrapping_add(only))? != 0,
    };
    let thread = if thread == 0 {
        thread_table::current_thread()
    } else {
        thread
    };
    impersonate(thread, client, caller)
}

/// Writes what a thread does in whose name.
fn write_state(client: Client, copy: u64, effective: u64, level: u64) -> Result<(), Fault> {
    driver_mem::write_u8(copy, client.copy_on_open.into())?;
    driver_mem::write_u8(effective, client.effective_only.into())?;
    driver_mem::write_u32(level, client.level)
}

exports! {
    /// `PsImpersonateClient`: without a token, the thread acts in its own name.
    fn PsImpersonateClient<call>(thread: u64, token: u64, copy: bool, effective: bool, level: u32) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY
    {
        let caller = CallContext::of(call);
        if token == 0 {
            set(thread, None, &caller);
            return Ok(nt_status::STATUS_SUCCESS);
        }
        let client = Client { token, level, copy_on_open: copy, effective_only: effective };
        error::status(impersonate(thread, client, &caller))
    }

    /// `PsRevertToSelf`.
    fn PsRevertToSelf<call>() -> () [max PASSIVE_LEVEL, ntifs] {
        set(thread_table::current_thread(), None, &CallContext::of(call));
        Ok(())
    }

    /// `PsReferenceImpersonationToken`: NULL if the thread acts in its own name.
    fn PsReferenceImpersonationToken<call>(thread: u64, copy: u64, effective: u64, level: u64) -> u64
        [max PASSIVE_LEVEL, ntifs]
    {
        let Some(client) = of(thread) else { return Ok(0) };
        write_state(client, copy, effective, level)?;
        ob::reference_for(client.token, &CallContext::of(call));
        Ok(client.token)
    }

    /// `PsDisableImpersonation`: for a while; tells whether the thread did.
    fn PsDisableImpersonation(thread: u64, to: u64) -> bool [max PASSIVE_LEVEL, undocumented] {
        let client = with(|clients| clients.remove(&thread));
        let shown = client.unwrap_or(Client { token: 0, level: 0, copy_on_open: false, effective_only: false });
        // The reference goes into the state with the token.
        driver_mem::write_u64(to.wrapping_add(state::TOKEN), shown.token)?;
        let field = |offset: u64| to.wrapping_add(offset);
        write_state(shown, field(state::COPY_ON_OPEN), field(state::EFFECTIVE_ONLY), field(state::LEVEL))?;
        Ok(client.is_some())
    }

    /// `PsRestoreImpersonation`: what `PsDisableImpersonation` has stored.
    fn PsRestoreImpersonation<call>(thread: u64, from: u64) -> () [max PASSIVE_LEVEL, undocumented] {
        let token = driver_mem::read_u64(from.wrapping_add(state::TOKEN))?;
        let client = Client {
            token,
            level: driver_mem::read_u32(from.wrapping_add(state::LEVEL))?,
            copy_on_open: driver_mem::read_u8(from.wrapping_add(state::COPY_ON_OPEN))? != 0,
            effective_only: driver_mem::read_u8(from.wrapping_add(state::EFFECTIVE_ONLY))? != 0,
        };
        if token != 0 {
            set(thread, Some(client), &CallContext::of(call));
        }
        Ok(())
    }

    /// `SeCreateClientSecurity`: of a thread, to be deleted by
    /// `SeDeleteClientSecurity`.
    fn SeCreateClientSecurity(thread: u64, quality: u64, remote: bool, to: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let owner = thread_table::thread(thread).map_or(0, |info| info.process);
        let source = match of(thread) {
            Some(client) => Source {
                token: client.token,
                level: Some(client.level),
                effective_only: client.effective_only,
            },
            None => Source { token: token::of_process(owner).unwrap_or(0), level: None, effective_only: false },
        };
        error::status(create(&source, quality, remote, to))
    }

    /// `SeCreateClientSecurityFromSubjectContext`.
    fn SeCreateClientSecurityFromSubjectContext(subject: u64, quality: u64, remote: bool, to: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let source = match token::client_of(subject)? {
            Some((token, level)) => Source { token, level: Some(level), effective_only: false },
            None => Source { token: token::primary_of(subject)?, level: None, effective_only: false },
        };
        error::status(create(&source, quality, remote, to))
    }

    /// `SeImpersonateClientEx`: the current thread, if none is given.
    fn SeImpersonateClientEx<call>(client: u64, thread: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_NO_MEMORY {
        error::status(impersonate_context(client, thread, &CallContext::of(call)))
    }

    /// `SeImpersonateClient`: the same without a status.
    fn SeImpersonateClient<call>(client: u64, thread: u64) -> () [max PASSIVE_LEVEL, ntifs] {
        error::status(impersonate_context(client, thread, &CallContext::of(call)))?;
        Ok(())
    }
}

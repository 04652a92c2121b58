//! Tokens: the user, groups and privileges of a process. A process's token is created
//! at its first use; threads impersonate with copies of tokens.

use std::collections::BTreeMap;

use nt_layout::SecuritySubjectContext;
use ntbox_api::request::Account;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use super::impersonation;
use super::sid::Sid;
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{diag, thread_table};
use crate::ob;
use crate::ob::{ObjectTypeProcedures, Payload, Type};

/// Bytes of a token's body, which is opaque.
const BODY_SIZE: u64 = 0x100;
/// `SE_GROUP_MANDATORY | SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED`.
const ENABLED_GROUP: u32 = 7;
/// `SE_GROUP_OWNER` beside those.
const OWNER_GROUP: u32 = 0xf;
/// `SE_GROUP_ENABLED`.
const GROUP_ENABLED: u32 = 4;
/// `SE_GROUP_USE_FOR_DENY_ONLY`.
const GROUP_DENY_ONLY: u32 = 0x10;
/// `SE_PRIVILEGE_ENABLED_BY_DEFAULT | SE_PRIVILEGE_ENABLED`.
pub const PRIVILEGE_ENABLED: u32 = 3;
/// Number before that of the first token.
const FIRST_ID: u64 = 0xffff;

/// Who somebody is.
#[derive(Debug, Clone)]
pub struct Token {
    /// The user.
    pub user: Sid,
    /// Groups and their attributes.
    pub groups: Vec<(Sid, u32)>,
    /// Numbers of privileges and their attributes.
    pub privileges: Vec<(u32, u32)>,
    /// Owner of what it makes.
    pub owner: Sid,
    /// Whether the user counts only where something is denied.
    pub user_denies_only: bool,
    /// Whether what is checked must be allowed to one of `restricting`, too.
    pub restricted: bool,
    /// The restricting SIDs.
    pub restricting: Vec<Sid>,
    /// Number that tells it from others.
    pub id: u64,
    /// What may be done with it in the name of a client; `None` for the token of a
    /// process.
    pub level: Option<u32>,
}

/// What a process is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    System,
    Administrator,
    User,
}

impl Token {
    fn new(rights: Rights, id: u64) -> Self {
        let everyone = (Sid::world(), ENABLED_GROUP);
        let authenticated = (Sid::nt(&[11]), ENABLED_GROUP);
        let administrators = (Sid::administrators(), OWNER_GROUP);
        // Numbers of privileges: what an administrator has, and what the system
        // has beside that.
        let usual = [
            8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24, 25, 28, 29, 30, 33, 34, 35,
        ];
        let system = [2, 3, 4, 5, 7, 16, 21, 31, 32];
        let (user, groups, privileges) = match rights {
            Rights::System => (
                Sid::local_system(),
                vec![administrators, everyone, authenticated],
                usual.into_iter().chain(system).collect::<Vec<u32>>(),
            ),
            Rights::Administrator => (
                Sid::nt(&[21, 1, 2, 3, 500]),
                vec![
                    (Sid::nt(&[21, 1, 2, 3, 513]), ENABLED_GROUP),
                    everyone,
                    administrators,
                    (Sid::nt(&[32, 545]), ENABLED_GROUP),
                    (Sid::nt(&[4]), ENABLED_GROUP),
                    authenticated,
                ],
                usual.to_vec(),
            ),
            Rights::User => (
                Sid::nt(&[21, 1, 2, 3, 1001]),
                vec![
                    (Sid::nt(&[21, 1, 2, 3, 513]), ENABLED_GROUP),
                    everyone,
                    (Sid::nt(&[32, 545]), ENABLED_GROUP),
                    (Sid::nt(&[4]), ENABLED_GROUP),
                    authenticated,
                ],
                // Shutting down, passing folders, undocking, working set, time zone.
                vec![19, 23, 25, 33, 34],
            ),
        };
        let owner = match rights {
            Rights::User => user.clone(),
            _ => Sid::administrators(),
        };
        Self {
            user,
            groups,
            privileges: privileges
                .into_iter()
                .map(|number| (number, PRIVILEGE_ENABLED))
                .collect(),
            owner,
            user_denies_only: false,
            restricted: false,
            restricting: Vec::new(),
            id,
            level: None,
        }
    }

    /// Whether what is said of a SID is said of this token.
    pub fn is(&self, sid: &Sid, denial: bool) -> bool {
        (self.user == *sid && (denial || !self.user_denies_only))
            || self.groups.iter().any(|(group, attributes)| {
                let counts =
                    attributes & GROUP_ENABLED != 0 || denial && attributes & GROUP_DENY_ONLY != 0;
                counts && group == sid
            })
    }

    /// `TOKEN_TYPE`: 1 for the token of a process, 2 for one to impersonate with.
    pub fn kind(&self) -> u32 {
        if self.level.is_some() { 2 } else { 1 }
    }

    /// Whether it has a privilege that is enabled.
    pub fn has_privilege(&self, number: u32) -> bool {
        const ENABLED: u32 = 2;
        self.privileges
            .iter()
            .any(|(own, attributes)| *own == number && attributes & ENABLED != 0)
    }

    /// Whether it may own what it makes as somebody else.
    pub fn may_own(&self, sid: &Sid) -> bool {
        /// `SE_GROUP_OWNER`.
        const OWNER: u32 = 8;
        let owns = |(group, attributes): &(Sid, u32)| group == sid && attributes & OWNER != 0;
        self.user == *sid || self.groups.iter().any(owns)
    }

    /// Lets a SID count only where something is denied.
    pub fn deny_only(&mut self, sid: &Sid) {
        self.user_denies_only |= self.user == *sid;
        for (_, attributes) in self.groups.iter_mut().filter(|(group, _)| group == sid) {
            *attributes = *attributes & !ENABLED_GROUP | GROUP_DENY_ONLY;
        }
    }

    /// The primary group: the first one, as a rule, and the system's own.
    pub fn primary_group(&self) -> Sid {
        if self.user == Sid::local_system() {
            return Sid::local_system();
        }
        self.groups
            .first()
            .map_or_else(Sid::world, |(group, _)| group.clone())
    }
}

#[derive(Default)]
struct TokenState {
    tokens: BTreeMap<u64, Token>,
    /// The token object of each process.
    of_process: BTreeMap<u64, u64>,
    /// How many there have been.
    made: u64,
}

static STATE: KernelCell<Option<TokenState>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut TokenState) -> T) -> T {
    let mut state = STATE.lock();
    work(state.get_or_insert_default())
}

/// The token object of a process; `None` without memory for it.
pub fn of_process(process: u64) -> Option<u64> {
    if let Some(object) = with(|state| state.of_process.get(&process).copied()) {
        return Some(object);
    }
    let rights = if process == thread_table::system_process() {
        Rights::System
    } else {
        Rights::Administrator
    };
    make(process, rights)
}

/// Says who runs a process that has just been made.
pub fn set_account(process: u64, account: Account) {
    let rights = match account {
        Account::Administrator => Rights::Administrator,
        Account::Ordinary => Rights::User,
    };
    make(process, rights);
}

fn make(process: u64, rights: Rights) -> Option<u64> {
    let object = ob::create(Type::Token, BODY_SIZE, Payload::None).ok()?;
    with(|state| {
        state.made += 1;
        state
            .tokens
            .insert(object, Token::new(rights, FIRST_ID + state.made));
        state.of_process.insert(process, object);
    });
    Some(object)
}

/// Makes a token to impersonate with out of another one; `None` without memory for
/// it, or if there is no such token.
pub fn copy(object: u64, level: u32) -> Option<u64> {
    let level = Some(level);
    insert(Token {
        level,
        ..get(object)?
    })
}

/// Makes a token with a number of its own; `None` without memory for it.
pub fn insert(token: Token) -> Option<u64> {
    let new = ob::create(Type::Token, BODY_SIZE, Payload::None).ok()?;
    with(|state| {
        state.made += 1;
        let id = FIRST_ID + state.made;
        state.tokens.insert(new, Token { id, ..token });
    });
    Some(new)
}

/// The procedures of tokens.
pub const OBJECT_TYPE: ObjectTypeProcedures = ObjectTypeProcedures {
    delete: Some(deleted),
    ..ObjectTypeProcedures::NONE
};

/// Forgets a token whose last reference is gone.
pub fn deleted(object: u64, _: &CallContext<'_>) {
    with(|state| state.tokens.remove(&object));
}

/// The token at an object.
pub fn get(object: u64) -> Option<Token> {
    with(|state| state.tokens.get(&object).cloned())
}

/// The fields of the `SECURITY_SUBJECT_CONTEXT` at an address.
const fn subject_context(context: u64) -> DriverPtr<SecuritySubjectContext> {
    DriverPtr::new(context)
}

/// The client of a subject context, if it has one: token and level.
pub fn client_of(context: u64) -> Result<Option<(u64, u32)>, Fault> {
    let client = subject_context(context).get(|context| &context.client_token)?;
    let level = subject_context(context).get(|context| &context.impersonation_level)?;
    Ok((client != 0).then_some((client, level)))
}

/// The primary token of a subject context.
pub fn primary_of(context: u64) -> Result<u64, Fault> {
    subject_context(context).get(|context| &context.primary_token)
}

/// Who makes something in a subject context, at whatever level: the client, if there
/// is one.
pub fn of_subject(context: u64) -> Result<Option<Token>, Fault> {
    let client = client_of(context)?;
    let token = client.map_or_else(|| primary_of(context), |(token, _)| Ok(token))?;
    Ok(get(token))
}

/// The token that a subject context is checked by: the client's, if there is one.
///
/// # Errors
/// `STATUS_BAD_IMPERSONATION_LEVEL` if nothing may be done in the client's name;
/// `STATUS_ACCESS_DENIED` without a token.
pub fn of_context(context: u64) -> Result<Result<Token, u32>, Fault> {
    let client = client_of(context)?;
    if client.is_some_and(|(_, level)| level < impersonation::IMPERSONATION) {
        return Ok(Err(nt_status::STATUS_BAD_IMPERSONATION_LEVEL));
    }
    let token = client.map_or_else(|| primary_of(context), |(token, _)| Ok(token))?;
    Ok(get(token).ok_or(nt_status::STATUS_ACCESS_DENIED))
}

/// The token that a call is checked by: that of the client whom its thread
/// impersonates, or of its process.
///
/// # Errors
/// As for [`of_context`].
pub fn current() -> Result<Token, u32> {
    let client = impersonation::of(thread_table::current_thread());
    if client.is_some_and(|client| client.level < impersonation::IMPERSONATION) {
        return Err(nt_status::STATUS_BAD_IMPERSONATION_LEVEL);
    }
    let token = client.map_or_else(
        || of_process(thread_table::current_process()),
        |client| Some(client.token),
    );
    token.and_then(get).ok_or(nt_status::STATUS_ACCESS_DENIED)
}

/// Writes a subject context and references its tokens.
pub(super) fn capture(
    thread: u64,
    process: u64,
    context: u64,
    caller: &CallContext<'_>,
) -> Result<(), NoReturn> {
    let token = of_process(process).unwrap_or(0);
    driver_mem::fill(context, 0, DriverPtr::<SecuritySubjectContext>::SIZE)?;
    if let Some(client) = impersonation::of(thread) {
        subject_context(context).set(|context| &context.client_token, client.token)?;
        subject_context(context).set(|context| &context.impersonation_level, client.level)?;
        ob::reference_for(client.token, caller);
    }
    subject_context(context).set(|context| &context.primary_token, token)?;
    let id = thread_table::process(process).map_or(0, |process| process.id);
    subject_context(context).set(|context| &context.process_audit_id, id)?;
    ob::reference_for(token, caller);
    Ok(())
}

/// Dereferences the tokens of a subject context.
///
/// # Errors
/// The context cannot be read.
pub fn release(context: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let token = primary_of(context)?;
    if get(token).is_none() {
        let what =
            format!("the subject context at {context:#018x} released, which is not captured");
        diag::violation(rules::WRONG_OBJECT_TYPE, what, caller.address());
        return Ok(());
    }
    ob::dereference_for(token, caller);
    subject_context(context).set(|context| &context.primary_token, 0)?;
    if let Some((client, _)) = client_of(context)? {
        ob::dereference_for(client, caller);
        subject_context(context).set(|context| &context.client_token, 0)?;
    }
    Ok(())
}

exports! {
    /// `PsReferencePrimaryToken`.
    fn PsReferencePrimaryToken<call>(process: u64) -> u64 [max APC_LEVEL, ntifs] {
        let Some(token) = of_process(process) else { return Ok(0) };
        ob::reference_for(token, &CallContext::of(call));
        Ok(token)
    }

    /// `PsDereferencePrimaryToken`.
    fn PsDereferencePrimaryToken<call>(token: u64) -> () [max APC_LEVEL, ntifs] {
        ob::dereference_for(token, &CallContext::of(call));
        Ok(())
    }

    /// `PsDereferenceImpersonationToken`.
    fn PsDereferenceImpersonationToken<call>(token: u64) -> () [max APC_LEVEL, ntifs] {
        if token != 0 {
            ob::dereference_for(token, &CallContext::of(call));
        }
        Ok(())
    }

    /// `SeCaptureSubjectContext`.
    fn SeCaptureSubjectContext<call>(context: u64) -> () [max PASSIVE_LEVEL, wdm] {
        capture(thread_table::current_thread(), thread_table::current_process(), context, &CallContext::of(call))
    }

    /// `SeCaptureSubjectContextEx`: of another thread and process; without a thread
    /// there is no client.
    fn SeCaptureSubjectContextEx<call>(thread: u64, process: u64, context: u64) -> () [max PASSIVE_LEVEL, ntifs] {
        capture(thread, process, context, &CallContext::of(call))
    }

    /// `SeReleaseSubjectContext`.
    fn SeReleaseSubjectContext<call>(context: u64) -> () [max PASSIVE_LEVEL, wdm] {
        release(context, &CallContext::of(call))
    }

    /// `SeLockSubjectContext`: no token ever changes, so there is nothing to lock.
    fn SeLockSubjectContext(context: u64) -> () [max PASSIVE_LEVEL, wdm] { Ok(()) }

    /// `SeUnlockSubjectContext`.
    fn SeUnlockSubjectContext(context: u64) -> () [max PASSIVE_LEVEL, wdm] { Ok(()) }

    /// `SeTokenIsAdmin`.
    fn SeTokenIsAdmin(token: u64) -> bool [max PASSIVE_LEVEL, ntifs] {
        Ok(get(token).is_some_and(|token| token.is(&Sid::administrators(), false)))
    }

    /// `SeTokenIsRestricted`: whether it has restricting SIDs.
    fn SeTokenIsRestricted(token: u64) -> bool [max PASSIVE_LEVEL, ntifs] {
        Ok(get(token).is_some_and(|token| token.restricted))
    }

    /// `SeTokenIsWriteRestricted`: no token is; `SeFilterToken` makes none.
    fn SeTokenIsWriteRestricted(token: u64) -> bool [max PASSIVE_LEVEL, undocumented] {
        Ok(false)
    }

    /// `SeTokenType`: `TokenPrimary` or `TokenImpersonation`.
    fn SeTokenType(token: u64) -> u32 [max PASSIVE_LEVEL, ntifs] {
        Ok(get(token).map_or(1, |token| token.kind()))
    }

    /// `SeQuerySessionIdToken`.
    fn SeQuerySessionIdToken(token: u64, session: u64) -> u32 [max PASSIVE_LEVEL, ntifs] {
        driver_mem::write_u32(session, 0)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `SeMarkLogonSessionForTerminationNotification`: sessions do not end here.
    fn SeMarkLogonSessionForTerminationNotification(id: u64) -> u32
        [max PASSIVE_LEVEL, ntifs, partial "logon sessions do not end"] {
        let known = SESSIONS.contains(&driver_mem::read_u64(id)?);
        Ok(if known { nt_status::STATUS_SUCCESS } else { nt_status::STATUS_NOT_FOUND })
    }

    /// `SeQueryAuthenticationIdToken`: `SYSTEM_LUID` for the system.
    fn SeQueryAuthenticationIdToken(token: u64, id: u64) -> u32 [max DISPATCH_LEVEL, ntifs] {
        driver_mem::write_u64(id, authentication_id(token))?;
        Ok(nt_status::STATUS_SUCCESS)
    }
}

/// Logon sessions: of the system, of network and local services, of the user.
const SESSIONS: [u64; 4] = [SYSTEM, 0x3e4, 0x3e5, USER];
const SYSTEM: u64 = 0x3e7;
const USER: u64 = 0x1_2345;

/// The logon session of a token: that of the system, or the one of the user.
pub fn authentication_id(token: u64) -> u64 {
    let system = get(token).is_some_and(|token| token.user == Sid::local_system());
    if system { SYSTEM } else { USER }
}

//! An operation on the registry with all who hear of it: before it, from the
//! highest altitude down, and each may refuse it or carry it out itself; after it,
//! those that let it pass, from the lowest up, and each may change its outcome.

use ntbox_host::driver_mem;

use super::callback_buffer::CallbackBuffer;
use super::notify_class::Notice;
use super::{callback_list, context, nt_notify_key};
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::info_buffer::Information;
use crate::cm::{key_id, notify_class};
use crate::ob;

/// Offsets in a `REG_POST_OPERATION_INFORMATION`, and its size.
mod post {
    pub const OBJECT: u64 = 0x00;
    pub const STATUS: u64 = 0x08;
    pub const PRE_INFORMATION: u64 = 0x10;
    pub const RETURN_STATUS: u64 = 0x18;
    pub const CALL_CONTEXT: u64 = 0x20;
    pub const OBJECT_CONTEXT: u64 = 0x28;
    pub const SIZE: usize = 0x38;
}

/// Whether a status is one of success.
pub fn is_success(status: u32) -> bool {
    status.cast_signed() >= 0
}

/// What those who hear of an operation want before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    Go,
    /// One of them has carried it out.
    Done,
    /// It fails with this status.
    Blocked(u32),
}

/// A callback that let the operation pass: its cookie, and its context for the operation.
#[derive(Debug, Clone, Copy)]
struct PreOperation {
    cookie: u64,
    call_context: u64,
}

/// An operation, as callbacks see it.
#[derive(Debug)]
pub struct Operation {
    notice: Notice,
    /// The key that it is about, or that its name is relative to.
    object: u64,
    /// The structure before it: fields, `CallContext`, the object's context, and
    /// what else there is.
    before: CallbackBuffer,
    /// Offset of `CallContext` in it.
    call_context: u64,
    /// The structure after it.
    after: CallbackBuffer,
    passed: Vec<PreOperation>,
}

impl Operation {
    /// An operation on a key, with the fields of its structure that lie before
    /// `CallContext`, and what lies behind the object's context.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(
        notice: Notice,
        object: u64,
        fields: Information,
        rest: &[u8],
    ) -> Result<Self, Refusal> {
        let fields = fields.align(8).finish();
        let call_context = fields.len() as u64;
        Ok(Self {
            notice,
            object,
            before: CallbackBuffer::new(&[fields.as_slice(), &[0; 16], rest].concat())?,
            call_context,
            after: CallbackBuffer::new(&[0; post::SIZE])?,
            passed: Vec::new(),
        })
    }

    /// Address of a field of the structure before the operation.
    pub fn field(&self, offset: u64) -> u64 {
        self.before.at() + offset
    }

    /// Lets those hear of the operation who have to before it.
    ///
    /// # Errors
    /// The structure is gone.
    pub fn before(&mut self, caller: &CallContext<'_>) -> Result<Verdict, Refusal> {
        let at = self.field(self.call_context);
        for callback in callback_list::listening() {
            let cookie = callback.cookie;
            driver_mem::write_u64(at, 0)?;
            driver_mem::write_u64(at + 8, context::of(self.object, cookie))?;
            let class = self.notice.before;
            let Some(status) = callback_list::invoke(cookie, class, self.before.at(), caller)
            else {
                continue;
            };
            if status == nt_status::STATUS_CALLBACK_BYPASS {
                return Ok(Verdict::Done);
            }
            if !is_success(status) {
                return Ok(Verdict::Blocked(status));
            }
            let call_context = driver_mem::read_u64(at)?;
            self.passed.push(PreOperation {
                cookie,
                call_context,
            });
        }
        Ok(Verdict::Go)
    }

    /// Lets those hear of its outcome who let it pass; the status that it has in
    /// the end.
    ///
    /// # Errors
    /// The structure is gone.
    pub fn after(
        &self,
        mut status: u32,
        object: u64,
        caller: &CallContext<'_>,
    ) -> Result<u32, Refusal> {
        let (before, at) = (self.field(self.call_context), self.after.at());
        driver_mem::write_u64(at + post::OBJECT, object)?;
        for &PreOperation {
            cookie,
            call_context,
        } in self.passed.iter().rev()
        {
            driver_mem::write_u32(at + post::STATUS, status)?;
            driver_mem::write_u32(at + post::RETURN_STATUS, status)?;
            driver_mem::write_u64(at + post::PRE_INFORMATION, self.before.at())?;
            let about = driver_mem::read_u64(at + post::OBJECT)?;
            driver_mem::write_u64(at + post::CALL_CONTEXT, call_context)?;
            driver_mem::write_u64(at + post::OBJECT_CONTEXT, context::of(about, cookie))?;
            driver_mem::write_u64(before, call_context)?;
            driver_mem::write_u64(before + 8, context::of(self.object, cookie))?;
            let returned = callback_list::invoke(cookie, self.notice.after, at, caller);
            if returned == Some(nt_status::STATUS_CALLBACK_BYPASS) {
                status = driver_mem::read_u32(at + post::RETURN_STATUS)?;
            }
        }
        Ok(status)
    }
}

/// Does something to an open key, with all who hear of it. `fields` are those of
/// the structure between `Object` and `CallContext`.
///
/// # Errors
/// Those of `work`, or what callbacks make of them.
pub fn on_key(
    notice: Notice,
    object: u64,
    fields: Information,
    caller: &CallContext<'_>,
    work: impl FnOnce() -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if !callback_list::any() {
        return work();
    }
    let fields = Information::default().u64(object).bytes(&fields.finish());
    let mut operation = Operation::new(notice, object, fields, &[0; 8])?;
    // A callback may close the handle meanwhile.
    ob::reference(object);
    let result = carry_out(&mut operation, object, caller, work);
    ob::dereference(object, caller);
    match result? {
        nt_status::STATUS_SUCCESS => Ok(()),
        status => Err(status.into()),
    }
}

fn carry_out(
    operation: &mut Operation,
    object: u64,
    caller: &CallContext<'_>,
    work: impl FnOnce() -> Result<(), Refusal>,
) -> Result<u32, Refusal> {
    let status = match operation.before(caller)? {
        Verdict::Go => match work() {
            Err(Refusal::Status(status)) => status,
            Err(stop) => return Err(stop),
            Ok(()) => nt_status::STATUS_SUCCESS,
        },
        Verdict::Done => nt_status::STATUS_SUCCESS,
        Verdict::Blocked(status) => status,
    };
    operation.after(status, object, caller)
}

/// Lets callbacks hear of the end of a key object, and gives them back what they
/// remember of it. Nobody can refuse it.
pub fn key_ends(object: u64, caller: &CallContext<'_>) {
    key_id::forget(object);
    nt_notify_key::object_ends(object);
    if !callback_list::any() {
        return;
    }
    let fields = Information::default().u64(object);
    let operation = Operation::new(notify_class::CLOSE_KEY, object, fields, &[0; 8]);
    let mut operation = operation.ok();
    if let Some(operation) = &mut operation {
        // What it returns has no effect on what ends in any case.
        let _ = operation.before(caller);
    }
    context::clean_up_object(object, caller);
    if let Some(operation) = operation {
        let _ = operation.after(nt_status::STATUS_SUCCESS, object, caller);
    }
}

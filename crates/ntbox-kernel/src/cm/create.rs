//! Making and opening a key, with all who hear of it: they see the name on its way
//! to the key, may hand over a key object of their own, and may take away or
//! replace the one that came of it.

use ntbox_host::driver_mem;

use super::callback_buffer::CallbackBuffer;
use super::callout::{Operation, Verdict, is_success};
use super::notify_class::Notice;
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::info_buffer::Information;
use crate::ob;
use crate::ob::Type;

/// Offset of `GrantedAccess` in a `REG_CREATE_KEY_INFORMATION`.
const GRANTED_ACCESS: u64 = 0x3c;
/// `KEY_WOW64_64KEY` and `KEY_WOW64_32KEY`.
const WOW64: u32 = 0x300;
/// `OBJ_FORCE_ACCESS_CHECK`.
const FORCE_ACCESS_CHECK: u32 = 0x400;

/// A request to make or open a key, as the caller made it.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Which of the two it is.
    pub notice: Notice,
    /// Rights that are asked for.
    pub access: u32,
    /// `REG_OPTION_…`.
    pub options: u32,
    /// `OBJ_…` attributes.
    pub attributes: u32,
    /// Address of the class; 0 for none.
    pub class: u64,
    /// Address of the security descriptor; 0 for none.
    pub descriptor: u64,
    /// Address of the quality of service; 0 for none.
    pub quality: u64,
}

/// Where the name of a request leads.
#[derive(Debug)]
pub struct Name<'a> {
    /// The name as it was said.
    pub complete: &'a [u16],
    /// The key object that it is followed from.
    pub root: u64,
    /// What is left of it there.
    pub remaining: &'a [u16],
}

/// The result of resolving a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyResolution {
    /// A key object and its `Disposition`.
    Object(ReferencedKey),
    /// The name leads through a link, to this path.
    Elsewhere(Vec<u16>),
}

/// A key object to be opened, with the reference of its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferencedKey {
    /// The object.
    pub object: u64,
    /// Rights that the handle gets.
    pub access: u32,
    /// Whether the key is new.
    pub disposition: u32,
    /// Whether a driver has handed it over.
    pub handed_over: bool,
}

/// The variables that callbacks can write to.
struct OutputCells(CallbackBuffer);

impl OutputCells {
    const RESULT: u64 = 0;
    const DISPOSITION: u64 = 8;

    fn result(&self) -> u64 {
        self.0.at() + Self::RESULT
    }

    fn disposition(&self) -> u64 {
        self.0.at() + Self::DISPOSITION
    }
}

/// Makes or opens a key by `work`, with all who hear of it.
///
/// # Errors
/// Those of `work`, or what callbacks make of them;
/// `STATUS_OBJECT_NAME_NOT_FOUND` if one says that it went well and hands nothing
/// over, `STATUS_OBJECT_TYPE_MISMATCH` for what is no key.
pub fn filtered(
    request: &Request,
    name: &Name<'_>,
    caller: &CallContext<'_>,
    work: impl FnOnce() -> Result<KeyResolution, u32>,
) -> Result<KeyResolution, Refusal> {
    let names = [
        CallbackBuffer::string(name.complete)?,
        CallbackBuffer::string(name.remaining)?,
    ];
    let cells = OutputCells(CallbackBuffer::new(&[0; 16])?);
    let mut operation = describe(request, name, &names, &cells)?;
    let verdict = operation.before(caller)?;
    let (status, found) = match verdict {
        Verdict::Go => match work() {
            Ok(found) => (status_of(&found), Some(found)),
            Err(status) => (status, None),
        },
        Verdict::Done => (nt_status::STATUS_SUCCESS, None),
        Verdict::Blocked(status) => (status, None),
    };
    let own = match &found {
        Some(KeyResolution::Object(made)) => {
            driver_mem::write_u64(cells.result(), made.object)?;
            driver_mem::write_u32(cells.disposition(), made.disposition)?;
            driver_mem::write_u32(operation.field(GRANTED_ACCESS), made.access)?;
            Some(made.object)
        }
        _ => None,
    };
    let shown = if is_success(status) {
        driver_mem::read_u64(cells.result())?
    } else {
        0
    };
    let status = operation.after(status, shown, caller)?;
    let object = driver_mem::read_u64(cells.result())?;
    if !is_success(status) {
        // A callback that refused it afterwards may have left the object.
        if own == Some(object) {
            ob::dereference(object, caller);
        }
        return Err(status.into());
    }
    if let (nt_status::STATUS_REPARSE, Some(found @ KeyResolution::Elsewhere(_))) = (status, found)
    {
        return Ok(found);
    }
    match ob::inspect(object, |header| header.kind) {
        None => Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND.into()),
        Some(Type::Key) => Ok(KeyResolution::Object(ReferencedKey {
            object,
            access: driver_mem::read_u32(operation.field(GRANTED_ACCESS))?,
            disposition: driver_mem::read_u32(cells.disposition())?,
            handed_over: own != Some(object),
        })),
        Some(_) => Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into()),
    }
}

fn status_of(found: &KeyResolution) -> u32 {
    match found {
        KeyResolution::Object(_) => nt_status::STATUS_SUCCESS,
        KeyResolution::Elsewhere(_) => nt_status::STATUS_REPARSE,
    }
}

/// The request as `REG_CREATE_KEY_INFORMATION_V1`.
fn describe(
    request: &Request,
    name: &Name<'_>,
    names: &[CallbackBuffer; 2],
    cells: &OutputCells,
) -> Result<Operation, Refusal> {
    let [complete, remaining] = names;
    let start = Information::default().u64(complete.at()).u64(name.root);
    let start = start.u64(ob::object_of(Type::Key));
    let start = start.u32(request.options).align(8).u64(request.class);
    let start = start.u64(request.descriptor).u64(request.quality);
    // Nothing is granted yet.
    let start = start.u32(request.access).u32(0);
    let fields = start.u64(cells.disposition()).u64(cells.result());
    // No transaction; version 1.
    let rest = Information::default().u64(0).u64(1).u64(remaining.at());
    let rest = rest.u32(request.access & WOW64).u32(request.attributes);
    let user_mode = request.attributes & FORCE_ACCESS_CHECK != 0;
    let rest = rest.u64(user_mode.into()).finish();
    Operation::new(request.notice, name.root, fields, &rest)
}

//! Files: opening a device, and requests on the file.

use nt_layout::{
    AccessState, CreateParameters, DeviceObject, FileObject, IoSecurityContext, IoStackLocation,
    Irp, Kevent,
};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::NoReturn;

use super::irp_completion::CompletionTarget;
use super::transfer::{BufferingMethod, Buffers};
use super::{
    device as devices, file_close, function_access, irp, irp_completion, irp_contract, transfer,
};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout;
use crate::base::io_layout::device::flag;
use crate::base::io_layout::file::flag as file_flag;
use crate::base::io_layout::irp::flag as irp_flag;
use crate::base::io_layout::major;
use crate::base::{diag, events, thread_table};
use crate::ke::object;
use crate::ke::object::Kind;
use crate::mm::pool;
use crate::mm::pool::PoolKind;
use crate::ob::{Payload, Type};
use crate::{io, ob, se};

/// `FILE_READ_DATA`.
const READ_DATA: u32 = 1;
/// `FILE_WRITE_DATA`.
const WRITE_DATA: u32 = 2;

/// `FILE_DEVICE_SECURE_OPEN`.
const SECURE_OPEN: u32 = 0x100;

/// The options that a file is opened with.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    /// Rights, specific ones.
    pub access: u32,
    /// `FILE_SHARE_…`.
    pub share: u16,
    /// Create disposition in the high byte, `FILE_…` options below.
    pub options: u32,
    /// `FILE_ATTRIBUTE_…`.
    pub attributes: u16,
    /// Whether the caller is in user mode.
    pub user: bool,
    /// Size to begin with, for a new file.
    pub allocation_size: u64,
    /// Address and bytes of extended attributes.
    pub ea: (u64, u32),
    /// File object that the name is relative to; 0 for none.
    pub related: u64,
    /// Flags of the stack location, `SL_…`.
    pub flags: u8,
    /// The device of the stack that the request begins at; 0 for the top.
    pub hint: u64,
    /// Extra create parameters: an `ECP_LIST`; 0 for none.
    pub ecp: u64,
}

/// What a request is.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// `IRP_MJ_DEVICE_CONTROL`.
    Control {
        /// The code.
        code: u32,
    },
    /// `IRP_MJ_FILE_SYSTEM_CONTROL`.
    FsControl {
        /// The code.
        code: u32,
    },
    /// `IRP_MJ_READ` at an offset.
    Read {
        /// Byte offset.
        offset: u64,
        /// Key of a byte range that is locked.
        key: u32,
    },
    /// `IRP_MJ_WRITE` at an offset.
    Write {
        /// Byte offset.
        offset: u64,
        /// Key of a byte range that is locked.
        key: u32,
    },
    /// Anything else.
    Other(FileRequest),
}

/// A request by its stack location.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileRequest {
    /// `IRP_MJ_…`.
    pub function: u8,
    /// `IRP_MN_…`.
    pub minor: u8,
    /// `SL_…`.
    pub flags: u8,
    /// The parameters, as four registers.
    pub parameters: [u64; 4],
    /// Where the data is.
    pub data: Data,
}

/// How the data of a [`FileRequest`] moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Data {
    /// There is none.
    #[default]
    None,
    /// To the driver, through a system buffer.
    In,
    /// From the driver, through a system buffer.
    Out,
    /// From the driver, as its device wants it.
    OutByDevice,
}

/// The requestor of an IRP.
#[derive(Debug, Clone, Copy)]
pub struct Requestor {
    /// Whether it is in user mode.
    pub user: bool,
    /// Rights of its handle.
    pub access: u32,
}

/// The result of sending a request: completed or pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendResult {
    /// It has ended.
    Done(irp_completion::CompletedRequest),
    /// It goes on; this is its number.
    Pending(u64),
}

/// Opens what a path leads to on a device; returns the file object with one
/// reference.
pub fn open(
    device: u64,
    rest: &[u16],
    opening: OpenOptions,
    caller: &CallContext<'_>,
) -> Result<Result<(u64, u64), u32>, NoReturn> {
    let device = DriverPtr::<DeviceObject>::new(device);
    let top = match opening.hint {
        0 => devices::related(device.address())?,
        hint => hint,
    };
    if !devices::can_be_opened(device.address())? {
        return Ok(Err(nt_status::STATUS_NO_SUCH_DEVICE));
    }
    let flags = device.get(|device| &device.flags)?;
    if flags & flag::EXCLUSIVE != 0 && device.get(|device| &device.reference_count)? != 0 {
        return Ok(Err(nt_status::STATUS_ACCESS_DENIED));
    }
    // What lies behind the device's own name is for its driver to guard, unless it
    // says that the device's descriptor guards all of it.
    let characteristics = device.get(|device| &device.characteristics)?;
    let guarded = rest.is_empty() || characteristics & SECURE_OPEN != 0;
    if opening.user
        && guarded
        && let Err(status) = se::may_open(
            device.address(),
            opening.access,
            Type::Device.generic_mapping(),
        )
    {
        return Ok(Err(status));
    }
    let Some(object) = new_file(device.address(), rest, opening)? else {
        return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    let volume = device.get(|device| &device.vpb)?;
    DriverPtr::<FileObject>::new(object).set(|file| &file.vpb, volume)?;
    file_close::count_on_volume(DriverPtr::new(volume), true)?;
    devices::count_reference(device.address(), true, caller)?;
    let outcome = create(top, object, opening, caller)?;
    if outcome.status.cast_signed() < 0 {
        // A file that was not opened is not cleaned up or closed, only freed.
        DriverPtr::<FileObject>::new(object).set(|file| &file.device_object, 0)?;
        file_close::count_on_volume(DriverPtr::new(volume), false)?;
        devices::count_reference(device.address(), false, caller)?;
        ob::dereference(object, caller);
        return Ok(Err(outcome.status));
    }
    Ok(Ok((object, outcome.information)))
}

/// Makes a file object for a device.
pub(super) fn new_file(
    device: u64,
    rest: &[u16],
    opening: OpenOptions,
) -> Result<Option<u64>, Fault> {
    let Ok(object) = ob::create(Type::File, DriverPtr::<FileObject>::SIZE, Payload::None) else {
        return Ok(None);
    };
    let file = DriverPtr::<FileObject>::new(object);
    file.set(|file| &file.kind, io_layout::file::TYPE_NUMBER)?;
    file.set(|file| &file.size, DriverPtr::<FileObject>::SIZE_FIELD)?;
    file.set(|file| &file.device_object, device)?;
    file.set(
        |file| &file.read_access,
        u8::from(opening.access & READ_DATA != 0),
    )?;
    file.set(
        |file| &file.write_access,
        u8::from(opening.access & WRITE_DATA != 0),
    )?;
    file.set(|file| &file.flags, flags_for(opening.options))?;
    file.set(|file| &file.related_file_object, opening.related)?;
    for (event, kind) in [
        (file.at(|file| &file.lock), Kind::SynchronizationEvent),
        (file.at(|file| &file.event), Kind::NotificationEvent),
    ] {
        object::initialize(event.address(), kind, DriverPtr::<Kevent>::SIZE, 0)?;
    }
    if !rest.is_empty() {
        let length = u16::try_from(2 * rest.len()).unwrap_or(!1);
        let Some(buffer) = pool::allocate(
            PoolKind::Paged,
            u64::from(length),
            u32::from_le_bytes(*b"IoNm"),
        ) else {
            return Ok(None);
        };
        for (n, unit) in rest.iter().take(usize::from(length) / 2).enumerate() {
            driver_mem::write_u16(buffer + 2 * n as u64, *unit)?;
        }
        UnicodeString {
            length,
            maximum_length: length,
            buffer,
        }
        .write(file.at(|file| &file.file_name).address())?;
    }
    Ok(Some(object))
}

/// The flags of a file object that options of a create stand for.
fn flags_for(options: u32) -> u32 {
    const ALERT: u32 = 0x10;
    let pairs = [
        (ALERT | 0x20, file_flag::SYNCHRONOUS_IO),
        (ALERT, file_flag::ALERTABLE_IO),
        (0x02, file_flag::WRITE_THROUGH),
        (0x04, file_flag::SEQUENTIAL_ONLY),
        (0x08, file_flag::NO_INTERMEDIATE_BUFFERING),
        (0x800, file_flag::RANDOM_ACCESS),
    ];
    pairs.into_iter().fold(0, |flags, (option, flag)| {
        if options & option == 0 {
            flags
        } else {
            flags | flag
        }
    })
}

/// An IRP and its first stack location.
pub(super) type IrpWithLocation = (DriverPtr<Irp>, DriverPtr<IoStackLocation>);

/// Allocates an IRP for a file and fills its first stack location in, without the
/// parameters.
pub(super) fn allocate_irp(
    top: u64,
    object: u64,
    function: u8,
    user: bool,
) -> Result<Option<IrpWithLocation>, Fault> {
    let depth = DriverPtr::<DeviceObject>::new(top).get(|device| &device.stack_size)?;
    let Some(irp) = irp::allocate(depth, irp::IrpOwner::File, 0)? else {
        return Ok(None);
    };
    let irp = DriverPtr::<Irp>::new(irp);
    irp.set(|irp| &irp.requestor_mode, u8::from(user))?;
    irp.set(|irp| &irp.thread, thread_table::current_thread())?;
    irp.set(|irp| &irp.original_file_object, object)?;
    let stack_location = DriverPtr::<IoStackLocation>::new(irp::next_location(irp.address())?);
    stack_location.set(|location| &location.major_function, function)?;
    stack_location.set(|location| &location.file_object, object)?;
    Ok(Some((irp, stack_location)))
}

/// Sends `IRP_MJ_CREATE` and waits for its end.
fn create(
    top: u64,
    object: u64,
    opening: OpenOptions,
    caller: &CallContext<'_>,
) -> Result<irp_completion::CompletedRequest, NoReturn> {
    let Some((irp, stack_location)) = allocate_irp(top, object, major::CREATE, opening.user)?
    else {
        return Ok(refused(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    irp.set(
        |irp| &irp.flags,
        irp_flag::CREATE_OPERATION | irp_flag::SYNCHRONOUS_API,
    )?;
    // IO_SECURITY_CONTEXT with its ACCESS_STATE: one block, freed after the request.
    let Some(context) = pool::allocate(
        PoolKind::NonPaged,
        SECURITY_CONTEXT_SIZE,
        u32::from_le_bytes(*b"IoSc"),
    ) else {
        irp::free(irp.address(), 0)?;
        return Ok(refused(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    let security = DriverPtr::<IoSecurityContext>::new(context);
    let access_state = DriverPtr::<AccessState>::new(context + ACCESS_STATE);
    security.set(|security| &security.access_state, access_state.address())?;
    security.set(|security| &security.desired_access, opening.access)?;
    access_state.set(|state| &state.remaining_desired_access, opening.access)?;
    access_state.set(|state| &state.original_desired_access, opening.access)?;
    let parameters = stack_location.parameters::<CreateParameters>();
    parameters.set(|parameters| &parameters.security_context, context)?;
    parameters.set(|parameters| &parameters.options, opening.options)?;
    stack_location.set(|location| &location.flags, opening.flags)?;
    parameters.set(|parameters| &parameters.file_attributes, opening.attributes)?;
    parameters.set(|parameters| &parameters.share_access, opening.share)?;
    irp.set(|irp| &irp.allocation_size, opening.allocation_size)?;
    let (attributes, length) = opening.ea;
    let mut copy = None;
    if length != 0 {
        copy = pool::allocate(
            PoolKind::NonPaged,
            u64::from(length),
            u32::from_le_bytes(*b"IoEa"),
        );
        let Some(buffer) = copy else {
            pool::free(context);
            irp::free(irp.address(), 0)?;
            return Ok(refused(nt_status::STATUS_INSUFFICIENT_RESOURCES));
        };
        driver_mem::copy(buffer, attributes, u64::from(length))?;
        irp.set(|irp| &irp.system_buffer, buffer)?;
        parameters.set(|parameters| &parameters.ea_length, length)?;
    }
    let travelling = io::ecp::request_begins(irp.address(), opening.ecp)?;
    let outcome = send_and_wait(top, irp.address(), caller);
    io::ecp::request_ends(&travelling, caller)?;
    pool::free(context);
    if let Some(buffer) = copy {
        pool::free(buffer);
    }
    outcome
}

/// Bytes of an `IO_SECURITY_CONTEXT` and the `ACCESS_STATE` behind it.
const SECURITY_CONTEXT_SIZE: u64 = 0x100;
/// Where the `ACCESS_STATE` begins.
const ACCESS_STATE: u64 = 0x20;

fn refused(status: u32) -> irp_completion::CompletedRequest {
    irp_completion::CompletedRequest {
        status,
        information: 0,
        pending_returned: false,
    }
}

/// Sends a request without output and waits for its end.
pub(super) fn send_and_wait(
    top: u64,
    irp: u64,
    caller: &CallContext<'_>,
) -> Result<irp_completion::CompletedRequest, NoReturn> {
    Ok(
        match send(top, irp, 0, CompletionTarget::default(), caller)? {
            SendResult::Done(outcome) => outcome,
            SendResult::Pending(id) => irp_completion::wait_for(id),
        },
    )
}

/// Sends an IRP of a file to the top of its stack, and checks what the driver
/// says of it.
fn send(
    top: u64,
    irp: u64,
    output_length: u32,
    notify: CompletionTarget,
    caller: &CallContext<'_>,
) -> Result<SendResult, NoReturn> {
    let id = irp_completion::begin(irp, output_length, notify)?;
    let stack_location = irp::next_location(irp)?;
    let user = DriverPtr::<Irp>::new(irp).get(|irp| &irp.requestor_mode)? != 0;
    let thread = thread_table::current_thread();
    if user {
        events::user_request_beginning(thread, irp, stack_location)?;
    }
    let dispatched = irp::send(top, irp, caller);
    if user {
        events::user_request_ended(thread);
    }
    let dispatched = dispatched?;
    let returned = dispatched.status;
    match irp_completion::take(id) {
        Some(outcome) if returned == irp::PENDING => Ok(SendResult::Done(outcome)),
        Some(outcome) => Ok(SendResult::Done(outcome.seen_with(returned))),
        None if returned == irp::PENDING => Ok(SendResult::Pending(id)),
        None => {
            if !dispatched.is_reported {
                let what = format!(
                    "the dispatch routine for {} returned {} and neither completed the IRP at {irp:#018x} nor marked it pending",
                    dispatched.request,
                    nt_status::Named(returned)
                );
                diag::violation_of(dispatched.routine, rules::IRP_NOT_COMPLETED, what);
            }
            irp_contract::reported(irp);
            // The caller goes on with what it was told, as on Windows; the IRP
            // may still be completed by somebody.
            Ok(SendResult::Done(refused(returned)))
        }
    }
}

/// Sends a request on an open file. Who is to be told of its end is told also if
/// it ends at once, but for errors that no driver had to wait for; not if it was
/// not sent, which the driver's dispatch routine then does not know of.
pub fn request(
    object: u64,
    operation: Operation,
    buffers: &Buffers,
    sender: Requestor,
    notify: CompletionTarget,
    caller: &CallContext<'_>,
) -> Result<SendResult, NoReturn> {
    let object = DriverPtr::<FileObject>::new(object);
    let user = sender.user;
    let device = object.get(|file| &file.device_object)?;
    let top = devices::related(device)?;
    let function = match operation {
        Operation::Control { .. } => major::DEVICE_CONTROL,
        Operation::FsControl { .. } => major::FILE_SYSTEM_CONTROL,
        Operation::Read { .. } => major::READ,
        Operation::Write { .. } => major::WRITE,
        Operation::Other(other) => other.function,
    };
    let Some((irp, stack_location)) = allocate_irp(top, object.address(), function, user)? else {
        notify.give_back(caller);
        return Ok(SendResult::Done(refused(
            nt_status::STATUS_INSUFFICIENT_RESOURCES,
        )));
    };
    irp.set(|irp| &irp.user_iosb, notify.block)?;
    irp.set(|irp| &irp.user_event, notify.event)?;
    let prepared = match operation {
        Operation::Control { code } | Operation::FsControl { code } => {
            let flags = function_access::granted_flags(sender.access);
            stack_location.set(|location| &location.flags, flags)?;
            transfer::control(irp, stack_location, code, buffers, user)?
        }
        Operation::Read { offset, key } => transfer::transfer(
            irp,
            stack_location,
            false,
            (offset, key),
            buffers.output,
            buffers.output_length,
            buffering_method(top)?,
            user,
        )?,
        Operation::Write { offset, key } => transfer::transfer(
            irp,
            stack_location,
            true,
            (offset, key),
            buffers.input,
            buffers.input_length,
            buffering_method(top)?,
            user,
        )?,
        Operation::Other(other) => transfer::other(
            irp,
            stack_location,
            &other,
            buffers,
            buffering_method(top)?,
            user,
        )?,
    };
    if let Err(status) = prepared {
        transfer::release(irp.address(), 0)?;
        irp::free(irp.address(), 0)?;
        notify.give_back(caller);
        return Ok(SendResult::Done(refused(status)));
    }
    object::set_state(object.at(|file| &file.event).address(), 0)?;
    send(top, irp.address(), buffers.output_length, notify, caller)
}

pub(super) fn buffering_method(top: u64) -> Result<BufferingMethod, Fault> {
    let flags = DriverPtr::<DeviceObject>::new(top).get(|device| &device.flags)?;
    Ok(if flags & flag::BUFFERED_IO != 0 {
        BufferingMethod::Buffered
    } else if flags & flag::DIRECT_IO != 0 {
        BufferingMethod::Direct
    } else {
        BufferingMethod::Neither
    })
}

/// Sends a request to a device itself, without a file, and waits for its end.
pub fn tell_device(device: u64, function: u8, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    if let Some((irp, _)) = allocate_irp(device, 0, function, false)? {
        irp.set(|irp| &irp.flags, irp_flag::SYNCHRONOUS_API)?;
        send_and_wait(device, irp.address(), caller)?;
    }
    Ok(())
}

//! Opening a device or a file by its name: `ZwCreateFile` and its kin.

use nt_layout::{FileObject, IoDriverCreateContext};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::gate::{Call, NoReturn};

use super::file;
use super::file::OpenOptions;
use super::write_status_block;
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::io_layout::file::flag as file_flag;
use crate::base::log;
use crate::base::processor_mode::Mode;
use crate::ob;
use crate::ob::{Attributes, Type};

/// `FILE_OPEN`.
const OPEN: u32 = 1;
/// `FILE_MAXIMUM_DISPOSITION`.
const MAXIMUM_DISPOSITION: u32 = 5;
/// `FILE_SHARE_VALID_FLAGS`.
const VALID_SHARE: u32 = 7;
/// `FILE_VALID_OPTION_FLAGS`.
const VALID_OPTIONS: u32 = 0x00ff_ffff;
/// `FILE_ATTRIBUTE_VALID_FLAGS`.
const VALID_ATTRIBUTES: u32 = 0x7fb7;
/// `SYNCHRONIZE`.
const SYNCHRONIZE: u32 = 0x10_0000;
/// `DELETE`.
const DELETE: u32 = 0x1_0000;
/// `IO_CHECK_CREATE_PARAMETERS`.
const CHECK_PARAMETERS: u32 = 0x200;

/// `IO_OPEN_TARGET_DIRECTORY`.
const OPEN_TARGET_DIRECTORY: u32 = 4;

/// `FILE_…` options of a create that exclude or need others.
mod option {
    pub const DIRECTORY: u32 = 0x1;
    pub const SYNCHRONOUS_ALERT: u32 = 0x10;
    pub const SYNCHRONOUS_NONALERT: u32 = 0x20;
    pub const NON_DIRECTORY: u32 = 0x40;
    pub const DELETE_ON_CLOSE: u32 = 0x1000;
}

/// A request to create or open a file.
struct CreateRequest {
    handle: u64,
    access: u32,
    attributes: u64,
    block: u64,
    allocation_size: u64,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    ea: (u64, u32),
    mode: Mode,
    /// `IO_…` options, of `IoCreateFile` and its kin.
    io_options: u32,
    /// The device that is to be asked; 0 for the top of the stack.
    hint: u64,
    /// An `ECP_LIST`; 0 for none.
    ecp: u64,
}

impl CreateRequest {
    /// The arguments of `ZwCreateFile`.
    fn create(call: &Call<'_>, mode: Mode) -> Result<Self, Refusal> {
        Ok(Self {
            handle: call.argument(0)?,
            access: low(call.argument(1)?),
            attributes: call.argument(2)?,
            block: call.argument(3)?,
            allocation_size: call.argument(4)?,
            file_attributes: low(call.argument(5)?),
            share: low(call.argument(6)?),
            disposition: low(call.argument(7)?),
            options: low(call.argument(8)?),
            ea: (call.argument(9)?, low(call.argument(10)?)),
            mode,
            io_options: 0,
            hint: 0,
            ecp: 0,
        })
    }

    /// The arguments of `ZwOpenFile`.
    fn open(call: &Call<'_>, mode: Mode) -> Result<Self, Refusal> {
        Ok(Self {
            handle: call.argument(0)?,
            access: low(call.argument(1)?),
            attributes: call.argument(2)?,
            block: call.argument(3)?,
            allocation_size: 0,
            file_attributes: 0,
            share: low(call.argument(4)?),
            disposition: OPEN,
            options: low(call.argument(5)?),
            ea: (0, 0),
            mode,
            io_options: 0,
            hint: 0,
            ecp: 0,
        })
    }

    /// Whether the parameters agree with each other, as programs must see to.
    fn is_valid(&self) -> bool {
        let has = |option| self.options & option != 0;
        let synchronous = has(option::SYNCHRONOUS_ALERT) || has(option::SYNCHRONOUS_NONALERT);
        self.file_attributes & !VALID_ATTRIBUTES == 0
            && self.share & !VALID_SHARE == 0
            && self.disposition <= MAXIMUM_DISPOSITION
            && self.options & !VALID_OPTIONS == 0
            && !(synchronous && self.access & SYNCHRONIZE == 0)
            && !(has(option::DELETE_ON_CLOSE) && self.access & DELETE == 0)
            && !(has(option::SYNCHRONOUS_ALERT) && has(option::SYNCHRONOUS_NONALERT))
            && !(has(option::DIRECTORY) && has(option::NON_DIRECTORY))
    }

    fn opening(&self, related: u64) -> Result<OpenOptions, Refusal> {
        let allocation_size = if self.allocation_size == 0 {
            0
        } else {
            driver_mem::read_u64(self.allocation_size)?
        };
        Ok(OpenOptions {
            access: Type::File.grant(self.access),
            share: u16::try_from(self.share & VALID_SHARE).unwrap_or(0),
            options: self.disposition << 24 | self.options & VALID_OPTIONS,
            attributes: u16::try_from(self.file_attributes & 0xffff).unwrap_or(0),
            user: self.mode.is_user(),
            allocation_size,
            ea: self.ea,
            related,
            // `IO_OPEN_TARGET_DIRECTORY` is `SL_OPEN_TARGET_DIRECTORY`.
            flags: u8::try_from(self.io_options & OPEN_TARGET_DIRECTORY).unwrap_or(0),
            hint: self.hint,
            ecp: self.ecp,
        })
    }
}

/// The low half of an argument.
fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(0)
}

fn create(wanted: &CreateRequest, caller: &CallContext<'_>) -> Result<u32, Refusal> {
    let mode = wanted.mode;
    if (mode.is_user() || wanted.io_options & CHECK_PARAMETERS != 0) && !wanted.is_valid() {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    mode.probe(wanted.handle, 8, 8)?;
    mode.probe(wanted.block, 16, 8)?;
    mode.probe_optional(wanted.allocation_size, 8, 8)?;
    mode.probe(wanted.ea.0, u64::from(wanted.ea.1), 4)?;
    let attributes = Attributes::require(wanted.attributes)?;
    let found = ob::lookup(&attributes, None)?;
    let (device, related) = match found.kind {
        Type::Device => (found.object, 0),
        Type::File => (
            DriverPtr::<FileObject>::new(found.object).get(|file| &file.device_object)?,
            found.object,
        ),
        _ => {
            ob::dereference(found.object, caller);
            return Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into());
        }
    };
    let opened = wanted
        .opening(related)
        .and_then(|opening| Ok(file::open(device, &found.rest, opening, caller)?));
    ob::dereference(found.object, caller);
    // What could not be opened leaves the status block as it was.
    let (object, information) = opened??;
    let access = Type::File.grant(wanted.access);
    let handle = ob::handles::insert(object, access, attributes.flags, caller.address());
    if handle.is_ok() {
        let flags = DriverPtr::<FileObject>::new(object).at(|file| &file.flags);
        flags.update(|flags| flags | file_flag::HANDLE_CREATED)?;
    }
    ob::dereference(object, caller);
    driver_mem::write_u64(wanted.handle, handle?)?;
    write_status_block(wanted.block, nt_status::STATUS_SUCCESS, information)?;
    Ok(nt_status::STATUS_SUCCESS)
}

exports! {
    /// `ZwCreateFile`: handle, access, attributes, status block, allocation size,
    /// file attributes, share access, disposition, options, EA buffer and length.
    fn ZwCreateFile<call>() -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let wanted = CreateRequest::create(call, Mode::Kernel);
        Mode::Kernel.outcome(wanted.and_then(|wanted| create(&wanted, &CallContext::of(call))))
    }

    /// `NtCreateFile`.
    fn NtCreateFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::previous();
        let wanted = CreateRequest::create(call, mode);
        mode.outcome(wanted.and_then(|wanted| create(&wanted, &CallContext::of(call))))
    }

    /// `ZwOpenFile`: handle, access, attributes, status block, share access, options.
    fn ZwOpenFile<call>() -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let wanted = CreateRequest::open(call, Mode::Kernel);
        Mode::Kernel.outcome(wanted.and_then(|wanted| create(&wanted, &CallContext::of(call))))
    }

    /// `NtOpenFile`.
    fn NtOpenFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::previous();
        let wanted = CreateRequest::open(call, mode);
        mode.outcome(wanted.and_then(|wanted| create(&wanted, &CallContext::of(call))))
    }

    /// `IoCreateFile`: as `ZwCreateFile`, for ordinary files (`CreateFileTypeNone`),
    /// with options of its own.
    fn IoCreateFile<call>() -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        by_io_manager(call, 0, 0)
    }

    /// `IoCreateFileSpecifyDeviceObjectHint`: the request begins at this device of
    /// the stack.
    fn IoCreateFileSpecifyDeviceObjectHint<call>() -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let hint = call.argument(14)?;
        by_io_manager(call, hint, 0)
    }

    /// `IoCreateFileEx`: extra create parameters and the device come in an
    /// `IO_DRIVER_CREATE_CONTEXT`, of which nothing else is looked at.
    fn IoCreateFileEx<call>() -> u32
        [max PASSIVE_LEVEL, ntddk,
            partial "of the create context only extra create parameters and the device are looked at"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let (hint, ecp) = match call.argument(14)? {
            0 => (0, 0),
            context => {
                let context = DriverPtr::<IoDriverCreateContext>::new(context);
                let hint = context.get(|context| &context.device_object_hint)?;
                (hint, context.get(|context| &context.extra_create_parameter)?)
            }
        };
        by_io_manager(call, hint, ecp)
    }
}

/// `IO_NO_PARAMETER_CHECKING`.
const NO_PARAMETER_CHECKING: u32 = 0x100;

/// The arguments of `IoCreateFile`.
fn by_io_manager(call: &Call<'_>, hint: u64, ecp: u64) -> Result<u32, NoReturn> {
    let mode = Mode::previous();
    let io_options = low(call.argument(13)?);
    // CreateFileType: pipes and mailslots have parameters of their own.
    if low(call.argument(11)?) != 0 {
        log::note(
            "IoCreateFile was asked for a named pipe or a mailslot, which this kernel does not have",
        );
        return Ok(nt_status::STATUS_NOT_SUPPORTED);
    }
    // IO_NO_PARAMETER_CHECKING: the caller answers for what it passes.
    let mode = if io_options & NO_PARAMETER_CHECKING == 0 {
        mode
    } else {
        Mode::Kernel
    };
    let wanted = CreateRequest::create(call, mode).map(|wanted| CreateRequest {
        io_options,
        hint,
        ecp,
        ..wanted
    });
    mode.outcome(wanted.and_then(|wanted| create(&wanted, &CallContext::of(call))))
}

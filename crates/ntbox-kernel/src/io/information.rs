//! What is asked and set of files and their volumes: `ZwQueryInformationFile` and
//! its kin. Most goes to the driver in a request; position, mode, access and
//! alignment are the I/O manager's own.

use nt_layout::{DeviceObject, FileAllInformation, FileFsDeviceInformation, FileObject};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::gate::{Call, NoReturn};

use super::file::{Data, FileRequest, Operation, Requestor, SendResult};
use super::information_class::{Direction, class};
use super::irp_completion::CompletionTarget;
use super::nt_file_io::{IoArguments, is_synchronous, low};
use super::rename::Target;
use super::transfer::Buffers;
use super::write_status_block;
use super::{file, irp_completion, rename};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::io_layout::file::flag as file_flag;
use crate::base::processor_mode::Mode;
use crate::ob;
use crate::ob::Type;
use crate::ob::handles::Entry;

/// Bits of a `FILE_MODE_INFORMATION`, and the flags of a file object they are.
const MODES: [(u32, u32); 6] = [
    (0x02, file_flag::WRITE_THROUGH),
    (0x04, file_flag::SEQUENTIAL_ONLY),
    (0x08, file_flag::NO_INTERMEDIATE_BUFFERING),
    (0x10, file_flag::ALERTABLE_IO),
    (0x20, file_flag::SYNCHRONOUS_IO),
    (0x1000, file_flag::DELETE_ON_CLOSE),
];
/// Those of them that can be set: the first four, alertable being of synchronous
/// files only.
const SETTABLE_MODES: u32 = 0x36;

/// A request to query or set information.
#[derive(Debug, Clone, Copy)]
struct InformationRequest {
    direction: Direction,
    buffer: u64,
    length: u32,
    class: u32,
}

impl InformationRequest {
    fn check(&self) -> Result<(), u32> {
        match self.direction.least(self.class) {
            None => Err(nt_status::STATUS_INVALID_INFO_CLASS),
            Some(least) if self.length < least => Err(nt_status::STATUS_INFO_LENGTH_MISMATCH),
            Some(_) => Ok(()),
        }
    }

    fn operation(&self, target: Option<Target>) -> Result<(Operation, Buffers), Fault> {
        let query = self.direction.is_query();
        let target = target.map_or(0, |target| target.object);
        let replace = match (self.direction, self.class) {
            (Direction::Set, class::RENAME | class::LINK) => driver_mem::read_u8(self.buffer)?,
            _ => 0,
        };
        let operation = Operation::Other(FileRequest {
            function: self.direction.function(),
            parameters: [
                u64::from(self.length),
                u64::from(self.class),
                target,
                u64::from(replace),
            ],
            data: if query { Data::Out } else { Data::In },
            ..FileRequest::default()
        });
        let buffers = if query {
            Buffers {
                output: self.buffer,
                output_length: self.length,
                ..Buffers::default()
            }
        } else {
            Buffers {
                input: self.buffer,
                input_length: self.length,
                ..Buffers::default()
            }
        };
        Ok((operation, buffers))
    }

    /// What the I/O manager answers by itself; `None` if the driver is to be
    /// asked.
    fn own(&self, file: &Entry) -> Result<Option<Result<u64, u32>>, NoReturn> {
        let object = DriverPtr::<FileObject>::new(file.object);
        let query = self.direction == Direction::Query;
        let position = object.at(|file| &file.current_byte_offset).address();
        Ok(Some(match (self.direction, self.class) {
            (Direction::Query, class::POSITION) if is_synchronous(object.address())? => {
                driver_mem::write_u64(self.buffer, driver_mem::read_u64(position)?)?;
                Ok(8)
            }
            (Direction::Set, class::POSITION) if is_synchronous(object.address())? => {
                let value = driver_mem::read_u64(self.buffer)?;
                if value.cast_signed() < 0 {
                    return Ok(Some(Err(nt_status::STATUS_INVALID_PARAMETER)));
                }
                driver_mem::write_u64(position, value)?;
                Ok(0)
            }
            (Direction::Query, class::ACCESS) => {
                driver_mem::write_u32(self.buffer, file.access)?;
                Ok(4)
            }
            (_, class::MODE) if query => {
                driver_mem::write_u32(self.buffer, mode_of(object.address())?)?;
                Ok(4)
            }
            (Direction::Set, class::MODE) => {
                set_mode(object.address(), driver_mem::read_u32(self.buffer)?)?
            }
            (_, class::ALIGNMENT) if query => {
                driver_mem::write_u32(self.buffer, alignment_of(object.address())?)?;
                Ok(4)
            }
            (Direction::QueryVolume, class::FS_DEVICE) => {
                let device =
                    DriverPtr::<DeviceObject>::new(object.get(|file| &file.device_object)?);
                let mounted = u32::from(device.get(|device| &device.vpb)? != 0) * MOUNTED;
                let characteristics = device.get(|device| &device.characteristics)? | mounted;
                let output = DriverPtr::<FileFsDeviceInformation>::new(self.buffer);
                output.set(
                    |output| &output.device_type,
                    device.get(|device| &device.device_type)?,
                )?;
                output.set(|output| &output.characteristics, characteristics)?;
                Ok(8)
            }
            _ => return Ok(None),
        }))
    }

    /// Fills in what is the I/O manager's own of `FILE_ALL_INFORMATION`.
    fn complete_all(&self, file: &Entry) -> Result<(), NoReturn> {
        if (self.direction, self.class) != (Direction::Query, class::ALL) {
            return Ok(());
        }
        let all = DriverPtr::<FileAllInformation>::new(self.buffer);
        all.set(|all| &all.access_flags, file.access)?;
        all.set(|all| &all.mode, mode_of(file.object)?)?;
        let alignment = alignment_of(file.object)?;
        Ok(all.set(|all| &all.alignment_requirement, alignment)?)
    }
}

/// `FILE_DEVICE_IS_MOUNTED`.
const MOUNTED: u32 = 0x20;

fn mode_of(object: u64) -> Result<u32, Fault> {
    let flags = DriverPtr::<FileObject>::new(object).get(|file| &file.flags)?;
    let modes = MODES.into_iter().filter(|(_, flag)| flags & flag != 0);
    // Synchronous files are alertable or not, never both.
    let mode = modes.fold(0, |mode, (bit, _)| mode | bit);
    Ok(if mode & 0x10 == 0 { mode } else { mode & !0x20 })
}

fn set_mode(object: u64, mode: u32) -> Result<Result<u64, u32>, Fault> {
    let object = DriverPtr::<FileObject>::new(object);
    let synchronous = is_synchronous(object.address())?;
    let waits = mode & 0x30;
    let fits = if synchronous {
        waits.is_power_of_two()
    } else {
        waits == 0
    };
    if mode & !SETTABLE_MODES != 0 || !fits {
        return Ok(Err(nt_status::STATUS_INVALID_PARAMETER));
    }
    let mut flags = object.get(|file| &file.flags)?;
    for (bit, flag) in MODES {
        if SETTABLE_MODES & bit != 0 && bit != 0x20 {
            flags = if mode & bit == 0 {
                flags & !flag
            } else {
                flags | flag
            };
        }
    }
    object.set(|file| &file.flags, flags)?;
    Ok(Ok(0))
}

fn alignment_of(object: u64) -> Result<u32, NoReturn> {
    let device = DriverPtr::<FileObject>::new(object).get(|file| &file.device_object)?;
    let top = super::device::related(device)?;
    Ok(DriverPtr::<DeviceObject>::new(top).get(|device| &device.alignment_requirement)?)
}

/// Serves a call: handle, status block, buffer, length, class.
fn serve(call: &Call<'_>, direction: Direction, mode: Mode) -> Result<u32, NoReturn> {
    let caller = CallContext::of(call);
    let work = || -> Result<u32, Refusal> {
        let common = IoArguments::simple(call.argument(0)?, call.argument(1)?, mode)?;
        let wanted = InformationRequest {
            direction,
            buffer: call.argument(2)?,
            length: low(call.argument(3)?),
            class: low(call.argument(4)?),
        };
        wanted.check()?;
        mode.probe(wanted.buffer, u64::from(wanted.length), 4)?;
        by_handle(&common, &wanted, &caller)
    };
    mode.outcome(work())
}

fn by_handle(
    common: &IoArguments,
    wanted: &InformationRequest,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    let access = wanted.direction.access(wanted.class);
    let (file, notify) = common.begin(access, caller)?;
    let own = match wanted.own(&file) {
        Ok(own) => own,
        Err(fault) => {
            notify.give_back(caller);
            return Err(fault.into());
        }
    };
    if let Some(own) = own {
        notify.give_back(caller);
        let information = own?;
        write_status_block(common.block, nt_status::STATUS_SUCCESS, information)?;
        return Ok(nt_status::STATUS_SUCCESS);
    }
    let target = match rename::open_target(
        file.object,
        wanted.direction,
        wanted.class,
        wanted.buffer,
        caller,
    ) {
        Ok(target) => target,
        Err(refusal) => {
            notify.give_back(caller);
            return Err(refusal);
        }
    };
    let (operation, buffers) = wanted.operation(target)?;
    let status = common.send((file, notify), operation, &buffers, caller);
    if let Some(target) = target {
        target.close(caller);
    }
    let status = status?;
    if status.cast_signed() >= 0 || status == nt_status::STATUS_BUFFER_OVERFLOW {
        wanted.complete_all(&file)?;
    }
    Ok(status)
}

/// Asks the driver of a file object; the status and the information.
fn by_object(
    object: u64,
    wanted: &InformationRequest,
    caller: &CallContext<'_>,
) -> Result<(u32, u64), Refusal> {
    wanted.check()?;
    if object == 0 || ob::inspect(object, |header| header.kind) != Some(Type::File) {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let target = rename::open_target(
        object,
        wanted.direction,
        wanted.class,
        wanted.buffer,
        caller,
    )?;
    let (operation, buffers) = wanted.operation(target)?;
    let sent = file::request(
        object,
        operation,
        &buffers,
        Requestor {
            user: false,
            access: 0,
        },
        CompletionTarget::default(),
        caller,
    );
    let outcome = sent.map(|sent| match sent {
        SendResult::Done(outcome) => outcome,
        SendResult::Pending(id) => irp_completion::wait_for(id),
    });
    if let Some(target) = target {
        target.close(caller);
    }
    let outcome = outcome?;
    Ok((outcome.status, outcome.information))
}

/// The same with the length of the answer returned.
fn query_object(
    object: u64,
    wanted: &InformationRequest,
    returned: u64,
    caller: &CallContext<'_>,
) -> Result<u32, Refusal> {
    let (status, information) = by_object(object, wanted, caller)?;
    driver_mem::write_u32(returned, low(information))?;
    Ok(status)
}

exports! {
    /// `ZwQueryInformationFile`: file, status block, buffer, length, class.
    fn ZwQueryInformationFile<call>() -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::Query, Mode::Kernel)
    }

    /// `NtQueryInformationFile`.
    fn NtQueryInformationFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::Query, Mode::previous())
    }

    /// `ZwSetInformationFile`.
    fn ZwSetInformationFile<call>() -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::Set, Mode::Kernel)
    }

    /// `NtSetInformationFile`.
    fn NtSetInformationFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::Set, Mode::previous())
    }

    /// `ZwQueryVolumeInformationFile`.
    fn ZwQueryVolumeInformationFile<call>() -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::QueryVolume, Mode::Kernel)
    }

    /// `NtQueryVolumeInformationFile`.
    fn NtQueryVolumeInformationFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::QueryVolume, Mode::previous())
    }

    /// `ZwSetVolumeInformationFile`.
    fn ZwSetVolumeInformationFile<call>() -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::SetVolume, Mode::Kernel)
    }

    /// `NtSetVolumeInformationFile`.
    fn NtSetVolumeInformationFile<call>() -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        serve(call, Direction::SetVolume, Mode::previous())
    }

    /// `IoQueryFileInformation`.
    fn IoQueryFileInformation<call>(object: u64, class: u32, length: u32, buffer: u64, returned: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let wanted = InformationRequest { direction: Direction::Query, buffer, length, class };
        error::outcome(query_object(object, &wanted, returned, &CallContext::of(call)))
    }

    /// `IoQueryVolumeInformation`.
    fn IoQueryVolumeInformation<call>(object: u64, class: u32, length: u32, buffer: u64, returned: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let wanted = InformationRequest { direction: Direction::QueryVolume, buffer, length, class };
        error::outcome(query_object(object, &wanted, returned, &CallContext::of(call)))
    }

    /// `IoSetInformation`.
    fn IoSetInformation<call>(object: u64, class: u32, length: u32, buffer: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let wanted = InformationRequest { direction: Direction::Set, buffer, length, class };
        error::outcome(by_object(object, &wanted, &CallContext::of(call)).map(|(status, _)| status))
    }
}

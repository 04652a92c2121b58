//! How data of a request reaches the driver and comes back: buffered, direct, or
//! neither.

use nt_layout::{DeviceIoControlParameters, IoStackLocation, Irp, Mdl, ReadWriteParameters};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::memory_map::{PAGE_SIZE, is_system};

use super::file::{Data, FileRequest};
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout::irp::flag as irp_flag;
use crate::mm;
use crate::mm::{lent, locking, mapping, mdl};

/// Pool tag of system buffers.
const TAG: u32 = u32::from_le_bytes(*b"IoSB");

/// The caller's buffers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Buffers {
    /// What the driver gets.
    pub input: u64,
    /// Its bytes.
    pub input_length: u32,
    /// What the driver fills.
    pub output: u64,
    /// Its bytes.
    pub output_length: u32,
}

/// How a device control code says that its data moves (its two low bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Through a system buffer, in and out.
    Buffered,
    /// Input through a system buffer; the other buffer locked for reading.
    InDirect,
    /// Input through a system buffer; the other buffer locked for writing.
    OutDirect,
    /// The caller's addresses as they are.
    Neither,
}

impl Method {
    /// The method of a control code.
    pub fn of(code: u32) -> Self {
        match code & 3 {
            0 => Self::Buffered,
            1 => Self::InDirect,
            2 => Self::OutDirect,
            _ => Self::Neither,
        }
    }
}

/// The result of preparing a request for the driver: a status for the
/// caller, or a stop.
pub type PrepareResult = Result<Result<(), u32>, NoReturn>;

/// A system buffer of `size` bytes, with what nobody wrote left as it is.
fn system_buffer(size: u32) -> Option<u64> {
    lent::allocate(u64::from(size), TAG, false, 0)
}

/// Gives the IRP a system buffer with the caller's input in it.
fn buffer_input(irp: DriverPtr<Irp>, size: u32, buffers: &Buffers, flags: u32) -> PrepareResult {
    if size == 0 {
        irp.set(|irp| &irp.system_buffer, 0)?;
        return Ok(Ok(()));
    }
    let Some(buffer) = system_buffer(size) else {
        return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    if driver_mem::copy(buffer, buffers.input, u64::from(buffers.input_length)).is_err() {
        lent::free(buffer, 0)?;
        return Ok(Err(nt_status::STATUS_ACCESS_VIOLATION));
    }
    irp.set(|irp| &irp.system_buffer, buffer)?;
    let flags = flags | irp_flag::BUFFERED_IO | irp_flag::DEALLOCATE_BUFFER;
    add_flags(irp, flags)?;
    Ok(Ok(()))
}

fn add_flags(irp: DriverPtr<Irp>, flags: u32) -> Result<(), Fault> {
    irp.at(|irp| &irp.flags).update(|before| before | flags)
}

/// Gives the IRP an MDL over locked pages of the caller.
fn lock(irp: DriverPtr<Irp>, va: u64, length: u32, user: bool, write: bool) -> PrepareResult {
    if length == 0 {
        return Ok(Ok(()));
    }
    let Some(list) = mdl::allocate(va, u64::from(length), 0, 0)? else {
        return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    match locking::probe_and_lock(list, user, write, 0) {
        Ok(()) => {
            irp.set(|irp| &irp.mdl_address, list)?;
            Ok(Ok(()))
        }
        Err(NoReturn::Raise(record)) => {
            mdl::release(list, 0)?;
            Ok(Err(record.code))
        }
        Err(other) => Err(other),
    }
}

/// Refuses buffers that reach out of the caller's range, as probing does.
fn check_user(buffers: &Buffers) -> Result<(), u32> {
    let outside = |va: u64, length: u32| {
        length != 0 && (is_system(va) || va.checked_add(u64::from(length)).is_none_or(is_system))
    };
    if outside(buffers.input, buffers.input_length)
        || outside(buffers.output, buffers.output_length)
    {
        return Err(nt_status::STATUS_ACCESS_VIOLATION);
    }
    Ok(())
}

/// Writes to each page of a program's output buffer, as `ProbeForWrite` does: a
/// buffer that cannot be written to is refused before the driver is called.
fn probe_output(buffers: &Buffers) -> Result<(), u32> {
    let end = buffers.output.saturating_add(buffers.output_length.into());
    let mut address = buffers.output;
    while address < end {
        driver_mem::read_u8(address)
            .and_then(|byte| driver_mem::write_u8(address, byte))
            .map_err(|_| nt_status::STATUS_ACCESS_VIOLATION)?;
        address = (address & !(PAGE_SIZE - 1)).saturating_add(PAGE_SIZE);
    }
    Ok(())
}

/// Prepares a device control: parameters of its stack location and buffers.
pub fn control(
    irp: DriverPtr<Irp>,
    stack_location: DriverPtr<IoStackLocation>,
    code: u32,
    buffers: &Buffers,
    user: bool,
) -> PrepareResult {
    stack_location
        .parameters::<DeviceIoControlParameters>()
        .set(
            |parameters| &parameters.output_buffer_length,
            buffers.output_length,
        )?;
    stack_location
        .parameters::<DeviceIoControlParameters>()
        .set(
            |parameters| &parameters.input_buffer_length,
            buffers.input_length,
        )?;
    let parameters = stack_location.parameters::<DeviceIoControlParameters>();
    parameters.set(|parameters| &parameters.io_control_code, code)?;
    parameters.set(|parameters| &parameters.type3_input_buffer, 0)?;
    let method = Method::of(code);
    if user
        && method != Method::Neither
        && let Err(status) = check_user(buffers)
    {
        return Ok(Err(status));
    }
    match method {
        Method::Buffered => {
            if user && let Err(status) = probe_output(buffers) {
                return Ok(Err(status));
            }
            let size = buffers.input_length.max(buffers.output_length);
            let back = if buffers.output_length != 0 {
                irp_flag::INPUT_OPERATION
            } else {
                0
            };
            irp.set(|irp| &irp.user_buffer, buffers.output)?;
            buffer_input(irp, size, buffers, back)
        }
        Method::InDirect | Method::OutDirect => {
            if let Err(status) = buffer_input(irp, buffers.input_length, buffers, 0)? {
                return Ok(Err(status));
            }
            lock(
                irp,
                buffers.output,
                buffers.output_length,
                user,
                method == Method::OutDirect,
            )
        }
        Method::Neither => {
            irp.set(|irp| &irp.user_buffer, buffers.output)?;
            let parameters = stack_location.parameters::<DeviceIoControlParameters>();
            parameters.set(|parameters| &parameters.type3_input_buffer, buffers.input)?;
            Ok(Ok(()))
        }
    }
}

/// How a device wants the data of reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferingMethod {
    /// `DO_BUFFERED_IO`.
    Buffered,
    /// `DO_DIRECT_IO`.
    Direct,
    /// Neither flag.
    Neither,
}

/// Prepares a read (`write` false) or a write.
#[expect(clippy::too_many_arguments, reason = "a request has as many parts")]
pub fn transfer(
    irp: DriverPtr<Irp>,
    stack_location: DriverPtr<IoStackLocation>,
    write: bool,
    (offset, key): (u64, u32),
    va: u64,
    length: u32,
    method: BufferingMethod,
    user: bool,
) -> PrepareResult {
    let parameters = stack_location.parameters::<ReadWriteParameters>();
    parameters.set(|parameters| &parameters.length, length)?;
    parameters.set(|parameters| &parameters.key, key)?;
    parameters.set(|parameters| &parameters.byte_offset, offset)?;
    let kind = if write {
        irp_flag::WRITE_OPERATION
    } else {
        irp_flag::READ_OPERATION
    };
    add_flags(irp, kind)?;
    let buffers = if write {
        Buffers {
            input: va,
            input_length: length,
            ..Buffers::default()
        }
    } else {
        Buffers {
            output: va,
            output_length: length,
            ..Buffers::default()
        }
    };
    if user && let Err(status) = check_user(&buffers).and_then(|()| probe_output(&buffers)) {
        return Ok(Err(status));
    }
    match method {
        BufferingMethod::Buffered => {
            irp.set(|irp| &irp.user_buffer, va)?;
            let back = if write { 0 } else { irp_flag::INPUT_OPERATION };
            buffer_input(irp, length, &buffers, back)
        }
        // The device writes to memory when the caller reads.
        BufferingMethod::Direct => {
            irp.set(|irp| &irp.user_buffer, va)?;
            lock(irp, va, length, user, !write)
        }
        BufferingMethod::Neither => {
            irp.set(|irp| &irp.user_buffer, va)?;
            Ok(Ok(()))
        }
    }
}

/// Prepares a request by its stack location.
pub fn other(
    irp: DriverPtr<Irp>,
    stack_location: DriverPtr<IoStackLocation>,
    other: &FileRequest,
    buffers: &Buffers,
    method: BufferingMethod,
    user: bool,
) -> PrepareResult {
    stack_location.set(|location| &location.minor_function, other.minor)?;
    stack_location.set(|location| &location.flags, other.flags)?;
    for (n, parameter) in other.parameters.into_iter().enumerate() {
        stack_location.set(|location| &location.parameters[n], parameter)?;
    }
    if user && let Err(status) = check_user(buffers) {
        return Ok(Err(status));
    }
    irp.set(|irp| &irp.user_buffer, buffers.output)?;
    match (other.data, method) {
        (Data::None, _) | (Data::OutByDevice, BufferingMethod::Neither) => Ok(Ok(())),
        (Data::In, _) => buffer_input(irp, buffers.input_length, buffers, 0),
        (Data::Out, _) | (Data::OutByDevice, BufferingMethod::Buffered) => buffer_input(
            irp,
            buffers.output_length,
            buffers,
            irp_flag::INPUT_OPERATION,
        ),
        (Data::OutByDevice, BufferingMethod::Direct) => {
            lock(irp, buffers.output, buffers.output_length, user, true)
        }
    }
}

/// Brings output back to the caller. The status of the request after that.
pub fn copy_back(irp: u64, output_length: Option<u32>) -> Result<(u32, Option<u64>), Fault> {
    let irp = DriverPtr::<Irp>::new(irp);
    let status = irp.get(|irp| &irp.io_status.status)?;
    let information = irp.get(|irp| &irp.io_status.information)?;
    let flags = irp.get(|irp| &irp.flags)?;
    let wanted = irp_flag::BUFFERED_IO | irp_flag::INPUT_OPERATION;
    // Errors bring nothing back; warnings such as STATUS_BUFFER_OVERFLOW do.
    if flags & wanted != wanted || status >> 30 == 3 || information == 0 {
        return Ok((status, None));
    }
    let too_much = output_length
        .filter(|length| information > u64::from(*length))
        .map(|_| information);
    let length = output_length.map_or(information, |length| information.min(u64::from(length)));
    let from = irp.get(|irp| &irp.system_buffer)?;
    let to = irp.get(|irp| &irp.user_buffer)?;
    match driver_mem::copy(to, from, length) {
        Ok(()) => Ok((status, too_much)),
        Err(_) => Ok((nt_status::STATUS_ACCESS_VIOLATION, too_much)),
    }
}

/// Frees the system buffer and the MDLs of a request, which the call that returns to
/// `caller` has completed.
pub fn release(irp: u64, caller: u64) -> Result<(), NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    let flags = irp.get(|irp| &irp.flags)?;
    if flags & irp_flag::DEALLOCATE_BUFFER != 0 {
        lent::free(irp.get(|irp| &irp.system_buffer)?, caller)?;
        irp.set(|irp| &irp.flags, flags & !irp_flag::DEALLOCATE_BUFFER)?;
    }
    let mut list = irp.get(|irp| &irp.mdl_address)?;
    irp.set(|irp| &irp.mdl_address, 0)?;
    while list != 0 {
        let next = DriverPtr::<Mdl>::new(list).get(|mdl| &mdl.next)?;
        let mut view = mdl::View::read(list)?;
        if view.has(mdl::flag::PAGES_LOCKED) {
            locking::unlock(list, 0)?;
        } else if view.has(mdl::flag::MAPPED_TO_SYSTEM_VA) && !view.has(mdl::flag::PARTIAL) {
            mapping::unmap_system(&mut view)?;
        }
        mm::with(|memory| {
            memory.mdls.settle(list, |record| {
                record.allocated = None;
                record.locked = None;
            })
        });
        mdl::release(list, caller)?;
        list = next;
    }
    Ok(())
}

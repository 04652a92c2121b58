//! How data of a request reaches the driver and comes back: buffered, direct, or
//! neither.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::memory_map::{PAGE_SIZE, is_system};

use super::file::{Data, Other};
use crate::base::io_layout::{irp, stack};
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

/// What can go wrong before the driver sees the request: a status for the
/// caller, or a stop.
pub type Prepared = Result<Result<(), u32>, Stop>;

/// A system buffer of `size` bytes, with what nobody wrote left as it is.
fn system_buffer(size: u32) -> Option<u64> {
    lent::allocate(u64::from(size), TAG, false, 0)
}

/// Gives the IRP a system buffer with the caller's input in it.
fn buffer_input(packet: u64, size: u32, buffers: &Buffers, flags: u32) -> Prepared {
    if size == 0 {
        driver_mem::write_u64(packet + irp::SYSTEM_BUFFER, 0)?;
        return Ok(Ok(()));
    }
    let Some(buffer) = system_buffer(size) else {
        return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    if driver_mem::copy(buffer, buffers.input, u64::from(buffers.input_length)).is_err() {
        lent::free(buffer, 0)?;
        return Ok(Err(nt_status::STATUS_ACCESS_VIOLATION));
    }
    driver_mem::write_u64(packet + irp::SYSTEM_BUFFER, buffer)?;
    let flags = flags | irp::flag::BUFFERED_IO | irp::flag::DEALLOCATE_BUFFER;
    add_flags(packet, flags)?;
    Ok(Ok(()))
}

fn add_flags(packet: u64, flags: u32) -> Result<(), Fault> {
    let before = driver_mem::read_u32(packet + irp::FLAGS)?;
    driver_mem::write_u32(packet + irp::FLAGS, before | flags)
}

/// Gives the IRP an MDL over locked pages of the caller.
fn lock(packet: u64, va: u64, length: u32, user: bool, write: bool) -> Prepared {
    if length == 0 {
        return Ok(Ok(()));
    }
    let Some(list) = mdl::allocate(va, u64::from(length), 0, 0)? else {
        return Ok(Err(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    match locking::probe_and_lock(list, user, write, 0) {
        Ok(()) => {
            driver_mem::write_u64(packet + irp::MDL_ADDRESS, list)?;
            Ok(Ok(()))
        }
        Err(Stop::Raise(record)) => {
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
pub fn control(packet: u64, place: u64, code: u32, buffers: &Buffers, user: bool) -> Prepared {
    driver_mem::write_u32(place + stack::control::OUTPUT_LENGTH, buffers.output_length)?;
    driver_mem::write_u32(place + stack::control::INPUT_LENGTH, buffers.input_length)?;
    driver_mem::write_u32(place + stack::control::CODE, code)?;
    driver_mem::write_u64(place + stack::control::TYPE3_INPUT, 0)?;
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
                irp::flag::INPUT_OPERATION
            } else {
                0
            };
            driver_mem::write_u64(packet + irp::USER_BUFFER, buffers.output)?;
            buffer_input(packet, size, buffers, back)
        }
        Method::InDirect | Method::OutDirect => {
            if let Err(status) = buffer_input(packet, buffers.input_length, buffers, 0)? {
                return Ok(Err(status));
            }
            lock(
                packet,
                buffers.output,
                buffers.output_length,
                user,
                method == Method::OutDirect,
            )
        }
        Method::Neither => {
            driver_mem::write_u64(packet + irp::USER_BUFFER, buffers.output)?;
            driver_mem::write_u64(place + stack::control::TYPE3_INPUT, buffers.input)?;
            Ok(Ok(()))
        }
    }
}

/// How a device wants the data of reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
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
    packet: u64,
    place: u64,
    write: bool,
    (offset, key): (u64, u32),
    va: u64,
    length: u32,
    style: Style,
    user: bool,
) -> Prepared {
    driver_mem::write_u32(place + stack::transfer::LENGTH, length)?;
    driver_mem::write_u32(place + stack::transfer::KEY, key)?;
    driver_mem::write_u64(place + stack::transfer::BYTE_OFFSET, offset)?;
    let kind = if write {
        irp::flag::WRITE_OPERATION
    } else {
        irp::flag::READ_OPERATION
    };
    add_flags(packet, kind)?;
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
    match style {
        Style::Buffered => {
            driver_mem::write_u64(packet + irp::USER_BUFFER, va)?;
            let back = if write { 0 } else { irp::flag::INPUT_OPERATION };
            buffer_input(packet, length, &buffers, back)
        }
        // The device writes to memory when the caller reads.
        Style::Direct => {
            driver_mem::write_u64(packet + irp::USER_BUFFER, va)?;
            lock(packet, va, length, user, !write)
        }
        Style::Neither => {
            driver_mem::write_u64(packet + irp::USER_BUFFER, va)?;
            Ok(Ok(()))
        }
    }
}

/// Prepares a request by its stack location.
pub fn other(
    packet: u64,
    place: u64,
    other: &Other,
    buffers: &Buffers,
    style: Style,
    user: bool,
) -> Prepared {
    driver_mem::write_u8(place + stack::MINOR, other.minor)?;
    driver_mem::write_u8(place + stack::FLAGS, other.flags)?;
    for (n, parameter) in (0..).zip(other.parameters) {
        driver_mem::write_u64(place + stack::PARAMETERS + 8 * n, parameter)?;
    }
    if user && let Err(status) = check_user(buffers) {
        return Ok(Err(status));
    }
    driver_mem::write_u64(packet + irp::USER_BUFFER, buffers.output)?;
    match (other.data, style) {
        (Data::None, _) | (Data::OutByDevice, Style::Neither) => Ok(Ok(())),
        (Data::In, _) => buffer_input(packet, buffers.input_length, buffers, 0),
        (Data::Out, _) | (Data::OutByDevice, Style::Buffered) => buffer_input(
            packet,
            buffers.output_length,
            buffers,
            irp::flag::INPUT_OPERATION,
        ),
        (Data::OutByDevice, Style::Direct) => {
            lock(packet, buffers.output, buffers.output_length, user, true)
        }
    }
}

/// Brings output back to the caller. The status of the request after that.
pub fn copy_back(packet: u64, output_length: Option<u32>) -> Result<(u32, Option<u64>), Fault> {
    let status = driver_mem::read_u32(packet + irp::STATUS)?;
    let information = driver_mem::read_u64(packet + irp::INFORMATION)?;
    let flags = driver_mem::read_u32(packet + irp::FLAGS)?;
    let wanted = irp::flag::BUFFERED_IO | irp::flag::INPUT_OPERATION;
    // Errors bring nothing back; warnings such as STATUS_BUFFER_OVERFLOW do.
    if flags & wanted != wanted || status >> 30 == 3 || information == 0 {
        return Ok((status, None));
    }
    let too_much = output_length
        .filter(|length| information > u64::from(*length))
        .map(|_| information);
    let length = output_length.map_or(information, |length| information.min(u64::from(length)));
    let from = driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?;
    let to = driver_mem::read_u64(packet + irp::USER_BUFFER)?;
    match driver_mem::copy(to, from, length) {
        Ok(()) => Ok((status, too_much)),
        Err(_) => Ok((nt_status::STATUS_ACCESS_VIOLATION, too_much)),
    }
}

/// Frees the system buffer and the MDLs of a request, which the call that returns to
/// `caller` has completed.
pub fn release(packet: u64, caller: u64) -> Result<(), Stop> {
    let flags = driver_mem::read_u32(packet + irp::FLAGS)?;
    if flags & irp::flag::DEALLOCATE_BUFFER != 0 {
        lent::free(driver_mem::read_u64(packet + irp::SYSTEM_BUFFER)?, caller)?;
        driver_mem::write_u32(packet + irp::FLAGS, flags & !irp::flag::DEALLOCATE_BUFFER)?;
    }
    let mut list = driver_mem::read_u64(packet + irp::MDL_ADDRESS)?;
    driver_mem::write_u64(packet + irp::MDL_ADDRESS, 0)?;
    while list != 0 {
        let next = driver_mem::read_u64(list + mdl::offset::NEXT)?;
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

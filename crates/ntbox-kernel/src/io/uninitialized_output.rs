//! What a request brings back to its caller, looked at for memory that nobody wrote:
//! the pattern of uninitialised pool in it is what Windows would give away of
//! somebody else's memory. It is there because less was written than
//! `IoStatus.Information` says, or because it was copied from pool as it was.

use nt_layout::{DeviceIoControlParameters, IoStackLocation, Irp};
use ntbox_api::report::HistoryEntry;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use super::transfer::Method;
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout::irp::flag as irp_flag;
use crate::base::io_layout::major;
use crate::base::{diag, stack_trace_db};
use crate::mm;
use crate::mm::mdl;
use crate::mm::pool::{UNINITIALIZED, tag_text};

/// Bytes of the pattern in a row that do not come about by themselves.
const LEAST: usize = 4;
/// Bytes of an output that are looked at.
const MOST: u64 = 1 << 20;
/// Blocks that a report names.
const TOLD: usize = 3;

/// The output that a request asks for.
#[derive(Debug, Clone, Copy)]
pub struct OutputRequest {
    major: u8,
    code: u32,
    /// Whether the caller itself sent the pattern, so that it proves nothing.
    echoes: bool,
}

impl OutputRequest {
    /// Of a request whose first location is filled.
    pub fn of(irp: u64, stack_location: u64) -> Result<Self, Fault> {
        let stack_location = DriverPtr::<IoStackLocation>::new(stack_location);
        let major = stack_location.get(|location| &location.major_function)?;
        let control = matches!(
            major,
            major::DEVICE_CONTROL | major::INTERNAL_DEVICE_CONTROL
        );
        let mut subject = Self {
            major,
            code: 0,
            echoes: false,
        };
        if !control || !stack_trace_db::is_on() {
            return Ok(subject);
        }
        subject.code = stack_location
            .parameters::<DeviceIoControlParameters>()
            .get(|parameters| &parameters.io_control_code)?;
        let length = u64::from(
            stack_location
                .parameters::<DeviceIoControlParameters>()
                .get(|parameters| &parameters.input_buffer_length)?,
        );
        let input = if Method::of(subject.code) == Method::Neither {
            stack_location
                .parameters::<DeviceIoControlParameters>()
                .get(|parameters| &parameters.type3_input_buffer)?
        } else {
            DriverPtr::<Irp>::new(irp).get(|irp| &irp.system_buffer)?
        };
        let sent = (input != 0 && length != 0).then(|| read(input, length));
        subject.echoes = sent.flatten().is_some_and(|bytes| !runs(&bytes).is_empty());
        Ok(subject)
    }

    fn name(self) -> String {
        match self.major {
            major::DEVICE_CONTROL => format!("the control code {:#x}", self.code),
            major::INTERNAL_DEVICE_CONTROL => {
                format!("the internal control code {:#x}", self.code)
            }
            major::READ => "a read".to_owned(),
            other => format!("the major function {other:#x}"),
        }
    }
}

/// Bytes of the driver or of the process that is seen.
fn read(start: u64, length: u64) -> Option<Vec<u8>> {
    let length = usize::try_from(length.min(MOST)).ok()?;
    let mut bytes = vec![0; length];
    driver_mem::read_bytes(start, &mut bytes).ok()?;
    Some(bytes)
}

/// Where the pattern is: the start and the end of each run.
pub fn runs(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, byte) in bytes.iter().chain([&!UNINITIALIZED]).enumerate() {
        match (start, *byte == UNINITIALIZED) {
            (None, true) => start = Some(at),
            (Some(first), false) => {
                if at - first >= LEAST {
                    found.push((first, at));
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// Where the output of a request lies that has been completed, before it is copied
/// back.
fn place(irp: u64) -> Result<u64, Fault> {
    let irp = DriverPtr::<Irp>::new(irp);
    let flags = irp.get(|irp| &irp.flags)?;
    let back = irp_flag::BUFFERED_IO | irp_flag::INPUT_OPERATION;
    if flags & back == back {
        return irp.get(|irp| &irp.system_buffer);
    }
    match irp.get(|irp| &irp.mdl_address)? {
        0 => irp.get(|irp| &irp.user_buffer),
        list => {
            let view = mdl::View::read(list)?;
            let written = view.has(mdl::flag::WRITE_OPERATION);
            Ok(if written {
                view.start + u64::from(view.offset)
            } else {
                0
            })
        }
    }
}

/// Reports output with the pattern in it. `room` is what the caller has room for,
/// `caller` the call that completed the request.
pub fn check(irp: u64, room: u32, subject: OutputRequest, caller: u64) -> Result<(), Fault> {
    let irp = DriverPtr::<Irp>::new(irp);
    let failed = irp.get(|irp| &irp.io_status.status)? >> 30 == 3;
    let information = irp.get(|irp| &irp.io_status.information)?;
    let length = information.min(u64::from(room));
    if !stack_trace_db::is_on() || failed || length == 0 || subject.echoes {
        return Ok(());
    }
    let start = place(irp.address())?;
    // What cannot be read any more, its caller has taken away.
    let Some(bytes) = (start != 0).then(|| read(start, length)).flatten() else {
        return Ok(());
    };
    let runs = runs(&bytes);
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
        return Ok(());
    };
    let count: usize = runs.iter().map(|(start, end)| end - start).sum();
    let tail = if last.1 == bytes.len() {
        format!(
            "; IoStatus.Information is {information}, and what was written ends at {}",
            last.0
        )
    } else {
        String::new()
    };
    let what = format!(
        "{} returned {count} uninitialized bytes, the first at offset {:#x} of {length}: they hold the pattern of uninitialized pool ({UNINITIALIZED:#x}){tail}",
        subject.name(),
        first.0
    );
    let rule = rules::UNINITIALIZED_POOL_RETURNED;
    diag::left_behind(rule, what, caller, sources(last.1 - last.0));
    Ok(())
}

/// The driver's blocks in use that hold as many bytes of the pattern, and who
/// allocated them.
fn sources(length: usize) -> Vec<HistoryEntry> {
    let blocks = mm::with(|memory| memory.pools.owned_by_drivers());
    let holds = |va: u64, size: u64| {
        let bytes = read(va, size).unwrap_or_default();
        runs(&bytes)
            .iter()
            .any(|(start, end)| end - start >= length)
    };
    let sources = blocks
        .into_iter()
        .filter(|(va, block)| holds(*va, block.size));
    let told = sources.take(TOLD).filter_map(|(va, block)| {
        let what = format!(
            "a block with as many such bytes, {} bytes at {va:#018x}, tag '{}', allocated",
            block.size,
            tag_text(block.tag)
        );
        stack_trace_db::past(what, block.stack)
    });
    told.collect()
}

/// Reports data that a driver stores with the pattern in it.
pub fn check_stored(name: &str, data: &[u8], caller: u64) {
    if !stack_trace_db::is_on() {
        return;
    }
    let runs = runs(data);
    if let Some((start, end)) = runs.first() {
        let what = format!(
            "{name} stored {} bytes, of which those from offset {start:#x} to {end:#x} hold the pattern of uninitialized pool ({UNINITIALIZED:#x})",
            data.len()
        );
        diag::left_behind(
            rules::UNINITIALIZED_POOL_STORED,
            what,
            caller,
            sources(end - start),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_finds_uninitialized_ranges() {
        let none: [(usize, usize); 0] = [];
        assert_eq!(runs(&[]), none);
        assert_eq!(runs(&[UNINITIALIZED; 3]), none);
        assert_eq!(runs(&[UNINITIALIZED; 4]), [(0, 4)]);
        let mut bytes = [UNINITIALIZED; 16];
        bytes[0] = 1;
        bytes[9] = 2;
        assert_eq!(runs(&bytes), [(1, 9), (10, 16)]);
        bytes[12] = 3;
        assert_eq!(runs(&bytes), [(1, 9)]);
    }
}

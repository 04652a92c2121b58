//! What a driver says of an IRP in two places, and what must agree: the value that
//! its dispatch routine returns, the mark of a pending IRP, the status that the IRP
//! is completed with. And which IRPs drivers have kept, and who completed one.
//!
//! A dispatch routine may return before, while or after its IRP is completed, and
//! the IRP's memory is gone then. So each call of one is noted until it returns.

use std::fmt;

use nt_layout::{DeviceIoControlParameters, IoStackLocation, Irp};
use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::modules;
use rustc_hash::FxHashMap;

use super::irp;
use super::irp::{IrpOwner, PENDING};
use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout::major;
use crate::base::io_layout::stack::flag as stack_flag;
use crate::base::leak_check::Leak;
use crate::ob;

/// What an IRP asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    major: u8,
    minor: u8,
    /// The control code of a control request.
    code: Option<u32>,
}

impl Request {
    /// Reads it from a stack location.
    pub fn read(stack_location: u64) -> Result<Self, Fault> {
        let stack_location = DriverPtr::<IoStackLocation>::new(stack_location);
        let major = stack_location.get(|location| &location.major_function)?;
        let is_control = matches!(
            major,
            major::DEVICE_CONTROL | major::INTERNAL_DEVICE_CONTROL | major::FILE_SYSTEM_CONTROL
        );
        let parameters = stack_location.at(|location| &location.parameters);
        let parameters = parameters.cast::<DeviceIoControlParameters>();
        Ok(Self {
            major,
            minor: stack_location.get(|location| &location.minor_function)?,
            code: is_control
                .then(|| parameters.get(|control| &control.io_control_code))
                .transpose()?,
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// `IRP_MJ_…`, by their numbers.
        const MAJORS: [&str; 28] = [
            "CREATE",
            "CREATE_NAMED_PIPE",
            "CLOSE",
            "READ",
            "WRITE",
            "QUERY_INFORMATION",
            "SET_INFORMATION",
            "QUERY_EA",
            "SET_EA",
            "FLUSH_BUFFERS",
            "QUERY_VOLUME_INFORMATION",
            "SET_VOLUME_INFORMATION",
            "DIRECTORY_CONTROL",
            "FILE_SYSTEM_CONTROL",
            "DEVICE_CONTROL",
            "INTERNAL_DEVICE_CONTROL",
            "SHUTDOWN",
            "LOCK_CONTROL",
            "CLEANUP",
            "CREATE_MAILSLOT",
            "QUERY_SECURITY",
            "SET_SECURITY",
            "POWER",
            "SYSTEM_CONTROL",
            "DEVICE_CHANGE",
            "QUERY_QUOTA",
            "SET_QUOTA",
            "PNP",
        ];
        match MAJORS.get(usize::from(self.major)) {
            Some(name) => write!(f, "IRP_MJ_{name}")?,
            None => write!(f, "the major function {:#x}", self.major)?,
        }
        match self.code {
            Some(code) => write!(f, " with the control code {code:#x}"),
            None if self.minor != 0 => write!(f, " with the minor function {:#x}", self.minor),
            None => Ok(()),
        }
    }
}

/// What was seen of an IRP when it passed a driver's stack location upwards.
#[derive(Debug, Clone, Copy)]
struct Completion {
    status: u32,
    /// Whether the driver had marked it pending, or the one below and nobody said no.
    is_marked: bool,
}

/// A call of a dispatch routine that has not returned.
#[derive(Debug)]
struct Dispatch {
    number: u64,
    irp: u64,
    /// Number of the driver's stack location.
    location: u8,
    completion: Option<Completion>,
}

/// An IRP that a driver has marked pending.
#[derive(Debug, Clone)]
struct PendingIrp {
    request: Request,
    /// The dispatch routine that kept it.
    routine: u64,
    /// The device, by type and name: it may be gone when it is told.
    device: String,
}

#[derive(Debug, Default)]
struct Ledger {
    next: u64,
    dispatches: Vec<Dispatch>,
    kept: FxHashMap<u64, PendingIrp>,
    /// Who completed an IRP whose memory nobody has been given since.
    completed_by: FxHashMap<u64, u64>,
}

static LEDGER: KernelCell<Option<Ledger>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut Ledger) -> T) -> T {
    work(LEDGER.lock().get_or_insert_default())
}

/// A dispatch routine is called with an IRP; returns the number of this call.
pub fn begins(irp: u64, location: u8) -> u64 {
    with(|ledger| {
        ledger.next += 1;
        ledger.dispatches.push(Dispatch {
            number: ledger.next,
            irp,
            location,
            completion: None,
        });
        ledger.next
    })
}

/// An IRP that is completed passes a stack location.
pub fn passes(irp: u64, location: u8, status: u32, is_marked: bool) {
    with(|ledger| {
        let calls = ledger.dispatches.iter_mut();
        let of_driver = |call: &&mut Dispatch| {
            call.irp == irp && call.location == location && call.completion.is_none()
        };
        for call in calls.filter(of_driver) {
            call.completion = Some(Completion { status, is_marked });
        }
    });
}

/// An IRP has passed all stack locations; the last call for it was `caller`'s.
pub fn ends(irp: u64, caller: u64) {
    with(|ledger| {
        ledger.kept.remove(&irp);
        ledger.completed_by.insert(irp, caller);
    });
}

/// It was reported that a driver keeps an IRP and does not say so: that it is still
/// there in the end follows from that.
pub fn reported(irp: u64) {
    with(|ledger| ledger.kept.remove(&irp));
}

/// Memory becomes an IRP, as if it had never been one.
pub fn forget(irp: u64) {
    with(|ledger| {
        ledger.kept.remove(&irp);
        ledger.completed_by.remove(&irp);
    });
}

/// Who completed the IRP that was at an address, if no other has been since.
pub fn completed_by(irp: u64) -> Option<u64> {
    with(|ledger| ledger.completed_by.get(&irp).copied())
}

/// The same as the end of a sentence.
pub fn completed_by_text(irp: u64) -> String {
    let caller = completed_by(irp).unwrap_or(0);
    modules::find(caller).map_or_else(String::new, |image| {
        format!(", by {}+{:#x}", image.name, caller - image.base)
    })
}

/// The call of a dispatch routine.
#[derive(Debug, Clone, Copy)]
pub struct DispatchCall {
    /// Its number.
    pub number: u64,
    /// The routine.
    pub routine: u64,
    /// The device.
    pub device: u64,
    /// The IRP.
    pub irp: u64,
    /// Number of the stack location that the driver saw.
    pub location: u8,
    /// What the IRP asked for.
    pub request: Request,
}

/// A dispatch routine has returned: what it says must agree with what became of the
/// IRP. Whether a rule was broken.
pub fn returned(call: &DispatchCall, status: u32) -> bool {
    let completion = with(|ledger| {
        let at = ledger
            .dispatches
            .iter()
            .rposition(|one| one.number == call.number)?;
        ledger.dispatches.remove(at).completion
    });
    match completion {
        Some(completion) => check_completed(call, status, completion),
        None => check_kept(call, status),
    }
}

fn check_completed(call: &DispatchCall, returned: u32, completion: Completion) -> bool {
    let DispatchCall {
        routine, request, ..
    } = call;
    let is_pending = returned == PENDING;
    let (rule, what) = match (is_pending, completion.is_marked) {
        (true, false) => (
            rules::IRP_PENDING_NOT_MARKED,
            format!(
                "the dispatch routine for {request} returned STATUS_PENDING and did not mark the IRP pending"
            ),
        ),
        (false, true) => return not_returned(call, returned),
        (false, false)
            if completion.status != returned
                && completion.status != PENDING
                && completion.status != u32::MAX =>
        {
            (
                rules::IRP_STATUS_MISMATCH,
                format!(
                    "the dispatch routine for {request} returned {} and the IRP was completed with {}; the sender can get either",
                    nt_status::Named(returned),
                    nt_status::Named(completion.status)
                ),
            )
        }
        _ => return false,
    };
    diag::violation_of(*routine, rule, what);
    true
}

/// The IRP was marked pending and its dispatch routine says something else.
fn not_returned(call: &DispatchCall, returned: u32) -> bool {
    let what = format!(
        "the dispatch routine for {} marked the IRP pending and returned {}",
        call.request,
        nt_status::Named(returned)
    );
    diag::violation_of(call.routine, rules::IRP_PENDING_NOT_RETURNED, what);
    true
}

/// The IRP is not completed yet. If the driver still has it, it must have said so.
fn check_kept(call: &DispatchCall, returned: u32) -> bool {
    let irp = call.irp;
    if irp::known(irp).is_none_or(|known| known.completed) {
        return false;
    }
    let fields = || -> Result<(u8, u8), Fault> {
        let current = DriverPtr::<Irp>::new(irp).get(|irp| &irp.current_location)?;
        let stack_location = irp::location(irp)?;
        Ok((
            current,
            DriverPtr::<IoStackLocation>::new(stack_location).get(|location| &location.control)?,
        ))
    };
    // What is damaged is found by whoever completes it.
    let Ok((current, control)) = fields() else {
        return false;
    };
    let kept = PendingIrp {
        request: call.request,
        routine: call.routine,
        device: ob::describe(call.device),
    };
    with(|ledger| {
        ledger.kept.entry(irp).or_insert(kept);
    });
    if current != call.location {
        // It is with a driver below, or on its way up again.
        return false;
    }
    match (
        returned == PENDING,
        control & stack_flag::PENDING_RETURNED != 0,
    ) {
        (true, false) => {
            let what = format!(
                "the dispatch routine for {} kept the IRP, returned STATUS_PENDING and did not mark it pending (IoMarkIrpPending)",
                call.request
            );
            diag::violation_of(call.routine, rules::IRP_PENDING_NOT_MARKED, what);
            true
        }
        (false, true) => not_returned(call, returned),
        _ => false,
    }
}

/// Requests of others that drivers still keep.
pub fn leaks() -> Vec<Leak> {
    let mut kept: Vec<(u64, PendingIrp)> = with(|ledger| {
        let all = ledger.kept.iter();
        all.map(|(at, kept)| (*at, kept.clone())).collect()
    });
    kept.retain(|(irp, _)| {
        irp::known(*irp).is_some_and(|known| {
            !known.completed
                && matches!(
                    known.owner,
                    IrpOwner::File | IrpOwner::Built | IrpOwner::Power
                )
        })
    });
    kept.sort_unstable_by_key(|(irp, _)| *irp);
    kept.into_iter()
        .map(|(irp, kept)| {
            let message = format!(
                "the request {} of the {}, the IRP at {irp:#018x}, is still pending",
                kept.request, kept.device
            );
            // DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS.
            Leak::new(rules::IRP_PENDING_AT_UNLOAD, message, 0).at_routine(kept.routine)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_display_names_function_and_code() {
        let mut request = Request {
            major: major::DEVICE_CONTROL,
            minor: 0,
            code: Some(0x0022_2000),
        };
        assert_eq!(
            request.to_string(),
            "IRP_MJ_DEVICE_CONTROL with the control code 0x222000"
        );
        request = Request {
            major: major::READ,
            minor: 0,
            code: None,
        };
        assert_eq!(request.to_string(), "IRP_MJ_READ");
        request.minor = 2;
        assert_eq!(
            request.to_string(),
            "IRP_MJ_READ with the minor function 0x2"
        );
    }
}

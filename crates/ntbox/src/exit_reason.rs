//! The end of a kernel process that died under a driver, as a stop of the kernel.
//!
//! Windows would have crashed where this program did: in a routine of the kernel
//! that followed what the driver gave it. So it is a stop like others, with what is
//! known: how the process ended, its last call, and what the driver was asked for.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nt_status::STATUS_ACCESS_VIOLATION;
use ntbox_api::report::{BugCheck, ImageInfo, Location};
use ntbox_host::last_call::LastCall;

/// `KMODE_EXCEPTION_NOT_HANDLED`: a fault in the kernel that no handler takes.
const KMODE_EXCEPTION_NOT_HANDLED: u32 = 0x1e;
/// `MANUALLY_INITIATED_CRASH`: somebody ended the system on purpose.
const MANUALLY_INITIATED_CRASH: u32 = 0xe2;

/// The stop for a process that ended with `status` while it was about `errand`.
pub fn bug_check(
    status: Option<ExitStatus>,
    last: &LastCall,
    errand: &str,
    image: &ImageInfo,
) -> BugCheck {
    let mut what = match (&last.reason, status) {
        (Some(reason), _) => {
            format!("the kernel process failed in what it did for the driver: {reason}")
        }
        (None, Some(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => format!(
                "the kernel process ended by itself with the exit status {code}: the driver, or what it called, made a system call of the host (exit_group)"
            ),
            (None, Some(signal)) => {
                format!("the kernel process was ended by the host's signal {signal}")
            }
            (None, None) => format!("the kernel process ended: {status}"),
        },
        (None, None) => "the kernel process is lost".to_owned(),
    };
    let inside = place(last.caller, image);
    match &last.export {
        Some((export, has_returned)) => {
            let _ = write!(what, "; its last call was {export}");
            if let Some(place) = &inside {
                let _ = write!(what, ", from {}+{:#x}", place.module, place.offset);
            }
            what.push_str(if *has_returned {
                ", which had returned"
            } else {
                ", which had not returned"
            });
        }
        None => what.push_str("; it had made no call"),
    }
    if let Some(routine) = place(last.routine, image) {
        let _ = write!(
            what,
            "; the routine of the driver that was called last is {:#018x}",
            image.base + routine.offset
        );
    }
    if !errand.is_empty() {
        let _ = write!(what, "; it happened in {errand}");
    }
    let faulted = last.reason.is_some() || status.is_some_and(|status| status.signal().is_some());
    let (code, parameters) = if faulted {
        let status = i64::from(STATUS_ACCESS_VIOLATION.cast_signed()).cast_unsigned();
        (KMODE_EXCEPTION_NOT_HANDLED, [status, last.caller, 0, 0])
    } else {
        (MANUALLY_INITIATED_CRASH, [0; 4])
    };
    BugCheck {
        code,
        parameters,
        message: what,
        location: inside.map(|place| Location {
            return_address: true,
            ..place
        }),
        stack: Vec::new(),
        history: Vec::new(),
    }
}

/// An address in the image.
fn place(address: u64, image: &ImageInfo) -> Option<Location> {
    let offset = address.checked_sub(image.base)?;
    (offset < u64::from(image.size)).then(|| Location::new(image.name.clone(), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageInfo {
        ImageInfo {
            name: "a.sys".to_owned(),
            base: 0x4400_0000_0000,
            size: 0x1000,
        }
    }

    #[test]
    fn bug_check_of_exit_names_last_call() {
        let last = LastCall {
            export: Some(("DbgPrint".to_owned(), true)),
            caller: 0x4400_0000_0010,
            ..LastCall::default()
        };
        let status = ExitStatus::from_raw(7 << 8);
        let stop = bug_check(Some(status), &last, "DriverEntry", &image());
        assert_eq!(stop.code, MANUALLY_INITIATED_CRASH);
        for part in [
            "exit status 7",
            "DbgPrint, from a.sys+0x10, which had returned",
            "in DriverEntry",
        ] {
            assert!(stop.message.contains(part), "{}", stop.message);
        }
        assert_eq!(stop.location.map(|place| place.offset), Some(0x10));
    }

    #[test]
    fn bug_check_of_failure_has_reason() {
        let last = LastCall {
            reason: Some("ntbox itself failed: why".to_owned()),
            ..LastCall::default()
        };
        let stop = bug_check(Some(ExitStatus::from_raw(70 << 8)), &last, "", &image());
        assert_eq!(stop.code, KMODE_EXCEPTION_NOT_HANDLED);
        assert!(
            stop.message.contains("itself failed: why"),
            "{}",
            stop.message
        );
        assert_eq!(stop.location, None);
    }

    #[test]
    fn bug_check_of_signal_is_kmode_exception() {
        let stop = bug_check(
            Some(ExitStatus::from_raw(6)),
            &LastCall::default(),
            "",
            &image(),
        );
        assert_eq!(stop.code, KMODE_EXCEPTION_NOT_HANDLED);
        assert!(stop.message.contains("signal 6"), "{}", stop.message);
    }
}

//! Cases, what they check, and the lines that say how they went.

use core::ffi::CStr;

use wdk_sys::{
    DPFLTR_ERROR_LEVEL, NTSTATUS, STATUS_SUCCESS, STATUS_UNSUCCESSFUL, ULONG, ntddk::DbgPrintEx,
};

/// `DPFLTR_IHVDRIVER_ID`: drivers of anybody.
const COMPONENT: ULONG = 77;

/// How a case ends: with the status of a call that it cannot go on without.
pub type Outcome = Result<(), NTSTATUS>;

/// A case: its name, and what it does.
pub type Case = (&'static CStr, fn(&mut Checks) -> Outcome);

/// The checks of a case.
pub struct Checks {
    name: &'static CStr,
    failures: u32,
}

impl Checks {
    /// Runs the cases until one cannot go on; what `DriverEntry` is to return.
    pub fn run(cases: &[Case]) -> NTSTATUS {
        let mut status = STATUS_SUCCESS;
        for (name, case) in cases {
            let mut checks = Self { name, failures: 0 };
            if let Err(ended) = case(&mut checks) {
                // SAFETY: the format takes a C string and a number.
                unsafe {
                    DbgPrintEx(
                        COMPONENT,
                        DPFLTR_ERROR_LEVEL,
                        c"check: %s ended with status 0x%08X\n".as_ptr(),
                        name.as_ptr(),
                        ended,
                    );
                }
                return ended;
            }
            if checks.failures == 0 {
                // SAFETY: the format takes a C string.
                unsafe {
                    DbgPrintEx(
                        COMPONENT,
                        DPFLTR_ERROR_LEVEL,
                        c"check: %s ok\n".as_ptr(),
                        name.as_ptr(),
                    );
                }
            } else {
                status = STATUS_UNSUCCESSFUL;
            }
        }
        status
    }

    /// Checks that a condition holds. `check!` says which one it is.
    pub fn that(&mut self, holds: bool, line: u32, what: &'static CStr) {
        if holds {
            return;
        }
        self.failures += 1;
        // SAFETY: the format takes a C string, a number and a C string.
        unsafe {
            DbgPrintEx(
                COMPONENT,
                DPFLTR_ERROR_LEVEL,
                c"check: %s failed at line %u: %s\n".as_ptr(),
                self.name.as_ptr(),
                line,
                what.as_ptr(),
            );
        }
    }

    /// Checks that a status is the one that the reference promises.
    pub fn status(&mut self, found: NTSTATUS, promised: NTSTATUS, line: u32, what: &'static CStr) {
        self.that(found == promised, line, what);
        if found != promised {
            // SAFETY: the format takes a number.
            unsafe {
                DbgPrintEx(
                    COMPONENT,
                    DPFLTR_ERROR_LEVEL,
                    c"check: it was 0x%08X\n".as_ptr(),
                    found,
                );
            }
        }
    }
}

/// A case goes on with a status that is none of an error.
pub const fn ok(status: NTSTATUS) -> Outcome {
    if status >= 0 { Ok(()) } else { Err(status) }
}

/// An expression as a C string.
macro_rules! source {
    ($($part:tt)*) => {
        const {
            match core::ffi::CStr::from_bytes_with_nul(
                concat!(stringify!($($part)*), "\0").as_bytes(),
            ) {
                Ok(text) => text,
                Err(_) => panic!("an expression has no NUL"),
            }
        }
    };
}

/// Checks a condition.
macro_rules! check {
    ($checks:expr, $condition:expr) => {
        $checks.that($condition, line!(), source!($condition))
    };
}

/// Checks what a call returns against the status that the reference promises.
macro_rules! returns {
    ($checks:expr, $call:expr, $promised:expr) => {
        $checks.status($call, $promised, line!(), source!($call => $promised))
    };
}

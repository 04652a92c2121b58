//! The Win32 error codes that the Service Control Manager and `CreateFile` return for
//! a driver: the usual NTSTATUS behind each, and an explanation with the remedy.

use std::fmt;

/// A Win32 error code, its NTSTATUS, and its meaning for a driver.
struct ErrorInfo {
    code: u32,
    name: &'static str,
    /// The usual NTSTATUS that Windows maps to the code; 0 if there is none.
    status: u32,
    meaning: &'static str,
}

macro_rules! errors {
    ($($code:literal $name:ident $status:literal $meaning:literal,)*) => {
        [$(ErrorInfo { code: $code, name: stringify!($name), status: $status, meaning: $meaning }),*]
    };
}

/// Sorted by code. If several statuses map to a code, the table has the one that the
/// reference lists for drivers.
const ERRORS: [ErrorInfo; 31] = errors![
    1 ERROR_INVALID_FUNCTION 0xC000_0010
        "the driver does not handle this request",
    2 ERROR_FILE_NOT_FOUND 0xC000_0034
        "the file or device does not exist; for a service, check the path of its image, which must not \
         be on a mapped drive",
    3 ERROR_PATH_NOT_FOUND 0xC000_003A
        "a folder of the path does not exist; check the path of the image, which must not be on a mapped \
         drive",
    5 ERROR_ACCESS_DENIED 0xC000_0022
        "this needs an elevated prompt (Run as administrator)",
    8 ERROR_NOT_ENOUGH_MEMORY 0xC000_0017
        "the system is out of memory",
    20 ERROR_BAD_UNIT 0xC000_0001
        "the driver was not found under its name",
    31 ERROR_GEN_FAILURE 0xC000_0001
        "DriverEntry returned STATUS_UNSUCCESSFUL, or a status without a Win32 code",
    50 ERROR_NOT_SUPPORTED 0xC000_00BB
        "the driver does not support this request",
    87 ERROR_INVALID_PARAMETER 0xC000_000D
        "DriverEntry rejected a parameter, or a service setting is invalid; the driver's log names it",
    122 ERROR_INSUFFICIENT_BUFFER 0xC000_0023
        "the buffer is too small for the driver's output",
    127 ERROR_PROC_NOT_FOUND 0xC000_0139
        "the driver imports a function that this version of Windows does not export",
    183 ERROR_ALREADY_EXISTS 0xC000_0035
        "the device or link exists already; check whether another copy of the driver is loaded",
    193 ERROR_BAD_EXE_FORMAT 0xC000_007B
        "the image is not a driver for this processor, or its checksum is wrong",
    577 ERROR_INVALID_IMAGE_HASH 0xC000_0428
        "the image's signature is not trusted: sign it with the test certificate, turn on test signing \
         (bcdedit /set testsigning on) with Secure Boot off, and restart",
    654 ERROR_DRIVER_FAILED_PRIOR_UNLOAD 0xC000_038E
        "an earlier instance of the driver did not unload and is still in memory: restart",
    995 ERROR_OPERATION_ABORTED 0xC000_0120
        "the request was cancelled",
    998 ERROR_NOACCESS 0xC000_0005
        "the request refers to memory that is not mapped in the program",
    1052 ERROR_INVALID_SERVICE_CONTROL 0xC000_0010
        "the driver cannot be stopped: it has no DriverUnload, or its device is open",
    1053 ERROR_SERVICE_REQUEST_TIMEOUT 0xC000_00B5
        "DriverEntry did not return in time",
    1056 ERROR_SERVICE_ALREADY_RUNNING 0xC000_010E
        "the driver is running; stop it first",
    1058 ERROR_SERVICE_DISABLED 0xC000_0001
        "the service is disabled or marked for deletion; set its start type to demand",
    1060 ERROR_SERVICE_DOES_NOT_EXIST 0xC000_0034
        "the service does not exist",
    1061 ERROR_SERVICE_CANNOT_ACCEPT_CTRL 0xC000_0001
        "the driver is starting or stopping; wait and try again",
    1062 ERROR_SERVICE_NOT_ACTIVE 0xC000_0001
        "the driver is not running",
    1072 ERROR_SERVICE_MARKED_FOR_DELETE 0xC000_0001
        "the service is deleted, but a program has a handle to it (services.msc, Task Manager, another \
         prompt): close that program, or restart",
    1073 ERROR_SERVICE_EXISTS 0xC000_0035
        "a service with this name exists already",
    1078 ERROR_DUPLICATE_SERVICE_NAME 0xC000_0035
        "another service has this display name",
    1275 ERROR_DRIVER_BLOCKED 0xC000_036C
        "Windows blocks this driver: it is on the list of vulnerable drivers, or memory integrity rejects it",
    1450 ERROR_NO_SYSTEM_RESOURCES 0xC000_009A
        "DriverEntry returned STATUS_INSUFFICIENT_RESOURCES: a pool or mapping allocation failed; \
         the driver's log names the call",
    2001 ERROR_BAD_DRIVER 0xC000_026C
        "the image could not be loaded",
    4551 ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION 0
        "a code integrity policy rejects the image; turn off Smart App Control and similar policies for a test \
         driver",
];

fn find(code: u32) -> Option<&'static ErrorInfo> {
    ERRORS.iter().find(|error| error.code == code)
}

/// The usual NTSTATUS for this code. Windows maps several statuses to one code, so the
/// driver's log is the better source. For a code without a usual status the result is
/// `NTSTATUS_FROM_WIN32`.
#[must_use]
pub fn status_of(code: u32) -> u32 {
    match find(code) {
        Some(error) if error.status != 0 => error.status,
        _ => 0xC007_0000 | code & 0xFFFF,
    }
}

/// A Win32 error code; displays its number, name, meaning and remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Win32Error(pub u32);

impl fmt::Display for Win32Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match find(self.0) {
            Some(error) => write!(f, "{} ({}): {}", error.name, error.code, error.meaning),
            None => write!(f, "error {} (see `net helpmsg {}`)", self.0, self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_without_duplicates() {
        assert!(ERRORS.is_sorted_by(|a, b| a.code < b.code));
    }

    #[test]
    fn error_statuses_are_named_failures() {
        for error in ERRORS.iter().filter(|error| error.status != 0) {
            assert!(error.status.cast_signed() < 0, "{}", error.name);
            assert!(
                nt_status::name(error.status).is_some(),
                "{}: {:#x}",
                error.name,
                error.status
            );
        }
    }

    #[test]
    fn win32_error_display_explains_known_codes() {
        let text = Win32Error(577).to_string();
        assert!(
            text.starts_with("ERROR_INVALID_IMAGE_HASH (577): "),
            "{text}"
        );
        assert!(text.contains("testsigning on"), "{text}");
        assert_eq!(Win32Error(9).to_string(), "error 9 (see `net helpmsg 9`)");
        assert_eq!(status_of(1450), nt_status::STATUS_INSUFFICIENT_RESOURCES);
        assert_eq!(status_of(9), 0xC007_0009);
        assert_eq!(status_of(4551), 0xC007_11C7);
    }
}

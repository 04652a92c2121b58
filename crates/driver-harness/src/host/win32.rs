//! What the Service Control Manager and `CreateFile` answer when they refuse: a
//! Win32 code each, which stands for one or more statuses of the kernel. Here
//! each that a driver's author meets is explained in a sentence, with what to do.

use std::fmt;

/// A Win32 error code with its name, its status and what it means for a driver.
struct Known {
    code: u32,
    name: &'static str,
    /// The status that most likely was turned into the code; 0 if none is usual.
    status: u32,
    meaning: &'static str,
}

macro_rules! known {
    ($($code:literal $name:ident $status:literal $meaning:literal,)*) => {
        [$(Known { code: $code, name: stringify!($name), status: $status, meaning: $meaning }),*]
    };
}

/// By code. Statuses are those that the reference lists for drivers, where the
/// code stands for several.
const KNOWN: [Known; 31] = known![
    1 ERROR_INVALID_FUNCTION 0xC000_0010
        "the driver does not handle this request",
    2 ERROR_FILE_NOT_FOUND 0xC000_0034
        "the file or device is not there; for a service, look at the path of its image, which must not \
         be on a drive that a person mapped",
    3 ERROR_PATH_NOT_FOUND 0xC000_003A
        "a folder of the path is not there; look at the path of the image, which must not be on a drive \
         that a person mapped",
    5 ERROR_ACCESS_DENIED 0xC000_0022
        "this needs an elevated prompt (Run as administrator)",
    8 ERROR_NOT_ENOUGH_MEMORY 0xC000_0017
        "the system has not enough memory",
    20 ERROR_BAD_UNIT 0xC000_0001
        "the driver could not be found as it is named",
    31 ERROR_GEN_FAILURE 0xC000_0001
        "DriverEntry returned STATUS_UNSUCCESSFUL or a status that has no code of its own",
    50 ERROR_NOT_SUPPORTED 0xC000_00BB
        "the driver does not support this",
    87 ERROR_INVALID_PARAMETER 0xC000_000D
        "DriverEntry refused a parameter, or a service setting is wrong; the driver's log names it",
    122 ERROR_INSUFFICIENT_BUFFER 0xC000_0023
        "the buffer is too small for what the driver answers",
    127 ERROR_PROC_NOT_FOUND 0xC000_0139
        "the driver imports a function that this Windows does not have",
    183 ERROR_ALREADY_EXISTS 0xC000_0035
        "the device or link is there already; is another copy of the driver loaded?",
    193 ERROR_BAD_EXE_FORMAT 0xC000_007B
        "the image is no driver for this processor, or its checksum is wrong",
    577 ERROR_INVALID_IMAGE_HASH 0xC000_0428
        "the image's signature is not trusted: sign it with the test certificate, turn on test signing \
         (bcdedit /set testsigning on) with Secure Boot off, and restart",
    654 ERROR_DRIVER_FAILED_PRIOR_UNLOAD 0xC000_038E
        "the driver did not unload cleanly earlier and is still in memory: restart",
    995 ERROR_OPERATION_ABORTED 0xC000_0120
        "the request was cancelled",
    998 ERROR_NOACCESS 0xC000_0005
        "the request names memory that the program does not have",
    1052 ERROR_INVALID_SERVICE_CONTROL 0xC000_0010
        "the driver cannot be stopped: it has no DriverUnload, or something holds its device open",
    1053 ERROR_SERVICE_REQUEST_TIMEOUT 0xC000_00B5
        "DriverEntry did not return in time",
    1056 ERROR_SERVICE_ALREADY_RUNNING 0xC000_010E
        "the driver is running already; stop it first",
    1058 ERROR_SERVICE_DISABLED 0xC000_0001
        "the service is disabled, or deleted and not gone yet; set its start type to demand",
    1060 ERROR_SERVICE_DOES_NOT_EXIST 0xC000_0034
        "there is no such service",
    1061 ERROR_SERVICE_CANNOT_ACCEPT_CTRL 0xC000_0001
        "the driver is between two states; wait and try again",
    1062 ERROR_SERVICE_NOT_ACTIVE 0xC000_0001
        "the driver is not running",
    1072 ERROR_SERVICE_MARKED_FOR_DELETE 0xC000_0001
        "the service is deleted but something still has it open (services.msc, Task Manager, another \
         prompt): close that, or restart",
    1073 ERROR_SERVICE_EXISTS 0xC000_0035
        "a service of this name exists already",
    1078 ERROR_DUPLICATE_SERVICE_NAME 0xC000_0035
        "another service has this display name",
    1275 ERROR_DRIVER_BLOCKED 0xC000_036C
        "Windows blocks this driver: it is on the list of vulnerable drivers, or memory integrity refuses it",
    1450 ERROR_NO_SYSTEM_RESOURCES 0xC000_009A
        "DriverEntry returned STATUS_INSUFFICIENT_RESOURCES: pool or mapping space was refused; \
         the driver's log names the call",
    2001 ERROR_BAD_DRIVER 0xC000_026C
        "the image could not be loaded",
    4551 ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION 0
        "a code integrity policy refuses the image; Smart App Control and similar must be off for a test driver",
];

fn known(code: u32) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.code == code)
}

/// The status that most likely became this code. Several become the same one, so
/// the driver's log has the last word; a code without a usual status gives
/// `NTSTATUS_FROM_WIN32` of it.
#[must_use]
pub fn status_of(code: u32) -> u32 {
    match known(code) {
        Some(known) if known.status != 0 => known.status,
        _ => 0xC007_0000 | code & 0xFFFF,
    }
}

/// A Win32 code as people need it: number, name, what it means here, what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained(pub u32);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match known(self.0) {
            Some(known) => write!(f, "{} ({}): {}", known.name, known.code, known.meaning),
            None => write!(f, "error {} (see `net helpmsg {}`)", self.0, self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_there_once_and_in_order() {
        assert!(KNOWN.is_sorted_by(|a, b| a.code < b.code));
    }

    #[test]
    fn statuses_are_failures_that_have_names() {
        for known in KNOWN.iter().filter(|known| known.status != 0) {
            assert!(known.status.cast_signed() < 0, "{}", known.name);
            assert!(
                nt_status::name(known.status).is_some(),
                "{}: {:#x}",
                known.name,
                known.status
            );
        }
    }

    #[test]
    fn a_code_is_explained_or_at_least_named() {
        let text = Explained(577).to_string();
        assert!(
            text.starts_with("ERROR_INVALID_IMAGE_HASH (577): "),
            "{text}"
        );
        assert!(text.contains("testsigning on"), "{text}");
        assert_eq!(Explained(9).to_string(), "error 9 (see `net helpmsg 9`)");
        assert_eq!(status_of(1450), nt_status::STATUS_INSUFFICIENT_RESOURCES);
        assert_eq!(status_of(9), 0xC007_0009);
        assert_eq!(status_of(4551), 0xC007_11C7);
    }
}

//! The counted strings that a driver gives to exports. Their lengths are in bytes, so
//! that an odd one is a mistake, as of who counted characters: some routines cut it,
//! some refuse it, and some compare half a character.

use nt_layout::ObjectAttributes;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::Call;

use crate::base::driver_ptr::DriverPtr;
use crate::base::{diag, stack_trace_db};

/// Which of the first four arguments are strings that an export reads, a bit each.
fn strings_of(export: &str) -> u8 {
    match export {
        "RtlCompareUnicodeString"
        | "RtlEqualUnicodeString"
        | "RtlPrefixUnicodeString"
        | "RtlAppendUnicodeStringToString"
        | "IoCreateSymbolicLink"
        | "IoCreateUnprotectedSymbolicLink" => 0b11,
        "RtlCopyUnicodeString"
        | "RtlUpcaseUnicodeString"
        | "RtlDowncaseUnicodeString"
        | "RtlUnicodeStringToAnsiString"
        | "RtlUnicodeStringToOemString"
        | "RtlDuplicateUnicodeString"
        | "RtlUnicodeStringToCountedOemString"
        | "RtlUpcaseUnicodeStringToOemString"
        | "ZwSetValueKey"
        | "ZwQueryValueKey"
        | "ZwDeleteValueKey" => 0b10,
        "RtlAppendUnicodeToString"
        | "RtlHashUnicodeString"
        | "RtlUnicodeStringToInt64"
        | "ZwLoadDriver"
        | "ZwUnloadDriver"
        | "IoSetDeviceInterfaceState"
        | "RtlUnicodeStringToInteger"
        | "RtlGUIDFromString"
        | "MmGetSystemRoutineAddress"
        | "IoDeleteSymbolicLink"
        | "IoGetDeviceObjectPointer"
        | "IoCreateNotificationEvent"
        | "IoCreateSynchronizationEvent" => 0b1,
        "IoCreateDevice" | "IoCreateDeviceSecure" => 0b100,
        _ => 0,
    }
}

/// Which argument is an `OBJECT_ATTRIBUTES` with a name, if one is.
fn attributes_of(export: &str) -> Option<usize> {
    match export {
        "ZwOpenKey"
        | "ZwOpenKeyEx"
        | "ZwCreateKey"
        | "ZwCreateFile"
        | "ZwOpenFile"
        | "IoCreateFile"
        | "ZwCreateEvent"
        | "ZwOpenEvent"
        | "ZwCreateSection"
        | "ZwOpenSection"
        | "ZwCreateDirectoryObject"
        | "ZwOpenDirectoryObject"
        | "ZwOpenSymbolicLinkObject" => Some(2),
        "ExCreateCallback" => Some(1),
        "ZwDeleteFile" | "ObOpenObjectByName" => Some(0),
        _ => None,
    }
}

/// The name in the `OBJECT_ATTRIBUTES` of a call.
fn object_name(call: &Call<'_>, export: &str) -> Option<u64> {
    let attributes = call.frame().registers[attributes_of(export)?];
    let name = DriverPtr::<ObjectAttributes>::new(attributes);
    // What cannot be read, the export will find.
    name.get(|attributes| &attributes.object_name).ok()
}

/// Looks at the strings of a call that begins.
pub fn note_call(call: &Call<'_>, export: &str) {
    if !stack_trace_db::is_on() {
        return;
    }
    let strings = strings_of(export);
    let arguments = call.frame().registers.into_iter().enumerate();
    let arguments = arguments.filter(|(n, _)| strings & 1 << n != 0);
    let all = arguments.map(|(_, at)| at).chain(object_name(call, export));
    for at in all.filter(|at| *at != 0) {
        if let Ok(length) = driver_mem::read_u16(at)
            && length % 2 == 1
        {
            let what = format!(
                "{export} called with the UNICODE_STRING at {at:#018x}, whose Length is {length}; it is in bytes, two for each character"
            );
            let caller = call.return_address();
            diag::violation(rules::UNICODE_STRING_ODD_LENGTH, what, caller);
            return;
        }
    }
}

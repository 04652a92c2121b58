//! The counted strings that a driver gives to exports. Their lengths are in bytes, so
//! that an odd one is a mistake, as of who counted characters: some routines cut it,
//! some refuse it, and some compare half a character.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::Call;

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
        | "ZwSetValueKey"
        | "ZwQueryValueKey"
        | "ZwDeleteValueKey" => 0b10,
        "RtlHashUnicodeString"
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

/// Looks at the strings of a call that begins.
pub fn note_call(call: &Call<'_>, export: &str) {
    if !stack_trace_db::is_on() {
        return;
    }
    let strings = strings_of(export);
    if strings == 0 {
        return;
    }
    for (n, at) in call.frame().registers.into_iter().enumerate() {
        // What cannot be read, the export will find.
        if strings & 1 << n == 0 || at == 0 {
            continue;
        }
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

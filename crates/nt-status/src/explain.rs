//! What a status means to somebody who writes drivers, in a sentence: what
//! happened, and where to look.

use crate::{
    STATUS_ACCESS_DENIED, STATUS_ACCESS_VIOLATION, STATUS_ASSERTION_FAILURE, STATUS_BREAKPOINT,
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_CANCELLED, STATUS_CANNOT_DELETE,
    STATUS_CHILD_MUST_BE_VOLATILE, STATUS_CONFLICTING_ADDRESSES, STATUS_DATATYPE_MISALIGNMENT,
    STATUS_DELETE_PENDING, STATUS_DEVICE_BUSY, STATUS_DEVICE_DOES_NOT_EXIST,
    STATUS_DEVICE_NOT_CONNECTED, STATUS_DEVICE_NOT_READY, STATUS_DRIVER_BLOCKED,
    STATUS_DRIVER_ENTRYPOINT_NOT_FOUND, STATUS_DRIVER_FAILED_PRIOR_UNLOAD,
    STATUS_DRIVER_INTERNAL_ERROR, STATUS_DRIVER_ORDINAL_NOT_FOUND, STATUS_DRIVER_UNABLE_TO_LOAD,
    STATUS_END_OF_FILE, STATUS_FILE_FORCED_CLOSED, STATUS_GUARD_PAGE_VIOLATION,
    STATUS_HANDLE_NOT_CLOSABLE, STATUS_ILLEGAL_INSTRUCTION, STATUS_IMAGE_ALREADY_LOADED,
    STATUS_IMAGE_CHECKSUM_MISMATCH, STATUS_IMAGE_MACHINE_TYPE_MISMATCH, STATUS_IN_PAGE_ERROR,
    STATUS_INFO_LENGTH_MISMATCH, STATUS_INSUFFICIENT_RESOURCES, STATUS_INTEGER_DIVIDE_BY_ZERO,
    STATUS_INTEGER_OVERFLOW, STATUS_INVALID_ADDRESS, STATUS_INVALID_BUFFER_SIZE,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_HANDLE,
    STATUS_INVALID_IMAGE_FORMAT, STATUS_INVALID_IMAGE_HASH, STATUS_INVALID_INFO_CLASS,
    STATUS_INVALID_PAGE_PROTECTION, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER_1,
    STATUS_INVALID_PARAMETER_12, STATUS_IO_DEVICE_ERROR, STATUS_IO_TIMEOUT, STATUS_KEY_DELETED,
    STATUS_KEY_HAS_CHILDREN, STATUS_MORE_PROCESSING_REQUIRED, STATUS_NAME_TOO_LONG,
    STATUS_NO_MEMORY, STATUS_NO_MORE_ENTRIES, STATUS_NO_SUCH_DEVICE, STATUS_NO_SUCH_FILE,
    STATUS_NOT_COMMITTED, STATUS_NOT_FOUND, STATUS_NOT_IMPLEMENTED, STATUS_NOT_MAPPED_VIEW,
    STATUS_NOT_SUPPORTED, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND, STATUS_OBJECT_PATH_SYNTAX_BAD,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_PENDING, STATUS_PRIVILEGE_NOT_HELD,
    STATUS_PRIVILEGED_INSTRUCTION, STATUS_PROCEDURE_NOT_FOUND, STATUS_PROCESS_IS_TERMINATING,
    STATUS_QUOTA_EXCEEDED, STATUS_REVISION_MISMATCH, STATUS_SHARING_VIOLATION,
    STATUS_STACK_BUFFER_OVERRUN, STATUS_STACK_OVERFLOW, STATUS_SUCCESS,
    STATUS_THREAD_IS_TERMINATING, STATUS_TIMEOUT, STATUS_UNHANDLED_EXCEPTION, STATUS_UNSUCCESSFUL,
    STATUS_WORKING_SET_QUOTA,
};

/// One sentence on a status that driver authors meet; `None` for the others.
#[must_use]
pub const fn explain(status: u32) -> Option<&'static str> {
    Some(match status {
        STATUS_SUCCESS => "it worked",
        STATUS_TIMEOUT => "the wait ended because its time was up, which counts as success",
        STATUS_PENDING => {
            "the request is under way and will be completed later; it must have been marked pending"
        }
        _ => match explain_memory(status) {
            Some(text) => text,
            None => match explain_object(status) {
                Some(text) => text,
                None => match explain_loading(status) {
                    Some(text) => text,
                    None => return explain_request(status),
                },
            },
        },
    })
}

/// Memory and exceptions.
const fn explain_memory(status: u32) -> Option<&'static str> {
    Some(match status {
        STATUS_INSUFFICIENT_RESOURCES => {
            "the kernel had no pool, no page table entries or no other resource left; a driver must survive this"
        }
        STATUS_NO_MEMORY => "there was not enough virtual memory or commit charge left",
        STATUS_QUOTA_EXCEEDED => "the current process may not be charged for more pool",
        STATUS_WORKING_SET_QUOTA => {
            "locking these pages would exceed what the process may keep in memory"
        }
        STATUS_ACCESS_VIOLATION => {
            "memory was accessed that is not there, or not for that kind of access; parameters name the address"
        }
        STATUS_IN_PAGE_ERROR => "a page could not be read from its file",
        STATUS_GUARD_PAGE_VIOLATION => "a guard page was touched, which usually means a stack grew",
        STATUS_DATATYPE_MISALIGNMENT => {
            "an address is not aligned as the access or the probe demands"
        }
        STATUS_STACK_OVERFLOW => "the stack is used up; kernel stacks are a few pages only",
        STATUS_STACK_BUFFER_OVERRUN => {
            "a security check found memory overwritten, or a program gave up on purpose"
        }
        STATUS_CONFLICTING_ADDRESSES => {
            "the address range is already in use, or not free as a whole"
        }
        STATUS_NOT_COMMITTED => "the address range has no memory behind it",
        STATUS_NOT_MAPPED_VIEW => "the address is not the start of a mapped view",
        STATUS_INVALID_PAGE_PROTECTION => {
            "the protection asked for does not exist or does not fit this memory"
        }
        STATUS_INVALID_ADDRESS => "the address does not name memory that this call can use",
        STATUS_BREAKPOINT => "a breakpoint instruction ran and no debugger took it",
        STATUS_ASSERTION_FAILURE => "an assertion in the code failed",
        STATUS_ILLEGAL_INSTRUCTION => {
            "the processor does not know this instruction; a jump may have gone astray"
        }
        STATUS_PRIVILEGED_INSTRUCTION => "the instruction is reserved to a more privileged mode",
        STATUS_INTEGER_DIVIDE_BY_ZERO => "an integer was divided by zero",
        STATUS_INTEGER_OVERFLOW => "a result does not fit its integer type",
        STATUS_UNHANDLED_EXCEPTION => "an exception was raised that nothing caught",
        _ => return None,
    })
}

/// Names, handles, the registry.
const fn explain_object(status: u32) -> Option<&'static str> {
    Some(match status {
        STATUS_INVALID_HANDLE => {
            "the handle is closed, never was one, or belongs to another process"
        }
        STATUS_HANDLE_NOT_CLOSABLE => "the handle is protected from being closed",
        STATUS_OBJECT_TYPE_MISMATCH => {
            "the object, or the registry value, is of another type than was asked for"
        }
        STATUS_OBJECT_NAME_INVALID => "the name is malformed, for instance of odd length",
        STATUS_OBJECT_NAME_NOT_FOUND => {
            "nothing of this name exists: an object, a registry key or a value"
        }
        STATUS_OBJECT_NAME_COLLISION => {
            "an object of this name exists already; was the last unload complete?"
        }
        STATUS_OBJECT_PATH_NOT_FOUND => "a directory on the way to the name does not exist",
        STATUS_OBJECT_PATH_SYNTAX_BAD => {
            "a full path must start with a backslash, a relative one must not"
        }
        STATUS_NAME_TOO_LONG => "the name does not fit the 16-bit length of a counted string",
        STATUS_KEY_DELETED => "the registry key was deleted while this handle to it was open",
        STATUS_KEY_HAS_CHILDREN | STATUS_CANNOT_DELETE => {
            "what still has subkeys, or is in use, cannot be deleted"
        }
        STATUS_CHILD_MUST_BE_VOLATILE => {
            "below a volatile registry key only volatile keys can be made"
        }
        STATUS_NO_MORE_ENTRIES => "the enumeration is at its end",
        STATUS_ACCESS_DENIED => "the caller, or the handle, lacks the access right that this takes",
        STATUS_PRIVILEGE_NOT_HELD => "the caller lacks a privilege that this takes",
        STATUS_SHARING_VIOLATION => {
            "somebody has the file or device open in a way that excludes this one"
        }
        STATUS_DELETE_PENDING => "the object is about to be deleted and cannot be opened any more",
        STATUS_BUFFER_OVERFLOW => {
            "the buffer was too small and holds a part of the data; this is a warning"
        }
        STATUS_BUFFER_TOO_SMALL => "the buffer was too small and nothing was stored in it",
        STATUS_INFO_LENGTH_MISMATCH => {
            "the buffer has not the length that this class of information has"
        }
        STATUS_INVALID_INFO_CLASS => "there is no such class of information here",
        _ => return None,
    })
}

/// Finding and starting a driver.
const fn explain_loading(status: u32) -> Option<&'static str> {
    Some(match status {
        STATUS_INVALID_IMAGE_FORMAT => {
            "the file is not an executable image that this system can load"
        }
        STATUS_IMAGE_MACHINE_TYPE_MISMATCH => "the image was built for another processor",
        STATUS_IMAGE_CHECKSUM_MISMATCH => {
            "the checksum in the image header is wrong; the linker's /RELEASE sets it"
        }
        STATUS_INVALID_IMAGE_HASH => {
            "the image is not signed by anyone this system trusts; is test signing on?"
        }
        STATUS_IMAGE_ALREADY_LOADED => "the driver is loaded already",
        STATUS_DRIVER_ENTRYPOINT_NOT_FOUND => {
            "the driver imports a function that this version of the system lacks"
        }
        STATUS_DRIVER_ORDINAL_NOT_FOUND => {
            "the driver imports an ordinal that this version of the system lacks"
        }
        STATUS_PROCEDURE_NOT_FOUND => "a function was looked up that the module does not export",
        STATUS_DRIVER_UNABLE_TO_LOAD => {
            "the driver could not be loaded; the system log has the reason"
        }
        STATUS_DRIVER_BLOCKED => "the system refuses this driver because it is known to do harm",
        STATUS_DRIVER_FAILED_PRIOR_UNLOAD => {
            "an earlier copy of the driver is still loaded and has not finished"
        }
        STATUS_DRIVER_INTERNAL_ERROR => "the driver found itself in a state that must not occur",
        STATUS_REVISION_MISMATCH => "the version found is not the version that was asked for",
        _ => return None,
    })
}

/// Requests and their parameters.
const fn explain_request(status: u32) -> Option<&'static str> {
    Some(match status {
        STATUS_UNSUCCESSFUL => "it failed, for a reason that has no status of its own",
        STATUS_NOT_IMPLEMENTED => "the call exists but does nothing yet",
        STATUS_NOT_SUPPORTED => "this cannot be done with this object or on this system",
        STATUS_INVALID_PARAMETER => "a parameter is not among the values that are allowed",
        STATUS_INVALID_PARAMETER_1..=STATUS_INVALID_PARAMETER_12 => {
            "the parameter of the number in the name (the first is 1) is not among the values that are allowed"
        }
        STATUS_INVALID_BUFFER_SIZE => {
            "the size of the buffer is not one that this request can have"
        }
        STATUS_INVALID_DEVICE_REQUEST => {
            "the device has no handler for this request, or not in this state"
        }
        STATUS_INVALID_DEVICE_STATE => "the device is not in a state in which it can do this",
        STATUS_NO_SUCH_DEVICE | STATUS_DEVICE_DOES_NOT_EXIST => "there is no device of this name",
        STATUS_DEVICE_NOT_CONNECTED => "the device is gone",
        STATUS_DEVICE_NOT_READY => "the device is there but cannot work now",
        STATUS_DEVICE_BUSY => "the device is doing something else",
        STATUS_IO_DEVICE_ERROR => "the device reported a failure",
        STATUS_IO_TIMEOUT => "the device did not answer in time",
        STATUS_NO_SUCH_FILE => "the file does not exist",
        STATUS_END_OF_FILE => "there is nothing to read at or after this offset",
        STATUS_FILE_FORCED_CLOSED => {
            "the file was closed from the other side, for instance by a dismount"
        }
        STATUS_CANCELLED => "the request was cancelled before it was done",
        STATUS_MORE_PROCESSING_REQUIRED => {
            "a completion routine keeps the request; the driver completes it later"
        }
        STATUS_NOT_FOUND => "what was looked for is not in the list",
        STATUS_PROCESS_IS_TERMINATING => "the process is going away",
        STATUS_THREAD_IS_TERMINATING => "the thread is going away",
        _ => return None,
    })
}

//! `NTSTATUS` as a type, with names for the statuses that a driver meets. The list is
//! short, because each name adds bytes to every driver image.

use core::fmt;

/// What a kernel function answers: `NTSTATUS` of the reference.
///
/// Usable at any IRQL.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Status(i32);

impl Status {
    /// The status with this number, signed as the kernel's functions return it.
    #[must_use]
    pub const fn from_raw(status: i32) -> Self {
        Self(status)
    }

    /// The status with this number, unsigned as the reference prints it.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        Self(code.cast_signed())
    }

    /// The number, signed as the kernel's functions take it.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The number, unsigned as the reference prints it.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Success or information, not a warning or an error: `NT_SUCCESS`.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// This status, or `STATUS_UNSUCCESSFUL` if it is a success: what a request may
    /// end with that has failed. `STATUS_PENDING` is a success too.
    pub(crate) const fn as_failure(self) -> Self {
        if self.is_success() {
            Self::UNSUCCESSFUL
        } else {
            self
        }
    }
}

/// The name if it is known, otherwise the number in hexadecimal.
impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "{:#010x}", self.code()),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self} ({:#010x})", self.code())
    }
}

/// Defines each status once: its constant and its name.
macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self::from_code($code);)*

            /// The name in the reference, for the values that this crate knows.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(concat!("STATUS_", stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// The operation completed.
    SUCCESS = 0x0000_0000;
    /// The request waits; its end comes later.
    PENDING = 0x0000_0103;
    /// The data did not fit; as much as fits was returned.
    BUFFER_OVERFLOW = 0x8000_0005;
    /// The operation failed; the callee says no more.
    UNSUCCESSFUL = 0xC000_0001;
    /// The function does not exist here.
    NOT_IMPLEMENTED = 0xC000_0002;
    /// The data is not as long as what was asked for needs.
    INFO_LENGTH_MISMATCH = 0xC000_0004;
    /// Memory was referenced that cannot be, or not in this way.
    ACCESS_VIOLATION = 0xC000_0005;
    /// A page could not be read from its backing store.
    IN_PAGE_ERROR = 0xC000_0006;
    /// The handle is not open, or not of this kind.
    INVALID_HANDLE = 0xC000_0008;
    /// An argument is not acceptable.
    INVALID_PARAMETER = 0xC000_000D;
    /// The device does not do this.
    INVALID_DEVICE_REQUEST = 0xC000_0010;
    /// No virtual memory or page file quota is left.
    NO_MEMORY = 0xC000_0017;
    /// The caller lacks the right.
    ACCESS_DENIED = 0xC000_0022;
    /// The buffer cannot hold even the fixed part of the answer.
    BUFFER_TOO_SMALL = 0xC000_0023;
    /// The object has another type than the one asked for.
    OBJECT_TYPE_MISMATCH = 0xC000_0024;
    /// The object's name is not acceptable.
    OBJECT_NAME_INVALID = 0xC000_0033;
    /// No object of this name.
    OBJECT_NAME_NOT_FOUND = 0xC000_0034;
    /// An object of this name exists.
    OBJECT_NAME_COLLISION = 0xC000_0035;
    /// A part of the path before the name does not exist.
    OBJECT_PATH_NOT_FOUND = 0xC000_003A;
    /// A part of the path before the name is malformed.
    OBJECT_PATH_SYNTAX_BAD = 0xC000_003B;
    /// What is asked for is not there.
    NOT_FOUND = 0xC000_0225;
    /// There is nothing behind this point.
    END_OF_FILE = 0xC000_0011;
    /// Another thread owns it.
    DEVICE_BUSY = 0x8000_0011;
    /// There is no such memory.
    INVALID_ADDRESS = 0xC000_0141;
    /// Data read back is not the data written.
    DATA_ERROR = 0xC000_003E;
    /// A page's protection does not allow the access.
    INVALID_PAGE_PROTECTION = 0xC000_0045;
    /// A section's protection does not allow the view.
    SECTION_PROTECTION = 0xC000_004E;
    /// The object is going to be deleted.
    DELETE_PENDING = 0xC000_0056;
    /// Memory or another system resource is exhausted.
    INSUFFICIENT_RESOURCES = 0xC000_009A;
    /// A page is a guard page.
    GUARD_PAGE_VIOLATION = 0x8000_0001;
    /// An address is not aligned as its type needs.
    DATATYPE_MISALIGNMENT = 0x8000_0002;
    /// The process may not lock more pages.
    WORKING_SET_QUOTA = 0xC000_00A1;
    /// The request is not supported.
    NOT_SUPPORTED = 0xC000_00BB;
    /// The key is marked for deletion.
    KEY_DELETED = 0xC000_017C;
    /// The object is not in a state in which this is possible.
    INVALID_DEVICE_STATE = 0xC000_0184;
    /// A registry file could not be read or written.
    REGISTRY_IO_FAILED = 0xC000_014D;
    /// The registry is damaged.
    REGISTRY_CORRUPT = 0xC000_014C;
    /// A quota of the process is exhausted.
    QUOTA_EXCEEDED = 0xC000_0044;
    /// The request was cancelled.
    CANCELLED = 0xC000_0120;
    /// The system's commit limit is reached.
    COMMITMENT_LIMIT = 0xC000_012D;
}

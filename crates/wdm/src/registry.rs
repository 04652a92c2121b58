//! Reads registry values.
//!
//! Values are untrusted data, so their type and size are checked. `RtlQueryRegistryValues`
//! in its direct mode writes through a pointer according to the type in the registry; this
//! module calls `ZwQueryValueKey` with a buffer of fixed size.

use core::{fmt, mem::offset_of, ptr::null_mut};

use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
    HANDLE, KEY_READ, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, ULONG,
    ntddk::{ZwClose, ZwOpenKey, ZwQueryValueKey},
};

use crate::{
    Error, Result, Status,
    irql::{Irql, Passive},
    memory::structure_size,
    scope::{DeferredDrop, DropAtIrql, TAG},
    string::UnicodeStr,
};

/// An open key, for reading. Closed when dropped: `ZwClose`.
///
/// IRQL: `PASSIVE_LEVEL`; dropping it: `<= DISPATCH_LEVEL`.
pub struct Key(DeferredDrop<Handle>);

/// A handle that is closed when dropped.
struct Handle(HANDLE);

// SAFETY: a kernel handle belongs to no thread, and to no process but the system's.
unsafe impl Send for Handle {}

impl DropAtIrql for Handle {
    fn max_irql(&self) -> Irql {
        Irql::PASSIVE
    }
}

impl Key {
    /// Opens the key at an absolute path such as `\Registry\Machine\Software`:
    /// `ZwOpenKey`. `None` if there is no such key.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `ZwOpenKey` if it is not that the key does not exist, or
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn open(path: UnicodeStr<'_>, passive: &Passive) -> Result<Option<Self>> {
        Self::open_below(null_mut(), path, passive)
    }

    /// Opens the key with this name or path below this one: `ZwOpenKey`. `None` if
    /// there is no such key.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub fn open_subkey(&self, name: UnicodeStr<'_>, passive: &Passive) -> Result<Option<Self>> {
        Self::open_below(self.0.0, name, passive)
    }

    fn open_below(root: HANDLE, name: UnicodeStr<'_>, _: &Passive) -> Result<Option<Self>> {
        let mut name = name.to_raw();
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: structure_size::<OBJECT_ATTRIBUTES>(),
            RootDirectory: root,
            ObjectName: name.as_mut_ptr(),
            Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
            SecurityDescriptor: null_mut(),
            SecurityQualityOfService: null_mut(),
        };
        let mut handle: HANDLE = null_mut();
        // SAFETY: the attributes are complete, name and root outlive the call, and
        // the handle goes into a variable of ours.
        let status = unsafe { ZwOpenKey(&raw mut handle, KEY_READ, &raw mut attributes) };
        match Status::from_raw(status) {
            Status::OBJECT_NAME_NOT_FOUND => Ok(None),
            status => {
                Error::check("ZwOpenKey", status)?;
                match DeferredDrop::new(Handle(handle), TAG) {
                    Ok(handle) => Ok(Some(Self(handle))),
                    Err(rejected) => Err(rejected.error),
                }
            }
        }
    }

    /// Reads the value of this name: `ZwQueryValueKey`. `None` if the key has no
    /// such value. Of a value that is longer than [`Value::CAPACITY`], type and
    /// size are read.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `ZwQueryValueKey`, or `STATUS_DATA_ERROR` if it returned more
    /// than there is room for.
    pub fn value(&self, name: UnicodeStr<'_>, _: &Passive) -> Result<Option<Value>> {
        const CALL: &str = "ZwQueryValueKey";
        let mut name = name.to_raw();
        let mut information = PartialInformation::new();
        let mut needed: ULONG = 0;
        // SAFETY: handle and name are valid, and the buffer is ours, as long as
        // the length says, and laid out as the structure of the class asked for.
        let status = unsafe {
            ZwQueryValueKey(
                self.0.0,
                name.as_mut_ptr(),
                KeyValuePartialInformation,
                (&raw mut information).cast(),
                structure_size::<PartialInformation>(),
                &raw mut needed,
            )
        };
        let is_complete = match Status::from_raw(status) {
            Status::OBJECT_NAME_NOT_FOUND => return Ok(None),
            Status::BUFFER_OVERFLOW => false,
            status => Error::check(CALL, status).map(|()| true)?,
        };
        // A target with addresses of 64 bits can count to any 32-bit number.
        let size = usize::try_from(information.len).unwrap_or(usize::MAX);
        if is_complete && size > Value::CAPACITY {
            return Err(Error::new(CALL, Status::DATA_ERROR));
        }
        Ok(Some(Value {
            kind: ValueType(information.kind),
            size,
            is_complete,
            data: information.data,
        }))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key {:p}", self.0.0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The one failure, a handle that is not open, cannot occur.
        // SAFETY: the handle is open, and closed here only.
        let _ = unsafe { ZwClose(self.0) };
    }
}

/// Room for the answer about a value: `KEY_VALUE_PARTIAL_INFORMATION`.
#[repr(C, align(8))]
struct PartialInformation {
    title_index: u32,
    kind: u32,
    /// Bytes of data.
    len: u32,
    data: [u16; Value::CAPACITY / 2],
}

impl PartialInformation {
    const fn new() -> Self {
        Self {
            title_index: 0,
            kind: 0,
            len: 0,
            data: [0; Value::CAPACITY / 2],
        }
    }
}

// The kernel writes the header that the reference gives, and the data behind it.
const _: () = assert!(offset_of!(PartialInformation, title_index) == 0);
const _: () = assert!(offset_of!(PartialInformation, kind) == 4);
const _: () = assert!(offset_of!(PartialInformation, len) == 8);
const _: () = assert!(offset_of!(PartialInformation, data) == 12);
const _: () = assert!(size_of::<PartialInformation>() == 12 + Value::CAPACITY);

/// A value of the registry, of any type. Usable at any IRQL.
#[derive(Clone)]
pub struct Value {
    kind: ValueType,
    /// Bytes of data, here or not.
    size: usize,
    is_complete: bool,
    data: [u16; Self::CAPACITY / 2],
}

impl Value {
    /// The longest value that is read, in bytes.
    pub const CAPACITY: usize = 500;

    /// The type that the value claims.
    #[must_use]
    pub const fn kind(&self) -> ValueType {
        self.kind
    }

    /// Size of the data in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether the data is longer than [`Self::CAPACITY`], and so was not read.
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        !self.is_complete
    }

    /// The number of a `REG_DWORD`; `None` for any other type or size.
    #[must_use]
    pub fn dword(&self) -> Option<u32> {
        match (self.kind, self.units()?) {
            (ValueType::DWORD, &[low, high]) => Some(u32::from(low) | u32::from(high) << 16),
            _ => None,
        }
    }

    /// The text of a `REG_SZ` without the NULs that end it, which may be missing;
    /// `None` for any other type, for an odd size, and for text that was not read.
    #[must_use]
    pub fn string(&self) -> Option<UnicodeStr<'_>> {
        let mut units = self.units().filter(|_| self.kind == ValueType::SZ)?;
        while let [rest @ .., 0] = units {
            units = rest;
        }
        UnicodeStr::new(units)
    }

    /// The data in units of two bytes, if it is here and divides into them.
    fn units(&self) -> Option<&[u16]> {
        let is_whole = self.is_complete && self.size.is_multiple_of(2);
        self.data.get(..self.size / 2).filter(|_| is_whole)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {} bytes", self.kind, self.size)
    }
}

/// The type of a registry value: `REG_…` of the reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValueType(u32);

impl ValueType {
    /// Text: `REG_SZ`.
    pub const SZ: Self = Self(1);
    /// A number of 32 bits: `REG_DWORD`.
    pub const DWORD: Self = Self(4);

    /// The number of the type.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The name in the reference, if it has one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "REG_NONE",
            1 => "REG_SZ",
            2 => "REG_EXPAND_SZ",
            3 => "REG_BINARY",
            4 => "REG_DWORD",
            5 => "REG_DWORD_BIG_ENDIAN",
            6 => "REG_LINK",
            7 => "REG_MULTI_SZ",
            8 => "REG_RESOURCE_LIST",
            9 => "REG_FULL_RESOURCE_DESCRIPTOR",
            10 => "REG_RESOURCE_REQUIREMENTS_LIST",
            11 => "REG_QWORD",
            _ => return None,
        })
    }
}

/// The name if there is one, otherwise the number.
impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "{:#x}", self.0),
        }
    }
}

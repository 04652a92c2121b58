//! Reading a driver's configuration from the registry.
//!
//! Whoever may write to the key decides what is in it, so a value is data with a
//! type to be checked, never a structure to be trusted. `RtlQueryRegistryValues`
//! writes where the *value* says if its type is not the expected one; this module
//! uses `ZwQueryValueKey` into a buffer of its own.

use core::{fmt, mem::offset_of, ptr::null_mut};

use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
    HANDLE, KEY_READ, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, ULONG,
    ntddk::{ZwClose, ZwOpenKey, ZwQueryValueKey},
};

use crate::{Error, Result, Status, memory::structure_size, string::UnicodeStr};

/// An open key, for reading. Closed when dropped: `ZwClose`.
///
/// IRQL: `PASSIVE_LEVEL`, dropping included.
#[derive(Debug)]
pub struct Key(HANDLE);

impl Key {
    /// Opens the key at an absolute path such as `\Registry\Machine\Software`:
    /// `ZwOpenKey`. `None` if there is no such key.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `ZwOpenKey` if it is not that the key does not exist.
    pub fn open(path: UnicodeStr<'_>) -> Result<Option<Self>> {
        Self::open_below(null_mut(), path)
    }

    /// Opens the key with this name or path below this one: `ZwOpenKey`. `None` if
    /// there is no such key.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `ZwOpenKey` if it is not that the key does not exist.
    pub fn open_subkey(&self, name: UnicodeStr<'_>) -> Result<Option<Self>> {
        Self::open_below(self.0, name)
    }

    fn open_below(root: HANDLE, name: UnicodeStr<'_>) -> Result<Option<Self>> {
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
            status => Error::check("ZwOpenKey", status).map(|()| Some(Self(handle))),
        }
    }

    /// Reads the value of this name into `buffer`: `ZwQueryValueKey`. `None` if
    /// the key has no such value. Of a value that is longer than the buffer, type
    /// and size are read.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `ZwQueryValueKey`, or `STATUS_DATA_ERROR` if it returned more
    /// than there is room for.
    pub fn value<'b>(
        &self,
        name: UnicodeStr<'_>,
        buffer: &'b mut ValueBuffer,
    ) -> Result<Option<Value<'b>>> {
        const CALL: &str = "ZwQueryValueKey";
        let mut name = name.to_raw();
        let mut needed: ULONG = 0;
        // SAFETY: handle and name are valid, and the buffer is ours, as long as
        // the length says, and laid out as the structure of the class asked for.
        let status = unsafe {
            ZwQueryValueKey(
                self.0,
                name.as_mut_ptr(),
                KeyValuePartialInformation,
                (&raw mut *buffer).cast(),
                structure_size::<ValueBuffer>(),
                &raw mut needed,
            )
        };
        match Status::from_raw(status) {
            Status::OBJECT_NAME_NOT_FOUND => Ok(None),
            Status::BUFFER_OVERFLOW => Ok(Some(buffer.cut_value())),
            status => {
                Error::check(CALL, status)?;
                let value = buffer.value().ok_or(Error::new(CALL, Status::DATA_ERROR))?;
                Ok(Some(value))
            }
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // The one failure, a handle that is not open, cannot occur.
        // SAFETY: the handle is open, and closed here only.
        let _ = unsafe { ZwClose(self.0) };
    }
}

/// Room for one value: `KEY_VALUE_PARTIAL_INFORMATION`.
#[repr(C, align(8))]
pub struct ValueBuffer {
    title_index: u32,
    kind: u32,
    /// Bytes of data.
    len: u32,
    data: [u16; Self::CAPACITY / 2],
}

impl ValueBuffer {
    /// The longest value that fits, in bytes.
    pub const CAPACITY: usize = 500;

    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            title_index: 0,
            kind: 0,
            len: 0,
            data: [0; Self::CAPACITY / 2],
        }
    }

    /// What the kernel has put here; `None` if it claims more than there is.
    fn value(&self) -> Option<Value<'_>> {
        let value = self.cut_value();
        let units = self.data.get(..value.size.div_ceil(2))?;
        Some(Value {
            units: Some(units),
            ..value
        })
    }

    /// Type and size of a value that does not fit.
    fn cut_value(&self) -> Value<'_> {
        // A target with addresses of 64 bits can count to any 32-bit number.
        let size = usize::try_from(self.len).unwrap_or(usize::MAX);
        Value {
            kind: ValueType(self.kind),
            size,
            units: None,
        }
    }
}

impl Default for ValueBuffer {
    fn default() -> Self {
        Self::new()
    }
}

// The kernel writes the header that the reference gives, and the data behind it.
const _: () = assert!(offset_of!(ValueBuffer, kind) == 4);
const _: () = assert!(offset_of!(ValueBuffer, len) == 8);
const _: () = assert!(offset_of!(ValueBuffer, data) == 12);
const _: () = assert!(size_of::<ValueBuffer>() == 12 + ValueBuffer::CAPACITY);

/// A value of the registry, of any type. Usable at any IRQL.
#[derive(Clone, Copy)]
pub struct Value<'b> {
    kind: ValueType,
    /// Bytes of data.
    size: usize,
    /// The data, two bytes each; the upper half of the last is not data if `size`
    /// is odd. `None` if the data did not fit.
    units: Option<&'b [u16]>,
}

impl<'b> Value<'b> {
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

    /// Whether the data did not fit into the buffer, and so is not here.
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        self.units.is_none()
    }

    /// The number of a `REG_DWORD`; `None` for any other type or size.
    #[must_use]
    pub fn dword(&self) -> Option<u32> {
        match (self.kind, self.size, self.units) {
            (ValueType::DWORD, 4, Some(&[low, high])) => {
                Some(u32::from(low) | u32::from(high) << 16)
            }
            _ => None,
        }
    }

    /// The text of a `REG_SZ` without the NULs that end it, which may be missing;
    /// `None` for any other type, for an odd size, and for text that did not fit.
    #[must_use]
    pub fn string(&self) -> Option<UnicodeStr<'b>> {
        if self.kind != ValueType::SZ || !self.size.is_multiple_of(2) {
            return None;
        }
        let mut units = self.units?;
        while let [rest @ .., 0] = units {
            units = rest;
        }
        UnicodeStr::new(units)
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

//! `OBJECT_ATTRIBUTES`: the name of an object, and how it is opened or created.

use nt_layout::ObjectAttributes;
use ntbox_host::driver_mem::UnicodeString;

use crate::base::driver_ptr::DriverPtr;
use crate::base::error::Refusal;

/// `OBJ_INHERIT`.
pub const INHERIT: u32 = 0x2;
/// `OBJ_PERMANENT`.
pub const PERMANENT: u32 = 0x10;
/// `OBJ_EXCLUSIVE`.
pub const EXCLUSIVE: u32 = 0x20;
/// `OBJ_CASE_INSENSITIVE`.
pub const CASE_INSENSITIVE: u32 = 0x40;
/// `OBJ_OPENIF`.
pub const OPENIF: u32 = 0x80;
/// `OBJ_OPENLINK`.
pub const OPENLINK: u32 = 0x100;
/// `OBJ_KERNEL_HANDLE`.
pub const KERNEL_HANDLE: u32 = 0x200;
/// All that are defined: the above, `OBJ_FORCE_ACCESS_CHECK`,
/// `OBJ_IGNORE_IMPERSONATED_DEVICEMAP` and `OBJ_DONT_REPARSE`.
pub const VALID: u32 = 0x1ff2;
/// `OBJ_DONT_REPARSE`.
pub const DONT_REPARSE: u32 = 0x1000;
/// `MAXIMUM_ALLOWED`, of a desired access.
pub const MAXIMUM_ALLOWED: u32 = 0x0200_0000;

/// The contents of an `OBJECT_ATTRIBUTES`.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// Handle that the name is relative to; 0 for none.
    pub root: u64,
    /// The name, if there is one.
    pub name: Option<Vec<u16>>,
    /// `OBJ_…` flags.
    pub flags: u32,
    /// Address of the security descriptor of what is made; 0 for none.
    pub descriptor: u64,
    /// Address of the quality of service; 0 for none, or if it was not read.
    pub quality: u64,
}

impl Attributes {
    /// A name from the root of the namespace.
    pub fn named(name: Vec<u16>, flags: u32) -> Self {
        Self {
            root: 0,
            name: Some(name),
            flags,
            descriptor: 0,
            quality: 0,
        }
    }

    /// Reads the structure at `va`; 0 means no attributes at all.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a wrong length or unknown flags,
    /// `STATUS_OBJECT_NAME_INVALID` for a name of an odd number of bytes.
    pub fn read(va: u64) -> Result<Self, Refusal> {
        if va == 0 {
            return Ok(Self::default());
        }
        let fields: DriverPtr<ObjectAttributes> = DriverPtr::new(va);
        let length = fields.get(|attributes| &attributes.length)?;
        let root = fields.get(|attributes| &attributes.root_directory)?;
        let name = fields.get(|attributes| &attributes.object_name)?;
        let flags = fields.get(|attributes| &attributes.attributes)?;
        if u64::from(length) != DriverPtr::<ObjectAttributes>::SIZE || flags & !VALID != 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER.into());
        }
        let name = if name == 0 {
            None
        } else {
            Some(read_name(name)?)
        };
        Ok(Self {
            root,
            name,
            flags,
            descriptor: fields.get(|attributes| &attributes.security_descriptor)?,
            quality: 0,
        })
    }

    /// The same with the quality of service that the structure at `va` says.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn with_quality_of(self, va: u64) -> Result<Self, Refusal> {
        let fields: DriverPtr<ObjectAttributes> = DriverPtr::new(va);
        Ok(Self {
            quality: fields.get(|attributes| &attributes.security_quality_of_service)?,
            ..self
        })
    }

    /// The same, where the structure must be there.
    ///
    /// # Errors
    /// As for [`Attributes::read`]; `STATUS_INVALID_PARAMETER` without one.
    pub fn require(va: u64) -> Result<Self, Refusal> {
        if va == 0 {
            Err(nt_status::STATUS_INVALID_PARAMETER.into())
        } else {
            Self::read(va)
        }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// Reads the `UNICODE_STRING` of a name.
fn read_name(va: u64) -> Result<Vec<u16>, Refusal> {
    let string = UnicodeString::read(va)?;
    if string.length % 2 != 0 {
        return Err(nt_status::STATUS_OBJECT_NAME_INVALID.into());
    }
    Ok(string.units()?)
}

//! An entry of the table: `RTL_QUERY_REGISTRY_TABLE`.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use crate::base::error::Refusal;
use crate::cm::rtl_registry::text_at;

/// `REG_NONE`.
pub const REG_NONE: u32 = 0;
/// `REG_SZ`.
pub const REG_SZ: u32 = 1;
/// `REG_EXPAND_SZ`.
pub const REG_EXPAND_SZ: u32 = 2;
/// `REG_MULTI_SZ`.
pub const REG_MULTI_SZ: u32 = 7;

/// `RTL_QUERY_REGISTRY_…`.
pub mod flag {
    /// The name is that of a subkey, which the following entries are about.
    pub const SUBKEY: u32 = 0x1;
    /// The following entries are about the first key again.
    pub const TOPKEY: u32 = 0x2;
    /// The value must be there.
    pub const REQUIRED: u32 = 0x4;
    /// Without a name: no value is wanted, only a call.
    pub const NOVALUE: u32 = 0x8;
    /// Strings are to be left as they are.
    pub const NOEXPAND: u32 = 0x10;
    /// The value is stored instead of handed to a routine.
    pub const DIRECT: u32 = 0x20;
    /// The value is deleted afterwards.
    pub const DELETE: u32 = 0x40;
    /// The value's type must be the expected one.
    pub const TYPECHECK: u32 = 0x100;
}

/// Longest default string, in units.
const MAX_DEFAULT: usize = 0x7fff;

/// An entry.
#[derive(Debug)]
pub struct Entry {
    /// Routine to be called; 0 for none.
    pub routine: u64,
    flags: u32,
    /// Where the name is; 0 for none.
    pub name_at: u64,
    /// The name.
    pub name: Vec<u16>,
    /// What the routine is given, or where the value is stored.
    pub context: u64,
    default_type: u32,
    default_data: u64,
    default_length: u32,
}

/// Data in the driver's memory, or to be put there.
#[derive(Debug, Clone)]
pub struct Data {
    /// Its `REG_…` type.
    pub kind: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where they are, if the driver has them already.
    pub at: Option<u64>,
}

impl Entry {
    /// Bytes of an entry.
    pub const SIZE: u64 = 0x38;

    /// Reads the entry at `va`.
    pub fn read(va: u64) -> Result<Self, Refusal> {
        let name_at = driver_mem::read_u64(va.wrapping_add(0x10))?;
        Ok(Self {
            routine: driver_mem::read_u64(va)?,
            flags: driver_mem::read_u32(va.wrapping_add(0x08))?,
            name_at,
            name: text_at(name_at)?,
            context: driver_mem::read_u64(va.wrapping_add(0x18))?,
            default_type: driver_mem::read_u32(va.wrapping_add(0x20))?,
            default_data: driver_mem::read_u64(va.wrapping_add(0x28))?,
            default_length: driver_mem::read_u32(va.wrapping_add(0x30))?,
        })
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether the table ends here: an entry without a routine that does not say
    /// that it needs none.
    pub fn is_end(&self) -> bool {
        self.routine == 0 && !self.has(flag::SUBKEY) && !self.has(flag::DIRECT)
    }

    /// Type of the default; `REG_NONE` if there is none.
    pub fn default_type(&self) -> u32 {
        if self.has(flag::TYPECHECK) {
            self.default_type & 0xff
        } else {
            self.default_type
        }
    }

    /// The type that a value must have; `None` for any.
    pub fn expected_type(&self) -> Option<u32> {
        let expected = self.default_type >> 24;
        (self.has(flag::TYPECHECK) && expected != REG_NONE).then_some(expected)
    }

    /// What is taken when there is no value; `None` without a default.
    pub fn default(&self) -> Result<Option<Data>, Fault> {
        let kind = self.default_type();
        if kind == REG_NONE {
            return Ok(None);
        }
        let length = match (self.default_length, kind) {
            (0, REG_SZ | REG_EXPAND_SZ) => string_bytes(self.default_data)?,
            (0, REG_MULTI_SZ) => list_bytes(self.default_data)?,
            // A list that begins with its end has no strings, however long it is.
            (_, REG_MULTI_SZ) if driver_mem::read_u16(self.default_data)? == 0 => 2,
            (length, _) => length as usize,
        };
        let mut bytes = vec![0; length];
        driver_mem::read_bytes(self.default_data, &mut bytes)?;
        Ok(Some(Data {
            kind,
            bytes,
            at: Some(self.default_data),
        }))
    }
}

/// Bytes of a string with its NUL.
fn string_bytes(va: u64) -> Result<usize, Fault> {
    Ok(2 * (driver_mem::read_wide_string(va, MAX_DEFAULT)?.len() + 1))
}

/// Bytes of a list of strings with the NUL that ends it.
fn list_bytes(va: u64) -> Result<usize, Fault> {
    let mut bytes = 0;
    while bytes < 2 * MAX_DEFAULT && driver_mem::read_u16(va.wrapping_add(bytes as u64))? != 0 {
        bytes += string_bytes(va.wrapping_add(bytes as u64))?;
    }
    Ok(bytes + 2)
}

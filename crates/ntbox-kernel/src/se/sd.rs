//! A security descriptor as the kernel works with it, whichever of its two forms
//! it was read from.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use super::acl;
use super::sid::Sid;

/// `SECURITY_DESCRIPTOR_CONTROL`.
pub mod control {
    /// `SE_OWNER_DEFAULTED`.
    pub const OWNER_DEFAULTED: u16 = 0x1;
    /// `SE_GROUP_DEFAULTED`.
    pub const GROUP_DEFAULTED: u16 = 0x2;
    /// `SE_DACL_PRESENT`.
    pub const DACL_PRESENT: u16 = 0x4;
    /// `SE_DACL_DEFAULTED`.
    pub const DACL_DEFAULTED: u16 = 0x8;
    /// `SE_SACL_PRESENT`.
    pub const SACL_PRESENT: u16 = 0x10;
    /// `SE_SACL_DEFAULTED`.
    pub const SACL_DEFAULTED: u16 = 0x20;
    /// `SE_DACL_AUTO_INHERITED`.
    pub const DACL_AUTO_INHERITED: u16 = 0x400;
    /// `SE_SACL_AUTO_INHERITED`.
    pub const SACL_AUTO_INHERITED: u16 = 0x800;
    /// `SE_DACL_PROTECTED`.
    pub const DACL_PROTECTED: u16 = 0x1000;
    /// `SE_SACL_PROTECTED`.
    pub const SACL_PROTECTED: u16 = 0x2000;
    /// `SE_SELF_RELATIVE`.
    pub const SELF_RELATIVE: u16 = 0x8000;
}

/// Which parts of a descriptor are meant: `SECURITY_INFORMATION`.
pub mod part {
    /// `OWNER_SECURITY_INFORMATION`.
    pub const OWNER: u32 = 1;
    /// `GROUP_SECURITY_INFORMATION`.
    pub const GROUP: u32 = 2;
    /// `DACL_SECURITY_INFORMATION`.
    pub const DACL: u32 = 4;
    /// `SACL_SECURITY_INFORMATION`.
    pub const SACL: u32 = 8;
}

/// Offset of the control bits, in both forms.
pub const CONTROL: u64 = 2;
/// Bytes of the fixed part: absolute and self-relative.
pub const ABSOLUTE_SIZE: u64 = 0x28;
/// Bytes of the fixed part of the self-relative form.
pub const RELATIVE_SIZE: u64 = 0x14;

/// A descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Control bits, without the one of the form.
    pub control: u16,
    /// Who owns the object.
    pub owner: Option<Sid>,
    /// Its primary group.
    pub group: Option<Sid>,
    /// What is audited, as the bytes of a list.
    pub sacl: Option<Vec<u8>>,
    /// Who may do what; present and `None` is everyone everything.
    pub dacl: Option<Vec<u8>>,
}

/// Addresses of the four parts of the descriptor at `va`, 0 for none, in the order
/// owner, group, SACL, DACL.
pub fn parts(va: u64) -> Result<[u64; 4], Fault> {
    let control = driver_mem::read_u16(va.wrapping_add(CONTROL))?;
    let mut parts = [0; 4];
    for (n, part) in parts.iter_mut().enumerate() {
        let n = n as u64;
        *part = if control & control::SELF_RELATIVE == 0 {
            driver_mem::read_u64(va.wrapping_add(8 + 8 * n))?
        } else {
            match driver_mem::read_u32(va.wrapping_add(4 + 4 * n))? {
                0 => 0,
                offset => va.wrapping_add(u64::from(offset)),
            }
        };
    }
    if control & control::SACL_PRESENT == 0 {
        parts[2] = 0;
    }
    if control & control::DACL_PRESENT == 0 {
        parts[3] = 0;
    }
    Ok(parts)
}

impl Descriptor {
    /// Reads the descriptor at `va`; `None` if it is not valid.
    pub fn read(va: u64) -> Result<Option<Self>, Fault> {
        if driver_mem::read_u8(va)? != 1 {
            return Ok(None);
        }
        let [owner, group, sacl, dacl] = parts(va)?;
        let sid = |va| {
            if va == 0 {
                Ok(Some(None))
            } else {
                Ok::<_, Fault>(Sid::read(va)?.map(Some))
            }
        };
        let list = |va| {
            if va == 0 {
                return Ok::<_, Fault>(Some(None));
            }
            Ok(if acl::is_valid(va)? {
                Some(Some(acl::read(va)?))
            } else {
                None
            })
        };
        let control = driver_mem::read_u16(va.wrapping_add(CONTROL))? & !control::SELF_RELATIVE;
        let (Some(owner), Some(group), Some(sacl), Some(dacl)) =
            (sid(owner)?, sid(group)?, list(sacl)?, list(dacl)?)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            control,
            owner,
            group,
            sacl,
            dacl,
        }))
    }

    /// The self-relative form: SACL, DACL, owner, group behind the fixed part.
    pub fn relative(&self) -> Vec<u8> {
        const FIXED: usize = 0x14;
        let mut bytes = vec![0; FIXED];
        bytes[0] = 1;
        bytes[2..4].copy_from_slice(&(self.control | control::SELF_RELATIVE).to_le_bytes());
        let owner = self.owner.as_ref().map(Sid::bytes);
        let group = self.group.as_ref().map(Sid::bytes);
        let pieces = [
            (12, self.sacl.as_deref()),
            (16, self.dacl.as_deref()),
            (4, owner),
            (8, group),
        ];
        for (field, piece) in pieces {
            let Some(piece) = piece else { continue };
            let offset = u32::try_from(bytes.len()).unwrap_or(0);
            bytes[field..field + 4].copy_from_slice(&offset.to_le_bytes());
            bytes.extend(piece);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// Whether there is a list that says who may do what.
    pub fn restricts(&self) -> bool {
        self.control & control::DACL_PRESENT != 0 && self.dacl.is_some()
    }

    /// Takes parts of another descriptor.
    pub fn replace(&mut self, parts: u32, other: &Self) {
        let mut bits = 0;
        if parts & part::OWNER != 0 {
            self.owner.clone_from(&other.owner);
            bits |= control::OWNER_DEFAULTED;
        }
        if parts & part::GROUP != 0 {
            self.group.clone_from(&other.group);
            bits |= control::GROUP_DEFAULTED;
        }
        if parts & part::SACL != 0 {
            self.sacl.clone_from(&other.sacl);
            bits |= control::SACL_PRESENT | control::SACL_DEFAULTED;
        }
        if parts & part::DACL != 0 {
            self.dacl.clone_from(&other.dacl);
            bits |= control::DACL_PRESENT | control::DACL_DEFAULTED;
        }
        self.control = self.control & !bits | other.control & bits;
    }

    /// Only some parts of it.
    pub fn only(&self, parts: u32) -> Self {
        let mut some = Self::default();
        some.replace(parts, self);
        some
    }
}

//! The run-time library's short way to the registry: a key by a path relative to
//! a well-known one, opened and closed on the way.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::nt_set_value::Data;
use super::{nt_key, nt_set_value};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::key_id::KeyId;
use crate::base::utf16::{SEPARATOR, wide};
use crate::ob;
use crate::ob::attributes::{Attributes, CASE_INSENSITIVE};

/// `RTL_REGISTRY_HANDLE`: the path is a handle.
const HANDLE: u32 = 0x4000_0000;
/// `RTL_REGISTRY_OPTIONAL`: has no effect.
const OPTIONAL: u32 = 0x8000_0000;
/// What paths are relative to, by `RTL_REGISTRY_…` number. The number 0 means
/// nothing: the path is a whole one.
const PREFIXES: [&str; 6] = [
    "",
    "\\Registry\\Machine\\System\\CurrentControlSet\\Services",
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control",
    "\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion",
    "\\Registry\\Machine\\Hardware\\DeviceMap",
    "\\Registry\\User\\.Default",
];
/// Longest text that is read as a path or a name, in units.
const MAX_TEXT: usize = 0x7fff;

/// How keys on a path are opened.
#[derive(Debug, Clone, Copy)]
struct OpenOptions {
    access: u32,
    /// Whether it is made if all but its last component is there.
    makes: bool,
}

/// `GENERIC_READ`, to look.
const READ: OpenOptions = OpenOptions {
    access: 0x8000_0000,
    makes: false,
};
/// `GENERIC_WRITE`, to change what is there.
const WRITE: OpenOptions = OpenOptions {
    access: 0x4000_0000,
    makes: false,
};
/// The same, also of what is not there yet.
const MAKE: OpenOptions = OpenOptions {
    makes: true,
    ..WRITE
};

exports! {
    /// `RtlCheckRegistryKey`: with `RTL_REGISTRY_HANDLE` it closes the handle.
    fn RtlCheckRegistryKey<call>(relative_to: u32, path: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let checked = Location::read(relative_to, path).and_then(|location| match location {
            Location::Handle(handle) => Ok(ob::handles::close(handle, &caller)?),
            location @ Location::Path(_) => location.opened(READ, &caller, |_| Ok(())),
        });
        error::status(checked)
    }

    /// `RtlCreateRegistryKey`: makes the last key of the path only.
    fn RtlCreateRegistryKey<call>(relative_to: u32, path: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let made = Location::read(relative_to, path).and_then(|location| location.opened(MAKE, &caller, |_| Ok(())));
        error::status(made)
    }

    /// `RtlWriteRegistryValue`: makes the last key of the path if it is not there.
    fn RtlWriteRegistryValue<call>(relative_to: u32, path: u64, name: u64, kind: u32, data: u64, length: u32) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let caller = CallContext::of(call);
        let write = || -> Result<(), Refusal> {
            let data = Data { kind, at: data, size: length };
            Location::read(relative_to, path)?.opened(MAKE, &caller, |key| {
                nt_set_value::set_named(key, &text_at(name)?, 0, &data, &caller)
            })
        };
        error::status(write())
    }

    /// `RtlDeleteRegistryValue`.
    fn RtlDeleteRegistryValue<call>(relative_to: u32, path: u64, name: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let caller = CallContext::of(call);
        let delete = || -> Result<(), Refusal> {
            Location::read(relative_to, path)?.opened(WRITE, &caller, |key| {
                nt_set_value::delete_named(key, &text_at(name)?, &caller)
            })
        };
        error::status(delete())
    }
}

/// Reads text that ends with a NUL; no text for NULL.
pub fn text_at(va: u64) -> Result<Vec<u16>, Refusal> {
    if va == 0 {
        Ok(Vec::new())
    } else {
        Ok(driver_mem::read_wide_string(va, MAX_TEXT)?)
    }
}

/// Which key is meant.
#[derive(Debug)]
pub enum Location {
    /// The one behind a handle.
    Handle(u64),
    /// The one at a path from the root of the namespace.
    Path(Vec<u16>),
}

impl Location {
    /// From the two arguments that say it.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for an unknown number.
    pub fn read(relative_to: u32, path: u64) -> Result<Self, Refusal> {
        if relative_to & HANDLE != 0 {
            return Ok(Self::Handle(path));
        }
        let number = usize::try_from(relative_to & !OPTIONAL).unwrap_or(usize::MAX);
        let prefix = PREFIXES
            .get(number)
            .ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        let path = text_at(path)?;
        if prefix.is_empty() {
            return Ok(Self::Path(path));
        }
        let mut whole = wide(prefix);
        whole.push(SEPARATOR);
        whole.extend(path);
        Ok(Self::Path(whole))
    }

    /// The key, if it is there.
    ///
    /// # Errors
    /// Those of [`nt_key::existing`] and [`nt_key::from_handle`].
    pub fn existing(self, caller: &CallContext<'_>) -> Result<KeyId, u32> {
        match self {
            Self::Handle(handle) => nt_key::from_handle(handle),
            Self::Path(path) => {
                nt_key::existing(&Attributes::named(path, CASE_INSENSITIVE), caller)
            }
        }
    }

    /// Opens the key, does something to it by its handle, and closes it, as system
    /// services would do it one after the other.
    fn opened(
        self,
        how: OpenOptions,
        caller: &CallContext<'_>,
        work: impl FnOnce(u64) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Handle(handle) => {
                nt_key::opened(handle)?;
                work(handle)
            }
            Self::Path(path) => {
                let handle = nt_key::open_at(path, how.makes, how.access, caller)?;
                let done = work(handle);
                ob::handles::close(handle, caller)?;
                done
            }
        }
    }
}

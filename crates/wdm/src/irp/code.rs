//! I/O control codes and their transfer methods.

use core::fmt;

/// A device control code, as `CTL_CODE` makes it.
///
/// ```
/// # use wdm::irp::{ControlCode, Method};
/// const GET_VERSION: ControlCode = ControlCode::from_raw(0x8000_2000);
/// assert_eq!(GET_VERSION.method(), Method::Buffered);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ControlCode(u32);

/// How the caller's data gets to a driver: the lowest two bits of a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// The kernel copies both ways: `METHOD_BUFFERED`.
    Buffered,
    /// The input is copied, the second buffer is locked for reading:
    /// `METHOD_IN_DIRECT`.
    InDirect,
    /// The input is copied, the second buffer is locked for writing:
    /// `METHOD_OUT_DIRECT`.
    OutDirect,
    /// The caller's addresses as they are: `METHOD_NEITHER`.
    Neither,
}

impl ControlCode {
    /// The code with this number.
    #[must_use]
    pub const fn from_raw(code: u32) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// How the data travels: `METHOD_FROM_CTL_CODE`.
    #[must_use]
    pub const fn method(self) -> Method {
        match self.0 & 3 {
            0 => Method::Buffered,
            1 => Method::InDirect,
            2 => Method::OutDirect,
            _ => Method::Neither,
        }
    }
}

impl fmt::Display for ControlCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "control code {:#010x}", self.0)
    }
}

impl fmt::Debug for ControlCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

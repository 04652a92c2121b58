//! Debug output through `DbgPrintEx`, for a kernel debugger or `DebugView`.
//!
//! Each line is one call, ends in a newline and has at most 512 bytes, the kernel's
//! limit. Text is formatted on the stack and passed as an argument of `%s`, so a `%` in
//! it is not interpreted and no memory is allocated.

use core::{
    ffi::{CStr, c_char},
    fmt::{self, Write},
};

use wdk_sys::ntddk::DbgPrintEx;

/// Component of drivers that no Microsoft component covers:
/// `DPFLTR_IHVDRIVER_ID`.
const IHVDRIVER: u32 = 77;

/// Bytes that `DbgPrintEx` transmits in one call, its terminating NUL included.
const BUFFER: usize = 512;

/// Bytes of text in a line: the newline and the NUL come on top.
pub const LINE_LIMIT: usize = BUFFER - 2;

/// Ends a line whose text was too long.
const CUT_MARK: &str = "...";

const FORMAT: &CStr = c"%s";

/// Importance of a line: `DPFLTR_…_LEVEL`. A level shows if its bit is set in the
/// component's filter mask or in the system-wide one. A freshly installed Windows
/// sets the bit of [`Level::Error`] and no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Level {
    /// `DPFLTR_ERROR_LEVEL`.
    Error = 0,
    /// `DPFLTR_WARNING_LEVEL`.
    Warning = 1,
    /// `DPFLTR_TRACE_LEVEL`.
    Trace = 2,
    /// `DPFLTR_INFO_LEVEL`.
    Info = 3,
}

impl Level {
    /// The level with this number, 0 to 3.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Error),
            1 => Some(Self::Warning),
            2 => Some(Self::Trace),
            3 => Some(Self::Info),
            _ => None,
        }
    }

    /// The level's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// A line being written. Text beyond [`LINE_LIMIT`] bytes is dropped and the line
/// then ends in `...`; a control character, which could end the line early, is
/// written as `?`.
///
/// Usable at any IRQL.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; BUFFER],
    len: usize,
    cut: bool,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; BUFFER],
            len: 0,
            cut: false,
        }
    }

    /// Sends the line to the debugger, ended by a newline: `DbgPrintEx`.
    ///
    /// Whether anybody sees it depends on the filter; the kernel's answer says
    /// nothing about that and is dropped. IRQL: `<= DIRQL`.
    pub fn send(mut self, level: Level) {
        if self.cut {
            self.mark_cut();
        }
        if let Some(end) = self.bytes.get_mut(self.len..) {
            for (byte, ending) in end.iter_mut().zip(*b"\n\0") {
                *byte = ending;
            }
        }
        let text: *const c_char = self.bytes.as_ptr().cast();
        // SAFETY: the format is a NUL-terminated string with one `%s`, and `text`
        // is NUL-terminated within its buffer: `len` never exceeds LINE_LIMIT, two
        // bytes short of it.
        unsafe { DbgPrintEx(IHVDRIVER, level.number(), FORMAT.as_ptr(), text) };
    }

    /// Appends one character, all of it or nothing.
    fn push(&mut self, character: char) {
        let character = if character.is_control() {
            '?'
        } else {
            character
        };
        if character.len_utf8() > LINE_LIMIT.saturating_sub(self.len) {
            self.cut = true;
            return;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len = self.len.saturating_add(1);
            }
        }
    }

    /// Replaces the end of the text by the cut mark, at a character boundary.
    fn mark_cut(&mut self) {
        let is_inside_character = |byte: &u8| byte & 0xC0 == 0x80;
        let mut len = self.len.min(LINE_LIMIT.saturating_sub(CUT_MARK.len()));
        while len > 0 && self.bytes.get(len).is_some_and(is_inside_character) {
            len = len.saturating_sub(1);
        }
        self.len = len;
        self.cut = false;
        for character in CUT_MARK.chars() {
            self.push(character);
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Line {
    /// Never fails: what does not fit is cut.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.cut {
                break;
            }
            self.push(character);
        }
        Ok(())
    }
}

/// Formats and sends one line; [`log!`](crate::log!) is the convenient way.
///
/// A value whose `Display` fails ends its line there. IRQL: `<= DIRQL`.
pub fn print(level: Level, text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    if line.write_fmt(text).is_err() {
        line.cut = true;
    }
    line.send(level);
}

/// Sends one line to the kernel debugger: a [`Level`], then
/// what `format!` takes. Longer text is cut; nothing is allocated.
///
/// ```no_run
/// # use wdm::debug::Level;
/// # let (pages, address) = (1, 0x1000);
/// wdm::log!(Level::Error, "sample: {} pages at {:#018x}", pages, address);
/// ```
///
/// IRQL: `<= DIRQL`.
#[macro_export]
macro_rules! log {
    ($level:expr, $($argument:tt)+) => {
        $crate::debug::print($level, ::core::format_args!($($argument)+))
    };
}

//! The format of Wine's debug output: `thread:class:channel:function text`. Messages of
//! drivers are in the channel `debugstr`: component and level in hexadecimal, then the
//! text. Wine writes a level below 32 as its mask.

use crate::record::LogLine;

/// A line in this format.
pub struct Entry<'a> {
    channel: &'a str,
    message: &'a str,
}

/// Parses a line; `None` if it is not in this format.
pub fn entry(line: &str) -> Option<Entry<'_>> {
    let mut parts = line.splitn(4, ':');
    let (thread, class) = (parts.next()?, parts.next()?);
    let is_thread = thread.len() == 4 && thread.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_class = matches!(class, "err" | "fixme" | "warn" | "trace");
    (is_thread && is_class).then_some(Entry {
        channel: parts.next()?,
        message: parts.next()?,
    })
}

impl Entry<'_> {
    /// The line; `None` if it is not a driver's message.
    pub fn kernel_line(&self) -> Option<LogLine> {
        if self.channel != "debugstr" {
            return None;
        }
        let printed = self.message.strip_prefix("vDbgPrintExWithPrefix ")?;
        let mut parts = printed.splitn(3, ':');
        let mut number = || u32::from_str_radix(parts.next()?, 16).ok();
        let (component, mask) = (number()?, number()?);
        let level = if mask.is_power_of_two() {
            mask.trailing_zeros()
        } else {
            mask
        };
        let text = parts.next()?;
        Some(LogLine {
            component: Some(component),
            level: Some(level.into()),
            ..LogLine::from_text(text.strip_prefix(' ').unwrap_or(text).trim_end())
        })
    }
}

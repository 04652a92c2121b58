//! A line of Wine's debug output: `thread:class:channel:function text`. What a
//! driver prints is in the channel `debugstr`, as component and level in
//! hexadecimal and the text; a level below 32 is written as the mask that it
//! stands for.

use crate::record::Line;

/// A line that has the format's shape.
pub struct Entry<'a> {
    channel: &'a str,
    message: &'a str,
}

/// Takes a line apart, if it is one of Wine's.
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
    /// The line, if a driver printed it.
    pub fn kernel_line(&self) -> Option<Line> {
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
        Some(Line {
            component: Some(component),
            level: Some(level.into()),
            ..Line::from_text(text.strip_prefix(' ').unwrap_or(text).trim_end())
        })
    }
}

//! A line as DebugView saves it: `number<TAB>time<TAB>text<TAB>`, in which the
//! time is seconds since the first line or the clock's, and lines of programs
//! begin with their process id in brackets.

use crate::record::Line;

/// A line that has the format's shape.
pub struct Entry<'a> {
    /// Units of 100 ns; 0 where the log has the time of day.
    time: u64,
    text: &'a str,
}

/// Takes a line apart, if it is one of DebugView's.
pub fn entry(line: &str) -> Option<Entry<'_>> {
    let (number, rest) = line.split_once('\t')?;
    let is_number = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    let (time, text) = rest.split_once('\t')?;
    let time = match elapsed(time) {
        Some(time) => time,
        None if is_clock(time) => 0,
        None => return None,
    };
    is_number.then(|| Entry {
        time,
        text: text.strip_suffix('\t').unwrap_or(text),
    })
}

impl Entry<'_> {
    /// The line, if the kernel wrote it.
    pub fn kernel_line(&self) -> Option<Line> {
        (!is_of_program(self.text)).then(|| Line {
            time: self.time,
            ..Line::from_text(self.text.trim_end())
        })
    }
}

/// `[pid] text`.
fn is_of_program(text: &str) -> bool {
    text.strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(pid, _)| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `seconds.fraction`, in units of 100 ns.
fn elapsed(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain("0000000".chars()).take(7).collect();
    seconds
        .parse::<u64>()
        .ok()?
        .checked_mul(10_000_000)?
        .checked_add(fraction.parse().ok()?)
}

/// `H:MM:SS`, with milliseconds or not, with AM or PM or not.
fn is_clock(text: &str) -> bool {
    let time = text
        .strip_suffix(" AM")
        .or_else(|| text.strip_suffix(" PM"))
        .unwrap_or(text);
    let time = time.split_once('.').map_or(time, |(time, _)| time);
    let parts: Vec<&str> = time.split(':').collect();
    parts.len() == 3
        && parts.iter().all(|part| {
            (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
}

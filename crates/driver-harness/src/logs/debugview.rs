//! The log format of DebugView: `number<TAB>time<TAB>text<TAB>`. The time is seconds
//! since the first line, or the time of day; lines of programs begin with their
//! process id in brackets.

use std::fmt::Write as _;

use crate::record::LogLine;

/// A line in this format.
pub(super) struct Entry<'a> {
    /// In units of 100 ns; 0 if the log has the time of day.
    time: u64,
    text: &'a str,
}

/// Parses a line; `None` if it is not in this format.
pub(super) fn entry(line: &str) -> Option<Entry<'_>> {
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
    /// The line; `None` for a program's.
    pub(super) fn kernel_line(&self) -> Option<LogLine> {
        (!is_program_line(self.text)).then(|| LogLine {
            time: self.time,
            ..LogLine::from_text(self.text.trim_end())
        })
    }
}

/// Whether the text is `[pid] text`.
fn is_program_line(text: &str) -> bool {
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

/// Formats the lines of a log that the debug print filter lets through, without line
/// ends.
pub fn format(log: &[LogLine]) -> impl Iterator<Item = String> {
    let mut shown = log.iter().filter(|line| line.shown).peekable();
    let first = shown.peek().map_or(0, |line| line.time);
    shown.enumerate().map(move |(index, line)| {
        let time = line.time.saturating_sub(first);
        let (seconds, rest) = (time / 10_000_000, time % 10_000_000);
        format!(
            "{:08}\t{seconds}.{rest:07}0\t{}",
            index + 1,
            printable(&line.text)
        )
    })
}

/// Escapes the control characters in `text`, so that a driver's log cannot control
/// the terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            if c.is_control() && c != '\t' {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            } else {
                out.push(c);
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_writes_number_time_and_text() {
        let at = |time, text: &str| LogLine {
            time,
            ..LogLine::from_text(text)
        };
        let hidden = LogLine {
            shown: false,
            ..at(5, "hidden")
        };
        let log = [
            hidden,
            at(7, "first"),
            at(7 + 12_345_678, "second\u{1b}[2J\n"),
        ];
        let lines: Vec<_> = format(&log).collect();
        assert_eq!(
            lines,
            [
                "00000001\t0.00000000\tfirst",
                "00000002\t1.23456780\tsecond\\x1b[2J\\x0a"
            ]
        );
    }
}

//! The log as DebugView saves it: an eight-digit number, the seconds since the
//! first line, the text, with tabs between. Lines that the debug print filter
//! hides are not there, as they would not be on Windows.

use std::fmt::Write as _;

use crate::record::Line;

/// The shown lines of a log, one string each, without line ends.
pub fn lines(log: &[Line]) -> impl Iterator<Item = String> {
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

/// `text` with control characters written out: what a driver logs must not be
/// able to steer the terminal that shows it.
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
    fn number_time_and_text() {
        let at = |time, text: &str| Line {
            time,
            ..Line::from_text(text)
        };
        let hidden = Line {
            shown: false,
            ..at(5, "hidden")
        };
        let log = [
            hidden,
            at(7, "first"),
            at(7 + 12_345_678, "second\u{1b}[2J\n"),
        ];
        let lines: Vec<_> = lines(&log).collect();
        assert_eq!(
            lines,
            [
                "00000001\t0.00000000\tfirst",
                "00000002\t1.23456780\tsecond\\x1b[2J\\x0a"
            ]
        );
    }
}

//! Reads a log while another program writes it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{decode, parse};
use crate::record::LogLine;

/// A log file and a position in it. A file that becomes shorter has been replaced, and
/// is read from its start.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The offset of the first unread byte.
    offset: u64,
    /// The bytes of an incomplete line.
    partial_line: Vec<u8>,
    /// The byte order mark of a file in UTF-16.
    byte_order_mark: Vec<u8>,
}

impl Tail {
    /// The log at `path`, from its start.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            offset: 0,
            partial_line: Vec::new(),
            byte_order_mark: Vec::new(),
        }
    }

    /// The log at `path`, from its current end.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn from_end(path: &Path) -> io::Result<Self> {
        let mut tail = Self::new(path);
        tail.read()?;
        tail.partial_line.clear();
        Ok(tail)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of bytes read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset
    }

    /// The lines completed since the last call, as [`parse`] returns them.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<LogLine>> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        if length < self.offset {
            *self = Self::new(&self.path);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let read = file.read_to_end(&mut self.partial_line)?;
        let from_start = self.offset == 0;
        self.offset += u64::try_from(read).unwrap_or(0);
        if from_start && matches!(self.partial_line[..], [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
            self.byte_order_mark = self.partial_line.drain(..2).collect();
        }
        let end = self.complete_length();
        let whole: Vec<u8> = self.partial_line.drain(..end).collect();
        Ok(self.parse_bytes(&whole))
    }

    /// The incomplete last line.
    #[must_use]
    pub fn last_line(&self) -> Vec<LogLine> {
        self.parse_bytes(&self.partial_line)
    }

    fn parse_bytes(&self, bytes: &[u8]) -> Vec<LogLine> {
        parse(&decode(&[&self.byte_order_mark, bytes].concat()))
    }

    /// The length of the complete lines.
    fn complete_length(&self) -> usize {
        let unit: &[u8] = match self.byte_order_mark[..] {
            [0xFF, ..] => &[b'\n', 0],
            [0xFE, ..] => &[0, b'\n'],
            _ => b"\n",
        };
        let units = self.partial_line.chunks_exact(unit.len());
        let last = units.enumerate().rfind(|(_, found)| *found == unit);
        last.map_or(0, |(n, _)| (n + 1) * unit.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn texts(found: io::Result<Vec<LogLine>>) -> Vec<String> {
        let found = found.expect("the file can be read");
        found.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn tail_returns_complete_lines() {
        let path = &integration_tests::temp_file(".log", b"");
        let mut tail = Tail::new(path);
        assert!(texts(tail.read()).is_empty());
        let mut file = File::options().append(true).open(path).expect("opened");
        file.write_all(b"ntmem: one\r\nntmem: t").expect("written");
        assert_eq!(texts(tail.read()), ["ntmem: one"]);
        assert!(texts(tail.read()).is_empty(), "half a line");
        file.write_all(b"wo\n").expect("written");
        assert_eq!(texts(tail.read()), ["ntmem: two"]);
        drop(file);
        // A new, shorter file.
        std::fs::write(path, "a\nb").expect("written");
        assert_eq!(texts(tail.read()), ["a"]);
        assert_eq!(texts(Ok(tail.last_line())), ["b"]);
    }

    #[test]
    fn tail_splits_utf16_at_its_line_ends() {
        for (mark, bytes) in [
            ([0xFF, 0xFE], u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ([0xFE, 0xFF], u16::to_be_bytes),
        ] {
            // U+0A0A has the bytes of a line end.
            let text = "one \u{a0a}\ntwo".encode_utf16().flat_map(bytes);
            let whole: Vec<u8> = mark.into_iter().chain(text).collect();
            let path = &integration_tests::temp_file(".log", &whole);
            let mut tail = Tail::new(path);
            assert_eq!(texts(tail.read()), ["one \u{a0a}"]);
            assert_eq!(texts(Ok(tail.last_line())), ["two"]);
            // `from_end` has to read the byte order mark.
            let mut later = Tail::from_end(path).expect("the file can be read");
            let more: Vec<u8> = "\nthree\n".encode_utf16().flat_map(bytes).collect();
            let file = File::options().append(true).open(path);
            file.and_then(|mut file| file.write_all(&more))
                .expect("written");
            assert_eq!(texts(later.read()), ["three"]);
        }
    }
}

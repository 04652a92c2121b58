//! A log that somebody is still writing, read as it grows.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{decode, lines};
use crate::record::Line;

/// A log file, and how far it has been read. A file that becomes shorter was begun
/// anew and is read from its start.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Where the bytes begin that have not been read.
    at: u64,
    /// What was read of a line that has no end yet.
    rest: Vec<u8>,
    /// The mark at the start of a file in UTF-16.
    mark: Vec<u8>,
}

impl Tail {
    /// The log at `path`, from its start.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            at: 0,
            rest: Vec::new(),
            mark: Vec::new(),
        }
    }

    /// The log at `path`, from where it ends now.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn from_end(path: &Path) -> io::Result<Self> {
        let mut tail = Self::new(path);
        tail.read()?;
        tail.rest.clear();
        Ok(tail)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes of it have been read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The lines that have been finished since the last call, as [`lines`] takes them
    /// out of a log.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<Line>> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        if length < self.at {
            *self = Self::new(&self.path);
        }
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read_to_end(&mut self.rest)?;
        let from_start = self.at == 0;
        self.at += u64::try_from(read).unwrap_or(0);
        if from_start && matches!(self.rest[..], [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
            self.mark = self.rest.drain(..2).collect();
        }
        let end = self.end_of_lines();
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        Ok(self.parse(&whole))
    }

    /// The line that has no end yet.
    #[must_use]
    pub fn last(&self) -> Vec<Line> {
        self.parse(&self.rest)
    }

    fn parse(&self, bytes: &[u8]) -> Vec<Line> {
        lines(&decode(&[&self.mark, bytes].concat()))
    }

    /// Where the last line that has an end ends.
    fn end_of_lines(&self) -> usize {
        let unit: &[u8] = match self.mark[..] {
            [0xFF, ..] => &[b'\n', 0],
            [0xFE, ..] => &[0, b'\n'],
            _ => b"\n",
        };
        let units = self.rest.chunks_exact(unit.len());
        let last = units.enumerate().rfind(|(_, found)| *found == unit);
        last.map_or(0, |(n, _)| (n + 1) * unit.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use suites::scratch::Scratch;

    use super::*;

    fn texts(found: io::Result<Vec<Line>>) -> Vec<String> {
        let found = found.expect("it can be read");
        found.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_come_when_they_are_whole() {
        let scratch = Scratch::new("live.log", b"");
        let path = scratch.path();
        let mut tail = Tail::new(path);
        assert!(texts(tail.read()).is_empty());
        let mut file = File::options().append(true).open(path).expect("the file");
        file.write_all(b"ntmem: one\r\nntmem: t").expect("room");
        assert_eq!(texts(tail.read()), ["ntmem: one"]);
        assert!(texts(tail.read()).is_empty(), "half a line");
        file.write_all(b"wo\n").expect("room");
        assert_eq!(texts(tail.read()), ["ntmem: two"]);
        drop(file);
        // Begun anew.
        std::fs::write(path, "a\nb").expect("room");
        assert_eq!(texts(tail.read()), ["a"]);
        assert_eq!(texts(Ok(tail.last())), ["b"]);
    }

    #[test]
    fn utf16_is_cut_at_its_own_line_ends() {
        for (mark, bytes) in [
            ([0xFF, 0xFE], u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ([0xFE, 0xFF], u16::to_be_bytes),
        ] {
            // U+0A0A has the bytes of a line end and is none.
            let text = "one \u{a0a}\ntwo".encode_utf16().flat_map(bytes);
            let whole: Vec<u8> = mark.into_iter().chain(text).collect();
            let scratch = Scratch::new("wide.log", &whole);
            let mut tail = Tail::new(scratch.path());
            assert_eq!(texts(tail.read()), ["one \u{a0a}"]);
            assert_eq!(texts(Ok(tail.last())), ["two"]);
            // From its end on it is still known what it is written in.
            let mut later = Tail::from_end(scratch.path()).expect("it can be read");
            let more: Vec<u8> = "\nthree\n".encode_utf16().flat_map(bytes).collect();
            let file = File::options().append(true).open(scratch.path());
            file.and_then(|mut file| file.write_all(&more))
                .expect("room");
            assert_eq!(texts(later.read()), ["three"]);
        }
    }
}

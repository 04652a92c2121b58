//! The listing: one line a block, in columns that people have read for decades.
//!
//! A line is put together by hand, in a buffer that lives as long as the listing:
//! a process may have a million blocks, and the general way of formatting takes
//! longer than asking the system for them.

use std::io::{self, Write};

use crate::{Block, State};

/// The names of the columns, above the columns.
pub const HEADER: &str = "AllocationBase   BaseAddress      Size    State       Type    \
                          Current Allocation";

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Writes blocks as lines.
#[derive(Debug)]
pub struct Listing<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Listing<W> {
    /// A listing that goes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::with_capacity(160),
        }
    }

    /// Adds a block.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&mut self, block: &Block) -> io::Result<()> {
        self.line.clear();
        append(block, &mut self.line);
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// The line of a block, without its end.
#[must_use]
pub fn line(block: &Block) -> String {
    let mut line = Vec::new();
    append(block, &mut line);
    String::from_utf8(line).unwrap_or_default()
}

/// Appends the line of a block, without its end.
pub fn append(block: &Block, line: &mut Vec<u8>) {
    hexadecimal(block.allocation_base, line);
    line.push(b' ');
    hexadecimal(block.base, line);
    line.push(b' ');
    decimal(block.size, 7, line);
    line.push(b' ');
    line.extend_from_slice(block.state.name().as_bytes());
    let Some(kind) = block.kind else {
        return;
    };
    pad(line, block.state.name().len(), 12);
    line.extend_from_slice(kind.name().as_bytes());
    if block.state != State::Committed {
        return;
    }
    pad(line, kind.name().len(), 8);
    line.extend_from_slice(&block.protection.letters());
    line.push(b' ');
    line.extend_from_slice(&block.allocation_protection.letters());
}

fn pad(line: &mut Vec<u8>, written: usize, width: usize) {
    line.resize(line.len() + width.saturating_sub(written), b' ');
}

fn hexadecimal(number: u64, line: &mut Vec<u8>) {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = HEX[(number >> (4 * place) & 15) as usize];
    }
    line.extend_from_slice(&digits);
}

/// A number, and blanks up to a width.
fn decimal(mut number: u64, width: usize, line: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    while from > 0 {
        from -= 1;
        digits[from] = HEX[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[from..]);
    pad(line, digits.len() - from, width);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Raw;

    fn listed(raw: &Raw) -> String {
        line(&Block::from_raw(raw).expect("a block"))
    }

    #[test]
    fn line_matches_reference_format() {
        let stack = Raw {
            allocation_base: 0x6_0000,
            base: 0x6_0000,
            size: 1_028_096,
            state: 0x2000,
            kind: 0x2_0000,
            protection: 0,
            allocation_protection: 4,
        };
        assert_eq!(
            listed(&stack),
            "0000000000060000 0000000000060000 1028096 Reserved    Private"
        );
        let guard = Raw {
            base: 0x15_B000,
            size: 8192,
            state: 0x1000,
            protection: 0x104,
            ..stack
        };
        assert_eq!(
            listed(&guard),
            "0000000000060000 000000000015B000 8192    Committed   Private --GRW-- ---RW--"
        );
        let code = Raw {
            allocation_base: 0x7FE_FDF9_0000,
            base: 0x7FE_FDF9_1000,
            size: 303_104,
            state: 0x1000,
            kind: 0x100_0000,
            protection: 0x20,
            allocation_protection: 0x80,
        };
        assert_eq!(
            listed(&code),
            "000007FEFDF90000 000007FEFDF91000 303104  Committed   Image   ---R-E- ---RWEC"
        );
    }

    #[test]
    fn line_of_free_block_has_no_protection() {
        assert_eq!(
            line(&Block::free(0x1000, 4096)),
            "0000000000000000 0000000000001000 4096    Free"
        );
        assert_eq!(
            line(&Block::free(0, u64::MAX)),
            "0000000000000000 0000000000000000 18446744073709551615 Free"
        );
    }

    #[test]
    fn header_aligns_with_columns() {
        let line = "0000000000060000 000000000015B000 8192    Committed   Private --GRW-- ---RW--";
        for (name, column) in [
            ("AllocationBase", "0000000000060000"),
            ("BaseAddress", "000000000015B000"),
            ("Size", "8192"),
            ("State", "Committed"),
            ("Type", "Private"),
            ("Current", "--GRW--"),
            (" Allocation", " ---RW--"),
        ] {
            assert_eq!(HEADER.rfind(name), line.rfind(column), "{name}");
        }
    }
}

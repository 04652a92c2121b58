//! How much of what is committed is in physical memory.

use std::io::{self, Write};

use crate::{Block, Error, State};

/// What of a block is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resident {
    /// Bytes in physical memory that the process can get at.
    pub bytes: u64,
    /// Of these, how many can be shared with other processes.
    pub shared: u64,
}

/// Something that knows.
pub trait WorkingSet {
    /// What of a committed block is there.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    fn resident(&mut self, block: &Block) -> Result<Resident, Error>;
}

/// The line above the table.
pub const HEADER: &str =
    "AllocationBase   BaseAddress              Size     Resident       Shared Protection";

/// Writes a committed block as a line of the table; others not at all.
///
/// # Errors
///
/// Those of the writer.
pub fn write(block: &Block, resident: &Resident, out: &mut impl Write) -> io::Result<()> {
    if block.state != State::Committed {
        return Ok(());
    }
    writeln!(
        out,
        "{:016X} {:016X} {:>12} {:>12} {:>12} {}",
        block.allocation_base,
        block.base,
        block.size,
        resident.bytes,
        resident.shared,
        block.protection
    )
}

/// The line of the sums.
///
/// # Errors
///
/// Those of the writer.
pub fn write_sum(committed: u64, resident: &Resident, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<33} {committed:>12} {:>12} {:>12}",
        "Total", resident.bytes, resident.shared
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{listing, parse};

    #[test]
    fn line_is_for_committed_blocks_only() {
        let line = "0000000000060000 000000000015B000 8192    Committed   Private --GRW-- ---RW--";
        let block = parse::line(line).expect("a line").expect("a block");
        let resident = Resident {
            bytes: 4096,
            shared: 0,
        };
        let mut out = Vec::new();
        write(&block, &resident, &mut out).expect("memory");
        write(&Block::free(0, 4096), &resident, &mut out).expect("memory");
        write_sum(8192, &resident, &mut out).expect("memory");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "0000000000060000 000000000015B000         8192         4096            0 --GRW--\n\
             Total                                     8192         4096            0\n"
        );
        assert_eq!(listing::line(&block), line);
        let column = |name: &str| HEADER.find(name).map(|at| at + name.len());
        assert_eq!((column("Size"), column("Resident")), (Some(46), Some(59)));
    }
}

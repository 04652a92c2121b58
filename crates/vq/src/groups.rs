//! What allocations mean: an image with its sections, a thread's stack, a heap, a
//! mapped file, the process's and the threads' own structures.
//!
//! Blocks alone do not say; what else is known of the process comes as
//! [`Landmarks`], and from whoever can look into it ([`Look`]).

use std::fmt::Write as _;

use serde::Serialize;

use crate::pe::{self, Section};
use crate::{Block, Kind, State, export::address};

/// Where every process sees what the kernel shares with it: `KUSER_SHARED_DATA`.
pub const SHARED_USER_DATA: u64 = 0x7FFE_0000;

/// A thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub id: u32,
    /// The address of its environment block.
    pub teb: u64,
    /// Where its stack began: the end of it.
    pub stack_base: u64,
}

/// What is known of a process beside its blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landmarks {
    /// Its threads.
    pub threads: Vec<Thread>,
    /// Its environment block.
    pub peb: Option<u64>,
    /// Its heaps.
    pub heaps: Vec<u64>,
}

/// Looks into the process.
pub trait Look {
    /// The file that is mapped at an address.
    fn file(&mut self, address: u64) -> Option<String>;

    /// The bytes at an address, as many as there are of those asked for.
    fn bytes(&mut self, address: u64, most: usize) -> Vec<u8>;
}

impl<L: Look + ?Sized> Look for &mut L {
    fn file(&mut self, address: u64) -> Option<String> {
        (**self).file(address)
    }

    fn bytes(&mut self, address: u64, most: usize) -> Vec<u8> {
        (**self).bytes(address, most)
    }
}

/// What a group is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Meaning {
    /// An image.
    Image {
        /// Its file.
        file: Option<String>,
        /// Its sections.
        sections: Vec<Section>,
    },
    /// A mapped file, or a section without one.
    Mapped {
        /// The file.
        file: Option<String>,
    },
    /// A thread's stack.
    Stack {
        /// The thread.
        thread: u32,
        /// Bytes of guard pages.
        guard: u64,
    },
    /// A heap.
    Heap {
        /// Its place among the heaps.
        number: usize,
    },
    /// Environment blocks.
    Environment {
        /// Whether that of the process is there.
        process: bool,
        /// The threads whose blocks are there.
        threads: Vec<u32>,
    },
    /// What the kernel shares with all processes.
    SharedUserData,
    /// Other memory of the process.
    Private,
}

/// An allocation, its sums and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Where it begins.
    pub base: String,
    /// Its bytes.
    pub size: u64,
    /// Of these, how many have memory behind them.
    pub committed: u64,
    /// Of these, how many are only set aside.
    pub reserved: u64,
    /// How many blocks it is made of.
    pub blocks: usize,
    /// What it is.
    #[serde(flatten)]
    pub meaning: Meaning,
}

/// Collects the blocks of one allocation after the other.
#[derive(Debug)]
pub struct Groups<'a, L> {
    landmarks: &'a Landmarks,
    look: L,
    open: Vec<Block>,
}

impl<'a, L: Look> Groups<'a, L> {
    /// Groups of a process of which this much is known.
    pub fn new(landmarks: &'a Landmarks, look: L) -> Self {
        Self {
            landmarks,
            look,
            open: Vec::new(),
        }
    }

    /// Takes the next block; returns the group that has ended before it.
    pub fn push(&mut self, block: &Block) -> Option<Group> {
        let is_same = self.open.last().is_some_and(|last| {
            block.state != State::Free && last.allocation_base == block.allocation_base
        });
        let ended = if is_same { None } else { self.finish() };
        if block.state != State::Free {
            self.open.push(*block);
        }
        ended
    }

    /// The last group.
    pub fn finish(&mut self) -> Option<Group> {
        let blocks = std::mem::take(&mut self.open);
        let first = blocks.first()?;
        let sum = |state: State| -> u64 {
            let blocks = blocks.iter().filter(|block| block.state == state);
            blocks.map(|block| block.size).sum()
        };
        Some(Group {
            base: address(first.allocation_base),
            size: blocks.iter().map(|block| block.size).sum(),
            committed: sum(State::Committed),
            reserved: sum(State::Reserved),
            blocks: blocks.len(),
            meaning: self.meaning(first, &blocks),
        })
    }

    fn meaning(&mut self, first: &Block, blocks: &[Block]) -> Meaning {
        let base = first.allocation_base;
        let end = blocks.last().map_or(base, Block::end);
        match first.kind {
            Some(Kind::Image) => Meaning::Image {
                file: self.look.file(base),
                sections: pe::sections(&self.look.bytes(base, pe::HEADERS)).unwrap_or_default(),
            },
            Some(Kind::Mapped) => Meaning::Mapped {
                file: self.look.file(base),
            },
            Some(Kind::Private) | None => private(self.landmarks, base..end, blocks),
        }
    }
}

fn private(landmarks: &Landmarks, range: std::ops::Range<u64>, blocks: &[Block]) -> Meaning {
    if range.contains(&SHARED_USER_DATA) {
        return Meaning::SharedUserData;
    }
    // The base of a stack is the first address past it.
    let holds = |base: u64| base > range.start && base <= range.end;
    if let Some(thread) = landmarks
        .threads
        .iter()
        .find(|thread| holds(thread.stack_base))
    {
        let guards = blocks.iter().filter(|block| block.protection.is_guard());
        return Meaning::Stack {
            thread: thread.id,
            guard: guards.map(|block| block.size).sum(),
        };
    }
    if let Some(number) = landmarks.heaps.iter().position(|heap| range.contains(heap)) {
        return Meaning::Heap { number };
    }
    let process = landmarks.peb.is_some_and(|peb| range.contains(&peb));
    let threads = landmarks.threads.iter();
    let threads: Vec<u32> = threads
        .filter(|thread| range.contains(&thread.teb))
        .map(|thread| thread.id)
        .collect();
    if process || !threads.is_empty() {
        return Meaning::Environment { process, threads };
    }
    Meaning::Private
}

impl Group {
    /// As lines for a person: the allocation, and the sections of an image.
    #[must_use]
    pub fn text(&self) -> String {
        let k = |bytes: u64| bytes / 1024;
        let mut text = format!(
            "{} {:>12}K {:>11}K {:>11}K {:>5}  {}\n",
            self.base.trim_start_matches("0x").to_uppercase(),
            k(self.size),
            k(self.committed),
            k(self.reserved),
            self.blocks,
            self.meaning.text()
        );
        if let Meaning::Image { sections, .. } = &self.meaning {
            for section in sections {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "  +{:<14X} {:>12}K  section {}",
                    section.offset,
                    section.size.div_ceil(1024),
                    section.name
                );
            }
        }
        text
    }
}

/// The line above the groups.
pub const HEADER: &str = "AllocationBase            Size    Committed     Reserved Blocks Meaning";

impl Meaning {
    fn text(&self) -> String {
        let unnamed = |file: &Option<String>, otherwise: &str| {
            file.clone().unwrap_or_else(|| otherwise.to_owned())
        };
        match self {
            Self::Image { file, .. } => format!("image {}", unnamed(file, "(no name)")),
            Self::Mapped { file } => format!("mapped {}", unnamed(file, "memory (no file)")),
            Self::Stack { thread, guard } => {
                format!("stack of thread {thread}, {}K of guard pages", guard / 1024)
            }
            Self::Heap { number } => format!("heap {number}"),
            Self::Environment { process, threads } => {
                let mut parts = Vec::new();
                if *process {
                    parts.push("PEB".to_owned());
                }
                parts.extend(threads.iter().map(|id| format!("TEB of thread {id}")));
                parts.join(", ")
            }
            Self::SharedUserData => "shared user data".to_owned(),
            Self::Private => "private".to_owned(),
        }
    }
}

/// Looks into nothing: for listings that were written down.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blind;

impl Look for Blind {
    fn file(&mut self, _: u64) -> Option<String> {
        None
    }

    fn bytes(&mut self, _: u64, _: usize) -> Vec<u8> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const TEXT: &str = "\
0000000000060000 0000000000060000 1028096 Reserved    Private
0000000000060000 000000000015B000 8192    Committed   Private --GRW-- ---RW--
0000000000060000 000000000015D000 12288   Committed   Private ---RW-- ---RW--
0000000000000000 0000000000160000 65536   Free
0000000000170000 0000000000170000 65536   Committed   Private ---RW-- ---RW--
0000000000180000 0000000000180000 65536   Committed   Private ---RW-- ---RW--
0000000000190000 0000000000190000 65536   Committed   Private ---RW-- ---RW--
00000000001A0000 00000000001A0000 65536   Committed   Mapped  ---R--- ---R---
000000007FFE0000 000000007FFE0000 4096    Committed   Private ---R--- ---R---
000007FEFDF90000 000007FEFDF90000 4096    Committed   Image   ---R--- ---RWEC
000007FEFDF90000 000007FEFDF91000 303104  Committed   Image   ---R-E- ---RWEC
";

    struct Files;

    impl Look for Files {
        fn file(&mut self, address: u64) -> Option<String> {
            (address > 1 << 32).then(|| r"C:\a.dll".to_owned())
        }

        fn bytes(&mut self, _: u64, _: usize) -> Vec<u8> {
            Vec::new()
        }
    }

    #[test]
    fn groups_name_allocations() {
        let landmarks = Landmarks {
            threads: vec![Thread {
                id: 7,
                teb: 0x18_2000,
                stack_base: 0x16_0000,
            }],
            peb: Some(0x18_0000),
            heaps: vec![0x17_0000],
        };
        let blocks = parse::read(TEXT.as_bytes(), "text").expect("a listing");
        let mut groups = Groups::new(&landmarks, Files);
        let mut all: Vec<Group> = blocks
            .iter()
            .filter_map(|block| groups.push(block))
            .collect();
        all.extend(groups.finish());
        let meanings: Vec<&Meaning> = all.iter().map(|group| &group.meaning).collect();
        assert_eq!(
            meanings,
            [
                &Meaning::Stack {
                    thread: 7,
                    guard: 8192
                },
                &Meaning::Heap { number: 0 },
                &Meaning::Environment {
                    process: true,
                    threads: vec![7]
                },
                &Meaning::Private,
                &Meaning::Mapped { file: None },
                &Meaning::SharedUserData,
                &Meaning::Image {
                    file: Some(r"C:\a.dll".to_owned()),
                    sections: Vec::new()
                },
            ]
        );
        assert_eq!(
            (all[0].size, all[0].committed, all[0].reserved),
            (0x10_0000, 20480, 1_028_096)
        );
        assert_eq!(
            all[2].text().trim_end(),
            "0000000000180000           64K          64K           0K     1  PEB, TEB of thread 7"
        );
    }
}

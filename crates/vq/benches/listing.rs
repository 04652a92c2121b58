//! The listing beside a bare loop over the same source: what walking, and what
//! printing, costs in addition. The source answers from a formula, in a few
//! nanoseconds; `VirtualQueryEx` takes several hundred.

use std::hint::black_box;
use std::io::Write;

use criterion::{Criterion, Throughput};
use vq::block::Raw;
use vq::listing::Listing;
use vq::{Block, Error, Source, Walk};

/// How many blocks the address space has.
const BLOCKS: u64 = 100_000;
const SIZE: u64 = 0x3000;

/// Blocks of three pages, of which every second is reserved.
struct Formula;

impl Source for Formula {
    fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
        let number = address / SIZE;
        if number >= BLOCKS {
            return Ok(None);
        }
        Ok(Block::from_raw(&Raw {
            allocation_base: number / 2 * 2 * SIZE,
            base: address,
            size: SIZE,
            state: 0x1000 << (number & 1),
            kind: 0x2_0000,
            protection: 4,
            allocation_protection: 4,
        }))
    }
}

/// Counts bytes, and looks at them so that they are made.
struct Sink(u64);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn bare() -> u64 {
    let mut address = 0;
    while let Ok(Some(block)) = black_box(&mut Formula).block_at(address) {
        address = black_box(block).end();
    }
    address
}

fn walked() -> u64 {
    let blocks = Walk::new(Formula);
    blocks
        .map_while(Result::ok)
        .map(|block| black_box(block).size)
        .sum()
}

fn listed() -> u64 {
    let mut listing = Listing::new(Sink(0));
    for block in Walk::new(Formula).map_while(Result::ok) {
        listing.write(&block).expect("a sink takes everything");
    }
    listing.into_inner().0
}

fn main() {
    let results = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&results)
        .configure_from_args();
    let mut group = criterion.benchmark_group("blocks");
    group.throughput(Throughput::Elements(BLOCKS));
    group.bench_function("bare loop", |bencher| bencher.iter(bare));
    group.bench_function("walk", |bencher| bencher.iter(walked));
    group.bench_function("listing", |bencher| bencher.iter(listed));
    group.finish();
    criterion.final_summary();
}

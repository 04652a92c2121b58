//! The command `blocks` of `ntmem.sys` lists a process's address space: each kind of
//! block matches the reference, and invalid requests return nothing.

use integration_tests::client_program::{Program, written};
use integration_tests::images;
use integration_tests::ntmem::{Open, config};
use ntbox::Operation;
use ntmem_ioctl::{BlockRecord, BlocksRequest, Command, StatisticsReply};
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::PeFile64;
use vq::kernel::ROOM;
use vq::{Block, Kind, State, listing, parse};
use zerocopy::{FromBytes, IntoBytes};

/// Every kind of block that a process can make of its own, at the same places as
/// `vq-subject` makes them.
const GOLDEN: &str = include_str!("../../golden/blocks.txt");

const BASE: u64 = 0x100_0000_0000;
const APART: u64 = 0x10_0000;
const PAGE: u64 = 0x1000;

/// `MEM_…`.
const COMMIT: u64 = 0x1000;
const RESERVE: u64 = 0x2000;

/// Where a block lies.
fn at(number: u64, page: u64) -> u64 {
    BASE + number * APART + page * PAGE
}

/// Private memory of every kind.
fn private(program: &mut Program) {
    program.allocate(at(0, 0), 16, RESERVE, 0x01);
    program.allocate(at(1, 0), 16, RESERVE, 0x04);
    for (page, protection) in (0..).zip([0x01, 0x02, 0x04, 0x10, 0x20, 0x40]) {
        program.allocate(at(1, page), 1, COMMIT, protection);
    }
    program.allocate(at(2, 0), 16, RESERVE, 0x04);
    for (page, protection) in (0..).zip([0x104, 0x102, 0x204, 0x220]) {
        program.allocate(at(2, page), 1, COMMIT, protection);
    }
    program.allocate(at(3, 0), 2, RESERVE | COMMIT, 0x404);
    program.allocate(at(4, 0), 8, RESERVE | COMMIT, 0x04);
    program.protect(at(4, 1), 0x02);
    program.protect(at(4, 5), 0x02);
    program.protect(at(4, 5), 0x04);
    program.decommit(at(4, 3), 1);
}

/// Views of every kind.
fn mapped(program: &mut Program) {
    let file = program.file(r"\??\C:\data.bin", 3);
    let of_file = program.section(file, 0, 0x04, 0x800_0000);
    for (number, protection) in [(5, 0x04), (6, 0x02), (7, 0x08)] {
        program.view(of_file, at(number, 0), protection);
    }
    let shared = program.section(0, 8, 0x04, 0x800_0000);
    program.view(shared, at(8, 0), 0x04);
    let reserved = program.section(0, 16, 0x04, 0x400_0000);
    program.view(reserved, at(9, 0), 0x04);
    program.allocate(at(9, 1), 2, COMMIT, 0x04);
}

/// A program with every kind of block.
fn program() -> Program {
    let data = integration_tests::temp_file("data.bin", &vec![0x5A; 0x5000]);
    let config = config().file(r"C:\data.bin", &data);
    let mut program = Program::new(Open::with(&config));
    private(&mut program);
    mapped(&mut program);
    program
}

#[test]
fn blocks_of_each_kind_match_golden_listing() {
    let mut program = program();
    let blocks = program.blocks();
    let lines: Vec<String> = blocks
        .iter()
        .filter(|block| block.base >= BASE && block.base < at(10, 0))
        .map(listing::line)
        .collect();
    let golden: Vec<&str> = GOLDEN.lines().collect();
    // What lies behind the last one is free, and not of the golden listing.
    assert_eq!(lines[..lines.len() - 1], golden);
    assert!(lines.last().is_some_and(|line| line.ends_with("Free")));
    program.open.finish();
}

#[test]
fn blocks_listing_has_no_gaps_and_parses_back() {
    let mut program = program();
    let blocks = program.blocks();
    let mut next = 0;
    for block in &blocks {
        assert_eq!(block.base, next, "a gap, or a block twice");
        next = block.end();
        let line = listing::line(block);
        assert_eq!(parse::line(&line), Ok(Some(block.listed())), "{line}");
    }
    // The last address of a process, 64 KiB before the middle of all.
    let context: ntmem_ioctl::ContextReply = program.open.ask(Command::Context, &[]);
    assert_eq!(next, context.highest_user + 1);
    program.open.finish();
}

#[test]
fn blocks_of_image_follow_its_sections() {
    let mut program = Program::new(Open::with(&config().file(r"C:\image.sys", images::ntmem())));
    // To read and to execute.
    let file = program.file(r"\??\C:\image.sys", 0x21);
    let section = program.section(file, 0, 0x02, 0x100_0000);
    let base = program.view(section, 0, 0x02);
    let blocks = program.blocks();
    let image: Vec<&Block> = blocks
        .iter()
        .filter(|block| block.kind == Some(Kind::Image))
        .collect();
    assert!(image.iter().all(|block| block.allocation_base == base
        && block.allocation_protection.to_string() == "---RWEC"
        && block.state == State::Committed));
    let bytes = std::fs::read(images::ntmem()).expect("the driver can be read");
    let file = PeFile64::parse(&*bytes).expect("an image");
    let size: u64 = image.iter().map(|block| block.size).sum();
    let header = file.nt_headers().optional_header.size_of_image.get(LE);
    assert_eq!(size, u64::from(header).next_multiple_of(PAGE));
    for section in file.section_table().iter() {
        let start = base + u64::from(section.virtual_address.get(LE));
        let flags = section.characteristics.get(LE);
        let block = image
            .iter()
            .find(|block| (block.base..block.end()).contains(&start))
            .expect("a block");
        let has = |flag: pe::SectionFlags| flags.0 & flag.0 != 0;
        let executable = has(pe::IMAGE_SCN_MEM_EXECUTE);
        let expected = match (has(pe::IMAGE_SCN_MEM_WRITE), executable) {
            (false, false) => "---R---",
            (false, true) => "---R-E-",
            (true, false) => "---RW-C",
            (true, true) => "---RWEC",
        };
        assert_eq!(block.protection.to_string(), expected, "{section:?}");
    }
    program.open.finish();
}

#[test]
fn guard_page_touched_becomes_ordinary_page() {
    let mut program = program();
    let touch = Operation::Load {
        address: at(2, 0),
        length: 1,
    };
    assert_eq!(
        program.open.call(touch.clone()).status,
        nt_status::STATUS_GUARD_PAGE_VIOLATION
    );
    // The page is an ordinary one then.
    assert_eq!(program.open.call(touch).status, 0);
    let blocks = program.blocks();
    let block = blocks.iter().find(|block| block.base == at(2, 0));
    assert_eq!(
        block.map(listing::line).as_deref(),
        Some("0000010000200000 0000010000200000 4096    Committed   Private ---RW-- ---RW--")
    );
    program.open.finish();
}

/// The stack of the thread that makes the requests: its blocks.
fn stack(program: &mut Program) -> Vec<Block> {
    let blocks = program.blocks();
    let guard = |block: &&Block| block.protection.to_string() == "--GRW--" && block.base < BASE;
    let start = blocks.iter().find(guard).expect("a stack").allocation_base;
    let mut blocks = blocks;
    blocks.retain(|block| block.allocation_base == start && block.state != State::Free);
    blocks
}

/// The sizes of its parts in pages, from its lowest address up.
fn parts(program: &mut Program) -> Vec<(u64, String)> {
    let part = |block: &Block| {
        let protection = match block.state {
            State::Reserved => "reserved".to_owned(),
            _ => block.protection.to_string(),
        };
        (block.size / PAGE, protection)
    };
    stack(program).iter().map(part).collect()
}

/// The kernel moves the guard pages down for whoever touches them: the program, a
/// driver, and what locks pages for it. The last ones end the stack.
#[test]
fn stack_touched_at_guard_page_grows() {
    let mut program = Program::new(Open::new());
    let sized = |reserved: u64, committed: u64| {
        [
            (reserved, "reserved"),
            (3, "--GRW--"),
            (committed, "---RW--"),
        ]
        .map(|(pages, text)| (pages, text.to_owned()))
    };
    assert_eq!(parts(&mut program), sized(252, 1));
    let blocks = stack(&mut program);
    let (start, mut top) = (blocks[0].base, blocks[2].base);
    let store = |address| Operation::Store {
        address,
        data: vec![0; 8],
    };
    assert_eq!(program.open.call(store(top - 8)).status, 0);
    assert_eq!(parts(&mut program), sized(251, 2));
    top -= PAGE;
    let good = program.page;
    for (count, command, input, output) in [
        (3, Command::Sum, (top - 16, 16), (good, 16)),
        (4, Command::Receive, (0, 0), (top - PAGE - 16, 16)),
        (5, Command::Version, (0, 0), (top - 2 * PAGE - 64, 64)),
    ] {
        let operation = Operation::RawControl {
            handle: program.open.handle,
            code: command.code(),
            input,
            output,
        };
        assert_eq!(program.open.call(operation).status, 0, "{command:?}");
        assert_eq!(
            parts(&mut program),
            sized(253 - count, count),
            "{command:?}"
        );
    }
    // HistoryEntry the guard pages there is nothing.
    let status = |program: &mut Program, address| program.open.call(store(address)).status;
    assert_eq!(
        status(&mut program, start + PAGE),
        nt_status::STATUS_ACCESS_VIOLATION
    );
    let mut at = start + 252 * PAGE - PAGE * 4;
    let ended = loop {
        match status(&mut program, at) {
            0 => at -= PAGE,
            other => break other,
        }
    };
    assert_eq!(ended, nt_status::STATUS_STACK_OVERFLOW);
    assert_eq!(at, start + 3 * PAGE);
    program.open.finish();
}

#[test]
fn blocks_with_short_buffer_continue_at_next_address() {
    let mut program = program();
    let process = program.process();
    let whole = program.blocks();
    let one = size_of::<BlockRecord>();
    let mut address = 0;
    let mut bases = Vec::new();
    loop {
        let request = BlocksRequest { process, address };
        // Room for two and a half.
        let reply = program
            .open
            .control(Command::Blocks, request.as_bytes(), 2 * one + one / 2);
        assert_eq!(reply.status, 0);
        let bytes = written(&reply);
        if bytes.is_empty() {
            break;
        }
        assert_eq!(bytes.len() % one, 0);
        for record in bytes.chunks(one) {
            let record = BlockRecord::read_from_bytes(record).expect("a record");
            assert_eq!(record.base, address);
            address = record.base + record.size;
            bases.push(record.base);
        }
    }
    // The buffers of each question are blocks themselves, of another size; what is
    // behind them is the same.
    let behind =
        |bases: Vec<u64>| -> Vec<u64> { bases.into_iter().filter(|base| *base >= BASE).collect() };
    let whole = whole.iter().map(|block| block.base).collect();
    assert_eq!(behind(bases), behind(whole));
    program.open.finish();
}

#[test]
fn blocks_of_invalid_process_or_request_is_refused() {
    let mut open = Open::new();
    let room = size_of::<BlockRecord>();
    let ask = |open: &mut Open, process: u64, room: usize| {
        let request = BlocksRequest {
            process,
            address: 0,
        };
        open.control(Command::Blocks, request.as_bytes(), room)
            .status
    };
    // Numbers of processes are multiples of 4.
    for process in [0x7FFC, u64::MAX - 3] {
        assert_eq!(
            ask(&mut open, process, room),
            nt_status::STATUS_INVALID_CID,
            "{process:#x}"
        );
    }
    assert_eq!(
        ask(&mut open, 4, room - 1),
        nt_status::STATUS_BUFFER_TOO_SMALL
    );
    let half = [0; size_of::<BlocksRequest>() / 2];
    assert_eq!(
        open.control(Command::Blocks, &half, room).status,
        nt_status::STATUS_INFO_LENGTH_MISMATCH
    );
    let counts: StatisticsReply = open.ask(Command::Statistics, &[]);
    assert_eq!(counts.refused, 4);
    open.finish();
}

#[test]
fn blocks_from_kernel_address_returns_no_record() {
    let mut open = Open::new();
    let context: ntmem_ioctl::ContextReply = open.ask(Command::Context, &[]);
    for address in [
        context.highest_user + 1,
        1 << 47,
        0xFFFF_8000_0000_0000,
        u64::MAX,
    ] {
        // 4 is the process System.
        for process in [context.process, 4] {
            let request = BlocksRequest { process, address };
            let reply = open.control(Command::Blocks, request.as_bytes(), ROOM);
            assert_eq!((reply.status, reply.information), (0, 0), "{address:#x}");
        }
    }
    open.finish();
}

/// An older kernel does not export the function that is asked.
#[test]
fn blocks_with_failed_call_returns_its_status_and_leaks_nothing() {
    for (export, status) in [
        ("PsLookupProcessByProcessId", nt_status::STATUS_INVALID_CID),
        (
            "ObOpenObjectByPointer:2",
            nt_status::STATUS_INSUFFICIENT_RESOURCES,
        ),
        ("MmGetSystemRoutineAddress", nt_status::STATUS_NOT_SUPPORTED),
    ] {
        let (export, nth) = export.split_once(':').unwrap_or((export, "1"));
        let nth: u32 = nth.parse().expect("a number");
        let calls = if export == "MmGetSystemRoutineAddress" {
            // One look-up is for the pool, at the start.
            2
        } else {
            nth
        };
        let mut open = Open::with(&config().fault(export, calls));
        let context: ntmem_ioctl::ContextReply = open.ask(Command::Context, &[]);
        let request = BlocksRequest {
            process: context.process,
            address: 0,
        };
        let reply = open.control(Command::Blocks, request.as_bytes(), ROOM);
        assert_eq!(reply.status, status, "{export}: {:#x}", reply.status);
        open.finish();
    }
}

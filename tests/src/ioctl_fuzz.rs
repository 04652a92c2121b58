//! Random requests to `ntmem.sys`, and the reduction of a run to its harmful requests.
//!
//! Request `n` of a seed is independent of the requests before it, so a run is repeated by
//! its seed, and any part of it can be sent alone.

use ntbox::{Error, Handle, Machine, Operation, Process, Progress, Report};
use ntmem_ioctl::{
    Command, ExchangeRequest, MapReply, MapRequest, ScenarioReply, ScenarioRequest, SendRequest,
    UnmapRequest,
};
use zerocopy::IntoBytes;

use crate::ntmem::{self, Open};

/// Bytes of memory that the caller has and names in its requests.
const MEMORY: u64 = 0x4_0000;
/// The part of it that requests write to; before it are requests that make sense.
const SCRATCH: u64 = 0x2000;
/// The most bytes of a request to read or to write.
const LONGEST: u32 = 70_000;
/// Requests that are sent in one go.
const BATCH: usize = 2000;

/// A source of numbers: `splitmix64`.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// That of request `n` of a seed.
    #[must_use]
    pub fn of(seed: u64, n: u64) -> Self {
        let mut random = Self(seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let index = self.below(list.len() as u64);
        list[usize::try_from(index).expect("an index")]
    }
}

/// What makes the requests of a run.
pub type Generate = dyn Fn(&Caller, u64) -> Operation;

/// The caller of a run: what its requests can name.
#[derive(Debug)]
pub struct Caller {
    handle: Handle,
    memory: u64,
    /// A view of the driver's pages.
    view: u64,
}

impl Caller {
    /// A caller with requests that make sense in its memory.
    fn new(open: &mut Open) -> Self {
        let bytes = MEMORY;
        let memory = open.call(Operation::Allocate { bytes }).information;
        let request = MapRequest {
            size: 0x1000,
            read_only: 0,
        };
        let view: MapReply = open.ask(Command::Map, request.as_bytes());
        let caller = Self {
            handle: open.handle,
            memory,
            view: view.address,
        };
        for (slot, data) in caller.sensible().into_iter().enumerate() {
            let address = memory + slot as u64 * 0x40;
            assert_eq!(open.call(Operation::Store { address, data }).status, 0);
        }
        caller
    }

    /// A request on the caller's handle with addresses of its own choice.
    #[must_use]
    pub fn control(&self, code: u32, input: (u64, u32), output: (u64, u32)) -> Operation {
        Operation::RawControl {
            handle: self.handle,
            code,
            input,
            output,
        }
    }

    /// A request that the kernel's verifier tells on.
    #[must_use]
    pub fn forbidden_walk(&self) -> Operation {
        let walk = ScenarioRequest {
            kind: 2,
            target: 0,
            cache: 1,
            size: 0x1000,
        };
        Operation::Control {
            handle: self.handle,
            code: Command::Scenario.code(),
            input: walk.as_bytes().to_vec(),
            output: vec![0; size_of::<ScenarioReply>()],
        }
    }

    fn address(&self, random: &mut Random) -> u64 {
        let inside = self.memory + SCRATCH + random.below(MEMORY - SCRATCH);
        match random.below(16) {
            0 => 0,
            1 => random.next(),
            2 => 0x7FFF_FFFE_F000 + random.below(0x2000),
            3 => 0x4000_0000_0000 + random.below(0x800_0000_0000),
            4 => random.next() | 0xFFFF_8000_0000_0000,
            // The end of the memory, which a range may reach beyond.
            5 => self.memory + MEMORY - random.below(0x40),
            6 => self.view + random.below(0x1100),
            _ => inside,
        }
    }

    /// Request `n` of a seed.
    #[must_use]
    pub fn request(&self, seed: u64, n: u64) -> Operation {
        let random = &mut Random::of(seed, n);
        let handle = self.handle;
        match random.below(32) {
            0 => Operation::Read {
                handle,
                offset: offset(random),
                length: length(random).min(LONGEST),
            },
            1 => Operation::Write {
                handle,
                offset: offset(random),
                data: vec![0xA5; length(random).min(LONGEST) as usize],
            },
            2 => Operation::Store {
                // Not where the requests are that make sense.
                address: self.address(random).max(self.memory + SCRATCH),
                data: random.next().to_le_bytes().to_vec(),
            },
            3 => Operation::Close {
                // Not one of the caller's, whatever the number is.
                handle: Handle(random.next() | 0x4000_0000),
            },
            _ => self.random_control(random),
        }
    }

    fn random_control(&self, random: &mut Random) -> Operation {
        let place = random.below(Command::ALL.len() as u64);
        let command = Command::ALL[usize::try_from(place).expect("an index")];
        let code = match random.below(16) {
            0 => random.next().to_le_bytes()[..4]
                .iter()
                .fold(0, |code, byte| code << 8 | u32::from(*byte)),
            1 => command.code() ^ 1 << random.below(32),
            _ => command.code(),
        };
        let slots = self.sensible();
        let input = match random.below(4) {
            // Something that makes sense, to this command or another.
            0 | 1 => {
                let slot = random.below(slots.len() as u64);
                let data = &slots[usize::try_from(slot).expect("an index")];
                (
                    self.memory + slot * 0x40,
                    u32::try_from(data.len()).expect("a short request"),
                )
            }
            2 => (0, 0),
            _ => (self.address(random), length(random)),
        };
        let output = match random.below(4) {
            0 => (0, 0),
            1 => (self.memory + SCRATCH, 512),
            _ => (self.address(random), length(random)),
        };
        self.control(code, input, output)
    }

    /// Requests with which commands succeed.
    fn sensible(&self) -> [Vec<u8>; 7] {
        let walk = |kind, target, size| {
            let cache = 1;
            ScenarioRequest {
                kind,
                target,
                cache,
                size,
            }
        };
        let map = |read_only| MapRequest {
            size: 0x1000,
            read_only,
        };
        [
            walk(0, 0, 100).as_bytes().to_vec(),
            walk(1, 1, 0x1000).as_bytes().to_vec(),
            map(0).as_bytes().to_vec(),
            map(1).as_bytes().to_vec(),
            SendRequest { sum: 0 }.as_bytes().to_vec(),
            ExchangeRequest {
                address: self.view,
                offset: 8,
                value: 1,
            }
            .as_bytes()
            .to_vec(),
            UnmapRequest { address: self.view }.as_bytes().to_vec(),
        ]
    }
}

fn length(random: &mut Random) -> u32 {
    match random.below(64) {
        0 => LONGEST,
        1 => u32::MAX - 3,
        2 => 4096,
        _ => random.pick(&[0, 1, 7, 8, 9, 16, 20, 24, 48, 64, 204, 256, 512]),
    }
}

fn offset(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.next(),
        1 => random.below(0x1_0010),
        _ => random.below(64),
    }
}

/// Sends these requests to a driver of their own; what the kernel reports after the
/// caller is gone.
///
/// # Panics
/// If the kernel itself fails.
#[must_use]
pub fn run(requests: &[u64], generate: &Generate) -> Report {
    // Lines about steps are not looked at here.
    let config = ntmem::config().parameter("LogLevel", ntbox::RegValue::Dword(3));
    let mut open = Open::with(&config);
    let caller = Caller::new(&mut open);
    let Open {
        mut machine,
        process,
        ..
    } = open;
    let operations = requests.iter().map(|n| generate(&caller, *n));
    match send_all(&mut machine, process, operations) {
        Ok(()) | Err(Error::Stopped) => {}
        Err(error) => panic!("{error}"),
    }
    machine.finish().expect("the kernel runs")
}

fn send_all(
    machine: &mut Machine,
    process: Process,
    operations: impl Iterator<Item = Operation>,
) -> Result<(), Error> {
    let mut left = operations.peekable();
    while left.peek().is_some() {
        let batch: Vec<Operation> = left.by_ref().take(BATCH).collect();
        for progress in machine.batch(process, batch)? {
            match progress {
                Progress::Done(reply) => {
                    assert!(reply.information <= LONGEST.into(), "{reply:?}");
                }
                Progress::Pending(ticket) => {
                    machine.cancel(ticket)?;
                    machine.wait_for(ticket)?;
                }
            }
        }
    }
    machine.exit(process)?;
    Ok(())
}

/// Whether a report is that of a driver that did no harm.
#[must_use]
pub fn is_clean(report: &Report) -> bool {
    report.bug_check.is_none() && report.violations.is_empty() && report.unloaded
}

/// Takes requests away, larger parts first, for as long as what is left does harm.
#[must_use]
pub fn smallest(mut requests: Vec<u64>, generate: &Generate) -> Vec<u64> {
    let mut part = requests.len().div_ceil(2);
    while part > 0 {
        let mut start = 0;
        while start < requests.len() && requests.len() > 1 {
            let end = (start + part).min(requests.len());
            let without = [&requests[..start], &requests[end..]].concat();
            if is_clean(&run(&without, generate)) {
                start = end;
            } else {
                requests = without;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    requests
}

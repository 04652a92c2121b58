//! Runs drivers whose mistakes are chosen by a control code, each with its correct variant:
//! one request, and the report.

use ntbox::{Config, Error, Instrument, Machine, Operation, RegValue, Report, Started, Verify};

use crate::images;
use crate::mistakes::seen;

/// How a control code says that its data move: its two low bits.
pub const BUFFERED: u32 = 0;
/// `METHOD_OUT_DIRECT`.
pub const OUT_DIRECT: u32 = 2;
/// `METHOD_NEITHER`.
pub const NEITHER: u32 = 3;

/// A mistake, by its number in the driver.
#[derive(Debug, Clone, Copy)]
pub struct Planted {
    /// The function that makes it.
    pub function: &'static str,
    /// The method of its control code.
    pub method: u32,
    /// Bytes in and out.
    pub lengths: (usize, usize),
    /// What is reported: rules and the stop.
    pub reported: &'static str,
    /// A part of what is said.
    pub said: &'static str,
}

/// A driver of such mistakes.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    /// Its name among the test drivers.
    pub name: &'static str,
    /// The name of its device for programs.
    pub device: &'static str,
    /// How its code runs, if that is not as usual.
    pub instrument: Option<Instrument>,
    /// Its mistakes.
    pub planted: &'static [Planted],
}

impl Driver {
    /// A program opens the device, makes one request, and ends.
    ///
    /// # Panics
    ///
    /// If the kernel does not run.
    #[must_use]
    pub fn run(&self, how: usize, right: bool, verify: Verify) -> Report {
        let planted = self.planted[how];
        let config = Config::new(images::driver(self.name))
            .parameter("Right", RegValue::Dword(right.into()))
            .verify(verify);
        let how_run = self.instrument.unwrap_or(config.instrument);
        let config = config.instrument(how_run);
        let mut machine = Machine::boot(&config).expect("the driver boots");
        assert_eq!(machine.start().expect("it runs"), Started::Status(0));
        let process = machine.process("app.exe").expect("a process");
        let open = Operation::Open {
            path: self.device.to_owned(),
            access: 0xc000_0000,
        };
        let opened = machine.call(process, open).expect("the kernel runs");
        let function = 0x800 + u32::try_from(how).expect("a small number");
        let operation = Operation::Control {
            handle: opened.handle.expect("the device opens"),
            code: 0x8000_0000 | planted.method | function << 2,
            input: vec![0xbd; planted.lengths.0],
            output: vec![0x11; planted.lengths.1],
        };
        match machine.call(process, operation) {
            Ok(_) => {
                machine.exit(process).expect("the kernel runs");
            }
            Err(Error::Stopped) => {}
            Err(error) => panic!("{}: {error}", planted.function),
        }
        machine.finish().expect("a report")
    }

    /// Checks that each mistake is reported as it should be, once and in its
    /// function, and that its twin is clean.
    ///
    /// # Panics
    ///
    /// If not, with all that is wrong.
    pub fn check(&self, verify: Verify) {
        let mut wrong = Vec::new();
        for (how, planted) in self.planted.iter().enumerate() {
            let twin = self.run(how, true, verify);
            if !twin.clean() {
                wrong.push(format!("twin of {}:\n{}", planted.function, twin.text()));
            }
            let report = self.run(how, false, verify);
            let text = report.text().to_string();
            let places = report
                .violations
                .iter()
                .flat_map(|one| &one.location)
                .chain(report.bug_check.iter().flat_map(|stop| &stop.stack));
            let named = places
                .flat_map(|place| {
                    let inlined = place.inlined_into.iter().map(|one| &one.symbol);
                    inlined.chain([&place.symbol])
                })
                .any(|symbol| symbol.as_deref() == Some(planted.function));
            if seen(&report) != planted.reported
                || !text.contains(planted.said)
                || planted.reported != "nothing" && !named
            {
                wrong.push(format!(
                    "{} is not `{}` with `{}`:\n{text}",
                    planted.function, planted.reported, planted.said
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

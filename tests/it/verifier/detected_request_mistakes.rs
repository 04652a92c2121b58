//! Mistakes with requests, each with its correct variant: the report of each with and
//! without `--verify`, and the table in docs/reference/detected-mistakes.md.

use integration_tests::images;
use integration_tests::mistakes::{REQUESTS, check_guide, seen};
use ntbox::{Config, Error, Guard, Machine, Operation, RegValue, Report, Started, Verify};

/// Bytes of the caller's memory, of which the first is a length.
const MEMORY: [u8; 64] = [8; 64];

/// A process opens the device, makes one request, and ends.
fn run(function: usize, right: bool, verify: Verify) -> Report {
    run_guarded(function, right, verify, Guard::After)
}

fn run_guarded(function: usize, right: bool, verify: Verify, guard: Guard) -> Report {
    run_with(function, &config(right).verify(verify).guard(guard))
}

fn config(right: bool) -> Config {
    Config::new(images::driver("mistakes_requests_seh"))
        .parameter("Right", RegValue::Dword(right.into()))
}

fn run_with(function: usize, config: &Config) -> Report {
    let mut machine = Machine::boot(config).expect("the driver boots");
    let started = machine.start().expect("the kernel runs");
    assert_eq!(started, Started::Status(0));
    let process = machine.process("app.exe").expect("a process");
    let open = Operation::Open {
        path: r"\\.\Mistakes".to_owned(),
        access: 0xc000_0000,
    };
    let opened = machine.call(process, open).expect("the kernel runs");
    // The I/O manager copies what a driver says there is if the method is
    // METHOD_BUFFERED; all others get the caller's own memory (METHOD_NEITHER).
    let method = if REQUESTS[function].1 == "SayTooMuch" {
        0
    } else {
        3
    };
    let code =
        0x8000_0000 | method | (0x800 + u32::try_from(function).expect("a small number")) << 2;
    let operation = Operation::Control {
        handle: opened.handle.expect("the device opens"),
        code,
        input: MEMORY.to_vec(),
        output: MEMORY.to_vec(),
    };
    match machine.call(process, operation) {
        Ok(reply) => {
            let lengths = (reply.output.len(), reply.status.cast_signed() >= 0);
            assert_eq!(
                lengths,
                (MEMORY.len(), true),
                "function {function}: {reply:?}"
            );
            machine.exit(process).expect("the kernel runs");
        }
        Err(Error::Stopped) => {}
        Err(error) => panic!("function {function}: {error}"),
    }
    machine.finish().expect("a report")
}

#[test]
fn request_mistake_has_its_rule() {
    for (how, (what, _, without, with)) in REQUESTS.into_iter().enumerate() {
        let plain = run(how, false, Verify::Off);
        assert_eq!(seen(&plain), without, "{what}:\n{}", plain.text());
        let report = run(how, false, Verify::Standard);
        assert_eq!(seen(&report), with, "{what}:\n{}", report.text());
    }
}

/// An access without a handler through a pointer that was not probed is one finding; the
/// other one is reported if the first is left out.
#[test]
fn user_access_without_seh_ignored_reports_missing_probe() {
    let touch = REQUESTS
        .iter()
        .position(|mistake| mistake.1 == "TouchUnguarded");
    let config = config(false)
        .verify(Verify::Standard)
        .ignore("user-access-without-seh");
    let report = run_with(touch.expect("a mistake"), &config);
    assert_eq!(seen(&report), "user-access-not-probed", "{}", report.text());
}

#[test]
fn request_correct_variant_is_clean() {
    for (verify, guard) in [
        (Verify::Off, Guard::After),
        (Verify::Standard, Guard::After),
        (Verify::Strict, Guard::Before),
    ] {
        for (how, (what, ..)) in REQUESTS.into_iter().enumerate() {
            let report = run_guarded(how, true, verify, guard);
            assert!(report.clean(), "{what}, {verify:?}:\n{}", report.text());
        }
    }
}

/// The stop says what lies behind it: an overwritten return address, the end of the
/// stack; and an exception in a program's request has the parameters of 0x3B.
#[test]
fn stack_overrun_is_named_in_bug_check() {
    for (function, name, code, part) in [
        (16, "ReadNull", 0x3b, "a read of 0x0000000000000000"),
        (17, "Fill", 0x3b, "it was to return to 0xa5a5a5a5a5a5a5a5"),
        (18, "Fill", 0x50, "past the upper end of the kernel stack"),
    ] {
        let report = run(function, false, Verify::Off);
        let stop = report.bug_check.as_ref().expect("a stop");
        assert_eq!(stop.code, code, "{}", report.text());
        assert!(stop.message.contains(part), "{}", stop.message);
        let place = stop.location.as_ref().expect("a place");
        assert_eq!(place.symbol.as_deref(), Some(name), "{place:?}");
        if code == 0x3b {
            let [status, address, context, rest] = stop.parameters;
            assert_eq!((status, rest), (0xc000_0005, 0));
            assert_eq!(address, report.image.base + place.offset);
            assert_ne!(context, 0);
        }
    }
}

/// What is only seen of the caller's memory has the place of the instruction, or of
/// the call that copies.
#[test]
fn user_memory_access_has_location() {
    for (function, name) in [
        (13, "ReadUnguarded"),
        (14, "CopyUnguarded"),
        (15, "ReadTwice"),
    ] {
        let report = run(function, false, Verify::Strict);
        let place = report.violations[0].location.as_ref().expect("a place");
        assert_eq!(place.symbol.as_deref(), Some(name), "{place:?}");
        assert!(place.source.is_some(), "{place:?}");
    }
}

/// The guide's table is what a run shows.
#[test]
fn request_mistakes_page_matches_runs() {
    check_guide("mistake with a request", &REQUESTS, |how, verify| {
        seen(&run(how, false, verify))
    });
}

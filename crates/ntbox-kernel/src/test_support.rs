//! What unit tests need to call exports: a frame with arguments on a stack, a
//! processor, memory, and what the kernel said meanwhile.
//!
//! Tests run on the host's threads, each of which becomes the one processor the
//! first time it asks, and remains it until it ends: the kernel's state is one, so
//! its tests take turns. The driver's data is then simply the test's.

use std::cell::RefCell;
use std::sync::Once;

use ntbox_api::config;
use ntbox_api::ipc::Event;
use ntbox_api::report::Violation;
use ntbox_host::bug_check::BugCheckData;
use ntbox_host::gate::{Call, ExportResult, Frame, NoReturn};
use ntbox_host::kernel_cell::Turn;
use ntbox_host::{channel, cpu, driver_mem};

use super::base::log;
use super::mm;
use crate::init::wiring;
use crate::verifier;

/// What [`call`] puts as the address that the call returns to.
pub const CALLER: u64 = 0x1234;

/// An address at which there never is anything, known without touching it.
pub const NOWHERE: u64 = 0xffff_8000_0000_1000;

/// Slots for the return address and the arguments of a call.
const SLOTS: usize = 64;

/// Slots of the stack that a call has below those, for what the kernel calls in
/// turn.
const STACK_SLOTS: usize = 0x4000;

thread_local! {
    /// Given back when the thread ends, and with it the test.
    static MINE: RefCell<Option<Turn>> = const { RefCell::new(None) };
    static VIOLATIONS: RefCell<Vec<Violation>> = const { RefCell::new(Vec::new()) };
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// What [`address`] gave an address of since the last call, and its bytes.
    static INPUTS: RefCell<Vec<(u64, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

/// Makes the calling thread the processor, if it is not yet, as soon as the test
/// before has ended.
pub fn processor() {
    static MACHINE: Once = Once::new();
    if MINE.with_borrow(Option::is_some) {
        return;
    }
    MINE.replace(Some(Turn::take()));
    MACHINE.call_once(|| {
        wiring::connect();
        verifier::subscribe_verified();
        channel::RECORDER.set(record);
        mm::initialize().expect("there is memory");
        log::initialize(config::DebugFilter::default());
    });
    cpu::become_test_processor();
}

/// Calls an export as a driver would, with up to 60 arguments.
pub fn call(handler: fn(&mut Call<'_>) -> ExportResult, arguments: &[u64]) -> ExportResult {
    processor();
    let mut memory = vec![0_u64; STACK_SLOTS + SLOTS];
    let stack = &mut memory[STACK_SLOTS..];
    stack[0] = CALLER;
    let mut registers = [0; 4];
    for (n, argument) in arguments.iter().enumerate() {
        match registers.get_mut(n) {
            Some(register) => *register = *argument,
            None => stack[1 + n] = *argument,
        }
    }
    let frame = Frame {
        registers,
        rsp: stack.as_ptr() as u64,
        rbx: 0,
        rbp: 0,
        rsi: 0,
        rdi: 0,
        r12_15: [0; 4],
        index: 0,
        xmm6_15: [0; 10],
    };
    // The export reads the stack by its address, which the compiler cannot see.
    std::hint::black_box(stack.as_ptr());
    let result = handler(&mut Call::new(&frame));
    for (input, before) in INPUTS.take() {
        if arguments.contains(&input) {
            assert!(
                bytes_at(input, before.len()) == before,
                "the export wrote to an argument made by `address`; use `address_mut`"
            );
        }
    }
    result
}

fn bytes_at(address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    driver_mem::read_bytes(address, &mut bytes).expect("the test's memory is readable");
    bytes
}

/// Calls an export that must return, and gives RAX.
pub fn value(handler: fn(&mut Call<'_>) -> ExportResult, arguments: &[u64]) -> u64 {
    call(handler, arguments).unwrap_or_else(|stop| panic!("the export did not return: {stop:?}"))
}

/// Calls an export that must return a status.
pub fn status(handler: fn(&mut Call<'_>) -> ExportResult, arguments: &[u64]) -> u32 {
    u32::try_from(value(handler, arguments)).expect("a status has 32 bits")
}

/// Address at which calling an export faulted.
pub fn fault(handler: fn(&mut Call<'_>) -> ExportResult, arguments: &[u64]) -> u64 {
    match call(handler, arguments) {
        Err(NoReturn::Fault(fault)) => fault.address,
        other => panic!("the export did not fault: {other:?}"),
    }
}

/// The bug check that an export stopped with.
pub fn bug_check(result: ExportResult) -> BugCheckData {
    match result {
        Err(NoReturn::BugCheck(data)) => *data,
        other => panic!("the export did not stop the system: {other:?}"),
    }
}

/// Remembers what the kernel tells its caller; called for every event.
pub fn record(event: &Event) {
    match event {
        Event::Violation(violation) => {
            VIOLATIONS.with_borrow_mut(|list| list.push(violation.clone()));
        }
        Event::Note(note) => NOTES.with_borrow_mut(|list| list.push(note.clone())),
        Event::Log(line) => LINES.with_borrow_mut(|list| list.push(line.text.clone())),
        _ => {}
    }
}

/// The violations recorded on this thread since the last time.
pub fn violations() -> Vec<Violation> {
    VIOLATIONS.take()
}

/// The rules of the violations recorded on this thread since the last time.
pub fn broken_rules() -> Vec<String> {
    violations()
        .into_iter()
        .map(|violation| violation.rule)
        .collect()
}

/// The notes recorded on this thread since the last time.
pub fn notes() -> Vec<String> {
    NOTES.take()
}

/// The debug lines recorded on this thread since the last time.
pub fn lines() -> Vec<String> {
    LINES.take()
}

/// Address of a value that the export reads. The compiler may take it that nobody writes
/// there, so [`call`] checks that the export did not.
pub fn address<T: ?Sized>(value: &T) -> u64 {
    let address = std::ptr::from_ref(value).cast::<u8>() as u64;
    let bytes = bytes_at(address, size_of_val(value));
    INPUTS.with_borrow_mut(|inputs| inputs.push((address, bytes)));
    address
}

/// Address of a value that the export writes to.
pub fn address_mut<T: ?Sized>(value: &mut T) -> u64 {
    let address = std::ptr::from_mut(value).cast::<u8>() as u64;
    INPUTS.with_borrow_mut(|inputs| inputs.retain(|(input, _)| *input != address));
    address
}

/// UTF-16 text with its NUL.
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A counted string with the layout of the driver's.
#[repr(C)]
#[derive(Debug)]
pub struct Counted<'a> {
    /// Bytes in use.
    pub length: u16,
    /// Bytes of the buffer.
    pub maximum_length: u16,
    /// Address of the buffer.
    pub buffer: u64,
    owner: std::marker::PhantomData<&'a mut [u16]>,
}

impl<'a> Counted<'a> {
    /// A `UNICODE_STRING` over a buffer of which `used` units count.
    pub fn unicode(buffer: &'a mut [u16], used: usize) -> Self {
        Self {
            length: u16::try_from(2 * used).expect("short"),
            maximum_length: u16::try_from(2 * buffer.len()).expect("short"),
            buffer: buffer.as_mut_ptr() as u64,
            owner: std::marker::PhantomData,
        }
    }

    /// An `ANSI_STRING` over a buffer of which `used` bytes count.
    pub fn ansi(buffer: &'a mut [u8], used: usize) -> Self {
        Self {
            length: u16::try_from(used).expect("short"),
            maximum_length: u16::try_from(buffer.len()).expect("short"),
            buffer: buffer.as_mut_ptr() as u64,
            owner: std::marker::PhantomData,
        }
    }

    /// A string without a buffer.
    pub fn empty() -> Self {
        Self {
            length: 0,
            maximum_length: 0,
            buffer: 0,
            owner: std::marker::PhantomData,
        }
    }

    /// The text of a `UNICODE_STRING`.
    pub fn text(&self) -> String {
        let string = driver_mem::UnicodeString {
            length: self.length,
            maximum_length: self.maximum_length,
            buffer: self.buffer,
        };
        string.text().expect("the buffer is readable")
    }

    /// The bytes of an `ANSI_STRING`.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(self.length)];
        driver_mem::read_bytes(self.buffer, &mut bytes).expect("the buffer is readable");
        bytes
    }
}

//! A call from the driver into the kernel.
//!
//! A driver runs on a small stack of its own and calls with the Windows
//! convention; the kernel is Rust on the ordinary stack of a Linux thread. Each
//! export is entered through a few bytes of generated code that load its number
//! and jump to [`ntbox_enter`]: that saves the registers which a callee must
//! preserve into a [`Frame`], changes the stack and calls `dispatch`. All
//! arguments are read from the frame, so variadic functions need nothing
//! special, and a raised exception finds the caller's registers complete.

use std::arch::naked_asm;

use ntbox_api::OsVersion;

use super::bug_check::BugCheckData;
use super::context::ExceptionRecord;
use super::driver_mem::Fault;
use super::translation::{self, gates};
use super::{cpu, driver_mem, kernel_entry};

/// Registers of the caller at the moment of the call. Layout known to
/// [`ntbox_enter`].
#[repr(C, align(16))]
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// First four arguments: RCX, RDX, R8, R9.
    pub registers: [u64; 4],
    /// Stack pointer at entry: points at the return address.
    pub rsp: u64,
    /// RBX.
    pub rbx: u64,
    /// RBP.
    pub rbp: u64,
    /// RSI.
    pub rsi: u64,
    /// RDI.
    pub rdi: u64,
    /// R12 to R15.
    pub r12_15: [u64; 4],
    /// Number of the export.
    pub index: u64,
    /// XMM6 to XMM15.
    pub xmm6_15: [u128; 10],
}

/// Enters the kernel from the driver. EAX holds the number of the export, GS
/// points at the control region.
///
/// # Safety
/// Only to be jumped to by the generated entries, on a driver's stack.
#[unsafe(naked)]
pub unsafe extern "C" fn ntbox_enter() {
    naked_asm!(
        "mov r10, rsp",
        "mov rsp, gs:[0x2000]",
        "sub rsp, 0x110",
        "mov [rsp + 0x00], rcx",
        "mov [rsp + 0x08], rdx",
        "mov [rsp + 0x10], r8",
        "mov [rsp + 0x18], r9",
        "mov [rsp + 0x20], r10",
        "mov [rsp + 0x28], rbx",
        "mov [rsp + 0x30], rbp",
        "mov [rsp + 0x38], rsi",
        "mov [rsp + 0x40], rdi",
        "mov [rsp + 0x48], r12",
        "mov [rsp + 0x50], r13",
        "mov [rsp + 0x58], r14",
        "mov [rsp + 0x60], r15",
        "mov [rsp + 0x68], rax",
        "movaps [rsp + 0x70], xmm6",
        "movaps [rsp + 0x80], xmm7",
        "movaps [rsp + 0x90], xmm8",
        "movaps [rsp + 0xa0], xmm9",
        "movaps [rsp + 0xb0], xmm10",
        "movaps [rsp + 0xc0], xmm11",
        "movaps [rsp + 0xd0], xmm12",
        "movaps [rsp + 0xe0], xmm13",
        "movaps [rsp + 0xf0], xmm14",
        "movaps [rsp + 0x100], xmm15",
        "mov rdi, rsp",
        "cld",
        "call {dispatch}",
        // RBX, RBP and R12 to R15 come back from a System V callee as they were.
        "mov rsi, [rsp + 0x38]",
        "mov rdi, [rsp + 0x40]",
        "movaps xmm6, [rsp + 0x70]",
        "movaps xmm7, [rsp + 0x80]",
        "movaps xmm8, [rsp + 0x90]",
        "movaps xmm9, [rsp + 0xa0]",
        "movaps xmm10, [rsp + 0xb0]",
        "movaps xmm11, [rsp + 0xc0]",
        "movaps xmm12, [rsp + 0xd0]",
        "movaps xmm13, [rsp + 0xe0]",
        "movaps xmm14, [rsp + 0xf0]",
        "movaps xmm15, [rsp + 0x100]",
        "mov rsp, [rsp + 0x20]",
        "cmp byte ptr gs:[0x2016], 0",
        "jne 2f",
        "ret",
        // Into the code cache, as a translated return goes there.
        "2: mov gs:[{r10}], r10",
        "mov gs:[{r11}], r11",
        "pop r11",
        "movzx r10d, r11w",
        "jmp gs:[r10 * 8 + {table}]",
        dispatch = sym dispatch,
        r10 = const gates::SPILLED_R10,
        r11 = const gates::SPILLED_R11,
        table = const gates::TABLE,
    )
}

/// A call in progress, as an export sees it.
#[derive(Debug)]
pub struct Call<'a> {
    frame: &'a Frame,
}

impl<'a> Call<'a> {
    /// Wraps the frame of a call.
    #[must_use]
    pub fn new(frame: &'a Frame) -> Self {
        Self { frame }
    }

    /// The registers of the caller.
    #[must_use]
    pub fn frame(&self) -> &'a Frame {
        self.frame
    }

    /// Argument `n`, counted from 0, as the eight bytes that hold it.
    pub fn argument(&self, n: usize) -> Result<u64, Fault> {
        match self.frame.registers.get(n) {
            Some(value) => Ok(*value),
            // Above the return address lie 32 bytes of home space, then the
            // fifth argument.
            None => driver_mem::read_u64(self.frame.rsp.wrapping_add(8 + 8 * n as u64)),
        }
    }

    /// The arguments from number `first` on, for variadic functions.
    #[must_use]
    pub fn variadic(&self, first: usize) -> Arguments<'_> {
        Arguments::Call {
            call: self,
            next: first,
        }
    }

    /// Address in the driver that the call returns to.
    #[must_use]
    pub fn return_address(&self) -> u64 {
        driver_mem::read_u64(self.frame.rsp).unwrap_or(0)
    }
}

/// The arguments of a variadic function: of a call in progress, or a `va_list`.
#[derive(Debug)]
pub enum Arguments<'a> {
    /// The rest of a call's arguments.
    Call {
        /// The call.
        call: &'a Call<'a>,
        /// Number of the next argument.
        next: usize,
    },
    /// A `va_list`: the address of the next eight-byte slot.
    List(u64),
}

impl Arguments<'_> {
    /// Takes the next argument.
    pub fn read_next(&mut self) -> Result<u64, Fault> {
        match self {
            Self::Call { call, next } => {
                let value = call.argument(*next)?;
                *next += 1;
                Ok(value)
            }
            Self::List(va) => {
                let value = driver_mem::read_u64(*va)?;
                *va = va.wrapping_add(8);
                Ok(value)
            }
        }
    }
}

/// Why an export does not return to its caller.
#[derive(Debug)]
pub enum NoReturn {
    /// An exception is raised at the caller.
    Raise(Box<ExceptionRecord>),
    /// The kernel stops.
    BugCheck(Box<BugCheckData>),
    /// Memory that the caller named could not be accessed; the exception or bug
    /// check that such an access is.
    Fault(Fault),
}

impl From<Fault> for NoReturn {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl NoReturn {
    /// Raises `status`, as `ExRaiseStatus` does.
    #[must_use]
    pub fn raise(status: u32) -> Self {
        Self::Raise(Box::new(ExceptionRecord::software(status)))
    }

    /// Stops the kernel.
    pub fn bug_check(code: u32, parameters: [u64; 4], message: impl Into<String>) -> Self {
        Self::BugCheck(Box::new(BugCheckData {
            code,
            parameters,
            message: message.into(),
        }))
    }
}

/// What an export gives: the value of RAX, or why it does not return.
pub type ExportResult = Result<u64, NoReturn>;

/// One export of the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Export {
    /// Name that drivers import.
    pub name: &'static str,
    /// What it does.
    pub handler: fn(&mut Call<'_>) -> ExportResult,
    /// How it fails when it is told to; `None` if it cannot.
    pub failure: Option<fn(&mut Call<'_>) -> ExportResult>,
    /// Highest IRQL at which it may be called.
    pub max_irql: u8,
    /// Where its contract is written down.
    pub reference: Reference,
    /// The version of Windows that it came with, if drivers are built for older ones.
    pub since: Option<OsVersion>,
    /// Driver Verifier's bug check and its first parameter for a call above `max_irql`.
    pub verifier: Option<(u32, u64)>,
    /// Whether it needs page table entries to map memory with, which can be used up.
    pub needs_mapping: bool,
    /// What of its reference it leaves out.
    pub partial: Option<&'static str>,
    /// The source file that it is in.
    pub source: &'static str,
}

/// Where the contract of an export is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// In the reference of device driver interfaces, under a header, and with a prefix
    /// if the page is filed under a structure.
    Header(&'static str, &'static str),
    /// On another page of Microsoft's documentation.
    Page(&'static str),
    /// On no page; where it is taken from instead, or nothing if headers and books.
    Undocumented(&'static str),
}

impl Reference {
    /// Address of the page for the export of this name.
    #[must_use]
    pub fn url(self, name: &str) -> Option<String> {
        const SITE: &str = "https://learn.microsoft.com";
        match self {
            Self::Header(header, prefix) => {
                let name = name.to_ascii_lowercase();
                Some(format!(
                    "{SITE}/windows-hardware/drivers/ddi/{header}/nf-{header}-{prefix}{name}"
                ))
            }
            Self::Page(path) => Some(format!("{SITE}/{path}")),
            Self::Undocumented(_) => None,
        }
    }
}

/// An argument or result that fits a register.
pub trait Register: Sized {
    /// From the eight bytes that carry it; what the type does not need of them
    /// is undefined in the Windows convention, and ignored.
    fn from_register(value: u64) -> Self;
    /// To the value of RAX.
    fn into_register(self) -> u64;
}

macro_rules! registers {
    ($($type:ty)*) => {$(
        impl Register for $type {
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_lossless, reason = "a register carries the low bytes")]
            fn from_register(value: u64) -> Self { value as Self }
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless, reason = "sign extension is what a signed result means")]
            fn into_register(self) -> u64 { self as u64 }
        }
    )*};
}
registers!(u8 u16 u32 u64 i32 i64 usize);

impl Register for () {
    fn from_register(_: u64) -> Self {}
    fn into_register(self) -> u64 {
        0
    }
}

impl Register for bool {
    fn from_register(value: u64) -> Self {
        value & 0xff != 0
    }
    fn into_register(self) -> u64 {
        u64::from(self)
    }
}

/// Called by [`ntbox_enter`] for every call.
extern "sysv64" fn dispatch(frame: *mut Frame) -> u64 {
    // SAFETY: `ntbox_enter` passes the frame that it has just filled on its own
    // stack; nobody else has it.
    let frame = unsafe { &*frame };
    if translation::is_on() && translation::take_poll() {
        (kernel_entry::get().signals.timer)(false);
    }
    let mut call = Call::new(frame);
    match (kernel_entry::get().invoke)(&mut call) {
        Ok(value) => value,
        Err(stop) => (kernel_entry::get().end_call)(frame, stop),
    }
}

/// IRQL constants under the names that declarations of exports use.
pub mod irql {
    pub use super::cpu::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
}

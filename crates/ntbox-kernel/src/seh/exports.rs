//! What drivers call of exception handling.
//!
//! Reference: wdm.h and ntifs.h for the raising functions, winnt.h (the x64
//! functions of "Structured exception handling") for the others.

use ntbox_host::context::{Context, ExceptionRecord, NONCONTINUABLE};
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::{context, driver_mem, upcall};

use super::c_handler::Arguments;
use super::dispatcher::FreeStack;
use super::unwind_ex::{Request, Target};
use super::{c_handler, dispatch, setjmp, unwind_ex};
use crate::base::export::exports;
use crate::unwind::epilogue::CodePosition;
use crate::unwind::function_table::FunctionEntry;
use crate::unwind::reader::{Damage, Driver, Image};
use crate::unwind::virtual_unwind::SavedRegisters;
use crate::unwind::{function_table, stack_walk, virtual_unwind};

/// Most frames that one call gives.
const MOST_FRAMES: u32 = 0xffff;

exports! {
    /// `ExRaiseStatus`, any IRQL. Never returns.
    fn ExRaiseStatus(status: u32) -> () [max HIGH_LEVEL, wdm] { Err(NoReturn::raise(status)) }

    /// `RtlRaiseStatus`, any IRQL. Never returns.
    fn RtlRaiseStatus(status: u32) -> () [max HIGH_LEVEL, undocumented] { Err(NoReturn::raise(status)) }

    /// `ExRaiseAccessViolation`, any IRQL. Never returns.
    fn ExRaiseAccessViolation() -> () [max HIGH_LEVEL, ntddk] {
        Err(NoReturn::raise(nt_status::STATUS_ACCESS_VIOLATION))
    }

    /// `ExRaiseDatatypeMisalignment`, any IRQL. Never returns.
    fn ExRaiseDatatypeMisalignment() -> () [max HIGH_LEVEL, ntddk] {
        Err(NoReturn::raise(nt_status::STATUS_DATATYPE_MISALIGNMENT))
    }

    /// `RtlRaiseException`, any IRQL: raises what the caller's record says, and
    /// returns if a handler continues execution.
    fn RtlRaiseException<call>(record: u64) -> () [max HIGH_LEVEL, undocumented] {
        let mut context = caller(call);
        context.flags |= context::UNWOUND_TO_CALL;
        driver_mem::write_u64(record.wrapping_add(16), context.rip)?;
        // The whole record must be there before the stack is used for it.
        ExceptionRecord::read(record)?;
        dispatch::raise_in_place(&context, record)
    }

    /// `__C_specific_handler`, the language handler of `__try`.
    fn __C_specific_handler<call>(
        record: u64,
        establisher: u64,
        context: u64,
        dispatcher: u64,
    ) -> u32 [max HIGH_LEVEL, undocumented] {
        let arguments = Arguments { record, establisher, context, dispatcher };
        Ok(c_handler::handle(arguments, &caller(call), room(call))?)
    }

    /// `RtlUnwindEx`, any IRQL. Returns only as an exception at its caller.
    fn RtlUnwindEx<call>(
        frame: u64,
        ip: u64,
        record: u64,
        value: u64,
        context: u64,
        history_table: u64,
    ) -> () [max HIGH_LEVEL, page "windows/win32/api/winnt/nf-winnt-rtlunwindex"] {
        // The reference demands a context to work with.
        if context == 0 {
            return Err(Fault { address: 0, write: true }.into());
        }
        let request = Request { target: Target { frame, ip, value }, record, context, history_table };
        unwind_ex::unwind(&caller(call), room(call), request)
    }

    /// `RtlUnwind`, any IRQL: `RtlUnwindEx` with a context of its own.
    fn RtlUnwind<call>(frame: u64, ip: u64, record: u64, value: u64) -> ()
        [max HIGH_LEVEL, page "windows/win32/api/winnt/nf-winnt-rtlunwind"] {
        let target = Target { frame, ip, value };
        let request = Request { target, record, context: 0, history_table: 0 };
        unwind_ex::unwind(&caller(call), room(call), request)
    }

    /// `_local_unwind`: what a jump out of a `__try` with a `__finally` compiles
    /// to. The frame is the caller's own.
    fn _local_unwind<call>(frame: u64, ip: u64) -> () [max HIGH_LEVEL, undocumented] {
        let target = Target { frame, ip, value: 0 };
        let request = Request { target, record: 0, context: 0, history_table: 0 };
        unwind_ex::unwind(&caller(call), room(call), request)
    }

    /// `RtlLookupFunctionEntry`, any IRQL; NULL for a leaf function.
    fn RtlLookupFunctionEntry(pc: u64, image_base: u64, history_table: u64) -> u64
        [max HIGH_LEVEL, page "windows/win32/api/winnt/nf-winnt-rtllookupfunctionentry"] {
        let Some(image) = stack_walk::image_at(pc) else {
            driver_mem::write_u64(image_base, 0)?;
            return Ok(0);
        };
        driver_mem::write_u64(image_base, image.base)?;
        let found = function_table::lookup(&Driver, &image, pc).map_err(bad_table)?;
        Ok(found.map_or(0, |located| located.address))
    }

    /// `RtlVirtualUnwind`, any IRQL.
    fn RtlVirtualUnwind(
        kinds: u32,
        image_base: u64,
        pc: u64,
        entry: u64,
        context: u64,
        handler_data: u64,
        establisher: u64,
        pointers: u64,
    ) -> u64 [max HIGH_LEVEL, page "windows/win32/api/winnt/nf-winnt-rtlvirtualunwind"] {
        let mut bytes = [0; FunctionEntry::SIZE as usize];
        driver_mem::read_bytes(entry, &mut bytes)?;
        // Code that was made at run time belongs to no image.
        let image = stack_walk::image_at(image_base).filter(|image| image.base == image_base);
        let image = image.unwrap_or(Image { base: image_base, size: u32::MAX.into(), pdata: (0, 0) });
        let place =
            CodePosition { memory: &Driver, image: &image, entry: FunctionEntry::from_bytes(bytes), pc };
        let mut registers = Context::read(context)?;
        let mut saved = SavedRegisters::default();
        let unwound = virtual_unwind::virtual_unwind(&place, kinds.to_le_bytes()[0], &mut registers, &mut saved)
            .map_err(bad_table)?;
        registers.write(context)?;
        driver_mem::write_u64(establisher, unwound.establisher)?;
        if pointers != 0 {
            write_pointers(pointers, &saved)?;
        }
        let Some(handler) = unwound.handler else { return Ok(0) };
        driver_mem::write_u64(handler_data, handler.data)?;
        Ok(handler.routine)
    }

    /// `RtlRestoreContext`, any IRQL: goes on at a context.
    fn RtlRestoreContext<call>(context: u64, record: u64) -> ()
        [max HIGH_LEVEL, page "windows/win32/api/winnt/nf-winnt-rtlrestorecontext"] {
        let mut registers = Context::read(context)?;
        if record != 0 {
            let record = ExceptionRecord::read(record)?;
            if record.code == nt_status::STATUS_LONGJUMP && record.count >= 1 {
                setjmp::restore(record.information[0], &mut registers)?;
            }
        }
        resume(&registers)
    }

    /// `_setjmp` of the C runtime.
    fn _setjmp<call>(buffer: u64, frame: u64) -> u32 [max HIGH_LEVEL, crt] {
        setjmp::save(buffer, &caller(call), frame)?;
        Ok(0)
    }

    /// `_setjmpex` of the C runtime.
    fn _setjmpex<call>(buffer: u64, frame: u64) -> u32 [max HIGH_LEVEL, crt] {
        setjmp::save(buffer, &caller(call), frame)?;
        Ok(0)
    }

    /// `longjmp` of the C runtime. A value of 0 becomes 1.
    fn longjmp<call>(buffer: u64, value: u32) -> () [max HIGH_LEVEL, crt] {
        let value = u64::from(value.max(1));
        let mut context = caller(call);
        let frame = setjmp::frame(buffer)?;
        if frame == 0 {
            setjmp::restore(buffer, &mut context)?;
            context.registers[0] = value;
            return resume(&context);
        }
        let mut room = room(call);
        let record = ExceptionRecord::hardware(nt_status::STATUS_LONGJUMP, context.rip, &[buffer]);
        let va = room.take(ExceptionRecord::SIZE as u64);
        ExceptionRecord { flags: NONCONTINUABLE, ..record }.write(va)?;
        let target = Target { frame, ip: setjmp::target(buffer)?, value };
        let request = Request { target, record: va, context: 0, history_table: 0 };
        unwind_ex::unwind(&context, room, request)
    }

    /// `RtlPcToFileHeader`, any IRQL: the image that holds an address, or NULL.
    fn RtlPcToFileHeader(pc: u64, base_of_image: u64) -> u64
        [max HIGH_LEVEL, page "windows/win32/api/winnt/nf-winnt-rtlpctofileheader"] {
        let base = stack_walk::image_at(pc).map_or(0, |image| image.base);
        driver_mem::write_u64(base_of_image, base)?;
        Ok(base)
    }

    /// `RtlCaptureStackBackTrace`, `DISPATCH_LEVEL` at most: return addresses from
    /// the caller's on, and the sum of their low halves. None without a place for
    /// them.
    fn RtlCaptureStackBackTrace<call>(
        skip: u32,
        count: u32,
        frames: u64,
        hash: u64,
    ) -> u16 [max DISPATCH_LEVEL, ntifs] {
        if frames == 0 {
            return Ok(0);
        }
        let (skip, count) = (skip.min(MOST_FRAMES), count.min(MOST_FRAMES));
        let list = stack_walk::backtrace(&caller(call), (skip + count) as usize);
        let wanted = list.get(skip as usize..).unwrap_or_default();
        let mut sum = 0_u32;
        for (n, pc) in (0..).zip(wanted) {
            driver_mem::write_u64(frames.wrapping_add(8 * n), *pc)?;
            sum = sum.wrapping_add(dispatch::low_half(*pc));
        }
        if hash != 0 && !wanted.is_empty() {
            driver_mem::write_u32(hash, sum)?;
        }
        Ok(u16::try_from(wanted.len()).unwrap_or(u16::MAX))
    }

    /// `RtlGetCallersAddress`: where the caller returns to, and where that
    /// function does; 0 where nobody is.
    fn RtlGetCallersAddress<call>(callers: u64, their_callers: u64) -> () [max DISPATCH_LEVEL, undocumented] {
        let list = stack_walk::backtrace(&caller(call), 3);
        let at = |n: usize| list.get(n).copied().unwrap_or(0);
        driver_mem::write_u64(callers, at(1))?;
        Ok(driver_mem::write_u64(their_callers, at(2))?)
    }

    /// `RtlWalkFrameChain`: return addresses from the caller's on. With the flag
    /// for the user-mode stack there are none: a system thread has no such stack;
    /// nor without a place for them.
    fn RtlWalkFrameChain<call>(callers: u64, count: u32, flags: u32) -> u32 [max DISPATCH_LEVEL, ntddk] {
        const USER_MODE: u32 = 1;
        if flags & USER_MODE != 0 || callers == 0 {
            return Ok(0);
        }
        let list = stack_walk::backtrace(&caller(call), count.min(MOST_FRAMES) as usize);
        for (n, pc) in (0..).zip(&list) {
            driver_mem::write_u64(callers.wrapping_add(8 * n), *pc)?;
        }
        Ok(u32::try_from(list.len()).unwrap_or(u32::MAX))
    }
}

/// Where the caller is, its call returned.
fn caller(call: &Call<'_>) -> Context {
    Context::after_call(call.frame(), call.return_address())
}

/// The stack that is free during a call.
fn room(call: &Call<'_>) -> FreeStack {
    FreeStack::below(call.frame().rsp)
}

/// Unwind data that cannot be used, as `RtlVirtualUnwind` tells it.
fn bad_table(damage: Damage) -> NoReturn {
    match damage {
        Damage::Unreadable { address, .. } => Fault {
            address,
            write: false,
        }
        .into(),
        _ => NoReturn::raise(nt_status::STATUS_BAD_FUNCTION_TABLE),
    }
}

/// Writes the addresses that registers were found at, and no others.
fn write_pointers(va: u64, saved: &SavedRegisters) -> Result<(), Fault> {
    let all = saved.xmm.iter().chain(&saved.integer);
    for (n, address) in (0..).zip(all).filter(|(_, address)| **address != 0) {
        driver_mem::write_u64(va.wrapping_add(8 * n), *address)?;
    }
    Ok(())
}

/// Goes on at a context that belongs to one of the driver's stretches of stack.
fn resume(context: &Context) -> Result<(), NoReturn> {
    match upcall::level_of(context.rsp()) {
        Some(level) => dispatch::resume(level, context),
        None => Err(NoReturn::raise(nt_status::STATUS_BAD_STACK)),
    }
}

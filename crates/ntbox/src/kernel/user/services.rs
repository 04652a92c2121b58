//! System calls of a process: the services that drivers import too, with arguments
//! as they lie on a stack of user mode.

use std::arch::asm;

use crate::kernel::call::{Call, Export, Frame, Stop};
use crate::kernel::exports;
use crate::request::Reply;

/// Most arguments of a service, and their slots with the return address before
/// them. The reader of arguments may look at all slots.
const MOST: usize = 16;
const SLOTS: usize = MOST + 1;

/// The service that a program calls by this name: `Nt…`, or `Zw…` where only that
/// form can be imported.
fn find(name: &str) -> Option<&'static Export> {
    let bare = name.strip_prefix("Nt")?;
    let named = |prefix: &str| {
        exports::functions().find(|export| export.name.strip_prefix(prefix) == Some(bare))
    };
    named("Nt").or_else(|| named("Zw"))
}

/// Calls a service.
pub fn call(name: &str, arguments: &[u64]) -> Result<Reply, Stop> {
    let Some(service) = find(name) else {
        return Ok(Reply::status(ntstatus::STATUS_INVALID_SYSTEM_SERVICE));
    };
    if arguments.len() > MOST {
        return Ok(Reply::status(ntstatus::STATUS_INVALID_PARAMETER));
    }
    let mut stack = [0_u64; SLOTS];
    let mut registers = [0_u64; 4];
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
    // The service reads the stack by its address, which the compiler cannot see.
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", in(reg) stack.as_ptr()) };
    let status = (service.handler)(&mut Call::new(&frame))?;
    Ok(Reply::status(
        u32::try_from(status & 0xFFFF_FFFF).unwrap_or(0),
    ))
}

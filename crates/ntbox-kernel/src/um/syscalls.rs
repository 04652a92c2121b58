//! System calls of a process: the services that drivers import too, with arguments
//! as they lie on a stack of user mode.

use ntbox_api::request::Reply;
use ntbox_host::driver_mem;
use ntbox_host::gate::{Call, Export, Frame, NoReturn};

use crate::base::export_table;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Most arguments of a service.
const MOST: usize = 16;
/// Bytes of their slots, with the return address before them.
const STACK: u64 = 8 * (MOST as u64 + 1);
/// Pool tag of the memory that stands for a stack.
const TAG: u32 = u32::from_le_bytes(*b"Call");

/// The service that a program calls by this name: `Nt…`, or `Zw…` where only that
/// form can be imported.
fn find(name: &str) -> Option<&'static Export> {
    let bare = name.strip_prefix("Nt")?;
    let named = |prefix: &str| {
        export_table::functions().find(|export| export.name.strip_prefix(prefix) == Some(bare))
    };
    named("Nt").or_else(|| named("Zw"))
}

/// Calls a service.
pub fn call(name: &str, arguments: &[u64]) -> Result<Reply, NoReturn> {
    let Some(service) = find(name) else {
        return Ok(Reply::status(nt_status::STATUS_INVALID_SYSTEM_SERVICE));
    };
    if arguments.len() > MOST {
        return Ok(Reply::status(nt_status::STATUS_INVALID_PARAMETER));
    }
    // Arguments are read from memory that drivers could have, which the host's own
    // stack is not.
    let Some(stack) = pool::allocate(PoolKind::NonPaged, STACK, TAG) else {
        return Ok(Reply::status(nt_status::STATUS_INSUFFICIENT_RESOURCES));
    };
    let result = with_stack(service, arguments, stack);
    pool::free(stack);
    let status = result?;
    Ok(Reply::status(
        u32::try_from(status & 0xFFFF_FFFF).unwrap_or(0),
    ))
}

fn with_stack(service: &Export, arguments: &[u64], stack: u64) -> Result<u64, NoReturn> {
    let mut registers = [0_u64; 4];
    for (n, argument) in (0_u64..).zip(arguments) {
        match usize::try_from(n).ok().and_then(|n| registers.get_mut(n)) {
            Some(register) => *register = *argument,
            None => driver_mem::write_u64(stack + 8 * (1 + n), *argument)?,
        }
    }
    let frame = Frame {
        registers,
        rsp: stack,
        rbx: 0,
        rbp: 0,
        rsi: 0,
        rdi: 0,
        r12_15: [0; 4],
        index: 0,
        xmm6_15: [0; 10],
    };
    (service.handler)(&mut Call::new(&frame))
}

//! Whether an exception at a place of the driver would meet a handler that may take
//! it, without raising one: the search with nobody asked.

use ntbox_host::context::Context;
use ntbox_host::driver_mem;
use ntbox_host::upcall::Purpose;

use super::c_handler;
use crate::base::export_table;
use crate::unwind::stack_walk::{Frame, Position, Step};
use crate::unwind::unwind_info::{EHANDLER, Handler};

/// Frames that are looked at.
const DEPTH: usize = 200;

/// Whether a handler of the driver covers the place. True also if that cannot be
/// known: what handlers other than `__C_specific_handler` do, only they know.
pub fn is_guarded(context: &Context) -> bool {
    let mut position = Position::innermost(context);
    for _ in 0..DEPTH {
        match position.step(EHANDLER) {
            Ok(Step::Function(frame)) => {
                if frame.handler.is_some_and(|handler| covers(&frame, handler)) {
                    return true;
                }
            }
            Ok(Step::End | Step::Callout(Purpose::Interrupt)) => return false,
            Ok(Step::Leaf | Step::Callout(_)) => {}
            Err(_) => return true,
        }
    }
    true
}

fn covers(frame: &Frame, handler: Handler) -> bool {
    !is_c_handler(handler.routine)
        || c_handler::covers(frame.image_base, handler.data, frame.control_pc).unwrap_or(true)
}

/// Whether a routine is `__C_specific_handler`, or the jump through the import table
/// that linkers put in its place.
fn is_c_handler(routine: u64) -> bool {
    let wanted = export_table::resolve("__C_specific_handler");
    let jump = || {
        let mut code = [0; 6];
        driver_mem::read_bytes(routine, &mut code).ok()?;
        let [0xff, 0x25, a, b, c, d] = code else {
            return None;
        };
        let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
        let slot = routine.wrapping_add(6).wrapping_add_signed(distance);
        driver_mem::read_u64(slot).ok()
    };
    wanted == Some(routine) || wanted.is_some() && wanted == jump()
}

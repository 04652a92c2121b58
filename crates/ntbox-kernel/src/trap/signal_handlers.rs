//! The kernel's part of signal handling.

use ntbox_host::signals::{GENERAL, SignalHandlers, capture};

use crate::ke::{clock_interrupt, kuser_shared_data};
use crate::mm::{force_irql, force_irql_image, process_address_space, user_stack};
use crate::trap::{hardware, instruction};
use crate::verifier::user_access;

/// The handlers.
pub const HANDLERS: SignalHandlers = SignalHandlers {
    timer: |in_driver| {
        let can_interrupt = !kuser_shared_data::is_lent() && !user_access::is_stepping();
        clock_interrupt::signaled(in_driver, can_interrupt)
    },
    page_fault: make_accessible,
    single_step: user_access::stepped,
    abandon_step: user_access::abandon,
    read_shared_page: |context, address| {
        kuser_shared_data::contains(address) && kuser_shared_data::lend(context, &GENERAL)
    },
    shared_page_read: kuser_shared_data::take_back,
    emulate: instruction::emulate,
    tick: clock_interrupt::tick,
    trap: hardware,
};

/// Whether a page that the driver touched is accessible now: it was copied, the
/// stack has grown, or it had only been closed so that this would be seen.
fn make_accessible(context: &mut libc::ucontext_t, address: u64, error: i64) -> bool {
    let (write, execute) = (error & 2 != 0, error & 16 != 0);
    if write && process_address_space::copied_on_write(address)
        || user_stack::grown(address)
        || force_irql::opened(address)
        || force_irql_image::opened(address, write, execute)
    {
        return true;
    }
    if execute || !user_access::is_on() {
        return false;
    }
    let state = capture(context);
    user_access::lent(context, address, write, &state)
}

//! The verifier: rules of Driver Verifier and of the reference that are checked by
//! observing what happens in the components.

pub mod deadlock;
pub mod driver_object;
pub mod fetch_use;
pub mod handle_rules;
pub mod object_initialized;
pub mod pageable_object;
mod pool_bounds;
pub mod user_access;
pub mod user_access_rules;

use ntbox_host::memory_map::is_system;
use ntbox_host::translation::CheckedAccess;

use crate::base::{events, stack_trace_db};
use crate::io::uninitialized_output;

/// Subscribes the rules that always hold.
pub fn subscribe() {
    object_initialized::subscribe();
}

/// Subscribes the rules of a driver that is verified.
pub fn subscribe_verified() {
    deadlock::subscribe();
    driver_object::subscribe();
    handle_rules::subscribe();
    user_access::subscribe();
    user_access_rules::subscribe();
    events::REGISTRY_DATA_STORED.subscribe(uninitialized_output::check_stored);
}

/// A check of translated code has not let an access pass.
pub fn access_checked(access: &CheckedAccess<'_>) {
    if !stack_trace_db::is_on() {
        return;
    }
    if is_system(access.range.start) {
        pool_bounds::checked(access);
    } else {
        user_access::checked(access);
    }
}

/// Starts to verify the driver, if the configuration says so.
pub fn initialize() {
    if stack_trace_db::is_on() {
        subscribe_verified();
        user_access::initialize();
    }
}

//! Dispatcher objects must be initialised before they are used. Zeroed memory looks
//! like a notification event that is not signaled, but its list of waiters leads to
//! address 0, where Windows would write as soon as somebody waits.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use crate::base::{diag, events};
use crate::ke::object;
use crate::ob;

/// Reports an object whose list of waiters was never set up, and sets it up, so that it
/// is told once.
fn check(va: u64, function: &str, caller: u64) -> Result<(), Fault> {
    let head = object::wait_list(va);
    if driver_mem::read_u64(head)? != 0 || ob::inspect(va, |_| ()).is_some() {
        return Ok(());
    }
    let what = format!(
        "{function} called for {va:#018x}, which was never initialized: its list of waiters is zero"
    );
    diag::violation(rules::DISPATCHER_OBJECT_NOT_INITIALIZED, what, caller);
    object::initialize_list(head)
}

/// Subscribes to uses of dispatcher objects.
pub fn subscribe() {
    events::OBJECT_USED.set(|(object, function, caller)| check(object, function, caller));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, broken_rules, processor};

    #[test]
    fn zeroed_object_is_reported_once() {
        processor();
        let mut event = [0_u64; 3];
        let va = address_mut(&mut event);
        check(va, "KeSetEvent", 0).expect("it is there");
        assert_eq!(broken_rules(), ["dispatcher-object-not-initialized"]);
        check(va, "KeSetEvent", 0).expect("it is there");
        assert!(broken_rules().is_empty());
    }
}

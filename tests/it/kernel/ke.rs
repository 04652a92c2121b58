//! The kernel proper as drivers see it: what threads wait for, what interrupts
//! them, and queues of work, checked from inside by a driver.

use integration_tests::self_check::{all_well, mistake, reported, rules, stopped, stopped_in};

#[test]
fn waits_apcs_and_queues() {
    let cases = [
        "Events",
        "Mutexes",
        "Semaphores",
        "WaitNext",
        "OwnApcs",
        "OthersApcs",
        "Queues",
    ];
    all_well("ke_waits_seh", &cases);
}

#[test]
fn what_is_registered_and_called() {
    let cases = [
        "Callbacks",
        "Timers",
        "Stack",
        "Notifications",
        "Tables",
        "Ids",
    ];
    all_well("ke_callbacks", &cases);
}

/// The driver that stops the system, or is why it stops.
const STOP: &str = "ke_stop";

#[test]
fn routines_hear_of_a_stop_and_cannot_hide_it() {
    let log = ["stop: first 9", "stop: irql 15 state 2 buffer 7 length 4"];
    for (how, lines) in [(0, &log[..]), (1, &log[..1])] {
        let run = mistake(STOP, how);
        assert_eq!(run.texts().collect::<Vec<_>>(), lines);
        let stop = stopped(run, "it");
        assert_eq!((stop.code, stop.parameters), (0xDEAD, [1, 2, 3, 4]));
        assert_eq!(stopped_in(&stop), Some("StopTheSystem"));
    }
}

#[test]
fn threads_end_without_regions_and_mutexes() {
    for (how, code) in [(2, 0x20), (3, 0x4000_008A)] {
        let stop = stopped(mistake(STOP, how), &format!("way {how}"));
        assert_eq!(stop.code, code, "{}", stop.message);
    }
}

#[test]
fn a_dpc_leaves_the_regions_of_the_thread_alone() {
    let stop = stopped(mistake(STOP, 5), "it");
    assert_eq!(stop.code, 0xC7, "{}", stop.message);
    let [what, routine, before, after] = stop.parameters;
    assert_eq!((what, before, after), (4, 0, 0xFFFF), "{}", stop.message);
    assert_ne!(routine, 0);
}

#[test]
fn a_region_that_was_not_entered_is_found_when_the_driver_has_started() {
    let violations = reported(mistake(STOP, 6), "it");
    assert_eq!(rules(&violations), ["apc-disable-imbalance"]);
}

#[test]
fn a_notify_routine_must_not_outlive_its_driver() {
    let violations = reported(mistake(STOP, 4), "it");
    assert_eq!(rules(&violations), ["notify-routine-not-unregistered"]);
}

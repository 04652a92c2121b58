//! The kernel core: waits, APCs, DPCs, queues, callbacks, by drivers that check them from
//! inside.

use integration_tests::self_check::{all_well, mistake, reported, rules, stopped, stopped_in};

#[test]
fn wait_and_apc_cases_pass() {
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
fn callback_and_notify_cases_pass() {
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
fn bug_check_callbacks_run_and_the_bug_check_remains() {
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
fn thread_exit_with_region_or_mutex_stops() {
    for (how, code) in [(2, 0x20), (3, 0x4000_008A)] {
        let stop = stopped(mistake(STOP, how), &format!("way {how}"));
        assert_eq!(stop.code, code, "{}", stop.message);
    }
}

#[test]
fn dpc_leaving_critical_region_stops_with_0xc7() {
    let stop = stopped(mistake(STOP, 5), "it");
    assert_eq!(stop.code, 0xC7, "{}", stop.message);
    let [what, routine, before, after] = stop.parameters;
    assert_eq!((what, before, after), (4, 0, 0xFFFF), "{}", stop.message);
    assert_ne!(routine, 0);
}

#[test]
fn critical_region_left_without_entering_is_reported() {
    let violations = reported(mistake(STOP, 6), "it");
    assert_eq!(rules(&violations), ["apc-disable-imbalance"]);
}

#[test]
fn notify_routine_left_at_unload_is_reported() {
    let violations = reported(mistake(STOP, 4), "it");
    assert_eq!(rules(&violations), ["notify-routine-not-unregistered"]);
}

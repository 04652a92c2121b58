//! What initialising writes into objects of a driver, and what it leaves alone.

use super::dpc::KeInitializeDpc;
use super::mutex::{KeInitializeMutant, KeInitializeMutex};
use super::timer::KeInitializeTimerEx;
use super::wait::KeInitializeEvent;
use crate::test_support::{address_mut, value};

/// What the memory has before.
const PATTERN: u64 = 0x5555_5555_5555_5555;

#[test]
fn initialize_event_keeps_unused_flags() {
    let mut event = [PATTERN; 3];
    let at = address_mut(&mut event);
    value(KeInitializeEvent, &[at, 1, 1]);
    assert_eq!(event, [0x1_5506_0001, at + 8, at + 8]);
}

#[test]
fn initialize_mutant_clears_size() {
    let mut mutex = [PATTERN; 7];
    let at = address_mut(&mut mutex);
    value(KeInitializeMutant, &[at, 0]);
    assert_eq!(mutex, [0x1_0000_0002, at + 8, at + 8, 0, 0, 0, 0]);
    mutex = [PATTERN; 7];
    value(KeInitializeMutex, &[at, 0]);
    assert_eq!(mutex, [0x1_0000_0002, at + 8, at + 8, 0, 0, 0, 0x100]);
}

#[test]
fn initialize_timer_clears_size() {
    let mut timer = [PATTERN; 8];
    let at = address_mut(&mut timer);
    value(KeInitializeTimerEx, &[at, 1]);
    assert_eq!(timer[..3], [9, at + 8, at + 8]);
}

#[test]
fn initialize_dpc_keeps_link_and_arguments() {
    let mut dpc = [PATTERN; 8];
    value(KeInitializeDpc, &[address_mut(&mut dpc), 0x1234, 0x5678]);
    let expected = [
        0x5555_5555_0000_0113,
        PATTERN,
        0,
        0x1234,
        0x5678,
        PATTERN,
        PATTERN,
        0,
    ];
    assert_eq!(dpc, expected);
}

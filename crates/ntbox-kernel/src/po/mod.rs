//! The power manager of a machine that stays on: power requests travel as all
//! requests do, states are kept as drivers set them, and settings are told as they
//! are and never change.

mod information;
pub mod power_request;
pub mod request;
pub mod setting;
pub mod state;

use ntbox_host::gate::Export;

use super::mm::mdl::Left;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    information::EXPORTS,
    power_request::EXPORTS,
    request::EXPORTS,
    setting::EXPORTS,
    state::EXPORTS,
];

/// Forgets and returns what drivers have left registered.
pub fn left_behind() -> Vec<Left> {
    let callbacks = setting::take_left_behind().into_iter();
    let callbacks = callbacks.map(|(routine, caller)| Left {
        rule: "power-callback-left",
        verifier: Some((0xce, 0)),
        what: format!("the power setting callback at {routine:#018x} is not unregistered"),
        caller,
    });
    let states = state::take_left_behind().into_iter();
    let states = states.map(|(handle, caller)| Left {
        rule: "system-state-left",
        verifier: None,
        what: format!("the system state {handle:#018x} is not unregistered"),
        caller,
    });
    let requests = power_request::take_left_behind().into_iter();
    let requests = requests.map(|(object, caller)| Left {
        rule: "power-request-left",
        verifier: None,
        what: format!("the power request object {object:#018x} is not deleted"),
        caller,
    });
    callbacks.chain(states).chain(requests).collect()
}

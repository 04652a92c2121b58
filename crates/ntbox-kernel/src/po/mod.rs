//! The power manager of a machine that stays on: power requests travel as all
//! requests do, states are kept as drivers set them, and settings are told as they
//! are and never change.

mod information;
pub mod power_request;
pub mod request;
pub mod setting;
pub mod state;

use ntbox_host::gate::Export;

use super::base::leak_check::LeakCheck;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    information::EXPORTS,
    power_request::EXPORTS,
    request::EXPORTS,
    setting::EXPORTS,
    state::EXPORTS,
];

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[setting::leaks, state::leaks, power_request::leaks];

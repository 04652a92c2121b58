//! Event tracing, as a driver finds it on a machine where nobody listens: its
//! providers are known, nothing that they write is enabled, and what they write
//! goes nowhere. Enable callbacks are therefore never called.

pub mod activity;
pub mod message;
pub mod provider;

use ntbox_host::gate::Export;

use super::base::leak_check::LeakCheck;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[activity::EXPORTS, message::EXPORTS, provider::EXPORTS];

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[provider::leaks, message::leaks];

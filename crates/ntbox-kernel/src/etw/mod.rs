//! Event tracing, as a driver finds it on a machine where nobody listens: its
//! providers are known, nothing that they write is enabled, and what they write
//! goes nowhere. Enable callbacks are therefore never called.

pub mod activity;
pub mod message;
pub mod provider;

use ntbox_host::gate::Export;

use super::mm::mdl::Left;
use super::rtl::guid;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[activity::EXPORTS, message::EXPORTS, provider::EXPORTS];

/// Forgets and returns what drivers have left registered.
pub fn left_behind() -> Vec<Left> {
    let providers = provider::take_left_behind().into_iter();
    let events = providers.map(|(id, caller)| Left {
        rule: "event-provider-left",
        verifier: Some((0xce, 0)),
        what: format!("the event provider {} is not unregistered", guid::text(id)),
        caller,
    });
    let providers = message::take_left_behind().into_iter();
    let data = providers.map(|(provider, caller)| Left {
        rule: "wmi-provider-left",
        verifier: Some((0xce, 0)),
        what: format!("the WMI provider at {provider:#018x} is not deregistered"),
        caller,
    });
    events.chain(data).collect()
}

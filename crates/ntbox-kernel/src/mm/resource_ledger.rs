//! What drivers took of the memory manager and have to give back, beside pool and
//! MDLs: by address or number, with who took it.

use std::collections::BTreeMap;

use ntbox_api::rules::Rule;

use super::with;
use crate::base::leak_check::Leak;

/// A resource that is acquired and not released yet.
#[derive(Debug, Clone)]
pub struct OutstandingResource {
    /// Rule that is broken if it is not given back.
    pub rule: &'static Rule,
    /// What it is and what was not done, as the end of a sentence.
    pub what: String,
    /// Address in the driver of the call that took it.
    pub caller: u64,
}

/// All resources that are not released yet.
pub type OutstandingResources = BTreeMap<u64, OutstandingResource>;

/// Notes that something was taken.
pub fn take(key: u64, rule: &'static Rule, what: String, caller: u64) {
    let owed = OutstandingResource { rule, what, caller };
    with(|memory| memory.debts.insert(key, owed));
}

/// Notes that it was given back.
pub fn give(key: u64) {
    with(|memory| memory.debts.remove(&key));
}

/// All that drivers have not given back.
pub fn leaks() -> Vec<Leak> {
    with(|memory| {
        let owed = memory.debts.values().cloned();
        owed.map(|owed| Leak::new(owed.rule, owed.what, owed.caller))
            .collect()
    })
}

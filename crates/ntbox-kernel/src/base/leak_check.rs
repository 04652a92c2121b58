//! Leak checks: what a driver has not given back when it is unloaded. Each component
//! registers a check for what it hands out.

use ntbox_api::report::HistoryEntry;
use ntbox_api::rules::Rule;
use ntbox_host::kernel_cell::KernelCell;

use super::diag;

/// Something that a driver has not given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The rule that it breaks.
    pub rule: &'static Rule,
    /// What it is and what was not done, as a sentence to which the time is added.
    pub message: String,
    /// Return address of the call that acquired it; 0 if it is not known.
    pub return_address: u64,
    /// A routine of the driver that is the place of the leak, if no call is.
    pub routine: Option<u64>,
    /// Earlier events of its life, with their call stacks.
    pub history: Vec<HistoryEntry>,
}

impl Leak {
    /// A leak, acquired by the call that returns to `return_address`.
    pub fn new(rule: &'static Rule, message: String, return_address: u64) -> Self {
        Self {
            rule,
            message,
            return_address,
            routine: None,
            history: Vec::new(),
        }
    }

    /// The same at a routine of the driver.
    pub fn at_routine(self, routine: u64) -> Self {
        Self {
            routine: Some(routine),
            ..self
        }
    }

    fn report(self, when: &str) {
        let message = format!("{} {when}", self.message);
        match self.routine {
            Some(routine) => diag::violation_of(routine, self.rule, message),
            None if self.history.is_empty() => {
                diag::violation(self.rule, message, self.return_address);
            }
            None => diag::left_behind(self.rule, message, self.return_address, self.history),
        }
    }
}

/// Returns the leaks of one kind.
pub type LeakCheck = fn() -> Vec<Leak>;

static CHECKS: KernelCell<Vec<&'static [LeakCheck]>> = KernelCell::new(Vec::new());

/// Registers the checks of a component. They run in the order of registration.
pub fn register(checks: &'static [LeakCheck]) {
    CHECKS.lock().push(checks);
}

/// Runs all checks and reports what they return; `when` ends each message.
pub fn report_leaks(when: &str) {
    let checks = CHECKS.lock().clone();
    for check in checks.into_iter().flatten() {
        for leak in check() {
            leak.report(when);
        }
    }
}

//! The driver's log lines: `ntmem: <scope>: <event> key=value …`.
//!
//! The harness parses these lines. This module defines the notation of each kind of
//! value; the log-format document describes it.

use core::fmt;

use wdm::{Error, Status, debug::Level};

/// Reports a step of a [`Scope`]; takes what `format!` takes.
macro_rules! step {
    ($scope:expr, $($argument:tt)+) => {
        $scope.step(::core::format_args!($($argument)+))
    };
}

/// Reports an error of a [`Scope`]; takes what `format!` takes.
macro_rules! error {
    ($scope:expr, $($argument:tt)+) => {
        $scope.error(::core::format_args!($($argument)+))
    };
}

/// The source of log lines (the driver or a scenario) and the level of its steps.
#[derive(Clone, Copy)]
pub struct Scope {
    name: &'static str,
    level: Level,
}

impl Scope {
    /// A scope whose steps are logged at `level`.
    pub const fn new(name: &'static str, level: Level) -> Self {
        Self { name, level }
    }

    /// The level at which steps are reported.
    pub const fn level(self) -> Level {
        self.level
    }

    /// Reports a step; [`step!`] is the convenient way.
    pub fn step(self, text: fmt::Arguments<'_>) {
        self.send(self.level, text);
    }

    /// Reports an error, at the level that every system shows; [`error!`] is the
    /// convenient way.
    pub fn error(self, text: fmt::Arguments<'_>) {
        self.send(Level::Error, text);
    }

    /// Reports that a call of the kernel failed during `step`, and returns its
    /// status.
    pub fn failed(self, step: &str, error: &Error) -> Status {
        let status = error.status();
        error!(
            self,
            "failed step={step} call={} {}",
            error.call(),
            StatusFields(status)
        );
        status
    }

    fn send(self, level: Level, text: fmt::Arguments<'_>) {
        wdm::log!(level, "ntmem: {}: {text}", self.name);
    }
}

/// An address: 16 hexadecimal digits.
pub struct Address(pub usize);

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#018x}", self.0)
    }
}

/// A status, by name and by number.
pub struct StatusFields(pub Status);

impl fmt::Display for StatusFields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        write!(formatter, "status={status} code={:#010x}", status.code())
    }
}

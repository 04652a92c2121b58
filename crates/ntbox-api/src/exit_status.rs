//! The result of a run, and the exit statuses of the programs that report one:
//! `ntbox` and `driverctl` have the same verdicts and the same table of statuses.

use serde::{Deserialize, Serialize};

/// The result of a run. If several apply, the first in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The kernel stopped: a bug check, a crash or a hang.
    #[serde(rename = "bugcheck", alias = "stopped")]
    BugCheck,
    /// The driver broke a rule or left something behind.
    #[serde(alias = "broken")]
    Violations,
    /// The log is not the expected one.
    LogMismatch,
    /// DriverEntry returned a failure, and the driver left nothing behind.
    #[serde(alias = "refused")]
    EntryFailed,
    /// The driver started and has no DriverUnload; what it holds was not checked.
    #[serde(alias = "stays-loaded")]
    NoUnloadRoutine,
    /// None of these.
    Clean,
}

impl Verdict {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BugCheck => "bugcheck",
            Self::Violations => "violations",
            Self::LogMismatch => "log-mismatch",
            Self::EntryFailed => "entry-failed",
            Self::NoUnloadRoutine => "no-unload-routine",
            Self::Clean => "clean",
        }
    }

    /// The exit status of a program that reports this verdict.
    #[must_use]
    pub const fn exit_status(self) -> ExitStatus {
        match self {
            Self::BugCheck => ExitStatus::BugCheck,
            Self::Violations => ExitStatus::Violations,
            Self::LogMismatch => ExitStatus::LogMismatch,
            Self::EntryFailed => ExitStatus::EntryFailed,
            Self::NoUnloadRoutine => ExitStatus::Incomplete,
            Self::Clean => ExitStatus::Success,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.name())?;
        f.write_str(match self {
            Self::BugCheck => "the kernel stopped",
            Self::Violations => "the driver broke a rule or left something behind",
            Self::LogMismatch => "the log is not the expected one",
            Self::EntryFailed => "DriverEntry failed, and the driver left nothing behind",
            Self::NoUnloadRoutine => {
                "without a DriverUnload, what the driver holds was not checked"
            }
            Self::Clean => "started, unloaded, broke no rule and left nothing behind",
        })
    }
}

macro_rules! exit_statuses {
    ($($number:literal $name:ident $meaning:literal;)*) => {
        /// An exit status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ExitStatus {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl ExitStatus {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The table that `--help` prints.
            pub const HELP: &str = concat!(
                "Exit status:\n",
                $("  ", $number, "  ", $meaning, "\n",)*
                "If several apply, the first of these counts: 4, 5, 9, 3, 8, 1."
            );

            /// The meaning, without a full stop.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }
        }
    };
}

exit_statuses! {
    0 Success "success: for a run, the driver started, unloaded, broke no rule and left nothing behind";
    1 Incomplete "the driver has no DriverUnload, so what it holds was not checked; or an import is missing";
    2 Usage "wrong usage";
    3 EntryFailed "DriverEntry returned a failure, and the driver left nothing behind";
    4 BugCheck "the kernel stopped: a bug check, a crash or a hang";
    5 Violations "the driver broke a rule or left something behind";
    6 Image "the file cannot be read, or is not a driver for this kernel";
    7 Host "the program, its host or the system under it failed";
    8 RequestFailed "the device cannot be opened, or a request ended in an error";
    9 LogMismatch "the log is not the expected one";
}

impl ExitStatus {
    /// The statuses of runs, the most severe first.
    const SEVERITY: [Self; 7] = [
        Self::BugCheck,
        Self::Violations,
        Self::LogMismatch,
        Self::EntryFailed,
        Self::RequestFailed,
        Self::Incomplete,
        Self::Success,
    ];

    /// The most severe of several results.
    #[must_use]
    pub fn most_severe(statuses: impl IntoIterator<Item = Self>) -> Option<Self> {
        let rank = |status: &Self| Self::SEVERITY.iter().position(|other| other == status);
        statuses.into_iter().min_by_key(rank)
    }
}

impl From<ExitStatus> for u8 {
    fn from(status: ExitStatus) -> Self {
        status as Self
    }
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(u8::from(status))
    }
}

impl Serialize for ExitStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8((*self).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_status_numbers_are_consecutive_and_in_the_help() {
        for (number, status) in ExitStatus::ALL.iter().enumerate() {
            assert_eq!(usize::from(u8::from(*status)), number);
            let row = format!("\n  {number}  {}\n", status.meaning());
            assert!(ExitStatus::HELP.contains(&row), "{row}");
        }
    }

    #[test]
    fn exit_status_table_of_page_matches_help() {
        let page = include_str!("../../../docs/reference/exit-statuses.md");
        for status in ExitStatus::ALL {
            let row = format!("\n| {} | {} |\n", u8::from(*status), status.meaning());
            assert!(page.contains(&row), "{row}");
        }
        let order = ExitStatus::HELP.lines().last();
        assert!(order.is_some_and(|order| page.contains(order)));
    }

    #[test]
    fn exit_status_severity_is_in_the_help_and_follows_the_verdicts() {
        let failures = &ExitStatus::SEVERITY[..6];
        let order: Vec<String> = failures
            .iter()
            .map(|status| u8::from(*status).to_string())
            .collect();
        assert!(ExitStatus::HELP.ends_with(&format!("{}.", order.join(", "))));
        let mut verdicts = [
            Verdict::Clean,
            Verdict::NoUnloadRoutine,
            Verdict::EntryFailed,
            Verdict::LogMismatch,
            Verdict::Violations,
            Verdict::BugCheck,
        ];
        verdicts.sort_unstable();
        let statuses = verdicts.map(Verdict::exit_status);
        assert!(statuses.is_sorted_by_key(|status| {
            ExitStatus::SEVERITY
                .iter()
                .position(|other| other == status)
        }));
    }

    #[test]
    fn most_severe_is_independent_of_order() {
        use ExitStatus::{BugCheck, EntryFailed, Incomplete, RequestFailed, Success, Violations};
        for (statuses, expected) in [
            (&[Success, Incomplete][..], Some(Incomplete)),
            (&[Incomplete, RequestFailed, Success], Some(RequestFailed)),
            (&[EntryFailed, Violations, BugCheck], Some(BugCheck)),
            (&[], None),
        ] {
            assert_eq!(ExitStatus::most_severe(statuses.iter().copied()), expected);
        }
    }
}

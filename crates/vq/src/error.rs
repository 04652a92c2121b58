//! What can go wrong, said so that a person knows what to do about it.

/// Why something was not listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No process has the number or the name.
    #[error("there is no process {0}; `vq --all` lists those that there are")]
    NoSuchProcess(String),
    /// Several processes have the name.
    #[error("{name} is the name of {} processes: {}; say which by its number", .ids.len(), ids_text(.ids))]
    Ambiguous {
        /// The name.
        name: String,
        /// Their numbers.
        ids: Vec<u32>,
    },
    /// The system does not let this user look.
    #[error("access to process {process} is denied; {help}")]
    AccessDenied {
        /// Its number.
        process: u32,
        /// What would help.
        help: &'static str,
    },
    /// The process ended while it was looked at.
    #[error(
        "process {process} ended while it was listed; what was printed is only a part, up to {at:#x}"
    )]
    Gone {
        /// Its number.
        process: u32,
        /// The address that was to be asked for next.
        at: u64,
    },
    /// The driver's device is not there.
    #[error("the device {device} cannot be opened: {why}")]
    NoDevice {
        /// Its name.
        device: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// The driver does not answer the question.
    #[error("the driver cannot tell the blocks of process {process}: {why}")]
    Refused {
        /// Its number.
        process: u64,
        /// Why, and what to do.
        why: String,
    },
    /// A call of the system failed.
    #[error("{call} failed: {why}")]
    System {
        /// Its name.
        call: &'static str,
        /// What the system says.
        why: String,
    },
    /// A source answered with what cannot be.
    #[error("the answer for address {address:#x} makes no sense: {what}")]
    Nonsense {
        /// What was asked for.
        address: u64,
        /// What came.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A line of a listing is none.
    #[error("{path}, line {line}: {error}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong.
        error: crate::parse::ParseError,
    },
    /// The result cannot be written.
    #[error("the result cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// Not on this system.
    #[error("{0}")]
    Unsupported(&'static str),
}

fn ids_text(ids: &[u32]) -> String {
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    ids.join(", ")
}

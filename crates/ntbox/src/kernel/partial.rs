//! Exports that do less than their reference says, and what they leave out. Each
//! of them says so, too, when a driver asks for what is left out.

/// The export and what is missing, by name.
pub const NOTES: &[(&str, &str)] = &[(
    "KeSetTargetProcessorDpcEx",
    "there is one processor, number 0",
)];

/// What an export leaves out.
pub fn of(name: &str) -> Option<&'static str> {
    let at = NOTES.binary_search_by(|(known, _)| (*known).cmp(name));
    at.ok().map(|at| NOTES[at].1)
}

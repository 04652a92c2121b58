//! Names that drivers can import on Windows and that this kernel does not provide,
//! each with the reason. The list is a text beside this file; nothing binds by it.
//! It lets `ntbox exports --missing`, `ntbox imports` and the report of a driver that
//! calls such a name say why, and a test finds names that are neither here nor
//! exported.

/// Lines of names, below a line with a colon and the reason for them.
const LIST: &str = include_str!("missing.txt");

/// Each name and the reason, in the order of the text.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut reason = "";
    LIST.lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(move |line| {
            let names = match line.strip_prefix(": ") {
                Some(text) => {
                    reason = text;
                    ""
                }
                None => line,
            };
            let reason = reason;
            names.split_whitespace().map(move |name| (name, reason))
        })
}

/// Why this kernel lacks a name that Windows has; `None` if it is not on the list.
#[must_use]
pub fn reason(name: &str) -> Option<&'static str> {
    names()
        .find(|(missing, _)| *missing == name)
        .map(|(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_with_reasons() {
        let mut seen = BTreeSet::new();
        for (name, reason) in names() {
            assert!(seen.insert(name), "{name} is listed twice");
            assert!(!reason.is_empty(), "{name} stands above the first reason");
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
                "{name} is no name"
            );
        }
        assert!(seen.len() > 100, "the text is not read: {seen:?}");
    }

    #[test]
    fn reason_of_listed_name_is_the_line_above() {
        let reason_of = |name| reason(name).expect(name);
        assert!(reason_of("CcCopyRead").contains("cache manager"));
        assert!(reason_of("TmCommitTransaction").contains("transaction manager"));
        assert_eq!(reason("IoAllocateMdl"), None);
        assert_eq!(reason("NoSuchFunction"), None);
    }
}

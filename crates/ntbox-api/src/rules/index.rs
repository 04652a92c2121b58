//! The index of rules, `docs/reference/rules.md`.

use std::fmt::Write as _;

use super::{Rule, SUBJECTS};

const INTRODUCTION: &str = "\
# Rules

The mistakes that do not stop the kernel, with the set of rules that each belongs to
([verifier mode](verifier.md#verifier-mode)) and the bug check with which Windows or Driver
Verifier stops. `ntbox explain RULE` prints a page, `ntbox rules` this list, and
`--ignore RULE` leaves a rule out.

This page is made by `ntbox rules --markdown`.
";

/// The index in Markdown.
#[must_use]
pub fn index() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (subject, rules) in SUBJECTS {
        let _ = write!(
            text,
            "\n## {subject}\n\n| rule | summary | set | bug check |\n|---|---|---|---|\n"
        );
        for rule in rules {
            let Rule { id, summary, .. } = rule;
            let (set, stops) = (rule.set_name(), rule.stops_text());
            let _ = writeln!(
                text,
                "| [`{id}`](rules/{id}.md) | {summary} | {set} | {stops} |"
            );
        }
    }
    let former: Vec<_> = super::all()
        .flat_map(|rule| rule.former_ids.iter().map(move |former| (former, rule.id)))
        .collect();
    text.push_str("\n## Former identifiers\n\n| former | rule |\n|---|---|\n");
    for (former, id) in former {
        let _ = writeln!(text, "| `{former}` | [`{id}`](rules/{id}.md) |");
    }
    text
}

impl Rule {
    /// Its bug checks, as in `0xC4 (0x62)`; empty without.
    #[must_use]
    pub fn stops_text(&self) -> String {
        let stop = |stop: &super::StopCode| match stop.first {
            Some(first) => format!("0x{:X} ({first:#x})", stop.code),
            None => format!("0x{:X}", stop.code),
        };
        let stops: Vec<_> = self.stop_codes.iter().map(stop).collect();
        stops.join(", ")
    }
}

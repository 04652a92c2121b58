//! The commands `rules` and `explain`: the rules that the kernel checks, and the page of
//! one of them.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::Error;
use crate::rules::{self, Rule, StopCode};
use nt_status::{Named, NamedBugCheck};
use serde::Serialize;

/// A rule as JSON shows it.
#[derive(Serialize)]
pub struct RuleEntry {
    id: &'static str,
    former_ids: &'static [&'static str],
    set: &'static str,
    summary: &'static str,
    stop_codes: Vec<StopEntry>,
}

/// A bug check code with its first parameter, in hexadecimal.
#[derive(Serialize)]
struct StopEntry {
    code: String,
    first: Option<String>,
}

/// All rules, sorted by identifier.
pub fn list() -> Vec<&'static Rule> {
    let mut list: Vec<_> = rules::all().collect();
    list.sort_unstable_by_key(|rule| rule.id);
    list
}

/// Rules as JSON shows them.
pub fn entries(list: &[&'static Rule]) -> Vec<RuleEntry> {
    let stop = |stop: &StopCode| StopEntry {
        code: format!("{:#x}", stop.code),
        first: stop.first.map(|first| format!("{first:#x}")),
    };
    let entry = |rule: &&'static Rule| RuleEntry {
        id: rule.id,
        former_ids: rule.former_ids,
        set: rule.set_name(),
        summary: rule.summary,
        stop_codes: rule.stop_codes.iter().map(stop).collect(),
    };
    list.iter().map(entry).collect()
}

/// Writes rules as text, one a line.
pub fn write_list(out: &mut impl Write, list: &[&Rule]) -> io::Result<()> {
    for rule in list {
        write!(out, "{} ({}): {}", rule.id, rule.set_name(), rule.summary)?;
        let stops = rule.stops_text();
        if !stops.is_empty() {
            write!(out, "; {stops}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{} rules; `ntbox explain RULE` has more", list.len())
}

/// The page of a rule, by its identifier or a former one; the rules that lead to a bug
/// check; or a sentence on a status.
///
/// # Errors
/// There is none of them; the message has the names that are spelled like it.
pub fn explain(name: &str) -> Result<String, Error> {
    if let Some(rule) = rules::find(name) {
        let former = if rule.id == name {
            String::new()
        } else {
            format!("The rule `{name}` is now `{}`.\n\n", rule.id)
        };
        return Ok(format!("{former}{}", rule.page));
    }
    let code = match name.strip_prefix("0x").or_else(|| name.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => None,
    };
    let bug_check = code
        .filter(|code| nt_status::bug_check_name(*code).is_some())
        .or_else(|| nt_status::bug_check_code(name));
    // STATUS_WAIT_1 and its like are numbers of bug checks too.
    let status = code
        .filter(|code| nt_status::name(*code).is_some())
        .or_else(|| nt_status::code(name));
    let texts = [bug_check.map(explain_bug_check), status.map(explain_status)];
    let text: String = texts.into_iter().flatten().collect();
    if text.is_empty() {
        let error = rules::rule(name).expect_err("no rule has this name");
        return Err(Error::Config(error.to_string()));
    }
    Ok(text)
}

/// A bug check, and the rules that lead to it.
fn explain_bug_check(code: u32) -> String {
    let mut text = format!("{}\n", NamedBugCheck(code));
    for rule in list() {
        if rule.stop_codes.iter().any(|stop| stop.code == code) {
            let _ = writeln!(text, "  {}: {}", rule.id, rule.summary);
        }
    }
    text
}

/// A status, and what it means if that is known.
fn explain_status(status: u32) -> String {
    let kind = match status >> 30 {
        0 => "success",
        1 => "information",
        2 => "warning",
        _ => "error",
    };
    let meaning = nt_status::explain(status).map_or_else(String::new, |text| format!(": {text}"));
    format!("{} ({kind}){meaning}\n", Named(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explain_former_identifier_prints_the_page_and_the_new_one() {
        let text = explain("device-left").expect("a former identifier");
        assert!(
            text.starts_with("The rule `device-left` is now `device-leak`.\n\n# device-leak\n")
        );
    }

    #[test]
    fn explain_misspelt_identifier_offers_near_ones() {
        let error = explain("pool-leek").expect_err("misspelt").to_string();
        assert!(error.contains("did you mean pool-leak?"), "{error}");
    }

    #[test]
    fn explain_bug_check_lists_its_rules() {
        for name in ["0xC7", "TIMER_OR_DPC_INVALID"] {
            let text = explain(name).expect("a bug check");
            assert!(text.starts_with("TIMER_OR_DPC_INVALID (0xC7)\n"), "{text}");
            assert!(text.contains("  timer-active-at-unload: "), "{text}");
        }
        assert!(explain("0x12345").is_err());
    }

    #[test]
    fn write_list_has_set_summary_and_bug_check() {
        let mut out = Vec::new();
        write_list(&mut out, &[rules::POOL_LEAK, rules::DOUBLE_FETCH]).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "pool-leak (always): Pool is not freed at unload; 0xC4 (0x62)\n\
             double-fetch (standard): A request reads the same user memory twice\n\
             2 rules; `ntbox explain RULE` has more\n"
        );
    }

    #[test]
    fn explain_status_by_name_or_number_says_what_it_means() {
        for name in ["STATUS_PENDING", "0x103"] {
            let text = explain(name).expect("a status");
            assert!(
                text.contains("STATUS_PENDING (0x00000103) (success): the request is under way"),
                "{text}"
            );
        }
        assert!(explain("STATUS_NO_SUCH_STATUS").is_err());
    }
}

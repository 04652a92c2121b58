//! A report for people: the log as DebugView shows it, then one labelled line for
//! each thing that happened, and a verdict at the end.
//!
//! Everything that a driver or its debug information says is foreign text. It is
//! written so that it cannot steer the terminal that shows it.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter, Write as _};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use nt_status::{Named, NamedBugCheck};

use super::{BugCheck, HistoryEntry, Inlined, Location, LogLine, Report, Violation};
use crate::parse::component_name;
use crate::{Verdict, rules};

/// A report as text. Made by [`Report::text`].
#[derive(Debug, Clone, Copy)]
pub struct Text<'r> {
    report: &'r Report,
    hide_filtered: bool,
    calls: bool,
    folder: Option<&'r Path>,
    palette: Palette,
}

/// How parts of the text look.
#[derive(Debug, Clone, Copy, Default)]
struct Palette {
    label: Style,
    good: Style,
    bad: Style,
    faint: Style,
}

impl Report {
    /// The report for people, without colours.
    #[must_use]
    pub fn text(&self) -> Text<'_> {
        Text {
            report: self,
            hide_filtered: false,
            calls: false,
            folder: None,
            palette: Palette::default(),
        }
    }
}

impl<'r> Text<'r> {
    /// Whether to leave out the lines that the debug print filter of Windows hides.
    /// Otherwise they are marked.
    #[must_use]
    pub fn hide_filtered(self, hide_filtered: bool) -> Self {
        Self {
            hide_filtered,
            ..self
        }
    }

    /// Whether to list which exports the driver called.
    #[must_use]
    pub fn calls(self, calls: bool) -> Self {
        Self { calls, ..self }
    }

    /// Source files below this folder are named from there.
    #[must_use]
    pub fn folder(self, folder: Option<&'r Path>) -> Self {
        Self { folder, ..self }
    }

    /// With colours, as ANSI escape codes.
    #[must_use]
    pub fn colours(self) -> Self {
        let palette = Palette {
            label: Style::new().bold(),
            good: AnsiColor::Green.on_default().bold(),
            bad: AnsiColor::Red.on_default().bold(),
            faint: Style::new().dimmed(),
        };
        Self { palette, ..self }
    }

    fn labelled(&self, f: &mut Formatter<'_>, label: &str, text: impl Display) -> fmt::Result {
        let style = self.palette.label;
        writeln!(f, "{style}{label:<8}{style:#} {text}")
    }

    fn log(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Palette { faint, .. } = self.palette;
        let lines = self
            .report
            .log
            .iter()
            .filter(|line| line.shown || !self.hide_filtered);
        let mut lines = lines.peekable();
        let first = lines.peek().map_or(0, |line| line.time);
        let mut number = 0;
        for line in lines {
            let time = line.time.saturating_sub(first);
            let (seconds, rest) = (time / 10_000_000, time % 10_000_000);
            let text = Printable(&line.text);
            if line.shown {
                number += 1;
                writeln!(f, "{number:08}\t{seconds}.{rest:07}0\t{text}")?;
            } else {
                // Without a number: DebugView would not have counted it.
                let source = Source(line);
                writeln!(
                    f,
                    "{faint}{:8}\t{seconds}.{rest:07}0\t(filtered, {source}) {text}{faint:#}",
                    ""
                )?;
            }
        }
        let filtered = self.report.log.iter().filter(|line| !line.shown).count();
        match filtered {
            0 => {}
            1 if self.hide_filtered => writeln!(f, "(the debug print filter hides 1 line)")?,
            _ if self.hide_filtered => {
                writeln!(f, "(the debug print filter hides {filtered} lines)")?;
            }
            _ => self.how_to_show(f)?,
        }
        if number + filtered > 0 {
            writeln!(f)
        } else {
            Ok(())
        }
    }

    /// How Windows is told to show the lines that are marked.
    fn how_to_show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut masks: Vec<(&str, u32)> = Vec::new();
        for line in self.report.log.iter().filter(|line| !line.shown) {
            // A component that has no name has no mask of its own.
            let name = component_name(line.component).unwrap_or("WIN2000");
            let bits = match line.level {
                level @ 0..=31 => 1 << level,
                mask => mask,
            };
            match masks.iter_mut().find(|(known, _)| *known == name) {
                Some((_, mask)) => *mask |= bits,
                None => masks.push((name, bits)),
            }
        }
        writeln!(
            f,
            "(on Windows the debug print filter hides the lines marked as filtered. To show them there, set this DWORD below\n \
             HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Debug Print Filter, read at boot, or this mask in a debugger:"
        )?;
        let last = masks.len().saturating_sub(1);
        for (n, (name, mask)) in masks.iter().enumerate() {
            let end = if n == last { ")" } else { "" };
            writeln!(
                f,
                "   {name} = {mask:#x}, or `ed nt!Kd_{name}_Mask {mask:#x}`; here `--filter {name}={mask:#x}`{end}"
            )?;
        }
        Ok(())
    }

    fn entry(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Palette { bad, .. } = self.palette;
        let Some(status) = self.report.entry_status else {
            return self.labelled(
                f,
                "entry",
                format_args!("{bad}DriverEntry did not return{bad:#}"),
            );
        };
        let named = Named(status);
        let meaning = nt_status::explain(status)
            .map(|text| format!(": {text}"))
            .unwrap_or_default();
        if nt_status::is_success(status) {
            self.labelled(f, "entry", format_args!("DriverEntry returned {named}"))
        } else {
            self.labelled(
                f,
                "entry",
                format_args!("{bad}DriverEntry returned {named}{bad:#}{meaning}"),
            )
        }
    }

    fn unload(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let started = self.report.entry_status.is_some_and(nt_status::is_success);
        match (started, self.report.unloaded) {
            (_, true) => self.labelled(f, "unload", "DriverUnload returned"),
            (true, false) if self.report.bug_check.is_none() => self.labelled(
                f,
                "unload",
                "there is no DriverUnload, so Windows keeps the driver until it restarts",
            ),
            _ => Ok(()),
        }
    }

    /// The violations; the first one of each rule ends with the command that explains it.
    fn violations(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut explained = BTreeSet::new();
        self.report.violations.iter().try_for_each(|violation| {
            self.violation(f, violation)?;
            match rules::find(&violation.rule) {
                Some(rule) if explained.insert(rule.id) => {
                    self.labelled(f, "", format_args!("see `ntbox explain {}`", rule.id))
                }
                _ => Ok(()),
            }
        })
    }

    fn violation(&self, f: &mut Formatter<'_>, violation: &Violation) -> fmt::Result {
        let Palette { bad, .. } = self.palette;
        let (rule, what) = (Printable(&violation.rule), Printable(&violation.message));
        self.labelled(f, "rule", format_args!("{bad}{rule}{bad:#}: {what}"))?;
        if let Some((code, first)) = violation.driver_verifier_code {
            let named = NamedBugCheck(code);
            let who = match code {
                0xc4 | 0xc9 => "Driver Verifier",
                _ => "Windows",
            };
            self.labelled(
                f,
                "",
                format_args!("{who} stops with {named}, first parameter {first:#x}"),
            )?;
        }
        // The first place of the only stack is the location.
        if let [only] = violation.history.as_slice()
            && only.stack.first() == violation.location.as_ref()
        {
            return only.stack.iter().try_for_each(|place| self.place(f, place));
        }
        violation
            .location
            .iter()
            .try_for_each(|place| self.place(f, place))?;
        self.history(f, &violation.history)
    }

    fn history(&self, f: &mut Formatter<'_>, history: &[HistoryEntry]) -> fmt::Result {
        history.iter().try_for_each(|past| {
            let what = Printable(&past.event);
            self.labelled(f, "", format_args!("{what}"))?;
            past.stack.iter().try_for_each(|place| self.place(f, place))
        })
    }

    fn bug_check(&self, f: &mut Formatter<'_>, stop: &BugCheck) -> fmt::Result {
        let Palette { bad, .. } = self.palette;
        let parameters = stop
            .parameters
            .map(|parameter| format!("{parameter:#x}"))
            .join(", ");
        let named = NamedBugCheck(stop.code);
        self.labelled(
            f,
            "stopped",
            format_args!("{bad}{named}{bad:#} ({parameters})"),
        )?;
        self.labelled(f, "", Printable(&stop.message))?;
        if stop.location.as_ref() != stop.stack.first() {
            stop.location
                .iter()
                .try_for_each(|place| self.place(f, place))?;
        }
        // A recursion is one place, many times.
        stop.stack.chunk_by(PartialEq::eq).try_for_each(|same| {
            same.first()
                .into_iter()
                .try_for_each(|place| self.place(f, place))?;
            match same.len() {
                1 => Ok(()),
                times => self.labelled(f, "", format_args!("   {times} times in a row")),
            }
        })?;
        self.history(f, &stop.history)
    }

    fn place(&self, f: &mut Formatter<'_>, place: &Location) -> fmt::Result {
        let module = Printable(&place.module);
        let function = self.function(place.symbol.as_deref(), place.source.as_ref());
        self.labelled(
            f,
            "",
            format_args!("at {module}+{:#x}{function}", place.offset),
        )?;
        place
            .inlined_into
            .iter()
            .try_for_each(|Inlined { symbol, source }| {
                let function = self.function(symbol.as_deref(), source.as_ref());
                self.labelled(f, "", format_args!("   inlined into{function}"))
            })
    }

    /// A function and its source line, as far as they are known, with a blank
    /// before each.
    fn function(&self, symbol: Option<&str>, source: Option<&(String, u32)>) -> String {
        let mut text = String::new();
        if let Some(symbol) = symbol {
            let _ = write!(text, " {}", Printable(symbol));
        }
        if let Some((file, line)) = source {
            let below = self
                .folder
                .and_then(|folder| Path::new(file).strip_prefix(folder).ok());
            let file = below.and_then(Path::to_str).unwrap_or(file);
            let _ = write!(text, " ({}:{line})", Printable(file));
        }
        if text.is_empty() {
            ", in no known function".to_owned()
        } else {
            text
        }
    }

    fn call_counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for call in &self.report.calls {
            let name = Printable(&call.export);
            let can_fail = if call.can_fail {
                ", can be made to fail"
            } else {
                ""
            };
            self.labelled(
                f,
                "called",
                format_args!("{:>6} {name}{can_fail}", call.count),
            )?;
        }
        Ok(())
    }

    fn verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = self.report.verdict();
        let style = if verdict == Verdict::Clean {
            self.palette.good
        } else {
            self.palette.bad
        };
        self.labelled(
            f,
            "verdict",
            format_args!("{style}{}{style:#}", self.report.summary()),
        )
    }
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.log(f)?;
        self.entry(f)?;
        self.unload(f)?;
        self.violations(f)?;
        self.report
            .bug_check
            .iter()
            .try_for_each(|stop| self.bug_check(f, stop))?;
        if self.calls {
            self.call_counts(f)?;
        }
        self.report
            .notes
            .iter()
            .try_for_each(|note| self.labelled(f, "note", Printable(note)))?;
        if let Some(seed) = self.report.schedule {
            self.labelled(f, "schedule", format_args!("drawn from seed {seed}"))?;
        }
        self.verdict(f)
    }
}

/// What a line was printed as: component and level.
struct Source<'r>(&'r LogLine);

impl Display for Source<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let LogLine {
            component, level, ..
        } = *self.0;
        match component_name(component) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "component {component}")?,
        }
        match level {
            0 => f.write_str(" ERROR"),
            1 => f.write_str(" WARNING"),
            2 => f.write_str(" TRACE"),
            3 => f.write_str(" INFO"),
            4..=31 => write!(f, " level {level}"),
            mask => write!(f, " mask {mask:#x}"),
        }
    }
}

/// Foreign text with control characters written out.
struct Printable<'t>(&'t str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\t' => f.write_char(c),
            c if c.is_control() || is_direction(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
            c => f.write_char(c),
        })
    }
}

/// Characters that change the order in which others are shown.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;

//! How an outcome is shown: as text for people, or as one JSON object. Colours
//! only reach a terminal, and only if `NO_COLOR` does not forbid them.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use crate::{Export, ExportKind, Import, MissingExport, Report};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::args::{Command, Run};
use super::commands::{Done, Outcome};
use super::ioctl::Answer;
use super::rules::{self, RuleEntry};
use super::sweep::Swept;

/// Number of the JSON format. It changes when a field goes or means something
/// else; new fields may come without.
const FORMAT: u32 = 1;

/// The object that JSON output is: what was not asked for is not there.
#[derive(Serialize)]
struct Object<'o> {
    format: u32,
    exit_status: ntbox_api::ExitStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'o Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<&'o [Answer]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<&'o Swept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imports: Option<&'o [Import]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exports: Option<&'o [Export]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'o [MissingExport]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<RuleEntry>>,
}

const BAD: Style = AnsiColor::Red.on_default().bold();

impl Outcome<'_> {
    /// Shows it.
    pub fn show(&self) -> io::Result<()> {
        let json = match self.command {
            Command::Run(args) => args.json,
            Command::Ioctl(args) => args.run.json,
            Command::Sweep(args) => args.run.json,
            Command::Imports(args) => args.json,
            Command::Exports(args) => args.json,
            Command::Rules(args) => args.json,
            Command::Explain(_) => false,
        };
        if json { self.json() } else { self.text() }
    }

    fn json(&self) -> io::Result<()> {
        let status = self.status();
        let (mut verdict, mut error, mut answers) = (None, None, None);
        let (mut report, mut sweep) = (None, None);
        let (mut imports, mut exports, mut missing, mut rules) = (None, None, None, None);
        match &self.result {
            Ok(Done::Run(done)) => {
                verdict = Some(done.verdict().name());
                report = Some(&**done);
            }
            Ok(Done::Ioctl(session)) => {
                verdict = Some(session.report.verdict().name());
                report = Some(&session.report);
                answers = Some(session.answers.as_slice());
            }
            Ok(Done::Sweep(swept)) => {
                verdict = Some(swept.first.verdict().name());
                report = Some(&swept.first);
                sweep = Some(&**swept);
            }
            Ok(Done::Imports(list)) => imports = Some(list.as_slice()),
            Ok(Done::Exports(list)) => exports = Some(list.as_slice()),
            Ok(Done::Missing(list)) => missing = Some(list.as_slice()),
            Ok(Done::Rules(list)) => rules = Some(rules::entries(list)),
            Ok(Done::Text(_)) => {}
            Err(failure) => error = Some(failure.to_string()),
        }
        let object = Object {
            format: FORMAT,
            exit_status: status,
            verdict,
            error,
            report,
            answers,
            sweep,
            imports,
            exports,
            missing,
            rules,
        };
        let mut out = BufWriter::new(io::stdout().lock());
        serde_json::to_writer_pretty(&mut out, &object)?;
        writeln!(out)?;
        out.flush()
    }

    fn text(&self) -> io::Result<()> {
        // Whole, not line by line: a long log is one write.
        let mut out = BufWriter::new(anstream::stdout().lock());
        match (&self.result, self.command) {
            (Ok(Done::Run(report)), Command::Run(args)) => run(&mut out, report, args)?,
            (Ok(Done::Ioctl(session)), Command::Ioctl(args)) => {
                run(&mut out, &session.report, &args.run)?;
                session.text(&mut out)?;
            }
            (Ok(Done::Ioctl(session)), _) => session.text(&mut out)?,
            (Ok(Done::Run(report)), _) => write!(out, "{}", report.text().colours())?,
            (Ok(Done::Sweep(swept)), _) => sweep(&mut out, swept)?,
            (Ok(Done::Imports(list)), _) => imports(&mut out, list)?,
            (Ok(Done::Exports(list)), Command::Exports(args)) if args.name.is_some() => {
                list.iter().try_for_each(|one| export(&mut out, one))?;
            }
            (Ok(Done::Exports(list)), _) => exports(&mut out, list)?,
            (Ok(Done::Missing(list)), _) => missing(&mut out, list)?,
            (Ok(Done::Rules(list)), _) => rules::write_list(&mut out, list)?,
            (Ok(Done::Text(text)), _) => write!(out, "{text}")?,
            (Err(error), _) => writeln!(anstream::stderr().lock(), "{BAD}error{BAD:#}: {error}")?,
        }
        out.flush()
    }
}

fn run(out: &mut impl Write, report: &Report, args: &Run) -> io::Result<()> {
    let here = std::env::current_dir().ok();
    let text = report
        .text()
        .hide_filtered(args.hide_filtered && !args.all)
        .calls(args.calls)
        .folder(here.as_deref());
    write!(out, "{}", text.colours())
}

fn imports(out: &mut impl Write, list: &[Import]) -> io::Result<()> {
    for Import {
        module,
        name,
        provided,
        reason,
        since,
    } in list
    {
        let (module, name) = (module.escape_debug(), name.escape_debug());
        if *provided {
            writeln!(out, "provided {module}!{name}")?;
        } else {
            let since = since.map_or_else(String::new, |since| format!(", since Windows {since}"));
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            writeln!(out, "{BAD}missing{BAD:#}  {module}!{name}{since}{reason}")?;
        }
    }
    let missing = list.iter().filter(|import| !import.provided).count();
    writeln!(out, "{} imports, {missing} missing", list.len())?;
    let mut modules: Vec<&str> = list.iter().map(|import| import.module.as_str()).collect();
    modules.sort_unstable();
    modules.dedup();
    modules
        .into_iter()
        .filter_map(crate::describe_module)
        .try_for_each(|what| writeln!(out, "{what}"))
}

/// The first run, then the runs that the driver did not bear, and a summary.
fn sweep(out: &mut impl Write, swept: &Swept) -> io::Result<()> {
    let here = std::env::current_dir().ok();
    let text = |report: &Report| {
        let text = report.text().folder(here.as_deref()).colours();
        text.to_string()
    };
    write!(out, "{}", text(&swept.first))?;
    for run in swept.bad() {
        writeln!(out, "\n{BAD}{} fails{BAD:#}", run.name())?;
        if let Some(last) = run.faults.last() {
            let place = run.stack.iter().find_map(|place| place.symbol.as_deref());
            let by = place.map_or_else(String::new, |place| format!(", called by {place}"));
            writeln!(out, "failed   {}{}", last.export, by.escape_debug())?;
        }
        write!(out, "{}", text(&run.report))?;
    }
    let (all, bad) = (swept.runs.len(), swept.bad().count());
    writeln!(
        out,
        "\nsweep    {all} call stacks were made to fail, each in a run of its own: {} went well, {bad} did not",
        all - bad
    )
}

fn missing(out: &mut impl Write, list: &[MissingExport]) -> io::Result<()> {
    for MissingExport { name, reason } in list {
        writeln!(out, "missing {name}: {reason}")?;
    }
    writeln!(out, "{} names", list.len())
}

/// The name of an IRQL, or its number.
fn irql_name(irql: u8) -> Cow<'static, str> {
    match irql {
        0 => "PASSIVE_LEVEL".into(),
        1 => "APC_LEVEL".into(),
        2 => "DISPATCH_LEVEL".into(),
        15 => "HIGH_LEVEL".into(),
        other => format!("DIRQL {other}").into(),
    }
}

fn exports(out: &mut impl Write, list: &[Export]) -> io::Result<()> {
    for export in list {
        let name = export.name;
        match export.kind {
            ExportKind::Variable => write!(out, "variable {name}")?,
            ExportKind::Function { max_irql, can_fail } => {
                let fault = if can_fail {
                    ", can be made to fail"
                } else {
                    ""
                };
                let level = irql_name(max_irql);
                write!(out, "function {name}, IRQL <= {level}{fault}")?;
            }
        }
        if let Some(since) = export.since {
            write!(out, ", since Windows {since}")?;
        }
        if let Some(note) = export.partial {
            write!(out, "; partial: {note}")?;
        }
        writeln!(
            out,
            "; {}",
            export.page.as_deref().unwrap_or("undocumented")
        )?;
    }
    Ok(())
}

/// One export in full.
fn export(out: &mut impl Write, export: &Export) -> io::Result<()> {
    match export.kind {
        ExportKind::Variable => writeln!(out, "variable {}", export.name)?,
        ExportKind::Function { max_irql, can_fail } => {
            writeln!(out, "function {}", export.name)?;
            writeln!(out, "  highest IRQL  {}", irql_name(max_irql))?;
            let can_fail = if can_fail { "yes" } else { "no" };
            writeln!(out, "  can fail      {can_fail}")?;
        }
    }
    if let Some(since) = export.since {
        writeln!(out, "  since         Windows {since}")?;
    }
    if let Some(note) = export.partial {
        writeln!(out, "  partial       {note}")?;
    }
    let contract = match (&export.page, export.undocumented) {
        (Some(page), _) => page.clone(),
        (None, Some(from)) => format!("undocumented; {from}"),
        (None, None) => "undocumented".to_owned(),
    };
    writeln!(out, "  page          {contract}")?;
    writeln!(out, "  source        {}", export.source)
}

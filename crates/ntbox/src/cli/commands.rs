//! What each command does.

use std::path::Path;

use crate::parse;
use crate::rules::Rule;
use crate::{Error, Export, Import, MissingExport, OsVersion, Report};
use ntbox_api::ExitStatus;

use super::args::{Cli, Command};
use super::ioctl::{self, Session};
use super::sweep::{self, Swept};
use super::{junit, rules, sarif};

/// What a command came to, and how it is to be shown.
pub struct Outcome<'c> {
    /// What was asked for.
    pub command: &'c Command,
    /// What came of it.
    pub result: Result<Done, Error>,
}

/// What a command found.
pub enum Done {
    /// A run.
    Run(Box<Report>),
    /// A run with requests.
    Ioctl(Box<Session>),
    /// Many runs.
    Sweep(Box<Swept>),
    /// What a driver imports.
    Imports(Vec<Import>),
    /// What the kernel provides.
    Exports(Vec<Export>),
    /// What it does not provide.
    Missing(Vec<MissingExport>),
    /// The rules.
    Rules(Vec<&'static Rule>),
    /// A text that is shown as it is.
    Text(String),
}

/// Does what the command line says.
pub fn carry_out(cli: &Cli) -> Outcome<'_> {
    let result = match &cli.command {
        Command::Run(args) => run(&args.config()),
        Command::Ioctl(args) => ioctl::run(args).map(|session| Done::Ioctl(Box::new(session))),
        Command::Sweep(args) => sweep::run(args).map(|swept| Done::Sweep(Box::new(swept))),
        Command::Imports(args) => imports(&args.file, args.os.unwrap_or_default()),
        Command::Exports(args) if args.missing => Ok(Done::Missing(crate::missing_exports())),
        Command::Exports(args) => exports(args.name.as_deref()),
        Command::Rules(args) if args.markdown => Ok(Done::Text(crate::rules::index())),
        Command::Rules(_) => Ok(Done::Rules(rules::list())),
        Command::Explain(args) => rules::explain(&args.rule).map(Done::Text),
    };
    Outcome {
        command: &cli.command,
        result,
    }
}

fn run(config: &crate::Config) -> Result<Done, Error> {
    crate::run(config).map(|report| Done::Run(Box::new(report)))
}

/// All exports, or the one of a name.
fn exports(name: Option<&str>) -> Result<Done, Error> {
    let mut list = crate::exports();
    let Some(name) = name else {
        return Ok(Done::Exports(list));
    };
    list.retain(|export| export.name == name);
    if list.is_empty() {
        let missing = crate::missing_exports();
        let missing = missing.iter().find(|export| export.name == name);
        let reason = missing.map_or_else(
            || {
                let all = crate::exports();
                let near = parse::similar(name, all.iter().map(|export| export.name));
                parse::did_you_mean(&near, "; `ntbox exports` lists them")
            },
            |export| format!(": {}", export.reason),
        );
        return Err(Error::Config(format!(
            "`{name}` is not an export of this kernel{reason}"
        )));
    }
    Ok(Done::Exports(list))
}

fn imports(file: &Path, version: OsVersion) -> Result<Done, Error> {
    crate::imports_on(file, version).map(Done::Imports)
}

impl Outcome<'_> {
    /// Writes the JUnit and SARIF files that are asked for.
    pub fn write_files(&self) -> std::io::Result<()> {
        let args = match self.command {
            Command::Run(args) => args,
            Command::Ioctl(args) => &args.run,
            Command::Sweep(args) => &args.run,
            Command::Imports(_) | Command::Exports(_) | Command::Rules(_) | Command::Explain(_) => {
                return Ok(());
            }
        };
        let named = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|error| {
                let text = format!("{} cannot be written: {error}", path.display());
                std::io::Error::new(error.kind(), text)
            })
        };
        if let Some(path) = &args.junit {
            named(path, junit::write(path, self))?;
        }
        if let Some(path) = &args.sarif {
            named(path, sarif::write(path, self))?;
        }
        Ok(())
    }

    /// The exit status that tells of it.
    pub fn status(&self) -> ExitStatus {
        match &self.result {
            Ok(Done::Run(report)) => report.verdict().exit_status(),
            Ok(Done::Ioctl(session)) => match session.report.verdict().exit_status() {
                ExitStatus::Success | ExitStatus::Incomplete if session.failed() => {
                    ExitStatus::RequestFailed
                }
                other => other,
            },
            Ok(Done::Sweep(swept)) => {
                let first = swept.first.verdict().exit_status();
                let failed = swept.bad().map(|run| run.report.verdict().exit_status());
                ExitStatus::most_severe(failed.chain([first])).unwrap_or(first)
            }
            Ok(Done::Imports(list)) if list.iter().any(|import| !import.provided) => {
                ExitStatus::Incomplete
            }
            Ok(
                Done::Imports(_)
                | Done::Exports(_)
                | Done::Missing(_)
                | Done::Rules(_)
                | Done::Text(_),
            ) => ExitStatus::Success,
            Err(Error::Config(_)) => ExitStatus::Usage,
            Err(Error::Read { .. } | Error::Image { .. }) => ExitStatus::Image,
            Err(Error::Host(_) | Error::Stopped) => ExitStatus::Host,
        }
    }
}

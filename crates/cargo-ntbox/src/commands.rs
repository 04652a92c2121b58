//! The commands.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::process::{Command as Process, ExitCode};

use anyhow::Context as _;

use crate::args::{Build, Cli, Command, Run, Test};
use crate::assets;
use crate::build::{self, report};
use crate::project::Project;
use crate::{check, package, template};

/// Names the driver's file for tests.
const DRIVER_VARIABLE: &str = "NTBOX_DRIVER";
/// Names this program for tests: `$NTBOX exec ioctl FILE …` is `ntbox ioctl FILE …`.
const PROGRAM_VARIABLE: &str = "NTBOX";

/// Executes a command line.
pub fn execute(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::New(arguments) => {
            template::create(arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Build(arguments) => {
            for image in build::build(&Project::load(arguments)?, arguments)? {
                println!("{}", image.sys.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(run) => on_driver("run", &[], run),
        Command::Verify(run) => on_driver("run", &["--verify"], run),
        Command::Sweep(run) => on_driver("sweep", &[], run),
        Command::Ioctl(run) => on_driver("ioctl", &[], run),
        Command::Imports(run) => on_driver("imports", &[], run),
        Command::Check(arguments) => check::run(arguments),
        Command::Test(arguments) => test(arguments),
        Command::Package(arguments) => {
            let images = build::build(&Project::load(arguments)?, arguments)?;
            for folder in package::make(&images)? {
                println!("{}", folder.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor => Ok(doctor()),
        Command::Clean => clean(),
        Command::Exec { arguments } => Ok(ntbox(arguments.iter().map(OsString::as_os_str))),
    }
}

/// Runs a command line of ntbox in this process.
fn ntbox<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> ExitCode {
    let arguments = arguments.into_iter().map(OsStr::to_owned);
    ntbox::cli::run([OsString::from("ntbox")].into_iter().chain(arguments))
}

/// Builds the driver and runs a command of ntbox on it.
fn on_driver(command: &str, options: &[&str], run: &Run) -> anyhow::Result<ExitCode> {
    let project = Project::load(&run.build)?;
    project.driver()?;
    let images = build::build(&project, &run.build)?;
    let image = images.first().context("one driver was built")?;
    let words = [OsStr::new(command), image.sys.as_os_str()];
    let options = options.iter().map(OsStr::new);
    let rest = run.arguments.iter().map(OsString::as_os_str);
    Ok(ntbox(words.into_iter().chain(options).chain(rest)))
}

/// Builds the drivers and runs the tests of the other packages.
fn test(arguments: &Test) -> anyhow::Result<ExitCode> {
    let options: &Build = &arguments.build;
    let project = Project::load(options)?;
    let images = build::build(&project, options)?;
    if project.others.is_empty() {
        anyhow::bail!(
            "the workspace has no package with tests beside its drivers; `cargo ntbox new` shows one, which runs the driver by the variables {DRIVER_VARIABLE} and {PROGRAM_VARIABLE}"
        );
    }
    let mut cargo = project.cargo("test", options);
    for package in &project.others {
        cargo.args(["--package", package]);
    }
    let program = std::env::current_exe().context("cannot find the running program")?;
    cargo.env(PROGRAM_VARIABLE, program);
    for image in &images {
        // One variable for each driver, and the plain name for the first.
        let name = image.driver.file.to_uppercase();
        cargo.env(format!("{DRIVER_VARIABLE}_{name}"), &image.sys);
    }
    if let Some(first) = images.first() {
        cargo.env(DRIVER_VARIABLE, &first.sys);
    }
    cargo.arg("--").args(&arguments.arguments);
    status(&mut cargo)
}

/// Runs a process; its exit status.
fn status(process: &mut Process) -> anyhow::Result<ExitCode> {
    let status = process.status().context("cannot run cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(u8::MAX)))
}

/// Reports what building needs.
fn doctor() -> ExitCode {
    let mut is_complete = true;
    for requirement in cross_builder::requirements() {
        if requirement.is_present {
            println!("found    {}", requirement.name);
        } else {
            is_complete &= !requirement.is_needed_to_build;
            println!("missing  {}: {}", requirement.name, requirement.remedy);
        }
    }
    match assets::cache_folder() {
        Ok(folder) => println!("cache    {}", folder.display()),
        Err(error) => {
            is_complete = false;
            println!("missing  cache folder: {error:#}");
        }
    }
    if is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// Removes what is in the cache folder.
fn clean() -> anyhow::Result<ExitCode> {
    let folder = assets::cache_folder()?;
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        other => other.with_context(|| format!("cannot remove {}", folder.display()))?,
    }
    report(&format!("removed {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}

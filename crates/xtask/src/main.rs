//! `cargo xtask`: builds, runs and tests the driver.
//!
//! The commands are the same on every host; `driver` has the differences between Windows
//! and others. `cargo make` and CI call these commands.

mod ci;
mod context;
mod documents;
mod driver;
mod files;
mod lint;
#[cfg(not(windows))]
mod miri;
mod package;
mod process;
mod programs;
mod run;
mod safety;
mod test;
mod toolchain;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    context::Context,
    driver::{Profile, Tools},
    lint::Scope,
};

/// Builds, runs and tests the driver ntmem.sys, on Windows and elsewhere.
///
/// On other systems the first build makes its replacements for the WDK below target/cross
/// and prints each step. It installs missing system packages if you are root, and prints
/// the command if not.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    /// Show the output of cargo and other programs.
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

/// The host that runs a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Host {
    /// The embedded kernel.
    Ntbox,
    /// Wine.
    Wine,
}

/// A command.
#[derive(Debug, Subcommand)]
enum Command {
    /// Build the driver: target/driver/release/ntmem.sys and its ntmem.pdb.
    #[command(after_help = BUILD_HELP)]
    Build {
        /// Build it with debug assertions, to target/driver/debug.
        #[arg(long)]
        debug: bool,
        /// Build driverctl.exe and vq.exe instead, the programs for Windows and for Wine.
        #[arg(long, conflicts_with = "debug")]
        programs: bool,
    },
    /// Build the driver and make a signed package of it: target/package.
    #[command(after_help = PACKAGE_HELP)]
    Package,
    /// Build the driver, then load it, show what it logs, check it, unload it.
    #[command(after_help = RUN_HELP)]
    Run {
        /// Run the driver built with debug assertions.
        #[arg(long)]
        debug: bool,
        /// Run a driver of the folder `examples` on ntbox instead, as `ntbox run --verify`.
        #[cfg(not(windows))]
        #[arg(long, value_name = "NAME")]
        example: Option<String>,
        /// Passed to `driverctl run` after the driver's path; with --example, to `ntbox run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build everything, check style and documentation, and run every test.
    #[command(after_help = TEST_HELP)]
    Test {
        /// Leave out the checks of `lint`.
        #[arg(long)]
        no_lint: bool,
        /// The host: `ntbox` runs every test; `wine` runs the driver by Wine's Service
        /// Control Manager.
        #[arg(long, value_enum, default_value_t = Host::Ntbox)]
        host: Host,
        /// Passed to `cargo test`: names of tests to run, for example.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure `vq` in Wine against a bare loop of calls of `VirtualQueryEx`.
    ///
    /// On Windows itself `cargo bench -p vq` does it.
    #[cfg(not(windows))]
    Bench {
        /// Passed to the benchmark: names of measurements, for example.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Test `wdm` on this host, under Miri, or natively where there is none.
    ///
    /// `cargo xtask test` does it too.
    #[cfg(not(windows))]
    #[command(after_help = MIRI_HELP)]
    Miri {
        /// How many schedules are tried of what several threads do.
        #[arg(long, default_value_t = miri::SEEDS)]
        seeds: u32,
        /// Passed to `cargo test`: names of tests to run, for example.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check formatting, lints and documentation of all code, and the documents' links.
    Lint {
        /// Check SAFETY comments and the documents' links only: compiles nothing.
        #[arg(long)]
        text: bool,
        /// Check licences and duplicates of dependencies, unused dependencies and
        /// spelling only, with those of cargo-deny, cargo-shear and typos that are
        /// installed.
        #[arg(long, conflicts_with = "text")]
        extra: bool,
    },
    /// Check the lock files, `cargo make`, and the driver in Wine, as CI does.
    Ci,
}

const BUILD_HELP: &str = "\
Examples:
  cargo xtask build            the driver as it is shipped
  cargo xtask build --debug    with assertions and overflow checks
  cargo xtask build --programs driverctl.exe and vq.exe, for Windows
  cargo xtask -v build         showing what cargo prints

On Windows this needs the WDK; elsewhere nothing but Rust.";

const PACKAGE_HELP: &str = "\
The package is the driver with its ntmem.pdb, its ntmem.inf, the catalogue
ntmem.cat, and ntmem.cer, the certificate to trust where it is installed. The
certificate's key stays on this machine, below target/certificate.

docs/guides/windows.md explains how to install it.";

const RUN_HELP: &str = "\
Examples:
  cargo xtask run                                     all legal scenarios
  cargo xtask run --param Scenario=sz:double-map      the scenario that tutorials print
  cargo xtask run --example raw-double-map            the same in plain windows-drivers-rs
  cargo xtask run --help                              this; `-- --help` is driverctl's

The exit status is driverctl's: 0 if the driver started, logged what is expected and unloaded. With
--example it is ntbox's: 5 if the verifier found a violation, as in raw-double-map.";

const TEST_HELP: &str = "\
Examples:
  cargo xtask test                       everything
  cargo xtask test --no-lint lifecycle   tests with `lifecycle` in their names
  cargo xtask test --host wine           the driver in Wine (installed if missing)

`cargo xtask miri` runs the tests of tests/wdm alone, which run `wdm` on this host
against a stand-in for wdk-sys: under Miri where a nightly toolchain with it is
installed, natively elsewhere. With CI=true Miri is installed, and must be there.

Tests find what they run in variables: NTMEM_SYS and NTMEM_SYS_DEBUG name the
driver's images, NTMEM_OVERHEAD_DRIVER, NTMEM_WDK_SYS_DRIVER and
NTMEM_WDM_MISUSE_DRIVER those of tests/overhead-driver, tests/wdk-sys-driver and
tests/wdm-misuse-driver, NTMEM_EXAMPLES and NTMEM_TEST_DRIVERS the folders of the
drivers in examples and in tests/drivers,
NTMEM_BINDINGS that of wdk-sys's generated bindings.";

#[cfg(not(windows))]
const MIRI_HELP: &str = "\
Examples:
  cargo xtask miri                   all of them, schedules with 16 seeds
  cargo xtask miri --seeds 200       more schedules
  cargo xtask miri rundown           tests with `rundown` in their names

Miri is a part of nightly toolchains:
  rustup toolchain install nightly --profile minimal --component miri,rust-src";

fn main() -> ExitCode {
    #[cfg(not(windows))]
    if let Some(code) = cross_builder::linker::run_if_invoked() {
        return code;
    }
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command.
fn dispatch(cli: &Cli) -> anyhow::Result<ExitCode> {
    let context = Context::new(cli.verbose)?;
    match &cli.command {
        Command::Build { programs: true, .. } => {
            println!("{}", programs::build(&context)?.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Build { debug, .. } => {
            let tools = Tools::prepare(&context)?;
            let image = driver::build(&context, &tools, Profile::of(*debug))?;
            println!("{}", image.sys.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Package => package::package(&context),
        #[cfg(not(windows))]
        Command::Run {
            debug,
            example: Some(name),
            arguments,
        } => run::example(&context, name, Profile::of(*debug), arguments),
        Command::Run {
            debug, arguments, ..
        } => run::run(&context, Profile::of(*debug), arguments),
        Command::Test {
            no_lint,
            host: Host::Ntbox,
            arguments,
        } => test::test(&context, !no_lint, arguments),
        Command::Test {
            host: Host::Wine,
            arguments,
            ..
        } => programs::test_on_wine(&context, arguments),
        #[cfg(not(windows))]
        Command::Bench { arguments } => programs::bench_in_wine(&context, arguments),
        #[cfg(not(windows))]
        Command::Miri { seeds, arguments } => miri::miri(&context, *seeds, arguments),
        Command::Lint { text, extra } => lint::lint(&context, Scope::of(*text, *extra)),
        Command::Ci => ci::ci(&context),
    }
}

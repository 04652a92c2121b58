//! `cargo xtask test`: every test there is.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::{
    context::{Context, say},
    driver::{self, Profile, Tools},
    lint, process,
};

/// Builds all that tests run, checks style if `with_lint`, and runs the tests.
pub fn test(context: &Context, with_lint: bool, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let tools = Tools::prepare(context)?;
    let release = driver::build(context, &tools, Profile::Release)?;
    let debug = driver::build(context, &tools, Profile::Debug)?;
    let mut cargo = context.host_cargo("test");
    cargo
        .env("NTMEM_SYS", &release.sys)
        .env("NTMEM_SYS_DEBUG", &debug.sys)
        .env("NTMEM_BINDINGS", &release.bindings)
        .args(arguments);
    #[cfg(not(windows))]
    cargo.env("NTMEM_TEST_DRIVERS", tools.build_test_drivers(context)?);
    if with_lint {
        lint::with_tools(context, &tools)?;
    }
    #[cfg(not(windows))]
    {
        say("cargo test, for the stand-in for wdk-build");
        let mut stand_in = lint::stand_in_cargo(context, "test");
        process::quietly(context, &mut stand_in, "testing cross/wdk-build")?;
    }
    say("cargo test");
    let status = cargo
        .status()
        .with_context(|| format!("cannot run `{}`", process::line(&cargo)))?;
    if status.success() {
        say("all tests passed");
        Ok(ExitCode::SUCCESS)
    } else {
        say("tests failed");
        Ok(ExitCode::FAILURE)
    }
}

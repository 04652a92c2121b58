//! `cargo xtask test`: builds the images and runs every test.

use std::process::ExitCode;

use anyhow::{Context as _, bail};

#[cfg(not(windows))]
use crate::miri;
use crate::{
    context::{Context, say},
    driver::{self, Profile, Tools},
    lint, process,
};

/// Builds the images, runs the lints if `with_lint`, and runs the tests.
pub fn test(context: &Context, with_lint: bool, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let tools = Tools::prepare(context)?;
    let release = driver::build(context, &tools, Profile::Release)?;
    let debug = driver::build(context, &tools, Profile::Debug)?;
    let overhead = driver::build_package(context, &tools, "overhead-driver", Profile::Release)?;
    let mut cargo = context.host_cargo("test");
    cargo
        .arg("--no-fail-fast")
        .env("NTMEM_SYS", &release.sys)
        .env("NTMEM_SYS_DEBUG", &debug.sys)
        .env("NTMEM_OVERHEAD_DRIVER", &overhead.sys)
        .env("NTMEM_BINDINGS", &release.bindings)
        .args(arguments);
    #[cfg(not(windows))]
    tools.ensure_signing()?;
    #[cfg(not(windows))]
    {
        let wdk_sys = driver::build_package(context, &tools, "wdk-sys-driver", Profile::Debug)?;
        cargo.env("NTMEM_WDK_SYS_DRIVER", &wdk_sys.sys);
        let misuse = driver::build_package(context, &tools, "wdm-misuse-driver", Profile::Debug)?;
        cargo.env("NTMEM_WDM_MISUSE_DRIVER", &misuse.sys);
        for name in driver::examples(context)? {
            let example = driver::build_package(context, &tools, &name, Profile::Release)?;
            cargo.env("NTMEM_EXAMPLES", example.folder());
        }
        cargo.env("NTMEM_TEST_DRIVERS", tools.build_test_drivers(context)?);
    }
    let mut failed = Vec::new();
    if with_lint {
        failed = lint::with_tools(context, &tools);
    }
    #[cfg(not(windows))]
    {
        let what = "cargo test, for cross/wdk-build";
        say(what);
        let mut stand_in = lint::stand_in_cargo(context, "test");
        if let Err(error) = process::quietly(context, &mut stand_in, what) {
            say(&format!("{error:#}"));
            failed.push(what);
        }
    }
    #[cfg(not(windows))]
    if arguments.is_empty() {
        failed.extend(miri::test(context, miri::SEEDS, &[])?);
    }
    say("cargo test");
    let status = cargo
        .status()
        .with_context(|| format!("cannot run `{}`", process::line(&cargo)))?;
    if !status.success() {
        failed.push("cargo test");
    }
    if failed.is_empty() {
        say("everything passed");
        return Ok(ExitCode::SUCCESS);
    }
    bail!("failed: {}", failed.join("; "));
}

//! `cargo xtask package`: the driver as a package that Windows installs.
//!
//! `driver_package` stamps and checks the INF on every host. The WDK's tools make the
//! catalogue and the signatures on Windows, `driver_package` and osslsigncode elsewhere. All
//! results are verified.

#[cfg(not(windows))]
mod cross;
#[cfg(windows)]
mod official;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use driver_package::files;

#[cfg(not(windows))]
use self::cross::sign;
#[cfg(windows)]
use self::official::sign;
use crate::{
    context::{Context, say},
    driver::{self, Profile, Tools},
};

/// The subject of the certificate.
const SIGNER: &str = "ntmem test";

/// A package that is being made.
#[derive(Debug)]
struct Package {
    folder: PathBuf,
}

impl Package {
    /// Begins with an empty folder.
    fn begin(folder: PathBuf) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Where a file of the package is.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Copies a file into the package.
    fn copy(&self, from: &Path, name: &str) -> anyhow::Result<()> {
        fs::copy(from, self.path(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(())
    }
}

/// Builds the driver and packages it.
pub fn package(context: &Context) -> anyhow::Result<ExitCode> {
    let tools = Tools::prepare(context)?;
    let image = driver::build(context, &tools, Profile::Release)?;
    let package = Package::begin(context.target.join("package"))?;
    package.copy(&image.sys, "ntmem.sys")?;
    package.copy(&image.sys.with_extension("pdb"), "ntmem.pdb")?;
    write_inf(context, &package)?;
    sign(context, &tools, &package)?;
    println!("{}", package.folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Stamps the INF, and fails if it breaks a rule.
fn write_inf(context: &Context, package: &Package) -> anyhow::Result<()> {
    say("ntmem.inf: stamping and checking");
    let version = concat!(env!("CARGO_PKG_VERSION"), ".0");
    let text = files::stamped_inf(&context.root.join("inf/ntmem.inx"), version)?;
    fs::write(package.path("ntmem.inf"), text).context("cannot write ntmem.inf")
}

//! `cargo ntbox package`: the driver package that Windows installs.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use cross_builder::Tools;
use driver_package::files;
use driver_package::sign::Signer;

use crate::assets::{self, Assets};
use crate::build::{self, Image, report};
use crate::project;

/// The subject of the test certificate.
const SUBJECT: &str = "cargo-ntbox test";

/// Makes a package of each driver in its folder; returns the folders.
pub fn make(images: &[Image]) -> anyhow::Result<Vec<PathBuf>> {
    let tools: Tools = build::tools(&Assets::unpack()?)?;
    tools.ensure_signing(&report)?;
    // One certificate for all drivers of a user, so that a machine trusts them once.
    let signer = Signer::in_folder(&assets::cache_folder()?.join("certificate"), SUBJECT)?;
    images.iter().map(|image| package(image, &signer)).collect()
}

fn package(image: &Image, signer: &Signer) -> anyhow::Result<PathBuf> {
    let driver = &image.driver;
    let source = project::beside(driver, "inx").with_context(|| {
        format!(
            "there is no INF for package `{}`: write {}; `cargo ntbox new` shows one",
            driver.package,
            driver
                .folder
                .join(&driver.file)
                .with_extension("inx")
                .display()
        )
    })?;
    // Cargo's versions have three numbers, those of drivers four.
    let numbers = driver.version.split(['-', '+']).next().unwrap_or_default();
    let text = files::stamped_inf(&source, &format!("{numbers}.0"))?;
    let folder = image.sys.parent().context("a file has a folder")?;
    let inf = folder.join(&driver.file).with_extension("inf");
    fs::write(&inf, text).with_context(|| format!("cannot write {}", inf.display()))?;
    files::sign_package(folder, &driver.file, signer)?;
    Ok(folder.to_owned())
}

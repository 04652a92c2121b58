//! Makes catalogue and signatures on hosts other than Windows.

use std::fs;

use anyhow::Context as _;
use driver_package::{
    catalog::{self, Member},
    date::Date,
    sign::Signer,
};

use super::{Package, SIGNER};
use crate::{
    context::{Context, say},
    driver::Tools,
};

/// Signs the driver, writes the catalogue, signs that, and verifies all three:
/// the driver's own signature, the catalogue's, and that it lists the driver.
pub fn sign(context: &Context, tools: &Tools, package: &Package) -> anyhow::Result<()> {
    tools.ensure_signing()?;
    let signer = Signer::in_folder(&context.target.join("certificate"), SIGNER)?;
    let scratch = context.target.join("certificate/unsigned");
    let (sys, cat) = (package.path("ntmem.sys"), package.path("ntmem.cat"));

    say("ntmem.sys: signing");
    fs::rename(&sys, &scratch).context("cannot move ntmem.sys")?;
    signer.sign(&scratch, &sys)?;

    say("ntmem.cat: writing and signing");
    let read =
        |name: &str| fs::read(package.path(name)).with_context(|| format!("cannot read {name}"));
    let members = [
        Member::image("ntmem.sys", &read("ntmem.sys")?).context("ntmem.sys has no hash")?,
        Member::flat("ntmem.inf", &read("ntmem.inf")?),
    ];
    let list = catalog::unsigned(&members, &Date::now());
    fs::write(&scratch, list).context("cannot write the catalogue")?;
    signer.sign(&scratch, &cat)?;
    fs::remove_file(&scratch).context("cannot remove the unsigned catalogue")?;

    say("verifying ntmem.sys and ntmem.cat");
    signer.verify(&sys)?;
    signer.verify(&cat)?;
    signer.verify_listed(&cat, &sys)?;
    package.copy(&signer.certificate(), "ntmem.cer")
}

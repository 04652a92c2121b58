//! Catalogue and signatures where there is no Windows.

use driver_package::files;
use driver_package::sign::Signer;

use super::{Package, SIGNER};
use crate::{
    context::{Context, say},
    driver::Tools,
};

/// Signs the driver and a catalogue of the package, and verifies both.
pub fn sign(context: &Context, tools: &Tools, package: &Package) -> anyhow::Result<()> {
    tools.ensure_signing()?;
    let signer = Signer::in_folder(&context.target.join("certificate"), SIGNER)?;
    say("ntmem.sys, ntmem.cat: signing and verifying");
    Ok(files::sign_package(&package.folder, "ntmem", &signer)?)
}

//! Makes catalogue and signatures on Windows: the tools of WDK and SDK, with documented
//! options.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use super::{Package, SIGNER};
use crate::{
    context::{Context, say},
    driver::Tools,
    process,
};

/// Where the kits are installed unless `WDKContentRoot` says otherwise.
const KITS: &str = r"C:\Program Files (x86)\Windows Kits\10";
/// What `Inf2Cat` calls x64 Windows 10, version 1903, the first to know
/// drivers without devices, and Windows 11.
const SYSTEMS: &str = "/os:10_19H1_X64,10_VB_X64,10_CO_X64";
/// Finds the certificate or makes it, exports it to the file that NTMEM_CER
/// names, and prints its thumbprint.
const CERTIFICATE: &str = "\
$ErrorActionPreference = 'Stop'
$subject = 'CN=' + $env:NTMEM_SIGNER
$store = 'Cert:\\CurrentUser\\My'
$limit = (Get-Date).AddDays(30)
$found = Get-ChildItem $store -CodeSigningCert |
    Where-Object { $_.Subject -eq $subject -and $_.NotAfter -gt $limit } |
    Select-Object -First 1
if (-not $found) {
    $found = New-SelfSignedCertificate -Type CodeSigningCert -Subject $subject `
        -CertStoreLocation $store -NotAfter (Get-Date).AddYears(10)
}
Export-Certificate -Cert $found -FilePath $env:NTMEM_CER | Out-Null
$found.Thumbprint
";

/// Signs the driver, has the INF checked and the catalogue made, and signs that.
pub fn sign(context: &Context, _: &Tools, package: &Package) -> anyhow::Result<()> {
    let thumbprint = certificate(context, &package.path("ntmem.cer"))?;
    let sign = |name: &str| -> anyhow::Result<()> {
        say(&format!("{name}: signing"));
        let mut signtool = tool("bin", "x64", "signtool.exe")?;
        signtool
            .args(["sign", "/v", "/fd", "SHA256", "/sha1", &thumbprint])
            .arg(package.path(name));
        process::quietly(context, &mut signtool, "signtool")
    };
    sign("ntmem.sys")?;

    say("ntmem.inf: InfVerif /w");
    let mut verify = tool("Tools", "x64", "infverif.exe")?;
    verify.args(["/v", "/w"]).arg(package.path("ntmem.inf"));
    process::quietly(context, &mut verify, "InfVerif")?;

    say("ntmem.cat: Inf2Cat");
    let mut list = tool("bin", "x86", "Inf2Cat.exe")?;
    list.arg(format!("/driver:{}", package.folder.display()))
        .args([SYSTEMS, "/verbose"]);
    process::quietly(context, &mut list, "Inf2Cat")?;
    sign("ntmem.cat")
}

/// The certificate's thumbprint; the certificate itself is put into a file.
fn certificate(context: &Context, file: &Path) -> anyhow::Result<String> {
    let mut script = Command::new("powershell.exe");
    script
        .args(["-NoProfile", "-NonInteractive", "-Command", CERTIFICATE])
        // Where PowerShell 7 ran us, its modules are in the way of this one's own,
        // and there is no drive `Cert:`. Without the variable it finds them.
        .env_remove("PSModulePath")
        .env("NTMEM_SIGNER", SIGNER)
        .env("NTMEM_CER", file);
    let printed = process::capture(context, &mut script, "making the certificate")?;
    let text = String::from_utf8(printed).context("the thumbprint is no text")?;
    Ok(text.trim().to_owned())
}

/// A program of the kits, from the newest version that has it.
fn tool(folder: &str, architecture: &str, name: &str) -> anyhow::Result<Command> {
    let root = env::var_os("WDKContentRoot").map_or_else(|| PathBuf::from(KITS), PathBuf::from);
    let folder = root.join(folder);
    let versions = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}; is the WDK installed?", folder.display()))?;
    let program = versions
        .filter_map(|entry| Some(entry.ok()?.path().join(architecture).join(name)))
        .filter(|program| program.is_file())
        .max()
        .with_context(|| format!("{name} is not below {}", folder.display()))?;
    Ok(Command::new(program))
}

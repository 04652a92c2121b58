//! What the manifests of the workspace say about the driver being built.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{ConfigError, DriverConfig};

/// The workspace's manifest: named by `NTMEM_MANIFEST` (`cross/config.toml` sets
/// it, for builds whose target folder lies elsewhere), or beside the first
/// Cargo.lock above `out_dir`.
pub(crate) fn top_level(out_dir: &Path) -> Result<PathBuf, ConfigError> {
    println!("cargo::rerun-if-env-changed=NTMEM_MANIFEST");
    if let Some(manifest) = env::var_os("NTMEM_MANIFEST") {
        return Ok(manifest.into());
    }
    out_dir
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .map(|folder| folder.join("Cargo.toml"))
        .ok_or_else(|| ConfigError::NoManifest(out_dir.to_owned()))
}

/// The driver model on which all packages of the workspace agree.
pub(crate) fn driver_model(manifest: &Path) -> Result<DriverConfig, ConfigError> {
    let metadata = metadata(manifest)?;
    println!("cargo::rerun-if-changed={}", manifest.display());
    let mut found = false;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        if let Some(path) = package["manifest_path"].as_str() {
            println!("cargo::rerun-if-changed={path}");
        }
        let Some(driver_type) = package["metadata"]["wdk"]["driver-model"].get("driver-type")
        else {
            continue;
        };
        if driver_type != "WDM" {
            return Err(ConfigError::UnsupportedDriverModel {
                package: package["name"].as_str().unwrap_or("?").to_owned(),
                found: driver_type
                    .as_str()
                    .map_or_else(|| driver_type.to_string(), ToOwned::to_owned),
            });
        }
        found = true;
    }
    if found {
        Ok(DriverConfig::Wdm)
    } else {
        Err(ConfigError::NoDriverModel {
            manifest: manifest.to_owned(),
        })
    }
}

/// What `cargo metadata` says of the workspace's own packages.
///
/// Dependencies are left out: resolving them would need the network and the
/// lock file, and a driver's model is its workspace's affair.
fn metadata(manifest: &Path) -> Result<Value, ConfigError> {
    let failed = |message: String| ConfigError::Metadata {
        manifest: manifest.to_owned(),
        message,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--format-version=1",
            "--manifest-path",
        ])
        .arg(manifest)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

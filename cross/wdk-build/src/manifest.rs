//! What the manifests of the workspace say about the driver being built.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{ConfigError, DriverConfig};

/// The workspace's manifest: named by `NTBOX_MANIFEST` (cross/builder sets
/// it, for builds whose target folder lies elsewhere), or beside the first
/// Cargo.lock above `out_dir`.
pub(crate) fn top_level(out_dir: &Path) -> Result<PathBuf, ConfigError> {
    println!("cargo::rerun-if-env-changed=NTBOX_MANIFEST");
    if let Some(manifest) = env::var_os("NTBOX_MANIFEST") {
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
    for path in packages(&metadata).filter_map(|package| package["manifest_path"].as_str()) {
        println!("cargo::rerun-if-changed={path}");
    }
    agreed_model(&metadata)?.ok_or_else(|| ConfigError::NoDriverModel {
        manifest: manifest.to_owned(),
    })
}

/// The driver model that packages name, if any does.
fn agreed_model(metadata: &Value) -> Result<Option<DriverConfig>, ConfigError> {
    let mut model = None;
    let shared = ("workspace", &metadata["metadata"]);
    let own = packages(metadata).map(|package| {
        (
            package["name"].as_str().unwrap_or("?"),
            &package["metadata"],
        )
    });
    for (name, settings) in std::iter::once(shared).chain(own) {
        let Some(driver_type) = settings["wdk"]["driver-model"].get("driver-type") else {
            continue;
        };
        if driver_type != "WDM" {
            return Err(ConfigError::UnsupportedDriverModel {
                package: name.to_owned(),
                found: driver_type
                    .as_str()
                    .map_or_else(|| driver_type.to_string(), ToOwned::to_owned),
            });
        }
        model = Some(DriverConfig::Wdm);
    }
    Ok(model)
}

/// The workspace's packages.
fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ConfigError, DriverConfig, Value, agreed_model};

    fn package(name: &str, driver_type: &str) -> Value {
        let model = json!({ "driver-type": driver_type });
        json!({ "name": name, "metadata": { "wdk": { "driver-model": model } } })
    }

    #[test]
    fn agreed_model_ignores_packages_without_model() {
        let plain = json!({ "name": "plain", "metadata": null });
        let metadata = json!({ "packages": [plain, package("driver", "WDM"), plain] });
        assert_eq!(agreed_model(&metadata).ok(), Some(Some(DriverConfig::Wdm)));
        let metadata = json!({ "packages": [plain] });
        assert_eq!(agreed_model(&metadata).ok(), Some(None));
    }

    #[test]
    fn agreed_model_uses_workspace_model() {
        let settings = json!({ "wdk": { "driver-model": { "driver-type": "WDM" } } });
        let metadata = json!({ "packages": [], "metadata": settings });
        assert_eq!(agreed_model(&metadata).ok(), Some(Some(DriverConfig::Wdm)));
    }

    #[test]
    fn agreed_model_refuses_other_models() {
        let metadata = json!({ "packages": [package("a", "WDM"), package("b", "KMDF")] });
        match agreed_model(&metadata) {
            Err(ConfigError::UnsupportedDriverModel { package, found }) => {
                assert_eq!((package.as_str(), found.as_str()), ("b", "KMDF"));
            }
            other => panic!("{other:?}"),
        }
    }
}

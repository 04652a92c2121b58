//! The workspace that the program was called in: its drivers, and the versions of
//! Microsoft's crates that they depend on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use cargo_metadata::semver::VersionReq;
use cargo_metadata::{CrateType, Metadata, MetadataCommand, Package};
use cross_builder::Workspace;
use serde_json::Value;

use crate::args::Build;
use crate::stand_in::Dependency;

/// A driver of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The name of the package.
    pub package: String,
    /// The name of the file without its extension.
    pub file: String,
    /// The version of the package.
    pub version: String,
    /// The folder of the package.
    pub folder: PathBuf,
}

/// A workspace with drivers.
#[derive(Debug)]
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// Cargo's folder for what it builds.
    pub target: PathBuf,
    /// The drivers that were selected.
    pub drivers: Vec<Driver>,
    /// The other packages.
    pub others: Vec<String>,
}

impl Project {
    /// Reads the manifests, and selects the drivers that the arguments name.
    pub fn load(arguments: &Build) -> anyhow::Result<Self> {
        if arguments.target_arch != "amd64" {
            bail!(
                "cannot build for {}: the kit has import libraries for amd64 only",
                arguments.target_arch
            );
        }
        let mut command = MetadataCommand::new();
        command.no_deps();
        if let Some(manifest) = &arguments.manifest_path {
            command.manifest_path(manifest);
        }
        let metadata = command.exec().map_err(|error| match error {
            cargo_metadata::Error::CargoMetadata { stderr } => anyhow::anyhow!(problem(&stderr)),
            other => anyhow::Error::new(other).context("cannot run `cargo metadata`"),
        })?;
        let all = drivers(&metadata)?;
        let drivers = select(all, &arguments.package)?;
        let others = metadata
            .workspace_packages()
            .iter()
            .filter(|package| !is_driver_library(package))
            .map(|package| package.name.to_string())
            .collect();
        Ok(Self {
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
            drivers,
            others,
        })
    }

    /// The one driver that was selected.
    pub fn driver(&self) -> anyhow::Result<&Driver> {
        match self.drivers.as_slice() {
            [driver] => Ok(driver),
            several => bail!(
                "the workspace has {} drivers; select one with --package: {}",
                several.len(),
                names(several)
            ),
        }
    }

    /// The folder for the build of the drivers.
    pub fn build_folder(&self) -> PathBuf {
        self.target.join("ntbox")
    }

    /// The folders with the lock files of that build. In the first the workspace is
    /// resolved as it stands; in the second the stand-ins take the place of wdk-build.
    fn lock_folders(&self) -> anyhow::Result<[PathBuf; 2]> {
        let folders = ["resolve", "build"].map(|name| self.build_folder().join(name));
        for folder in &folders {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let path = self.root.join(LOCK_FILE);
        let own = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let copied = self.build_folder().join("Cargo.lock.copied");
        if !fs::read(&copied).is_ok_and(|copy| copy == own) {
            for folder in &folders {
                remove(&folder.join(LOCK_FILE))?;
            }
            if !own.is_empty() {
                write(&folders[0].join(LOCK_FILE), &own)?;
            }
            write(&copied, &own)?;
        }
        Ok(folders)
    }

    /// The workspace for the builder, and its dependencies on wdk-build.
    pub fn resolve(&self, arguments: &Build) -> anyhow::Result<(Workspace, Vec<Dependency>)> {
        if arguments.locked {
            self.check_lock_file(arguments)?;
        }
        let lock = self.build_folder().join("lock");
        fs::create_dir_all(self.build_folder())
            .and_then(|()| fs::File::create(&lock))
            .and_then(|file| file.lock().map(|()| file))
            .map(|file| self.resolve_locked(arguments, file))
            .with_context(|| format!("cannot lock {}", lock.display()))?
    }

    /// [`Self::resolve`] while no other process changes these files; `_lock` says so.
    fn resolve_locked(
        &self,
        arguments: &Build,
        _lock: fs::File,
    ) -> anyhow::Result<(Workspace, Vec<Dependency>)> {
        let [resolved, built] = self.lock_folders()?.map(|folder| folder.join(LOCK_FILE));
        let name = self.root.file_name().unwrap_or_default();
        let mut workspace = Workspace {
            root: self.root.clone(),
            lock_file: resolved,
            target: self.build_folder(),
            name: name.to_string_lossy().into_owned(),
            stand_ins: Vec::new(),
            overrides: Vec::new(),
            rust_flags: self.rust_flags(),
        };
        let mut cargo = self.cargo("metadata", arguments);
        cargo.args(["--format-version", "1"]);
        workspace.use_lock_file(&mut cargo);
        let metadata: Value = serde_json::from_slice(&capture(&mut cargo)?)
            .context("cannot read the output of `cargo metadata`")?;
        if !built.is_file() {
            let lock = fs::read(&workspace.lock_file)
                .with_context(|| format!("cannot read {}", workspace.lock_file.display()))?;
            write(&built, &lock)?;
        }
        workspace.lock_file = built;
        Ok((workspace, dependencies(&metadata)?))
    }

    fn check_lock_file(&self, arguments: &Build) -> anyhow::Result<()> {
        let mut cargo = self.cargo("metadata", arguments);
        cargo.args(["--format-version", "1", "--locked"]);
        capture(&mut cargo).map(drop)
    }

    /// The flags for rustc that cargo would use here: those of the environment, or else
    /// those in `[build]` of its configuration, unless that has some for the target. The
    /// latter cargo adds to those of the command line itself.
    fn rust_flags(&self) -> Vec<String> {
        if let Ok(flags) = std::env::var("CARGO_ENCODED_RUSTFLAGS") {
            return flags.split('\x1f').map(str::to_owned).collect();
        }
        if let Ok(flags) = std::env::var("RUSTFLAGS") {
            return flags.split_whitespace().map(str::to_owned).collect();
        }
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(&self.root)
            .args([
                "-Z",
                "unstable-options",
                "config",
                "get",
                "--format",
                "json",
            ])
            .env("RUSTC_BOOTSTRAP", "1");
        // Cargo says that nothing is configured by an error.
        let Ok(settings) = capture(&mut cargo)
            .map(|output| serde_json::from_slice::<Value>(&output).unwrap_or_default())
        else {
            return Vec::new();
        };
        let is_for_target = settings["target"].as_object().is_some_and(|targets| {
            targets.iter().any(|(name, target)| {
                !target["rustflags"].is_null()
                    && (name == cross_builder::TARGET || name.starts_with("cfg("))
            })
        });
        match &settings["build"]["rustflags"] {
            _ if is_for_target => Vec::new(),
            Value::String(flags) => flags.split_whitespace().map(str::to_owned).collect(),
            flags => array(flags)
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        }
    }

    /// A command `cargo SUBCOMMAND` in the workspace.
    pub fn cargo(&self, subcommand: &str, arguments: &Build) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.arg(subcommand).current_dir(&self.root);
        cargo
            .arg("--manifest-path")
            .arg(self.root.join("Cargo.toml"));
        if arguments.offline {
            cargo.arg("--offline");
        }
        cargo
    }
}

/// The name that cargo requires.
const LOCK_FILE: &str = "Cargo.lock";

fn write(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Runs a command; returns its output.
fn capture(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!(problem(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output.stdout)
}

/// What cargo says of an error: the warnings before it and rustup's backtrace left out,
/// and what to do about a toolchain that is not installed.
fn problem(messages: &str) -> String {
    let message = match messages.find("\nerror: ") {
        Some(at) if !messages.starts_with("error: ") => &messages[at + 1..],
        _ => messages,
    };
    let message = message
        .split("\nStack backtrace:")
        .next()
        .unwrap_or_default();
    let message = message.trim().trim_start_matches("error: ");
    if message.starts_with("toolchain '") {
        format!(
            "{message}\nhelp: the project asks for it in rust-toolchain.toml; `cargo +stable ntbox …` \
             builds with the toolchain `stable` instead"
        )
    } else {
        message.to_owned()
    }
}

fn names(drivers: &[Driver]) -> String {
    let names: Vec<&str> = drivers
        .iter()
        .map(|driver| driver.package.as_str())
        .collect();
    names.join(", ")
}

/// The drivers of a workspace.
fn drivers(metadata: &Metadata) -> anyhow::Result<Vec<Driver>> {
    let shared = driver_type(&metadata.workspace_metadata);
    let mut drivers = Vec::new();
    for package in metadata.workspace_packages() {
        let Some(target) = cdylib(package) else {
            continue;
        };
        let Some(model) = driver_type(&package.metadata).or(shared) else {
            continue;
        };
        if model != "WDM" {
            bail!(
                "package `{}` is a {model} driver; cargo ntbox builds WDM drivers only, because neither the framework's libraries nor a kernel that runs it are available here",
                package.name
            );
        }
        drivers.push(Driver {
            package: package.name.to_string(),
            file: target.replace('-', "_"),
            version: package.version.to_string(),
            folder: package
                .manifest_path
                .parent()
                .map(|folder| folder.as_std_path().to_owned())
                .unwrap_or_default(),
        });
    }
    if drivers.is_empty() {
        if let Some(package) = metadata
            .workspace_packages()
            .into_iter()
            .find(|package| cdylib(package).is_some() && dependency(package, "wdk-build").is_some())
        {
            bail!(without_model(package));
        }
        bail!(
            "no package of {} is a driver: a driver has `crate-type = [\"cdylib\"]` and\n\n    [package.metadata.wdk.driver-model]\n    driver-type = \"WDM\"\n\n`cargo ntbox new NAME` creates one",
            metadata.workspace_root
        );
    }
    Ok(drivers)
}

/// The requirement of a package on another.
fn dependency<'p>(package: &'p Package, name: &str) -> Option<&'p VersionReq> {
    package
        .dependencies
        .iter()
        .find(|dependency| dependency.name == name)
        .map(|dependency| &dependency.req)
}

/// Why a package that configures the build of a driver, but names no driver model, is none.
fn without_model(package: &Package) -> String {
    let is_without_metadata = dependency(package, "wdk-build").is_some_and(|requirement| {
        requirement.comparators.iter().any(|comparator| {
            comparator.major == 0 && comparator.minor.is_some_and(|minor| minor < 3)
        })
    });
    if is_without_metadata {
        format!(
            "package `{}` depends on wdk-build 0.2 or older: wdk-sys of that release binds the \
             framework's headers in every driver, and only Microsoft's kit has those. Depend on \
             wdk, wdk-sys and wdk-build 0.3 or later, and add to its Cargo.toml\n\n    \
             [package.metadata.wdk.driver-model]\n    driver-type = \"WDM\"",
            package.name
        )
    } else {
        format!(
            "package `{}` names no driver model, which wdk-build refuses on Windows too; add to its \
             Cargo.toml\n\n    [package.metadata.wdk.driver-model]\n    driver-type = \"WDM\"",
            package.name
        )
    }
}

fn driver_type(metadata: &Value) -> Option<&str> {
    metadata["wdk"]["driver-model"]["driver-type"].as_str()
}

/// The name of a package's library, if it is one that can be a driver.
fn cdylib(package: &Package) -> Option<String> {
    let target = package
        .targets
        .iter()
        .find(|target| target.crate_types.contains(&CrateType::CDyLib))?;
    Some(target.name.clone())
}

/// Whether a package is built for the kernel: it depends on a crate that is.
fn is_driver_library(package: &Package) -> bool {
    package.dependencies.iter().any(|dependency| {
        ["wdk", "wdk-alloc", "wdk-panic", "wdk-sys", "wdm"].contains(&dependency.name.as_str())
    })
}

fn select(all: Vec<Driver>, wanted: &[String]) -> anyhow::Result<Vec<Driver>> {
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !all.iter().any(|driver| driver.package == **name))
    {
        bail!(
            "no driver `{unknown}` in the workspace; there are: {}",
            names(&all)
        );
    }
    let is_selected = |driver: &Driver| wanted.is_empty() || wanted.contains(&driver.package);
    Ok(all.into_iter().filter(is_selected).collect())
}

/// The versions of wdk-build in a dependency graph.
fn dependencies(metadata: &Value) -> anyhow::Result<Vec<Dependency>> {
    let packages: BTreeMap<&str, &Value> = array(&metadata["packages"])
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: BTreeMap<&str, Vec<&str>> = array(&metadata["resolve"]["nodes"])
        .filter_map(|node| {
            let dependencies = array(&node["dependencies"]).filter_map(Value::as_str);
            Some((node["id"].as_str()?, dependencies.collect()))
        })
        .collect();
    let named = |id: &str, name: &str| {
        packages
            .get(id)
            .is_some_and(|package| package["name"] == name)
    };
    let version = |id: &str| {
        let text = packages
            .get(id)
            .and_then(|package| package["version"].as_str());
        text.and_then(|text| text.parse().ok())
    };
    let mut list = Vec::new();
    for (id, package) in &packages {
        if package["name"] != "wdk-build" {
            continue;
        }
        // The bindgen of the wdk-sys that uses it.
        let bindgen = nodes
            .iter()
            .filter(|(user, dependencies)| named(user, "wdk-sys") && dependencies.contains(id))
            .flat_map(|(_, dependencies)| dependencies)
            .find(|dependency| named(dependency, "bindgen"));
        let source = package["source"].as_str();
        list.push(Dependency {
            is_released: source.is_some_and(|source| source.starts_with("registry+")),
            version: version(id).context("a package has a version")?,
            bindgen: bindgen.and_then(|id| version(id)),
        });
    }
    if list.is_empty() {
        bail!(
            "no package of the workspace depends on wdk-build, so nothing configures the build of a driver; add it to [build-dependencies]"
        );
    }
    Ok(list)
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The file of this name below a folder of the driver.
pub fn beside(driver: &Driver, extension: &str) -> Option<PathBuf> {
    [&driver.file, &driver.package]
        .into_iter()
        .map(|name| driver.folder.join(name).with_extension(extension))
        .find(|path: &PathBuf| Path::is_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_the_error_without_warnings_and_backtrace() {
        let messages = "warning: old\nmore of it\nerror: no such package\nwhy\n";
        assert_eq!(problem(messages), "no such package\nwhy");
        let rustup = "error: toolchain '1.85.0-x' is not installed\nhelp: install it\n\n\
                      Stack backtrace:\n   0: x";
        let text = problem(rustup);
        assert!(
            text.starts_with("toolchain '1.85.0-x' is not installed\nhelp: install it\nhelp: ")
        );
        assert!(text.contains("cargo +stable ntbox"), "{text}");
        assert!(!text.contains("backtrace"), "{text}");
    }
}

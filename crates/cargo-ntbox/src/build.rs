//! Building drivers: cargo with the kit in place, and the files of each driver gathered
//! in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use cargo_metadata::{CrateType, Message};
use cross_builder::{Places, Rust, Tools};

use crate::args::Build;
use crate::assets::Assets;
use crate::check;
use crate::project::{Driver, Project};
use crate::stand_in;

/// A driver that was built.
#[derive(Debug)]
pub struct Image {
    /// The driver.
    pub driver: Driver,
    /// Its file. The PDB and the map lie beside it.
    pub sys: PathBuf,
}

/// Reports progress on standard error.
pub fn report(line: &str) {
    eprintln!("{:>12} {line}", "ntbox");
}

/// The tools for building drivers, and where they are.
pub fn tools(assets: &Assets) -> anyhow::Result<Tools> {
    let places = Places {
        sources: assets.sources(),
        work: assets.work(),
        library_archive: None,
    };
    let rust = Rust::detect(None, &places.work)?;
    let program = std::env::current_exe().context("cannot find the running program")?;
    Ok(cross_builder::prepare(&places, rust, &program, &report)?)
}

/// Builds the selected drivers of a project, and refuses one that imports what `--min-os`
/// lacks.
pub fn build(project: &Project, arguments: &Build) -> anyhow::Result<Vec<Image>> {
    let images = build_unchecked(project, arguments)?;
    let Some(min_os) = arguments.min_os else {
        return Ok(images);
    };
    for image in &images {
        let newer = check::newer_imports(&image.sys, min_os)?;
        if !newer.is_empty() {
            bail!("{}: {}", image.driver.package, newer.join("\n  "));
        }
    }
    Ok(images)
}

/// Builds the selected drivers of a project, whatever they import.
pub fn build_unchecked(project: &Project, arguments: &Build) -> anyhow::Result<Vec<Image>> {
    let assets = Assets::unpack()?;
    let (mut workspace, dependencies) = project.resolve(arguments)?;
    for dependency in &dependencies {
        let folder = stand_in::create(&assets, dependency)?;
        if dependency.is_released {
            workspace.stand_ins.push(folder);
        } else {
            workspace.overrides.push(folder);
        }
    }
    // The toolchain is that of the project.
    std::env::set_current_dir(&project.root)
        .with_context(|| format!("cannot enter {}", project.root.display()))?;
    let tools = tools(&assets)?;

    let mut cargo = project.cargo("build", arguments);
    cargo
        .args(["--message-format", "json-render-diagnostics"])
        .args(options(arguments));
    for driver in &project.drivers {
        cargo.args(["--package", &driver.package]);
    }
    tools.configure(&mut cargo, &workspace);
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let output = child.stdout.take().context("the output is a pipe")?;
    let mut libraries = Vec::new();
    for message in Message::parse_stream(std::io::BufReader::new(output)) {
        let Message::CompilerArtifact(artifact) =
            message.context("cannot read the messages of cargo")?
        else {
            continue;
        };
        if artifact.target.crate_types.contains(&CrateType::CDyLib) {
            let dll = artifact
                .filenames
                .iter()
                .find(|file| file.extension() == Some("dll"));
            libraries.extend(dll.map(|file| file.as_std_path().to_owned()));
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("the driver was not built: cargo ended with {status}");
    }
    let profile = profile_folder(arguments);
    project
        .drivers
        .iter()
        .map(|driver| gather(project, driver, &libraries, profile))
        .collect()
}

/// Options that are cargo's own.
fn options(arguments: &Build) -> Vec<String> {
    let mut options = Vec::new();
    if arguments.release {
        options.push("--release".to_owned());
    }
    if let Some(profile) = &arguments.profile {
        options.extend(["--profile".to_owned(), profile.clone()]);
    }
    for features in &arguments.features {
        options.extend(["--features".to_owned(), features.clone()]);
    }
    for (is_set, option) in [
        (arguments.all_features, "--all-features"),
        (arguments.no_default_features, "--no-default-features"),
        (arguments.verbose, "--verbose"),
    ] {
        if is_set {
            options.push(option.to_owned());
        }
    }
    options
}

/// The name of the folder that cargo uses for the profile.
fn profile_folder(arguments: &Build) -> &str {
    match arguments.profile.as_deref() {
        _ if arguments.release => "release",
        None | Some("dev" | "test") => "debug",
        Some("bench") => "release",
        Some(other) => other,
    }
}

/// Copies a driver, its PDB and its map to the folder of its package.
fn gather(
    project: &Project,
    driver: &Driver,
    libraries: &[PathBuf],
    profile: &str,
) -> anyhow::Result<Image> {
    let library = libraries
        .iter()
        .find(|file| {
            file.file_stem()
                .is_some_and(|stem| stem == driver.file.as_str())
        })
        .with_context(|| format!("cargo built no library of package `{}`", driver.package))?;
    let folder = project
        .target
        .join(cross_builder::TARGET)
        .join(profile)
        .join(format!("{}_package", driver.file));
    let sys = folder.join(&driver.file).with_extension("sys");
    install(library, &sys)?;
    install(&library.with_extension("pdb"), &sys.with_extension("pdb"))?;
    // The linker writes the map under the name of the file that it makes.
    let map = library
        .parent()
        .map(|folder| folder.join("deps").join(&driver.file).with_extension("map"))
        .filter(|map| map.is_file());
    if let Some(map) = map {
        install(&map, &sys.with_extension("map"))?;
    }
    Ok(Image {
        driver: driver.clone(),
        sys,
    })
}

/// Copies a file in one step: whoever uses the old one never sees half of the new one.
pub fn install(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let scratch = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    fs::copy(from, scratch.path()).with_context(|| format!("cannot copy {}", from.display()))?;
    scratch
        .persist(to)
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

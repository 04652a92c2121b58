//! Building the driver: on Windows with Microsoft's tools alone, elsewhere with
//! what `cross` puts in their place.

#[cfg(not(windows))]
mod cross;
#[cfg(windows)]
mod official;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use cargo_metadata::{CrateType, Message};

#[cfg(not(windows))]
pub use self::cross::{Tools, places};
#[cfg(windows)]
pub use self::official::Tools;
use crate::{
    context::{Context, say},
    process,
};

/// The packages that only build for Windows' kernel.
pub const PACKAGES: [&str; 8] = [
    "double-map",
    "ntmem",
    "overhead-driver",
    "raw-double-map",
    "safe-double-map",
    "wdk-sys-driver",
    "wdm",
    "wdm-misuse-driver",
];

/// Release or debug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As it is shipped.
    Release,
    /// With assertions and overflow checks.
    Debug,
}

impl Profile {
    /// Debug if `debug`, else release.
    pub const fn of(debug: bool) -> Self {
        if debug { Self::Debug } else { Self::Release }
    }

    /// Its name, and that of its folder.
    const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }
}

/// A driver that was built.
#[derive(Debug)]
pub struct Image {
    /// The driver; its PDB lies beside it.
    pub sys: PathBuf,
    /// Where wdk-sys put its bindings.
    pub bindings: PathBuf,
}

#[cfg(not(windows))]
impl Image {
    /// The folder that the driver lies in, with all of its profile.
    pub fn folder(&self) -> &Path {
        self.sys.parent().unwrap_or(&self.sys)
    }
}

/// Builds the driver and puts it, with its PDB, below `target/driver`.
pub fn build(context: &Context, tools: &Tools, profile: Profile) -> anyhow::Result<Image> {
    build_package(context, tools, "ntmem", profile)
}

/// The same for any driver of the workspace.
pub fn build_package(
    context: &Context,
    tools: &Tools,
    package: &str,
    profile: Profile,
) -> anyhow::Result<Image> {
    let what = format!("building {package}.sys");
    say(&format!("{what} ({})", profile.name()));
    let mut cargo = tools.cargo(context, "build");
    cargo.args([
        "--package",
        package,
        "--message-format",
        "json-render-diagnostics",
    ]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let messages = process::capture(context, &mut cargo, &what)?;
    let built = Built::from_messages(&messages)?;
    let folder = context.target.join("driver").join(profile.name());
    let sys = folder.join(package).with_extension("sys");
    install(&built.dll, &sys)?;
    install(&built.dll.with_extension("pdb"), &sys.with_extension("pdb"))?;
    Ok(Image {
        sys,
        bindings: built.bindings,
    })
}

/// The names of the drivers in the folder `examples`, in order.
#[cfg(not(windows))]
pub fn examples(context: &Context) -> anyhow::Result<Vec<String>> {
    let folder = context.root.join("examples");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What Cargo says that it made.
struct Built {
    dll: PathBuf,
    bindings: PathBuf,
}

impl Built {
    /// Reads it from Cargo's messages.
    fn from_messages(messages: &[u8]) -> anyhow::Result<Self> {
        let mut dll = None;
        let mut bindings = None;
        for message in Message::parse_stream(messages) {
            match message.context("cannot read what cargo reports")? {
                Message::CompilerArtifact(artifact)
                    if artifact.target.crate_types.contains(&CrateType::CDyLib) =>
                {
                    dll = artifact
                        .filenames
                        .into_iter()
                        .find(|file| file.extension() == Some("dll"));
                }
                Message::BuildScriptExecuted(script)
                    if script.package_id.repr.contains("wdk-sys") =>
                {
                    bindings = Some(script.out_dir);
                }
                _ => {}
            }
        }
        Ok(Self {
            dll: dll.context("cargo made no driver")?.into(),
            bindings: bindings.context("cargo built no wdk-sys")?.into(),
        })
    }
}

/// Copies `from` to `to` in one step, unless it is there already: whoever runs
/// the old file meanwhile never sees half of the new one.
fn install(from: &Path, to: &Path) -> anyhow::Result<()> {
    let contents = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|current| current == contents) {
        return Ok(());
    }
    let folder = to.parent().context("a file has a folder")?;
    let fresh = to.with_extension("new");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&fresh, contents))
        .and_then(|()| fs::rename(&fresh, to))
        .with_context(|| format!("cannot write {}", to.display()))
}

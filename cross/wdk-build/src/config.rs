//! The configuration that build scripts read, and what they tell Cargo by it.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{ConfigError, IoError, kit, link, manifest};

/// The `cfg` by which crates ask for the driver model.
const DRIVER_TYPE_CFG: &str = "driver_model__driver_type";
/// Every value that [`DRIVER_TYPE_CFG`] can have anywhere.
const DRIVER_TYPES: &str = r#""WDM", "KMDF", "UMDF""#;

/// What a build that depends on the WDK needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    content_root: PathBuf,
    version: String,
    /// The driver model.
    pub driver_config: DriverConfig,
}

/// A processor architecture, as the kit names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuArchitecture {
    /// x86-64.
    Amd64,
}

/// A driver model. Only [`DriverConfig::Wdm`] is ever made here; the others
/// exist because `wdk-sys` names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverConfig {
    /// Windows Driver Model.
    Wdm,
    /// Kernel-Mode Driver Framework.
    Kmdf(KmdfConfig),
    /// User-Mode Driver Framework.
    Umdf(UmdfConfig),
}

/// Versions of the Kernel-Mode Driver Framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KmdfConfig {
    /// Major version.
    pub kmdf_version_major: u8,
    /// Minor version aimed at.
    pub target_kmdf_version_minor: u8,
    /// Oldest minor version accepted.
    pub minimum_kmdf_version_minor: Option<u8>,
}

/// Versions of the User-Mode Driver Framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UmdfConfig {
    /// Major version.
    pub umdf_version_major: u8,
    /// Minor version aimed at.
    pub target_umdf_version_minor: u8,
    /// Oldest minor version accepted.
    pub minimum_umdf_version_minor: Option<u8>,
}

impl CpuArchitecture {
    /// The kit's name for it in the paths of libraries.
    #[must_use]
    pub const fn as_windows_str(self) -> &'static str {
        match self {
            Self::Amd64 => "x64",
        }
    }
}

impl Config {
    /// Reads the configuration from the variables that Cargo sets for build
    /// scripts, the manifests of the workspace and `WDKContentRoot`.
    ///
    /// # Errors
    ///
    /// Any [`ConfigError`]: no kit, no driver model, another architecture.
    pub fn from_env_auto() -> Result<Self, ConfigError> {
        println!("cargo::rerun-if-env-changed=WDKContentRoot");
        let arch = build_script_var("CARGO_CFG_TARGET_ARCH")?;
        if arch != "x86_64" {
            return Err(ConfigError::UnsupportedArchitecture(arch));
        }
        let manifest = manifest::top_level(&PathBuf::from(build_script_var("OUT_DIR")?))?;
        let driver_config = manifest::driver_model(&manifest)?;
        let content_root = env::var_os("WDKContentRoot")
            .map(PathBuf::from)
            .ok_or(ConfigError::NoContentRoot)?;
        let version = kit::newest_version(&content_root)?;
        Ok(Self {
            content_root,
            version,
            driver_config,
        })
    }

    /// Tells Cargo which `cfg` settings can occur.
    pub fn emit_check_cfg_settings() {
        println!("cargo::rustc-check-cfg=cfg({DRIVER_TYPE_CFG}, values({DRIVER_TYPES}))");
    }

    /// Configures the build of a library: the `cfg` settings.
    ///
    /// # Errors
    ///
    /// None today; the original's interface has them.
    pub fn configure_library_build(&self) -> Result<(), ConfigError> {
        Self::emit_check_cfg_settings();
        let value = match self.driver_config {
            DriverConfig::Wdm => "WDM",
            DriverConfig::Kmdf(_) => "KMDF",
            DriverConfig::Umdf(_) => "UMDF",
        };
        println!("cargo::rustc-cfg={DRIVER_TYPE_CFG}=\"{value}\"");
        Ok(())
    }

    /// Configures the build of a driver: library folders, the linker's
    /// arguments, and the `cfg` settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::CrtNotStatic`], or a part of the kit that is missing.
    pub fn configure_binary_build(&self) -> Result<(), ConfigError> {
        let features = build_script_var("CARGO_CFG_TARGET_FEATURE")?;
        if !features.split(',').any(|feature| feature == "crt-static") {
            return Err(ConfigError::CrtNotStatic);
        }
        for folder in self.library_paths()? {
            println!("cargo::rustc-link-search={}", folder.display());
            println!("cargo::rerun-if-changed={}", folder.display());
        }
        // The linker makes the driver as much as its source does.
        println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
        if let Ok(linker) = env::var("RUSTC_LINKER") {
            println!("cargo::rerun-if-changed={linker}");
        }
        // From 0.6 on `wdk-sys` links them itself.
        #[cfg(not(feature = "api-0-6"))]
        for library in link::LIBRARIES {
            println!("cargo::rustc-link-lib=static:-bundle={library}");
        }
        for argument in link::DRIVER_ARGUMENTS {
            println!("cargo::rustc-cdylib-link-arg={argument}");
        }
        self.configure_library_build()
    }

    /// The folders of headers, in the order in which they are searched.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingFolder`].
    #[cfg(not(feature = "api-0-3"))]
    pub fn include_paths(&self) -> Result<impl Iterator<Item = PathBuf> + use<>, ConfigError> {
        self.folders_of_headers()
    }

    /// The folders of headers, in the order in which they are searched.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingFolder`].
    #[cfg(feature = "api-0-3")]
    pub fn get_include_paths(&self) -> Result<Vec<PathBuf>, ConfigError> {
        self.folders_of_headers().map(Iterator::collect)
    }

    pub(crate) fn folders_of_headers(&self) -> Result<std::vec::IntoIter<PathBuf>, ConfigError> {
        let base = self.content_root.join("Include").join(&self.version);
        existing(&base, &["km/crt", "km", "shared"])
    }

    /// The folders of import libraries.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingFolder`].
    pub fn library_paths(&self) -> Result<impl Iterator<Item = PathBuf> + use<>, ConfigError> {
        let base = self.content_root.join("Lib").join(&self.version).join("km");
        existing(&base, &[CpuArchitecture::Amd64.as_windows_str()])
    }

    /// Macros that every header of the kit expects: name and value.
    #[cfg(not(feature = "api-0-3"))]
    pub fn preprocessor_definitions(
        &self,
    ) -> impl Iterator<Item = (String, Option<String>)> + use<> {
        Self::macros()
    }

    /// Macros that every header of the kit expects: name and value.
    #[cfg(feature = "api-0-3")]
    pub fn get_preprocessor_definitions_iter(
        &self,
    ) -> impl Iterator<Item = (String, Option<String>)> + use<> {
        Self::macros()
    }

    pub(crate) fn macros() -> impl Iterator<Item = (String, Option<String>)> {
        ["_WIN64", "_AMD64_", "AMD64", "_KERNEL_MODE"]
            .into_iter()
            .map(|name| (name.to_owned(), None))
    }

    /// The name of the framework's function table: WDM has none.
    #[must_use]
    pub fn compute_wdffunctions_symbol_name(&self) -> Option<String> {
        None
    }
}

/// The `folders` below `base`, as absolute paths, if all of them are there.
fn existing(base: &Path, folders: &[&str]) -> Result<std::vec::IntoIter<PathBuf>, ConfigError> {
    let mut found = Vec::with_capacity(folders.len());
    for folder in folders {
        let path = base.join(folder);
        if !path.is_dir() {
            return Err(ConfigError::MissingFolder(path));
        }
        found.push(std::path::absolute(&path).map_err(|source| IoError::with_path(&path, source))?);
    }
    Ok(found.into_iter())
}

/// A variable that Cargo sets for every build script.
fn build_script_var(name: &'static str) -> Result<String, ConfigError> {
    env::var(name).map_err(|_| ConfigError::NotABuildScript(name))
}

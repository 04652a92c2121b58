//! Configures builds of WDM drivers on hosts that are not Windows.
//!
//! Microsoft's crate of this name refuses to compile anywhere but on Windows,
//! and everything of `windows-drivers-rs` is built through it. This one offers
//! the part of its interface that `wdk-sys`, `wdk`, `wdk-alloc`, `wdk-panic` and
//! a driver's build script use, so that those crates serve here unmodified. It
//! knows WDM and x86-64 only. It serves the versions 0.3 to 0.6, whose interfaces differ
//! in the headers and in who links the kernel's libraries; a feature says which. Where the kit lies it learns from
//! `WDKContentRoot`, as the original does, so a real WDK tree serves as well as
//! the one that this project assembles.

mod bindgen;
mod config;
mod error;
#[cfg(not(feature = "api-0-3"))]
mod headers;
mod kit;
mod link;
mod manifest;

#[cfg(not(feature = "api-0-3"))]
pub use self::headers::ApiSubset;
pub use self::{
    bindgen::BuilderExt,
    config::{Config, CpuArchitecture, DriverConfig, KmdfConfig, UmdfConfig},
    error::{ConfigError, IoError},
};

/// Configures the build of a library that depends on the WDK: emits the `cfg`
/// settings that tell it the driver model.
///
/// A build in which no package says what driver it is for is let through with a
/// warning, as the original does: such a library compiles to little.
///
/// # Errors
///
/// Any [`ConfigError`] but [`ConfigError::NoDriverModel`].
pub fn configure_wdk_library_build() -> Result<(), ConfigError> {
    configure_wdk_library_build_and_then(|_| Ok(()))
}

/// Configures the build of a library as [`configure_wdk_library_build`] does,
/// then runs `and_then` with the configuration found.
///
/// # Errors
///
/// Any [`ConfigError`] but [`ConfigError::NoDriverModel`], and whatever
/// `and_then` returns.
pub fn configure_wdk_library_build_and_then<F, E>(mut and_then: F) -> Result<(), E>
where
    F: FnMut(Config) -> Result<(), E>,
    E: From<ConfigError>,
{
    match Config::from_env_auto() {
        Ok(config) => {
            config.configure_library_build()?;
            and_then(config)
        }
        Err(ConfigError::NoDriverModel { manifest }) => {
            println!(
                "cargo::warning=no package of {} says in [package.metadata.wdk.driver-model] \
                 which driver it is; built without bindings",
                manifest.display()
            );
            Config::emit_check_cfg_settings();
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Configures the build of the driver itself: what the linker must be told, and
/// the `cfg` settings.
///
/// # Errors
///
/// Any [`ConfigError`].
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    Config::from_env_auto()?.configure_binary_build()
}

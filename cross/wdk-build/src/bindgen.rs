//! How bindgen reads the kit's headers.

use std::borrow::Borrow;

use bindgen::{Builder, EnumVariation, Formatter};
#[cfg(not(feature = "api-0-3"))]
use bindgen::{RustEdition, RustTarget};

use crate::{Config, ConfigError};

/// How clang reads headers written for Microsoft's compiler. Their style is not
/// ours to mend, so no warning is worth showing.
const CLANG_ARGUMENTS: &[&str] = &[
    // `size_t` in `memcpy` and its like becomes `usize` only if clang does not
    // put its own declaration in place of the header's.
    "-fno-builtin",
    "-fms-compatibility",
    "-fms-extensions",
    "-fdelayed-template-parsing",
    "-Wno-everything",
];

/// Items left out because the kit deprecates them; `wdm::pool` binds those that
/// are still of use itself.
const DEPRECATED: &[&str] = &[
    "ExAllocatePool",
    "ExAllocatePoolWithTag",
    "ExAllocatePoolWithQuotaTag",
    "ExAllocatePoolWithTagPriority",
];

/// Items of a full WDK whose layout bindgen cannot express.
const INEXPRESSIBLE: &[&str] = &[
    ".*MCG_CAP(?:__bindgen.*)?",
    ".*WHEA_XPF_MCA_SECTION",
    ".*WHEA_ARM_BUS_ERROR(?:__bindgen.*)?",
    ".*WHEA_ARM_PROCESSOR_ERROR",
    ".*WHEA_ARM_CACHE_ERROR",
];

/// Types that headers name but never define.
#[cfg(not(feature = "api-0-3"))]
const UNDEFINED: &[&str] = &["_KGDTENTRY64", "_KIDTENTRY64"];

/// Makes builders that are set up for the WDK.
pub trait BuilderExt {
    /// A builder that finds the headers of `config` and writes bindings as
    /// `wdk-sys` expects them.
    ///
    /// # Errors
    ///
    /// A part of the kit that is missing.
    #[cfg(not(feature = "api-0-3"))]
    fn wdk_default(config: impl Borrow<Config>) -> Result<Builder, ConfigError>;

    /// A builder that finds the headers of `config`, reads `headers` and writes bindings
    /// as `wdk-sys` expects them.
    ///
    /// # Errors
    ///
    /// A part of the kit that is missing.
    #[cfg(feature = "api-0-3")]
    fn wdk_default(headers: Vec<&str>, config: impl Borrow<Config>)
    -> Result<Builder, ConfigError>;
}

impl BuilderExt for Builder {
    #[cfg(not(feature = "api-0-3"))]
    fn wdk_default(config: impl Borrow<Config>) -> Result<Builder, ConfigError> {
        let mut builder = builder(config.borrow())?
            .rust_target(rust_target()?)
            .rust_edition(RUST_EDITION);
        for item in UNDEFINED {
            builder = builder.opaque_type(item);
        }
        Ok(builder)
    }

    #[cfg(feature = "api-0-3")]
    fn wdk_default(
        headers: Vec<&str>,
        config: impl Borrow<Config>,
    ) -> Result<Builder, ConfigError> {
        let builder = builder(config.borrow())?;
        Ok(headers.into_iter().fold(builder, Builder::header))
    }
}

fn builder(config: &Config) -> Result<Builder, ConfigError> {
    let includes = config
        .folders_of_headers()?
        .map(|path| format!("--include-directory={}", path.display()));
    let defines = Config::macros().map(|(name, value)| match value {
        Some(value) => format!("--define-macro={name}={value}"),
        None => format!("--define-macro={name}"),
    });
    let mut builder = Builder::default()
        .use_core()
        .derive_default(true)
        .generate_cstr(true)
        .detect_include_paths(false)
        .clang_args(CLANG_ARGUMENTS)
        .clang_args(includes)
        .clang_args(defines)
        .default_enum_style(EnumVariation::ModuleConsts)
        .must_use_type("NTSTATUS")
        .must_use_type("HRESULT")
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .formatter(Formatter::Prettyplease);
    for item in DEPRECATED.iter().chain(INEXPRESSIBLE) {
        builder = builder.blocklist_item(item);
    }
    Ok(builder)
}

/// The edition of `wdk-sys`.
#[cfg(feature = "api-0-4")]
const RUST_EDITION: RustEdition = RustEdition::Edition2021;
/// The edition of `wdk-sys`.
#[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
const RUST_EDITION: RustEdition = RustEdition::Edition2024;

/// The oldest compiler that the bindings must suit: this package's own.
#[cfg(not(feature = "api-0-3"))]
fn rust_target() -> Result<RustTarget, ConfigError> {
    let version = env!("CARGO_PKG_RUST_VERSION");
    let unsupported = |reason: String| ConfigError::UnsupportedRustVersion {
        version: version.to_owned(),
        reason,
    };
    let minor = version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .ok_or_else(|| unsupported("not a version number".to_owned()))?;
    RustTarget::stable(minor, 0).map_err(|error| unsupported(error.to_string()))
}

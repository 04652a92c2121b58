//! Which headers of the kit make up which part of its interface.

use crate::{Config, ConfigError};

/// A part of the kit's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiSubset {
    /// What every driver needs.
    Base,
    /// The frameworks; empty for WDM.
    Wdf,
    /// General-purpose pins.
    Gpio,
    /// Human interface devices.
    Hid,
    /// Parallel ports.
    ParallelPorts,
    /// Simple peripheral buses.
    Spb,
    /// Storage.
    Storage,
    /// USB.
    Usb,
}

impl Config {
    /// The headers that make up `subset`, in the order in which to include them.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnsupportedApiSubset`] for a subset whose headers only a
    /// full WDK has.
    #[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
    pub fn headers(
        &self,
        subset: ApiSubset,
    ) -> Result<impl Iterator<Item = String> + use<>, ConfigError> {
        Self::header_names(subset)
    }

    /// The headers that make up `subset`, in the order in which to include them.
    ///
    /// # Panics
    ///
    /// Only a full WDK has the headers of the subset: the interface of this version has
    /// no error for it.
    #[cfg(feature = "api-0-4")]
    #[must_use]
    pub fn headers(&self, subset: ApiSubset) -> impl Iterator<Item = String> + use<> {
        Self::header_names(subset).unwrap_or_else(|error| panic!("{error}"))
    }

    fn header_names(
        subset: ApiSubset,
    ) -> Result<impl Iterator<Item = String> + use<>, ConfigError> {
        let headers: &[&str] = match subset {
            ApiSubset::Base => &["ntifs.h", "ntddk.h", "ntstrsafe.h"],
            ApiSubset::Wdf => &[],
            ApiSubset::Gpio => return Err(ConfigError::UnsupportedApiSubset("GPIO")),
            ApiSubset::Hid => return Err(ConfigError::UnsupportedApiSubset("HID")),
            ApiSubset::ParallelPorts => {
                return Err(ConfigError::UnsupportedApiSubset("parallel ports"));
            }
            ApiSubset::Spb => return Err(ConfigError::UnsupportedApiSubset("SPB")),
            ApiSubset::Storage => return Err(ConfigError::UnsupportedApiSubset("storage")),
            ApiSubset::Usb => return Err(ConfigError::UnsupportedApiSubset("USB")),
        };
        Ok(headers.iter().map(|&name| name.to_owned()))
    }

    /// C source that includes the headers of `subsets`.
    ///
    /// # Errors
    ///
    /// As [`Config::headers`].
    #[cfg(any(feature = "api-0-5", feature = "api-0-6"))]
    pub fn bindgen_header_contents(
        &self,
        subsets: impl IntoIterator<Item = ApiSubset>,
    ) -> Result<String, ConfigError> {
        Self::includes(subsets)
    }

    /// C source that includes the headers of `subsets`.
    ///
    /// # Panics
    ///
    /// As [`Config::headers`].
    #[cfg(feature = "api-0-4")]
    pub fn bindgen_header_contents(&self, subsets: impl IntoIterator<Item = ApiSubset>) -> String {
        Self::includes(subsets).unwrap_or_else(|error| panic!("{error}"))
    }

    fn includes(subsets: impl IntoIterator<Item = ApiSubset>) -> Result<String, ConfigError> {
        let mut contents = String::new();
        for subset in subsets {
            for header in Self::header_names(subset)? {
                contents.push_str("#include \"");
                contents.push_str(&header);
                contents.push_str("\"\n");
            }
        }
        Ok(contents)
    }
}

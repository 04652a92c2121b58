//! The files of a package: the INF, stamped and checked, the catalogue, and their
//! signatures.

use std::path::Path;
#[cfg(not(windows))]
use std::path::PathBuf;
use std::{fs, io};

use thiserror::Error;

use crate::authenticode::NotHashable;
use crate::date::Date;
use crate::inf::{self, Inf, Malformed, rules};
#[cfg(not(windows))]
use crate::{
    catalog::{self, Member},
    sign::{self, Signer},
};

/// Why a package cannot be made.
#[derive(Debug, Error)]
pub enum Error {
    /// A file cannot be read, written or moved.
    #[error("cannot use {file}: {source}")]
    File {
        /// The file.
        file: String,
        /// The reason.
        source: io::Error,
    },
    /// The source of the INF is no INF.
    #[error("{file} is not an INF: {source}")]
    Inf {
        /// The file.
        file: String,
        /// The reason.
        source: Malformed,
    },
    /// The INF breaks rules that Windows has for it.
    #[error("{file} breaks rules of INF files:\n{}", .broken.join("\n"))]
    Rules {
        /// The file.
        file: String,
        /// One line a rule.
        broken: Vec<String>,
    },
    /// The driver has no hash that a catalogue could list.
    #[error("{file} cannot be listed in a catalogue: {source}")]
    Image {
        /// The file.
        file: String,
        /// The reason.
        source: NotHashable,
    },
    /// Signing or verifying failed.
    #[cfg(not(windows))]
    #[error(transparent)]
    Sign(#[from] sign::Error),
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File {
        file: path.display().to_string(),
        source,
    }
}

/// The text of an INF made of `source`: stamped with today's date and `version` (four
/// numbers), and checked.
///
/// # Errors
/// [`Error::Rules`], with every rule that it breaks.
pub fn stamped_inf(source: &Path, version: &str) -> Result<String, Error> {
    let text = fs::read_to_string(source).map_err(|error| file_error(source, error))?;
    let file = source.display().to_string();
    let text = inf::stamp(&text, &Date::now(), version);
    let parsed = Inf::parse(&text).map_err(|source| Error::Inf {
        file: file.clone(),
        source,
    })?;
    let broken: Vec<String> = rules::check(&parsed)
        .into_iter()
        .map(|rule| match rule.code {
            Some(code) => format!("{} ({code})", rule.what),
            None => rule.what,
        })
        .collect();
    if broken.is_empty() {
        Ok(text)
    } else {
        Err(Error::Rules { file, broken })
    }
}

/// Signs the package in a folder that has `NAME.sys` and `NAME.inf`: signs the driver,
/// writes the catalogue `NAME.cat` and signs it, verifies both signatures and that the
/// catalogue lists the driver, and adds the certificate as `NAME.cer`.
///
/// # Errors
/// A file cannot be used, or [`Error::Sign`].
#[cfg(not(windows))]
pub fn sign_package(folder: &Path, name: &str, signer: &Signer) -> Result<(), Error> {
    let path = |extension: &str| -> PathBuf { folder.join(format!("{name}.{extension}")) };
    let (sys, inf, cat) = (path("sys"), path("inf"), path("cat"));
    let unsigned = path("unsigned");
    let read = |path: &Path| fs::read(path).map_err(|error| file_error(path, error));

    fs::rename(&sys, &unsigned).map_err(|error| file_error(&sys, error))?;
    signer.sign(&unsigned, &sys)?;
    let members = [
        Member::image(&format!("{name}.sys"), &read(&sys)?).map_err(|source| Error::Image {
            file: sys.display().to_string(),
            source,
        })?,
        Member::flat(&format!("{name}.inf"), &read(&inf)?),
    ];
    let list = catalog::unsigned(&members, &Date::now());
    fs::write(&unsigned, list).map_err(|error| file_error(&unsigned, error))?;
    signer.sign(&unsigned, &cat)?;
    fs::remove_file(&unsigned).map_err(|error| file_error(&unsigned, error))?;

    signer.verify(&sys)?;
    signer.verify(&cat)?;
    signer.verify_listed(&cat, &sys)?;
    let certificate = path("cer");
    fs::copy(signer.certificate(), &certificate)
        .map(drop)
        .map_err(|error| file_error(&certificate, error))
}

//! Signing with a certificate of one's own, by OpenSSL and osslsigncode.
//!
//! A test-signed system accepts any certificate that it was told to trust, so a
//! self-signed one serves, made once and kept where builds go. Cryptography is
//! left to programs made for it; what they signed is verified before it counts.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use thiserror::Error;

/// How long a certificate is made for, in days.
const DAYS: &str = "3650";

/// Why something could not be signed, or is not signed right.
#[derive(Debug, Error)]
pub enum Error {
    /// A program is not there.
    #[error("cannot run {program}: {source}")]
    NotRun {
        /// Its name.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program says no.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
    /// A file cannot be written or removed.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Signer {
    folder: PathBuf,
}

impl Signer {
    /// The certificate in `folder`, which is made if there is none that holds
    /// for another 30 days.
    ///
    /// # Errors
    ///
    /// [`enum@Error`] if OpenSSL makes none.
    pub fn in_folder(folder: &Path, name: &str) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
        let signer = Self {
            folder: folder.to_owned(),
        };
        if !signer.is_valid() {
            signer.make(name)?;
        }
        Ok(signer)
    }

    /// The certificate as Windows imports it.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.cer")
    }

    fn pem(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    fn is_valid(&self) -> bool {
        let mut check = Command::new("openssl");
        check
            .args(["x509", "-noout", "-checkend", "2592000", "-in"])
            .arg(self.pem());
        self.key().is_file() && self.certificate().is_file() && run("openssl", &mut check).is_ok()
    }

    /// Makes key and certificate.
    fn make(&self, name: &str) -> Result<(), Error> {
        let mut request = Command::new("openssl");
        request
            .args(["req", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes"])
            .args(["-days", DAYS, "-subj", &format!("/CN={name}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "keyUsage=critical,digitalSignature"])
            .args(["-addext", "extendedKeyUsage=codeSigning"])
            .arg("-keyout")
            .arg(self.key())
            .arg("-out")
            .arg(self.pem());
        run("openssl", &mut request)?;
        let mut convert = Command::new("openssl");
        convert
            .args(["x509", "-outform", "DER", "-in"])
            .arg(self.pem())
            .arg("-out")
            .arg(self.certificate());
        run("openssl", &mut convert).map(drop)
    }

    /// Signs the image or catalogue `from`; the signed one is `to`.
    ///
    /// # Errors
    ///
    /// [`enum@Error`] if osslsigncode does not.
    pub fn sign(&self, from: &Path, to: &Path) -> Result<(), Error> {
        match fs::remove_file(to) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(file_error(to, source));
            }
            _ => {}
        }
        let mut sign = Command::new("osslsigncode");
        sign.args(["sign", "-h", "sha256", "-certs"])
            .arg(self.pem())
            .arg("-key")
            .arg(self.key())
            .arg("-in")
            .arg(from)
            .arg("-out")
            .arg(to);
        run("osslsigncode", &mut sign).map(drop)
    }

    /// Verifies what [`Signer::sign`] made: that it is whole, and signed with
    /// this certificate.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] if it is not.
    pub fn verify(&self, file: &Path) -> Result<(), Error> {
        run("osslsigncode", self.verification().arg("-in").arg(file)).map(drop)
    }

    /// Verifies that a catalogue signed with this certificate lists the image.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] if it does not.
    pub fn verify_listed(&self, catalog: &Path, file: &Path) -> Result<(), Error> {
        let mut verification = self.verification();
        verification.arg("-catalog").arg(catalog);
        run("osslsigncode", verification.arg("-in").arg(file)).map(drop)
    }

    fn verification(&self) -> Command {
        let mut verification = Command::new("osslsigncode");
        verification.args(["verify", "-CAfile"]).arg(self.pem());
        verification
    }
}

/// Runs a program; what it printed, if it succeeded.
fn run(program: &'static str, command: &mut Command) -> Result<String, Error> {
    let output = command
        .output()
        .map_err(|source| Error::NotRun { program, source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(text);
    }
    Err(Error::Failed {
        program,
        status: output.status.to_string(),
        output: text,
    })
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

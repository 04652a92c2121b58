//! A host is where a driver runs. Each does what the Service Control Manager
//! does for a kernel service (create, start, stop, delete) and collects what
//! the driver logs. Tests speak to the trait and never to one host.

pub mod debugview;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod ntbox;
#[cfg(windows)]
pub mod scm;
pub mod win32;
#[cfg(unix)]
pub mod wine;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use ntbox_api::RegValue;

use crate::record::{Findings, Line, Start};

/// A kernel service to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Name of the service and of its registry key.
    pub name: String,
    /// The driver's image file.
    pub image: PathBuf,
    /// Values of the service's `Parameters` key.
    pub parameters: Vec<(String, RegValue)>,
}

impl Service {
    /// A service named after its image, without parameters.
    #[must_use]
    pub fn new(image: impl Into<PathBuf>) -> Self {
        let image = image.into();
        let name = image
            .file_stem()
            .unwrap_or(image.as_os_str())
            .to_string_lossy()
            .into_owned();
        Self {
            name,
            image,
            parameters: Vec::new(),
        }
    }

    /// Adds a value to the `Parameters` key.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: RegValue) -> Self {
        self.parameters.push((name.into(), value));
        self
    }

    /// The value that the driver finds under `name`: as in the registry, names
    /// differ by more than case, and the last one written stays.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&RegValue> {
        let found = self
            .parameters
            .iter()
            .rfind(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// Refuses names that no Service Control Manager takes.
    pub(crate) fn check_name(&self) -> Result<(), HostError> {
        match ntbox_api::parse::service(&self.name) {
            Ok(_) => Ok(()),
            Err(_) => Err(HostError::Name {
                name: self.name.clone(),
            }),
        }
    }
}

/// Why a host could not do what it was asked. What the driver does wrong is no
/// error of the host: it is in [`Start`] and [`Findings`].
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A name that cannot be a service's.
    #[error("`{name}` cannot be the name of a service: 1 to 256 characters, no slash or backslash")]
    Name {
        /// The name.
        name: String,
    },
    /// The order of calls is wrong.
    #[error("cannot {action} on the host {host}: {why}")]
    State {
        /// The host.
        host: &'static str,
        /// What was asked for.
        action: &'static str,
        /// What stands in the way.
        why: &'static str,
    },
    /// The host's loader does not take the image.
    #[error("{0}")]
    Image(String),
    /// The host was made with options that it cannot carry out.
    #[error("{0}")]
    Options(String),
    /// The host itself failed.
    #[error("the host {host} failed to {action} the driver: {why}")]
    Failed {
        /// The host.
        host: &'static str,
        /// What it was doing.
        action: &'static str,
        /// What went wrong.
        why: String,
    },
}

/// A control request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inquiry {
    /// The control code.
    pub code: u32,
    /// The input.
    pub input: Vec<u8>,
    /// Bytes of room for output.
    pub room: usize,
}

/// What came of a control request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// The device cannot be opened: the status of that.
    Unopened(u32),
    /// It ended, with this status and this output.
    Answered(u32, Vec<u8>),
    /// The kernel stopped.
    Stopped,
}

/// Where drivers run. One service at a time: install, start, stop, remove; a
/// stopped service may be started again.
pub trait Host {
    /// The name that selects it, such as `ntbox`.
    fn name(&self) -> &'static str;

    /// Makes the service known, as `sc create` does.
    ///
    /// # Errors
    ///
    /// When a service is installed already or the host does not take this one.
    fn install(&mut self, service: &Service) -> Result<(), HostError>;

    /// Loads the driver and has DriverEntry called, as `sc start` does. That
    /// DriverEntry refuses, or stops the kernel, is not an error here.
    ///
    /// # Errors
    ///
    /// When nothing is installed, the driver runs already, or it cannot be
    /// loaded.
    fn start(&mut self) -> Result<Start, HostError>;

    /// Has the driver unloaded, as `sc stop` does, and says what was found. For
    /// a driver that refused to start it only says what was found.
    ///
    /// # Errors
    ///
    /// When nothing was started, or the host fails.
    fn stop(&mut self) -> Result<Findings, HostError>;

    /// Forgets the service, as `sc delete` does.
    ///
    /// # Errors
    ///
    /// When nothing is installed or the driver still runs.
    fn remove(&mut self) -> Result<(), HostError>;

    /// Has a program that an administrator runs open the device at `path`, send it
    /// one control request, and close it:
    /// `CreateFile`, `DeviceIoControl`, `CloseHandle`. That the driver refuses, or
    /// stops the kernel, is not an error here.
    ///
    /// # Errors
    ///
    /// When nothing was started, or the host fails.
    fn ask(&mut self, path: &str, inquiry: &Inquiry) -> Result<Asked, HostError>;

    /// The same with two programs: the second one asks after the first one's request
    /// has begun, whether or not it waits. What came of the first, then the second.
    ///
    /// # Errors
    ///
    /// As for [`Host::ask`].
    fn ask_both(
        &mut self,
        path: &str,
        first: &Inquiry,
        second: &Inquiry,
    ) -> Result<(Asked, Asked), HostError>;

    /// Everything that was logged since the service was installed.
    ///
    /// # Errors
    ///
    /// When the host cannot read its debug output.
    fn output(&mut self) -> Result<Vec<Line>, HostError>;
}

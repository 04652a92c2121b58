//! Hosts: the systems that a driver can run on. Each host creates, starts, stops and
//! deletes a kernel service, as the Service Control Manager does, and collects the
//! driver's log. Tests use the trait [`Host`] and do not depend on a certain host.

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

use crate::record::{Findings, LogLine, StartResult};

/// The configuration of a kernel service.
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

    /// The value of the parameter `name`. As in the registry, names are compared
    /// without case, and the value written last counts.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&RegValue> {
        let parameter = self
            .parameters
            .iter()
            .rfind(|(other, _)| other.eq_ignore_ascii_case(name));
        parameter.map(|(_, value)| value)
    }

    /// Checks that the Service Control Manager accepts the name.
    pub(crate) fn check_name(&self) -> Result<(), HostError> {
        match ntbox_api::parse::service(&self.name) {
            Ok(_) => Ok(()),
            Err(_) => Err(HostError::Name {
                name: self.name.clone(),
            }),
        }
    }
}

/// An error of a host. A mistake of the driver is not one: it is in [`StartResult`] and
/// [`Findings`].
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The service name is invalid.
    #[error(
        "service name `{name}` is invalid; it must have 1 to 256 characters, without slash or backslash"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The call is not allowed in the current state of the service.
    #[error("host {host} cannot {action} the driver: {reason}")]
    State {
        /// The host.
        host: &'static str,
        /// The call, as a verb.
        action: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// The host's loader rejects the image.
    #[error("{0}")]
    Image(String),
    /// The options of the host are invalid.
    #[error("{0}")]
    Options(String),
    /// The host itself failed.
    #[error("host {host} failed to {action} the driver: {reason}")]
    Failed {
        /// The host.
        host: &'static str,
        /// The call, as a verb.
        action: &'static str,
        /// The reason.
        reason: String,
    },
}

/// A device control request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IoctlRequest {
    /// The control code.
    pub code: u32,
    /// The input.
    pub input: Vec<u8>,
    /// The size of the output buffer in bytes.
    pub output_size: usize,
}

/// The result of a device control request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoctlResponse {
    /// The device cannot be opened; the status of the open.
    OpenFailed(u32),
    /// The request was completed with this status and this output.
    Completed(u32, Vec<u8>),
    /// The kernel stopped.
    KernelStopped,
}

/// A system that runs drivers. It has one service at a time: install, start, stop,
/// remove. A stopped service can be started again.
pub trait Host {
    /// The name that selects it, such as `ntbox`.
    fn name(&self) -> &'static str;

    /// Creates the service, as `sc create` does.
    ///
    /// # Errors
    ///
    /// If a service is installed already, or the host rejects this one.
    fn install(&mut self, service: &Service) -> Result<(), HostError>;

    /// Loads the driver and calls DriverEntry, as `sc start` does. It is not an error if
    /// DriverEntry fails or stops the kernel.
    ///
    /// # Errors
    ///
    /// If no service is installed, the driver is running already, or it cannot be
    /// loaded.
    fn start(&mut self) -> Result<StartResult, HostError>;

    /// Unloads the driver, as `sc stop` does, and returns the findings. A driver whose
    /// start failed has been unloaded already.
    ///
    /// # Errors
    ///
    /// If the service was not started, or the host fails.
    fn stop(&mut self) -> Result<Findings, HostError>;

    /// Deletes the service, as `sc delete` does.
    ///
    /// # Errors
    ///
    /// If no service is installed, or the driver is running.
    fn remove(&mut self) -> Result<(), HostError>;

    /// Opens the device at `path` from a program of an administrator, sends one control
    /// request, and closes it: `CreateFile`, `DeviceIoControl`, `CloseHandle`. It is not
    /// an error if the driver fails the request or stops the kernel.
    ///
    /// # Errors
    ///
    /// If the service was not started, or the host fails.
    fn send_ioctl(
        &mut self,
        path: &str,
        request: &IoctlRequest,
    ) -> Result<IoctlResponse, HostError>;

    /// Like [`Host::send_ioctl`] from two programs: the second one sends its request after
    /// the driver has received the first one, which may be pending. Returns the responses
    /// to the first and the second request.
    ///
    /// # Errors
    ///
    /// As for [`Host::send_ioctl`].
    fn send_ioctl_pair(
        &mut self,
        path: &str,
        first: &IoctlRequest,
        second: &IoctlRequest,
    ) -> Result<(IoctlResponse, IoctlResponse), HostError>;

    /// The log since the service was installed.
    ///
    /// # Errors
    ///
    /// If the host cannot read its debug output.
    fn output(&mut self) -> Result<Vec<LogLine>, HostError>;
}

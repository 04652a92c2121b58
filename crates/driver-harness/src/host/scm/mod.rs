//! The host `scm`: the Service Control Manager of Windows creates, starts, stops and
//! deletes the driver's service, as `sc.exe` does. It needs an elevated prompt, and a
//! system that accepts the image's signature.
//!
//! The service is removed when the host is dropped, and at Ctrl-C.

mod device;
pub mod filter;
mod interrupt;
mod log;

use std::time::{Duration, Instant};

use windows_registry::{LOCAL_MACHINE, Type};
use windows_service::service::{
    Service as Handle, ServiceAccess, ServiceErrorControl, ServiceInfo, ServiceStartType,
    ServiceState, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use self::log::Reader;
pub use self::log::Source;
use super::win32::{Win32Error, status_of};
use super::{Host, HostError, IoctlRequest, IoctlResponse, Service};
use crate::record::{Findings, LogLine, StartResult};

const NAME: &str = "scm";

/// The time limit for stopping or deleting a service.
const TIMEOUT: Duration = Duration::from_secs(15);

const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;
const ERROR_SERVICE_MARKED_FOR_DELETE: i32 = 1072;
const ERROR_SERVICE_NOT_ACTIVE: i32 = 1062;

/// The host.
pub struct Scm {
    manager: ServiceManager,
    source: Source,
    service: Option<Installed>,
}

struct Installed {
    handle: Handle,
    name: String,
    log: Reader,
    /// The result of the start; `None` when stopped.
    started: Option<StartResult>,
}

impl Scm {
    /// Connects to the Service Control Manager. The driver's log is read from `source`.
    ///
    /// # Errors
    ///
    /// If the caller cannot create services.
    pub fn new(source: Source) -> Result<Self, HostError> {
        let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
        let manager = ServiceManager::local_computer(None::<&str>, access)
            .map_err(|error| failed("manage", &error))?;
        Ok(Self {
            manager,
            source,
            service: None,
        })
    }

    fn installed(&mut self, action: &'static str) -> Result<&mut Installed, HostError> {
        self.service
            .as_mut()
            .ok_or_else(|| state(action, "no service is installed"))
    }

    fn running(&mut self, action: &'static str) -> Result<(), HostError> {
        match self.installed(action)?.started {
            Some(StartResult::Running(_)) => Ok(()),
            _ => Err(state(action, "the service is not started")),
        }
    }

    /// Creates the service; removes one of the same name that an earlier run left.
    fn create(&self, service: &Service) -> Result<Handle, HostError> {
        let action = "install";
        remove_leftover(&self.manager, &service.name)?;
        let image = std::path::absolute(&service.image)
            .map_err(|error| HostError::Image(format!("{}: {error}", service.image.display())))?;
        let info = ServiceInfo {
            name: service.name.clone().into(),
            display_name: service.name.clone().into(),
            service_type: ServiceType::KERNEL_DRIVER,
            start_type: ServiceStartType::OnDemand,
            error_control: ServiceErrorControl::Normal,
            executable_path: image,
            launch_arguments: Vec::new(),
            dependencies: Vec::new(),
            account_name: None,
            account_password: None,
        };
        let access = ServiceAccess::START
            | ServiceAccess::STOP
            | ServiceAccess::QUERY_STATUS
            | ServiceAccess::DELETE;
        // Before the service is created, so that Ctrl-C always removes it.
        interrupt::register(&service.name);
        let since = Instant::now();
        loop {
            match self.manager.create_service(&info, access) {
                Err(error)
                    if code_of(&error) == Some(ERROR_SERVICE_MARKED_FOR_DELETE)
                        && since.elapsed() < TIMEOUT =>
                {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => {
                    interrupt::unregister(&service.name);
                    return Err(failed(action, &error));
                }
                Ok(created) => return Ok(created),
            }
        }
    }
}

/// Stops and deletes a kernel service of this name, if there is one.
fn remove_leftover(manager: &ServiceManager, name: &str) -> Result<(), HostError> {
    let access = ServiceAccess::STOP
        | ServiceAccess::QUERY_STATUS
        | ServiceAccess::QUERY_CONFIG
        | ServiceAccess::DELETE;
    let leftover = match manager.open_service(name, access) {
        Ok(leftover) => leftover,
        Err(error) if code_of(&error) == Some(ERROR_SERVICE_DOES_NOT_EXIST) => return Ok(()),
        Err(error) => return Err(failed("look for an earlier service of", &error)),
    };
    let action = "remove an earlier service of";
    let config = leftover
        .query_config()
        .map_err(|error| failed(action, &error))?;
    if !config.service_type.contains(ServiceType::KERNEL_DRIVER) {
        return Err(HostError::Failed {
            host: NAME,
            action: "install",
            reason: format!(
                "the service `{name}` exists and is not a kernel driver; choose another name with --service"
            ),
        });
    }
    stop_service(&leftover).map_err(|error| failed(action, &error))?;
    match leftover.delete() {
        Err(error) if code_of(&error) != Some(ERROR_SERVICE_MARKED_FOR_DELETE) => {
            Err(failed(action, &error))
        }
        _ => Ok(()),
    }
}

/// The result of stopping a service.
enum StopResult {
    /// The service was not running.
    NotRunning,
    /// The service has stopped.
    Stopped,
    /// The service did not stop in time.
    Pending,
}

/// Stops a service and waits for it, up to the timeout.
fn stop_service(service: &Handle) -> windows_service::Result<StopResult> {
    match service.stop() {
        Err(error) if code_of(&error) == Some(ERROR_SERVICE_NOT_ACTIVE) => {
            return Ok(StopResult::NotRunning);
        }
        other => other?,
    };
    let since = Instant::now();
    while service.query_status()?.current_state != ServiceState::Stopped {
        if since.elapsed() > TIMEOUT {
            return Ok(StopResult::Pending);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(StopResult::Stopped)
}

/// The Win32 error code.
fn code_of(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error(),
        _ => None,
    }
}

fn failed(action: &'static str, error: &windows_service::Error) -> HostError {
    let reason = match code_of(error) {
        Some(code) => Win32Error(code.cast_unsigned()).to_string(),
        None => error.to_string(),
    };
    HostError::Failed {
        host: NAME,
        action,
        reason,
    }
}

fn state(action: &'static str, reason: &'static str) -> HostError {
    HostError::State {
        host: NAME,
        action,
        reason,
    }
}

/// Writes the service's `Parameters` key.
fn write_parameters(service: &Service) -> windows_registry::Result<()> {
    let path = format!(
        r"SYSTEM\CurrentControlSet\Services\{}\Parameters",
        service.name
    );
    if service.parameters.is_empty() {
        return Ok(());
    }
    let key = LOCAL_MACHINE.create(path)?;
    for (name, value) in &service.parameters {
        key.set_bytes(name, Type::from(value.kind()), &value.data())?;
    }
    Ok(())
}

impl Host for Scm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn install(&mut self, service: &Service) -> Result<(), HostError> {
        service.check_name()?;
        if self.service.is_some() {
            return Err(state("install", "a service is installed already"));
        }
        if !service.image.is_file() {
            return Err(HostError::Image(format!(
                "{} does not exist",
                service.image.display()
            )));
        }
        let log = self.source.open(service)?;
        let handle = self.create(service)?;
        self.service = Some(Installed {
            handle,
            name: service.name.clone(),
            log,
            started: None,
        });
        write_parameters(service).map_err(|error| HostError::Failed {
            host: NAME,
            action: "write the parameters of",
            reason: error.message(),
        })
    }

    fn start(&mut self) -> Result<StartResult, HostError> {
        let installed = self.installed("start")?;
        if installed.started.is_some() {
            return Err(state("start", "the service is started already"));
        }
        installed.log.start_writer()?;
        let start = match installed.handle.start::<&str>(&[]) {
            Ok(()) => StartResult::Running(0),
            Err(error) => match code_of(&error).map(i32::cast_unsigned) {
                Some(code) if is_entry_failure(code) => StartResult::EntryFailed(status_of(code)),
                _ => return Err(failed("start", &error)),
            },
        };
        installed.started = Some(start);
        Ok(start)
    }

    fn stop(&mut self) -> Result<Findings, HostError> {
        let installed = self.installed("stop")?;
        let Some(start) = installed.started else {
            return Err(state("stop", "the service is not started"));
        };
        let mut findings = Findings::default();
        if let StartResult::Running(_) = start {
            let stop = stop_service(&installed.handle).map_err(|error| failed("stop", &error))?;
            if let StopResult::Pending = stop {
                return Err(HostError::Failed {
                    host: NAME,
                    action: "stop",
                    reason: format!(
                        "the service is still stopping after {} s: a program has its device open, or \
                         DriverUnload does not return; end the program, or restart",
                        TIMEOUT.as_secs()
                    ),
                });
            }
            findings.unloaded = matches!(stop, StopResult::Stopped);
        }
        installed.started = None;
        installed.log.finish()?;
        Ok(findings)
    }

    fn remove(&mut self) -> Result<(), HostError> {
        let installed = self.installed("remove")?;
        if let Some(StartResult::Running(_)) = installed.started {
            return Err(state("remove", "the service is started; stop it first"));
        }
        installed
            .handle
            .delete()
            .map_err(|error| failed("remove", &error))?;
        interrupt::unregister(&installed.name);
        self.service = None;
        Ok(())
    }

    fn send_ioctl(
        &mut self,
        path: &str,
        request: &IoctlRequest,
    ) -> Result<IoctlResponse, HostError> {
        self.running("send a request to")?;
        Ok(device::send_ioctl(path, request))
    }

    fn send_ioctl_pair(
        &mut self,
        path: &str,
        first: &IoctlRequest,
        second: &IoctlRequest,
    ) -> Result<(IoctlResponse, IoctlResponse), HostError> {
        self.running("send a request to")?;
        Ok(device::send_ioctl_pair(path, first, second))
    }

    fn output(&mut self) -> Result<Vec<LogLine>, HostError> {
        self.installed("read the log of")?.log.lines()
    }
}

/// Whether a start with this error code failed in DriverEntry. The other codes are
/// errors of the loader or the Service Control Manager, which are errors of the host.
const fn is_entry_failure(code: u32) -> bool {
    !matches!(
        code,
        2 | 3
            | 5
            | 127
            | 193
            | 577
            | 654
            | 1053
            | 1056
            | 1058
            | 1060
            | 1061
            | 1072
            | 1275
            | 2001
            | 4551
    )
}

impl Drop for Scm {
    fn drop(&mut self) {
        if let Some(installed) = &self.service {
            // Errors are ignored: the next run removes the service.
            let _ = stop_service(&installed.handle);
            let _ = installed.handle.delete();
            interrupt::unregister(&installed.name);
        }
    }
}

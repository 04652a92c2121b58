//! Windows itself: the Service Control Manager creates, starts, stops and deletes
//! the driver's service, as `sc.exe` does, and a program opens its device. Needs
//! an elevated prompt, and a system that takes the image's signature.
//!
//! A service is always removed again: when the host is dropped, and when the
//! person who waits presses Ctrl-C.

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
use super::win32::{Explained, status_of};
use super::{Asked, Host, HostError, Inquiry, Service};
use crate::record::{Findings, Line, Start};

const NAME: &str = "scm";

/// How long a service that is being stopped or deleted may take.
const PATIENCE: Duration = Duration::from_secs(15);

const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;
const ERROR_SERVICE_MARKED_FOR_DELETE: i32 = 1072;
const ERROR_SERVICE_NOT_ACTIVE: i32 = 1062;

/// The host.
pub struct Scm {
    manager: ServiceManager,
    source: Source,
    state: State,
}

enum State {
    Empty,
    Installed(Installed),
}

struct Installed {
    handle: Handle,
    name: String,
    log: Reader,
    /// What the start came to, until the stop.
    started: Option<Start>,
}

impl Scm {
    /// Connects to the Service Control Manager; `source` says where the driver's
    /// debug output can be read.
    ///
    /// # Errors
    ///
    /// Without the right to create services.
    pub fn new(source: Source) -> Result<Self, HostError> {
        let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
        let manager = ServiceManager::local_computer(None::<&str>, access)
            .map_err(|error| failed("manage", &error))?;
        Ok(Self {
            manager,
            source,
            state: State::Empty,
        })
    }

    fn installed(&mut self, action: &'static str) -> Result<&mut Installed, HostError> {
        match &mut self.state {
            State::Empty => Err(state(action, "no service is installed")),
            State::Installed(installed) => Ok(installed),
        }
    }

    fn running(&mut self, action: &'static str) -> Result<(), HostError> {
        match self.installed(action)?.started {
            Some(Start::Running(_)) => Ok(()),
            _ => Err(state(action, "the service is not started")),
        }
    }

    /// Creates the service, in place of one that an earlier run left.
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
        // Before it is there, so that Ctrl-C never finds it unwatched.
        interrupt::watch(&service.name);
        let since = Instant::now();
        loop {
            match self.manager.create_service(&info, access) {
                Err(error)
                    if code_of(&error) == Some(ERROR_SERVICE_MARKED_FOR_DELETE)
                        && since.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => {
                    interrupt::forget(&service.name);
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
    let left = match manager.open_service(name, access) {
        Ok(left) => left,
        Err(error) if code_of(&error) == Some(ERROR_SERVICE_DOES_NOT_EXIST) => return Ok(()),
        Err(error) => return Err(failed("look for an earlier service of", &error)),
    };
    let action = "remove an earlier service of";
    let config = left
        .query_config()
        .map_err(|error| failed(action, &error))?;
    if !config.service_type.contains(ServiceType::KERNEL_DRIVER) {
        return Err(HostError::Failed {
            host: NAME,
            action: "install",
            why: format!(
                "`{name}` is the name of a service that is no kernel driver; choose another with --service"
            ),
        });
    }
    stop_service(&left).map_err(|error| failed(action, &error))?;
    match left.delete() {
        Err(error) if code_of(&error) != Some(ERROR_SERVICE_MARKED_FOR_DELETE) => {
            Err(failed(action, &error))
        }
        _ => Ok(()),
    }
}

/// What stopping a service came to.
enum Stop {
    /// It was not running.
    Idle,
    /// It was, and is no more.
    Done,
    /// It is still being stopped.
    Pending,
}

/// Stops a service, and waits until it is or takes too long.
fn stop_service(service: &Handle) -> windows_service::Result<Stop> {
    match service.stop() {
        Err(error) if code_of(&error) == Some(ERROR_SERVICE_NOT_ACTIVE) => return Ok(Stop::Idle),
        other => other?,
    };
    let since = Instant::now();
    while service.query_status()?.current_state != ServiceState::Stopped {
        if since.elapsed() > PATIENCE {
            return Ok(Stop::Pending);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Stop::Done)
}

/// The Win32 code of an error, if it has one.
fn code_of(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error(),
        _ => None,
    }
}

fn failed(action: &'static str, error: &windows_service::Error) -> HostError {
    let why = match code_of(error) {
        Some(code) => Explained(code.cast_unsigned()).to_string(),
        None => error.to_string(),
    };
    HostError::Failed {
        host: NAME,
        action,
        why,
    }
}

fn state(action: &'static str, why: &'static str) -> HostError {
    HostError::State {
        host: NAME,
        action,
        why,
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
        let State::Empty = self.state else {
            return Err(state("install", "a service is installed already"));
        };
        if !service.image.is_file() {
            return Err(HostError::Image(format!(
                "{} is not there",
                service.image.display()
            )));
        }
        let log = self.source.open(service)?;
        let handle = self.create(service)?;
        self.state = State::Installed(Installed {
            handle,
            name: service.name.clone(),
            log,
            started: None,
        });
        write_parameters(service).map_err(|error| HostError::Failed {
            host: NAME,
            action: "write the parameters of",
            why: error.message(),
        })
    }

    fn start(&mut self) -> Result<Start, HostError> {
        let installed = self.installed("start")?;
        if installed.started.is_some() {
            return Err(state("start", "the service is started already"));
        }
        installed.log.listen()?;
        let start = match installed.handle.start::<&str>(&[]) {
            Ok(()) => Start::Running(0),
            Err(error) => match code_of(&error).map(i32::cast_unsigned) {
                Some(code) if is_refusal(code) => Start::Refused(status_of(code)),
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
        if let Start::Running(_) = start {
            let stop = stop_service(&installed.handle).map_err(|error| failed("stop", &error))?;
            if let Stop::Pending = stop {
                return Err(HostError::Failed {
                    host: NAME,
                    action: "stop",
                    why: format!(
                        "it is still stopping after {} s: a program holds its device open, or \
                         DriverUnload does not return; if no program does, restart",
                        PATIENCE.as_secs()
                    ),
                });
            }
            findings.unloaded = matches!(stop, Stop::Done);
        }
        installed.started = None;
        installed.log.finish()?;
        Ok(findings)
    }

    fn remove(&mut self) -> Result<(), HostError> {
        let installed = self.installed("remove")?;
        if let Some(Start::Running(_)) = installed.started {
            return Err(state("remove", "the service is started; stop it first"));
        }
        installed
            .handle
            .delete()
            .map_err(|error| failed("remove", &error))?;
        interrupt::forget(&installed.name);
        self.state = State::Empty;
        Ok(())
    }

    fn ask(&mut self, path: &str, inquiry: &Inquiry) -> Result<Asked, HostError> {
        self.running("ask")?;
        Ok(device::ask(path, inquiry))
    }

    fn ask_both(
        &mut self,
        path: &str,
        first: &Inquiry,
        second: &Inquiry,
    ) -> Result<(Asked, Asked), HostError> {
        self.running("ask")?;
        Ok(device::ask_both(path, first, second))
    }

    fn output(&mut self) -> Result<Vec<Line>, HostError> {
        self.installed("read the log of")?.log.lines()
    }
}

/// Whether a start that fails with this code failed in DriverEntry: what the
/// loader and the manager themselves answer is a failure of the host.
const fn is_refusal(code: u32) -> bool {
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
        if let State::Installed(installed) = &self.state {
            // There is nobody left to tell; the next run finds what stays behind.
            let _ = stop_service(&installed.handle);
            let _ = installed.handle.delete();
            interrupt::forget(&installed.name);
        }
    }
}

//! Cleans up at Ctrl-C: stops and deletes the services, and ends the programs that write
//! logs, before this program ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use windows_service::service::ServiceAccess;
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::super::debugview::DebugView;

/// A resource to remove before this program ends.
enum Resource {
    /// A service, by name.
    Service(String),
    /// A process that writes a log: its ID, its program, its file.
    Writer(u32, DebugView, PathBuf),
}

static RESOURCES: Mutex<Vec<Resource>> = Mutex::new(Vec::new());

/// Exit status of a program that Ctrl-C ended (`STATUS_CONTROL_C_EXIT`).
const CONTROL_C: i32 = 0xC000_013A_u32.cast_signed();

/// Registers a service for removal.
pub fn register(name: &str) {
    add(Resource::Service(name.to_owned()));
}

/// Registers a writer process and its file for removal.
pub fn register_writer(process: u32, program: &DebugView, file: &Path) {
    add(Resource::Writer(process, program.clone(), file.to_owned()));
}

/// Unregisters a service.
pub fn unregister(name: &str) {
    resources().retain(|resource| !matches!(resource, Resource::Service(other) if other == name));
}

/// Unregisters a writer process.
pub fn unregister_writer(process: u32) {
    resources()
        .retain(|resource| !matches!(resource, Resource::Writer(other, ..) if *other == process));
}

fn add(resource: Resource) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // Without the handler Ctrl-C ends the program without the cleanup.
        let _ = ctrlc::set_handler(|| {
            // In reverse order: a service before the program that writes its log.
            for resource in resources().drain(..).rev() {
                resource.remove();
            }
            std::process::exit(CONTROL_C);
        });
    });
    resources().push(resource);
}

fn resources() -> MutexGuard<'static, Vec<Resource>> {
    RESOURCES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resource {
    /// Removes the resource; errors are ignored, since the program is ending.
    fn remove(&self) {
        match self {
            Self::Service(name) => remove_service(name),
            Self::Writer(process, program, file) => {
                let (program, arguments) = program.stop_command(*process);
                let _ = Command::new(program)
                    .args(arguments)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status();
                let _ = std::fs::remove_file(file);
            }
        }
    }
}

fn remove_service(name: &str) {
    let Ok(manager) = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
    else {
        return;
    };
    let access = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::DELETE;
    if let Ok(service) = manager.open_service(name, access) {
        let _ = super::stop_service(&service);
        let _ = service.delete();
    }
}

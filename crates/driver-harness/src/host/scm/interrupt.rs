//! Ctrl-C while a driver is loaded: its service is stopped and deleted before the
//! program ends, as it would be without, and what writes its log is ended.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use windows_service::service::ServiceAccess;
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::super::debugview::Program;

/// What has to go before this program does.
enum Left {
    /// A service, by its name.
    Service(String),
    /// A process that writes a log: its number, its program, its file.
    Writer(u32, Program, PathBuf),
}

static LEFT: Mutex<Vec<Left>> = Mutex::new(Vec::new());

/// Exit status of a program that Ctrl-C ended (`STATUS_CONTROL_C_EXIT`).
const CONTROL_C: i32 = 0xC000_013A_u32.cast_signed();

/// From now on Ctrl-C removes this service.
pub fn watch(name: &str) {
    add(Left::Service(name.to_owned()));
}

/// From now on Ctrl-C ends this process and removes its file.
pub fn watch_writer(process: u32, program: &Program, file: &Path) {
    add(Left::Writer(process, program.clone(), file.to_owned()));
}

/// The service is gone.
pub fn forget(name: &str) {
    left().retain(|left| !matches!(left, Left::Service(other) if other == name));
}

/// The process is gone.
pub fn forget_writer(process: u32) {
    left().retain(|left| !matches!(left, Left::Writer(other, ..) if *other == process));
}

fn add(what: Left) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // Without a handler of its own the program ends as it always did.
        let _ = ctrlc::set_handler(|| {
            // The service first, which was begun last: its lines are still written.
            for what in left().drain(..).rev() {
                what.remove();
            }
            std::process::exit(CONTROL_C);
        });
    });
    left().push(what);
}

fn left() -> MutexGuard<'static, Vec<Left>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Left {
    /// As far as that goes: the person wants to be gone.
    fn remove(&self) {
        match self {
            Self::Service(name) => remove_service(name),
            Self::Writer(process, program, file) => {
                let (program, arguments) = program.to_end(*process);
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

//! Ctrl-C while a driver is loaded: its service is stopped and deleted before the
//! program ends, as it would be without.

use std::sync::{Mutex, Once, PoisonError};

use windows_service::service::ServiceAccess;
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

/// Names of services that are installed.
static INSTALLED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Exit status of a program that Ctrl-C ended (`STATUS_CONTROL_C_EXIT`).
const CONTROL_C: i32 = 0xC000_013A_u32.cast_signed();

/// From now on Ctrl-C removes this service.
pub fn watch(name: &str) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // Without a handler of its own the program ends as it always did.
        let _ = ctrlc::set_handler(|| {
            for name in names().drain(..) {
                remove(&name);
            }
            std::process::exit(CONTROL_C);
        });
    });
    names().push(name.to_owned());
}

/// The service is gone.
pub fn forget(name: &str) {
    names().retain(|other| other != name);
}

fn names() -> std::sync::MutexGuard<'static, Vec<String>> {
    INSTALLED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops and deletes, as far as that goes: the person wants to be gone.
fn remove(name: &str) {
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

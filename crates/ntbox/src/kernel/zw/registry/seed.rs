//! The registry as it is when a driver starts: the keys that are always there,
//! and that of the driver's service as the Service Control Manager writes it.

use rustc_hash::FxHashMap;

use super::key::REG_LINK;
use super::{Key, KeyId, Registry, Step, with};
use crate::config::RegValue;
use crate::kernel::ob::name::wide;

/// Keys that are always there, from `\REGISTRY`.
const KEYS: [&str; 8] = [
    "MACHINE\\HARDWARE\\DESCRIPTION\\System",
    "MACHINE\\HARDWARE\\DEVICEMAP",
    "MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
    "MACHINE\\SYSTEM\\ControlSet001\\Control\\Class",
    "MACHINE\\SYSTEM\\ControlSet001\\Control\\Session Manager\\Debug Print Filter",
    "MACHINE\\SYSTEM\\ControlSet001\\Services",
    "USER\\.DEFAULT",
    "USER\\S-1-5-18",
];
/// The control set in use, as a link.
const CURRENT: &str = "MACHINE\\SYSTEM\\CurrentControlSet";
/// Where it leads.
const CONTROL_SET: &str = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001";

/// `SERVICE_KERNEL_DRIVER`.
const KERNEL_DRIVER: u32 = 1;
/// `SERVICE_DEMAND_START`.
const DEMAND_START: u32 = 3;
/// `SERVICE_ERROR_NORMAL`.
const ERROR_NORMAL: u32 = 1;

impl Registry {
    /// The registry before any driver.
    pub fn new() -> Self {
        let root = Key::new(None, wide("REGISTRY"));
        let mut registry = Self { keys: FxHashMap::from_iter([(KeyId::ROOT, root)]), next: 1 };
        for path in KEYS {
            registry.ensure(path);
        }
        let link = registry.ensure(CURRENT);
        let target = wide(CONTROL_SET).into_iter().flat_map(u16::to_le_bytes).collect();
        registry.set(link, "SymbolicLinkValue", REG_LINK, target);
        registry
    }

    /// The key at a path from `\REGISTRY`, made if it is not there.
    fn ensure(&mut self, path: &str) -> KeyId {
        path.split('\\').fold(KeyId::ROOT, |at, name| match self.walk(at, &wide(name), true) {
            Ok(Step::Key(key)) => key,
            _ => self.create(at, &wide(name)).expect("keys of the kernel are never deleted while it starts"),
        })
    }

    fn set(&mut self, key: KeyId, name: &str, kind: u32, data: Vec<u8>) {
        if let Ok(key) = self.key_mut(key) {
            key.set_value(&wide(name), kind, data);
        }
    }
}

/// Makes a driver's service key, with a `Parameters` key below if there are
/// any, and returns its path as DriverEntry gets it.
pub fn seed(service: &str, parameters: &[(String, RegValue)]) -> String {
    with(|registry| {
        let path = format!("MACHINE\\SYSTEM\\ControlSet001\\Services\\{service}");
        let key = registry.ensure(&path);
        let image = format!("\\SystemRoot\\System32\\drivers\\{service}.sys");
        let values = [
            ("Type", RegValue::Dword(KERNEL_DRIVER)),
            ("Start", RegValue::Dword(DEMAND_START)),
            ("ErrorControl", RegValue::Dword(ERROR_NORMAL)),
            ("ImagePath", RegValue::ExpandSz(image)),
            ("DisplayName", RegValue::Sz(service.to_owned())),
        ];
        for (name, value) in values {
            registry.set(key, name, value.kind(), value.data());
        }
        if !parameters.is_empty() {
            let key = registry.ensure(&format!("{path}\\Parameters"));
            for (name, value) in parameters {
                registry.set(key, name, value.kind(), value.data());
            }
        }
        format!("\\REGISTRY\\{path}")
    })
}

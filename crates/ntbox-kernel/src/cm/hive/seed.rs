//! The registry as it is when a driver starts: the keys that are always there,
//! and that of the driver's service as the Service Control Manager writes it.

use ntbox_api::RegValue;
use rustc_hash::FxHashMap;

use super::key::{LINK_VALUE, REG_LINK};
use super::{Key, Kind, Registry, Step, with};
use crate::base::key_id::KeyId;
use crate::base::utf16::wide;

/// Keys that hold hives, and nothing else.
const SEALED: [&str; 3] = ["", "MACHINE", "USER"];
/// Roots of hives.
const HIVES: [&str; 7] = [
    "MACHINE\\HARDWARE",
    "MACHINE\\SAM",
    "MACHINE\\SECURITY",
    "MACHINE\\SOFTWARE",
    "MACHINE\\SYSTEM",
    "USER\\.DEFAULT",
    "USER\\S-1-5-18",
];
/// Keys that are always there, beyond the above.
const KEYS: [&str; 6] = [
    "MACHINE\\HARDWARE\\DESCRIPTION\\System",
    "MACHINE\\HARDWARE\\DEVICEMAP",
    "MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
    "MACHINE\\SYSTEM\\ControlSet001\\Control\\Class",
    "MACHINE\\SYSTEM\\ControlSet001\\Control\\Session Manager\\Debug Print Filter",
    "MACHINE\\SYSTEM\\ControlSet001\\Services",
];
/// Links, and where they lead: the control set in use; the profile of the
/// account that the system runs as.
const LINKS: [(&str, &str, &str); 2] = [
    (
        "MACHINE\\SYSTEM",
        "CurrentControlSet",
        "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001",
    ),
    ("USER", "S-1-5-18", "\\REGISTRY\\USER\\.DEFAULT"),
];

/// `SERVICE_KERNEL_DRIVER`.
const KERNEL_DRIVER: u32 = 1;
/// `SERVICE_DEMAND_START`.
const DEMAND_START: u32 = 3;
/// `SERVICE_ERROR_NORMAL`.
const ERROR_NORMAL: u32 = 1;

impl Registry {
    /// The registry before any driver.
    pub fn new() -> Self {
        let root = Key::new(None, wide("REGISTRY"), Kind::default());
        let mut registry = Self {
            keys: FxHashMap::from_iter([(KeyId::ROOT, root)]),
            next: 1,
            changes: Vec::new(),
        };
        for (parent, name, target) in LINKS {
            let parent = registry.ensure(parent);
            let link = Kind {
                link: true,
                ..Kind::default()
            };
            let target = wide(target)
                .into_iter()
                .flat_map(u16::to_le_bytes)
                .collect();
            if let Ok(key) = registry.add(parent, &wide(name), link) {
                registry.set(key, LINK_VALUE, REG_LINK, target);
            }
        }
        for path in KEYS.into_iter().chain(HIVES) {
            registry.ensure(path);
        }
        for path in SEALED.into_iter().chain(HIVES) {
            let key = registry.ensure(path);
            if let Ok(key) = registry.key_mut(key) {
                key.permanent = true;
                key.sealed = SEALED.contains(&path);
            }
        }
        registry
    }

    /// The key at a path from `\REGISTRY`, made if it is not there; links are
    /// not followed.
    fn ensure(&mut self, path: &str) -> KeyId {
        let names = path.split('\\').filter(|name| !name.is_empty());
        names.fold(KeyId::ROOT, |at, name| {
            match self.walk(at, &wide(name), true) {
                Ok(Step::Key(key)) => key,
                _ => self
                    .add(at, &wide(name), Kind::default())
                    .expect("the key above was there a moment ago"),
            }
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

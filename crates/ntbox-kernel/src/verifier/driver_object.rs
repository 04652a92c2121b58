//! Fields of the driver object that belong to the system: where the image is, its name,
//! its extension. A driver that writes them, mostly because it writes past something
//! else, is found when its routine returns.

use nt_layout::DriverObject;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::driver_ptr::DriverPtr;
use crate::base::{diag, events};

/// Name, offset and bytes of each field.
const FIELDS: [(&str, u64, usize); 7] = [
    ("Type", 0x00, 2),
    ("Size", 0x02, 2),
    ("DriverStart", 0x18, 8),
    ("DriverSize", 0x20, 4),
    ("DriverSection", 0x28, 8),
    ("DriverExtension", 0x30, 8),
    ("DriverName", 0x38, 16),
];

/// The object and what its fields hold.
static OBJECT: KernelCell<Option<(u64, Vec<u128>)>> = KernelCell::new(None);

fn read(object: u64) -> Result<Vec<u128>, Fault> {
    let field = |(_, offset, bytes): &(&str, u64, usize)| {
        let mut value = [0_u8; 16];
        driver_mem::read_bytes(object + offset, &mut value[..*bytes])?;
        Ok(u128::from_le_bytes(value))
    };
    FIELDS.iter().map(field).collect()
}

/// Keeps what the fields of a new driver object hold.
pub fn initialize(object: u64) {
    *OBJECT.lock() = read(object).ok().map(|fields| (object, fields));
}

/// A routine has returned: reports the first field that is another one now, and goes on
/// from there.
fn routine_returned(routine: u64) {
    let Some((object, before)) = OBJECT.lock().clone() else {
        return;
    };
    let now = read(object).unwrap_or_default();
    if now == before {
        return;
    }
    let differs = |n: &usize| now.get(*n) != before.get(*n);
    let name = (0..FIELDS.len())
        .find(differs)
        .map_or("memory", |n| FIELDS[n].0);
    let bytes = DriverPtr::<DriverObject>::SIZE;
    let what = format!(
        "the DRIVER_OBJECT at {object:#018x}, {bytes} bytes, has another {name} than the system has given it"
    );
    diag::violation_of(routine, rules::DRIVER_OBJECT_DAMAGED, what);
    *OBJECT.lock() = Some((object, now));
}

/// Subscribes to returns of routines.
pub fn subscribe() {
    events::ROUTINE_RETURNED.subscribe(routine_returned);
}

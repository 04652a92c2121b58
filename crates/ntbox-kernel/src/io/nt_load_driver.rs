//! Loading and unloading drivers by their service keys. One image is loaded here, and
//! stays until the run ends: what would change that is refused, and the log says so.

use nt_layout::DriverObject;
use ntbox_api::rules;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::processor_mode::Mode;
use crate::base::utf16::{SEPARATOR, text, wide};
use crate::base::{diag, error, log};
use crate::cm::nt_key;
use crate::ob;
use crate::ob::attributes::CASE_INSENSITIVE;
use crate::ob::{Attributes, Type};

exports! {
    /// `ZwLoadDriver`: what is loaded is not loaded again, and nothing else can be.
    fn ZwLoadDriver<call>(service: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(load(service, &CallContext::of(call)))
    }

    /// `ZwUnloadDriver`: a driver without DriverUnload cannot be unloaded.
    fn ZwUnloadDriver<call>(service: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(unload(service, &CallContext::of(call)))
    }
}

/// The name of a service whose key there is, and its driver object, if it is loaded.
fn service_at(path: u64, caller: &CallContext<'_>) -> Result<(Vec<u16>, Option<u64>), Refusal> {
    let units = UnicodeString::read(path)?.units()?;
    let attributes = Attributes::named(units.clone(), CASE_INSENSITIVE);
    nt_key::existing(&attributes, caller)?;
    let last = units
        .rsplit(|unit| *unit == SEPARATOR)
        .find(|part| !part.is_empty());
    let name = last.unwrap_or_default().to_vec();
    let found = [r"\Driver\", r"\FileSystem\"]
        .into_iter()
        .find_map(|folder| {
            let path = [wide(folder), name.clone()].concat();
            let found = ob::lookup_path(&path, None).ok()?;
            ob::dereference(found.object, caller);
            (found.kind == Type::Driver).then_some(found.object)
        });
    Ok((name, found))
}

fn load(path: u64, caller: &CallContext<'_>) -> Result<(), Refusal> {
    let (name, loaded) = service_at(path, caller)?;
    if loaded.is_some() {
        return Err(nt_status::STATUS_IMAGE_ALREADY_LOADED.into());
    }
    log::note(&format!(
        "the driver of the service {} is not loaded: this kernel loads one image",
        text(&name)
    ));
    Err(nt_status::STATUS_NOT_SUPPORTED.into())
}

fn unload(path: u64, caller: &CallContext<'_>) -> Result<(), Refusal> {
    let (name, loaded) = service_at(path, caller)?;
    let object = loaded.ok_or(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)?;
    if DriverPtr::<DriverObject>::new(object).get(|driver| &driver.driver_unload)? == 0 {
        return Err(nt_status::STATUS_INVALID_DEVICE_REQUEST.into());
    }
    let name = text(&name);
    if Mode::previous().is_user() {
        log::note(&format!(
            "{name} is not unloaded for the program that asks: a driver is unloaded when its run ends"
        ));
    } else {
        let what = format!(
            "ZwUnloadDriver called by the driver {name} for itself; Windows would free the image that the call returns to"
        );
        diag::violation(rules::DRIVER_UNLOADS_ITSELF, what, caller.address());
    }
    Err(nt_status::STATUS_NOT_SUPPORTED.into())
}

//! Power request objects: drivers that want the machine to stay awake say so, and why.
//! It stays awake in any case; how often each asked is counted.

use ntbox_api::rules;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::gate::{ExportResult, NoReturn};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::{driver_mem, gate};

use crate::base::cookie_table::Registrations;
use crate::base::export::exports;
use crate::base::leak_check::Leak;

/// `PowerRequestSystemRequired`, the only type that drivers may ask for.
const SYSTEM_REQUIRED: u32 = 1;
/// `REFERENCE_BY_POINTER`: the objects are the object manager's on Windows.
const REFERENCE_BY_POINTER: u32 = 0x18;
/// Where the addresses of objects begin.
const FIRST: u64 = 0xffff_fb60_0000_0040;

/// An object.
#[derive(Debug)]
struct Request {
    /// How often it is set and not cleared.
    count: u64,
    /// The call that made it.
    caller: u64,
}

static REQUESTS: KernelCell<Registrations<Request>> = KernelCell::new(Registrations::new(FIRST));

/// Objects that drivers have not deleted. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let requests = REQUESTS.lock().take();
    requests
        .map(|(object, request)| {
            let message = format!("the power request object {object:#018x} is not deleted");
            Leak::new(rules::POWER_REQUEST_LEAK, message, request.caller)
        })
        .collect()
}

/// The stop for what is no object, or none any more.
fn unknown(function: &str, object: u64) -> NoReturn {
    let what = format!("{function} was given {object:#018x}, which is no power request object");
    NoReturn::bug_check(REFERENCE_BY_POINTER, [0, object, 0, 0], what)
}

/// Changes the count of an object.
fn change(
    function: &str,
    object: u64,
    kind: u32,
    change: impl FnOnce(u64) -> Option<u64>,
) -> Result<u32, NoReturn> {
    let mut requests = REQUESTS.lock();
    let request = requests.get_mut(object);
    let request = request.ok_or_else(|| unknown(function, object))?;
    if kind != SYSTEM_REQUIRED {
        return Ok(nt_status::STATUS_NOT_SUPPORTED);
    }
    match change(request.count) {
        Some(count) => {
            request.count = count;
            Ok(nt_status::STATUS_SUCCESS)
        }
        None => Ok(nt_status::STATUS_UNSUCCESSFUL),
    }
}

fn no_memory(call: &mut gate::Call<'_>) -> ExportResult {
    driver_mem::write_u64(call.argument(0)?, 0)?;
    Ok(u64::from(nt_status::STATUS_INSUFFICIENT_RESOURCES))
}

exports! {
    /// `PoCreatePowerRequest`: nobody reads why.
    fn PoCreatePowerRequest<call>(request: u64, device: u64, context: u64) -> u32
        [max APC_LEVEL, wdm, since WINDOWS_7] fails_by no_memory {
        driver_mem::write_u64(request, 0)?;
        if device == 0 {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let object = REQUESTS.lock().add(Request { count: 0, caller: call.return_address() });
        driver_mem::write_u64(request, object)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `PoSetPowerRequest`.
    fn PoSetPowerRequest(request: u64, kind: u32) -> u32 [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        change("PoSetPowerRequest", request, kind, |count| count.checked_add(1))
    }

    /// `PoClearPowerRequest`: not more often than it was set.
    fn PoClearPowerRequest(request: u64, kind: u32) -> u32 [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        change("PoClearPowerRequest", request, kind, |count| count.checked_sub(1))
    }

    /// `PoDeletePowerRequest`.
    fn PoDeletePowerRequest(request: u64) -> () [max APC_LEVEL, wdm, since WINDOWS_7] {
        let known = REQUESTS.lock().remove(request);
        known.map(drop).ok_or_else(|| unknown("PoDeletePowerRequest", request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, bug_check, call, processor, status, value};

    #[test]
    fn power_request_counts_set_and_clear() {
        processor();
        let mut object = 7_u64;
        let out = address_mut(&mut object);
        let invalid = nt_status::STATUS_INVALID_PARAMETER;
        assert_eq!(status(PoCreatePowerRequest, &[out, 0, 0]), invalid);
        assert_eq!(object, 0);
        let device = 0x1000;
        assert_eq!(status(PoCreatePowerRequest, &[out, device, 0]), 0);
        let object = driver_mem::read_u64(out).unwrap();
        assert_eq!(status(PoSetPowerRequest, &[object, 1]), 0);
        assert_eq!(status(PoSetPowerRequest, &[object, 1]), 0);
        let unsupported = nt_status::STATUS_NOT_SUPPORTED;
        assert_eq!(status(PoSetPowerRequest, &[object, 0]), unsupported);
        assert_eq!(status(PoClearPowerRequest, &[object, 2]), unsupported);
        assert_eq!(status(PoClearPowerRequest, &[object, 1]), 0);
        assert_eq!(status(PoClearPowerRequest, &[object, 1]), 0);
        let unsuccessful = nt_status::STATUS_UNSUCCESSFUL;
        assert_eq!(status(PoClearPowerRequest, &[object, 1]), unsuccessful);
        value(PoDeletePowerRequest, &[object]);
        assert_eq!(leaks(), []);
        let stop = bug_check(call(PoSetPowerRequest, &[object, 1]));
        assert_eq!(stop.code, REFERENCE_BY_POINTER);
    }

    #[test]
    fn power_request_left_is_a_leak() {
        processor();
        let mut object = 0_u64;
        status(PoCreatePowerRequest, &[address_mut(&mut object), 0x1000, 0]);
        assert_eq!(leaks().len(), 1);
    }
}

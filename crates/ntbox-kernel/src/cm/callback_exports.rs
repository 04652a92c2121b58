//! Registering and unregistering callbacks.

use nt_status::{STATUS_FLT_INSTANCE_ALTITUDE_COLLISION, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::APC_LEVEL;

use super::callback_list::CallbackParams;
use super::{callback_list, context};
use crate::base::altitude::Altitude;
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::leak_check::Leak;

/// The version of what callbacks are passed: that of Windows 7 and later.
const VERSION: (u32, u32) = (1, 1);

exports! {
    /// `CmRegisterCallback`: one without an altitude stands near the top, behind
    /// those that were registered so before.
    fn CmRegisterCallback<call>(function: u64, context: u64, cookie: u64) -> u32
        [max APC_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let caller = call.return_address();
        let wanted = CallbackParams { function, context, altitude: None, caller };
        match callback_list::add(wanted) {
            Some(value) => {
                driver_mem::write_u64(cookie, value)?;
                Ok(STATUS_SUCCESS)
            }
            None => Ok(STATUS_FLT_INSTANCE_ALTITUDE_COLLISION),
        }
    }

    /// `CmRegisterCallbackEx`.
    fn CmRegisterCallbackEx<call>(
        function: u64, altitude: u64, driver: u64, context: u64, cookie: u64, reserved: u64,
    ) -> u32 [max APC_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let altitude = Some(Altitude::read(altitude)?);
        let caller = call.return_address();
        match callback_list::add(CallbackParams { function, context, altitude, caller }) {
            Some(value) => {
                driver_mem::write_u64(cookie, value)?;
                Ok(STATUS_SUCCESS)
            }
            None => Ok(STATUS_FLT_INSTANCE_ALTITUDE_COLLISION),
        }
    }

    /// `CmUnRegisterCallback`: waits until the callback does not run, and gives it
    /// back what it remembers of keys. The cookie is passed by value.
    fn CmUnRegisterCallback<call>(cookie: u64) -> u32 [max APC_LEVEL, wdm] {
        if !callback_list::quiet(cookie) {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        context::clean_up_callback(cookie, &CallContext::of(call));
        callback_list::remove(cookie);
        Ok(STATUS_SUCCESS)
    }

    /// `CmGetCallbackVersion`: both parts are optional.
    fn CmGetCallbackVersion(major: u64, minor: u64) -> () [max APC_LEVEL, wdm] {
        for (to, value) in [(major, VERSION.0), (minor, VERSION.1)] {
            if to != 0 {
                driver_mem::write_u32(to, value)?;
            }
        }
        Ok(())
    }
}

/// Callbacks that are still registered. All of them, and their contexts, are forgotten.
pub fn leaks() -> Vec<Leak> {
    context::forget_all();
    callback_list::leaks()
}

//! Registering and unregistering callbacks.

use nt_status::{STATUS_FLT_INSTANCE_ALTITUDE_COLLISION, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use super::context;
use super::registered::{self, Wanted};
use crate::kernel::altitude::Altitude;
use crate::kernel::call::exports;
use crate::kernel::call::irql::APC_LEVEL;
use crate::kernel::guest;
use crate::kernel::ob::Caller;

/// The version of what callbacks are passed: that of Windows 7 and later.
const VERSION: (u32, u32) = (1, 1);

exports! {
    /// `CmRegisterCallback`: one without an altitude stands near the top, behind
    /// those that were registered so before.
    fn CmRegisterCallback<call>(function: u64, context: u64, cookie: u64) -> u32
        [max APC_LEVEL] fails 0xc000_009a
    {
        let caller = call.return_address();
        let wanted = Wanted { function, context, altitude: None, caller };
        match registered::add(wanted) {
            Some(value) => {
                guest::write_u64(cookie, value)?;
                Ok(STATUS_SUCCESS)
            }
            None => Ok(STATUS_FLT_INSTANCE_ALTITUDE_COLLISION),
        }
    }

    /// `CmRegisterCallbackEx`.
    fn CmRegisterCallbackEx<call>(
        function: u64, altitude: u64, driver: u64, context: u64, cookie: u64, reserved: u64,
    ) -> u32 [max APC_LEVEL] fails 0xc000_009a {
        let altitude = Some(Altitude::read(altitude)?);
        let caller = call.return_address();
        match registered::add(Wanted { function, context, altitude, caller }) {
            Some(value) => {
                guest::write_u64(cookie, value)?;
                Ok(STATUS_SUCCESS)
            }
            None => Ok(STATUS_FLT_INSTANCE_ALTITUDE_COLLISION),
        }
    }

    /// `CmUnRegisterCallback`: waits until the callback does not run, and gives it
    /// back what it remembers of keys. The cookie is passed by value.
    fn CmUnRegisterCallback<call>(cookie: u64) -> u32 [max APC_LEVEL] {
        if !registered::quiet(cookie) {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        context::clean_up_callback(cookie, &Caller::of(call));
        registered::remove(cookie);
        Ok(STATUS_SUCCESS)
    }

    /// `CmGetCallbackVersion`: both parts are optional.
    fn CmGetCallbackVersion(major: u64, minor: u64) -> () [max APC_LEVEL] {
        for (to, value) in [(major, VERSION.0), (minor, VERSION.1)] {
            if to != 0 {
                guest::write_u32(to, value)?;
            }
        }
        Ok(())
    }
}

/// Forgets and returns the callbacks that a driver has left registered: the
/// routines, and the calls that registered them.
pub fn take_left_behind() -> Vec<(u64, u64)> {
    context::forget_all();
    registered::take_left_behind()
}

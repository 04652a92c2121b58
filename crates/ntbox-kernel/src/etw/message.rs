//! Messages of software tracing (WPP) and the registration of WMI providers. No
//! logger session runs, so there is no handle that a message could go to.

use std::collections::BTreeMap;

use nt_status::{STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_api::rules;
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use crate::base::export::exports;
use crate::base::leak_check::Leak;

/// Actions of `IoWMIRegistrationControl`, without the flags above them.
mod action {
    pub const REGISTER: u32 = 1;
    pub const DEREGISTER: u32 = 2;
    pub const REREGISTER: u32 = 3;
    pub const UPDATE_GUIDS: u32 = 4;
    pub const BLOCK_IRPS: u32 = 5;
    pub const MASK: u32 = 0xff;
}

/// Devices (or, with a flag, callbacks) that provide data, with the address that
/// the call which registered them returns to.
static PROVIDERS: KernelCell<BTreeMap<u64, u64>> = KernelCell::new(BTreeMap::new());

/// Providers that are still registered. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let providers = std::mem::take(&mut *PROVIDERS.lock());
    let leak = |(provider, caller)| {
        let message = format!("the WMI provider at {provider:#018x} is not deregistered");
        Leak::new(rules::WMI_PROVIDER_NOT_UNREGISTERED, message, caller)
    };
    providers.into_iter().map(leak).collect()
}

exports! {
    /// `WmiTraceMessage`: no session has the handle.
    fn WmiTraceMessage(session: u64, flags: u32, guid: u64, number: u16) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(STATUS_INVALID_HANDLE)
    }

    /// `WmiTraceMessageVa`: the same with an argument list.
    fn WmiTraceMessageVa(session: u64, flags: u32, guid: u64, number: u16, arguments: u64) -> u32
        [max HIGH_LEVEL, wdm] {
        Ok(STATUS_INVALID_HANDLE)
    }

    /// `WmiQueryTraceInformation`: there is no session to tell of.
    fn WmiQueryTraceInformation(class: u32, information: u64, length: u32, required: u64, buffer: u64) -> u32
        [max PASSIVE_LEVEL, wdm]
    {
        Ok(STATUS_INVALID_HANDLE)
    }

    /// `IoWMIRegistrationControl`: who provides data is known; nobody asks for any.
    fn IoWMIRegistrationControl<call>(provider: u64, action: u32) -> u32
        [max PASSIVE_LEVEL, wdm, partial "nobody asks a provider for data"] {
        let mut providers = PROVIDERS.lock();
        let is_known = providers.contains_key(&provider);
        Ok(match action & action::MASK {
            action::REGISTER => {
                providers.entry(provider).or_insert(call.return_address());
                STATUS_SUCCESS
            }
            action::DEREGISTER if is_known => {
                providers.remove(&provider);
                STATUS_SUCCESS
            }
            action::REREGISTER | action::UPDATE_GUIDS | action::BLOCK_IRPS if is_known => STATUS_SUCCESS,
            _ => STATUS_INVALID_PARAMETER,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{processor, status};

    #[test]
    fn wmi_deregister_of_unregistered_device_fails() {
        processor();
        let device = 0x1_0000;
        let tracing = 1 << 31;
        assert_eq!(
            status(IoWMIRegistrationControl, &[device, 2]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            status(IoWMIRegistrationControl, &[device, 1 | tracing]),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(IoWMIRegistrationControl, &[device, 4]),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(IoWMIRegistrationControl, &[device, 2]),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(IoWMIRegistrationControl, &[device, 9]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(leaks(), []);
    }
}

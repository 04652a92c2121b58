//! Event providers: registered under a GUID, named by a handle from then on.

use nt_status::{STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use crate::base::cookie_table::Registrations;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::rtl::guid;

/// `MAX_EVENT_DATA_DESCRIPTORS`.
const MOST_PARTS: u32 = 128;
/// Where handles begin.
const FIRST: u64 = 0xffff_fb00_0000_0040;
/// The last class of `EtwSetInformation`, `EventProviderUseDescriptorType`.
const LAST_CLASS: u32 = 3;

/// A provider: its GUID, and the address that the call which registered it returns
/// to.
type Provider = ([u8; 16], u64);

static PROVIDERS: KernelCell<Registrations<Provider>> = KernelCell::new(Registrations::new(FIRST));

/// Providers that are still registered. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let providers = PROVIDERS.lock().take();
    providers
        .map(|(_, (id, caller))| {
            let message = format!("the event provider {} is not unregistered", guid::text(id));
            Leak::new(rules::EVENT_PROVIDER_NOT_UNREGISTERED, message, caller)
        })
        .collect()
}

/// What becomes of an event: nothing, if it could have been written.
fn write(handle: u64, parts: u32) -> u32 {
    if !PROVIDERS.lock().contains(handle) {
        STATUS_INVALID_HANDLE
    } else if parts > MOST_PARTS {
        STATUS_INVALID_PARAMETER
    } else {
        STATUS_SUCCESS
    }
}

exports! {
    /// `EtwRegister`: the callback would be called if somebody began to listen.
    fn EtwRegister<call>(guid: u64, callback: u64, context: u64, handle: u64) -> u32
        [max PASSIVE_LEVEL, wdm, partial "nobody listens: nothing is enabled, no callback is called"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        if guid == 0 || handle == 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        let mut id = [0; 16];
        driver_mem::read_bytes(guid, &mut id)?;
        let mut providers = PROVIDERS.lock();
        driver_mem::write_u64(handle, providers.upcoming())?;
        providers.add((id, call.return_address()));
        Ok(STATUS_SUCCESS)
    }

    /// `EtwUnregister`.
    fn EtwUnregister(handle: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let known = PROVIDERS.lock().remove(handle);
        Ok(known.map_or(STATUS_INVALID_HANDLE, |_| STATUS_SUCCESS))
    }

    /// `EtwEventEnabled`: nobody listens.
    fn EtwEventEnabled(handle: u64, descriptor: u64) -> bool [max HIGH_LEVEL, wdm] {
        Ok(false)
    }

    /// `EtwProviderEnabled`: nobody listens.
    fn EtwProviderEnabled(handle: u64, level: u8, keyword: u64) -> bool [max HIGH_LEVEL, wdm] {
        Ok(false)
    }

    /// `EtwWrite`.
    fn EtwWrite(handle: u64, descriptor: u64, activity: u64, parts: u32, data: u64) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(write(handle, parts))
    }

    /// `EtwWriteEx`.
    fn EtwWriteEx(
        handle: u64, descriptor: u64, filter: u64, flags: u32, activity: u64, related: u64, parts: u32, data: u64,
    ) -> u32 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(write(handle, parts))
    }

    /// `EtwWriteTransfer`.
    fn EtwWriteTransfer(
        handle: u64, descriptor: u64, activity: u64, related: u64, parts: u32, data: u64,
    ) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(write(handle, parts))
    }

    /// `EtwWriteString`.
    fn EtwWriteString(handle: u64, level: u8, keyword: u64, activity: u64, text: u64) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(write(handle, 1))
    }

    /// `EtwSetInformation`: traits and flags of a provider, which only matter to
    /// who listens.
    fn EtwSetInformation(handle: u64, class: u32, information: u64, length: u32) -> u32
        [max PASSIVE_LEVEL, wdm, since WINDOWS_10] {
        Ok(match write(handle, 0) {
            STATUS_SUCCESS if class > LAST_CLASS => STATUS_INVALID_PARAMETER,
            status => status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, processor, status, value};

    #[test]
    fn etw_register_returns_distinct_handles() {
        processor();
        let guid = [7_u8; 16];
        let mut handles = [0_u64; 2];
        for handle in &mut handles {
            let arguments = [address(&guid), 0, 0, address_mut(handle)];
            assert_eq!(status(EtwRegister, &arguments), STATUS_SUCCESS);
        }
        let [first, second] = handles;
        assert_ne!(first, second);
        assert_eq!(value(EtwEventEnabled, &[first, 0]), 0);
        assert_eq!(value(EtwProviderEnabled, &[first, 0, 0]), 0);
        assert_eq!(status(EtwWrite, &[first, 0, 0, 128, 0]), STATUS_SUCCESS);
        assert_eq!(
            status(EtwWrite, &[first, 0, 0, 129, 0]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(status(EtwUnregister, &[first]), STATUS_SUCCESS);
        assert_eq!(status(EtwUnregister, &[first]), STATUS_INVALID_HANDLE);
        assert_eq!(
            status(EtwWriteString, &[first, 0, 0, 0, 0]),
            STATUS_INVALID_HANDLE
        );
        assert_eq!(
            status(EtwSetInformation, &[second, 9, 0, 0]),
            STATUS_INVALID_PARAMETER
        );
        let [leak] = leaks().try_into().expect("one provider");
        assert!(leak.message.contains(&guid::text(guid)), "{leak:?}");
    }

    #[test]
    fn etw_register_without_parameters_is_refused() {
        processor();
        let guid = [1_u8; 16];
        assert_eq!(
            status(EtwRegister, &[address(&guid), 0, 0, 0]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(status(EtwWrite, &[0, 0, 0, 0, 0]), STATUS_INVALID_HANDLE);
    }
}

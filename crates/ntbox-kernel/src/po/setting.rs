//! Power settings: who registers for one hears at once what it is, if this machine
//! has it. It is plugged in, its display is on, and it has no lid and no battery,
//! so nothing changes and nobody hears a second time.

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::call_context::CallContext;
use crate::base::cookie_table::Registrations;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Pool tag of what callbacks are shown.
const TAG: u32 = u32::from_le_bytes(*b"PoSe");
/// Where handles begin.
const FIRST: u64 = 0xffff_fb20_0000_0040;

/// GUIDs, as they lie in memory, of settings of four bytes, and their values.
const SETTINGS: [([u8; 16], u32); 4] = [
    // GUID_ACDC_POWER_SOURCE: mains.
    (guid(0x5d3e_9a59, 0xe9d5, 0x4b00, 0xa6bd_ff34_ff51_6548), 0),
    // GUID_CONSOLE_DISPLAY_STATE: on.
    (guid(0x6fe6_9556, 0x704a, 0x47a0, 0x8f24_c28d_936f_da47), 1),
    // GUID_MONITOR_POWER_ON: on.
    (guid(0x0273_1015, 0x4510, 0x4526, 0x99e6_e5a1_7ebd_1aea), 1),
    // GUID_SYSTEM_AWAYMODE: not away.
    (guid(0x98a7_f580, 0x01f7, 0x48aa, 0x9c0f_4435_2c29_e5c0), 0),
];

/// A GUID as it lies in memory.
const fn guid(first: u32, second: u16, third: u16, rest: u64) -> [u8; 16] {
    let text =
        (first as u128) << 96 | (second as u128) << 80 | (third as u128) << 64 | rest as u128;
    let mut bytes = text.to_be_bytes();
    // The first three fields are little-endian numbers.
    let swapped = [(0, 3), (1, 2), (4, 5), (6, 7)];
    let mut n = 0;
    while n < swapped.len() {
        let (one, other) = swapped[n];
        (bytes[one], bytes[other]) = (bytes[other], bytes[one]);
        n += 1;
    }
    bytes
}

/// Callbacks, with the calls that registered them.
static CALLBACKS: KernelCell<Registrations<(u64, u64)>> =
    KernelCell::new(Registrations::new(FIRST));

/// Callbacks that are still registered. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let callbacks = CALLBACKS.lock().take();
    callbacks
        .map(|(_, (routine, caller))| {
            let message =
                format!("the power setting callback at {routine:#018x} is not unregistered");
            Leak::new(rules::POWER_CALLBACK_NOT_UNREGISTERED, message, caller)
        })
        .collect()
}

exports! {
    /// `PoRegisterPowerSettingCallback`: the callback hears at once of a setting
    /// that this machine has.
    fn PoRegisterPowerSettingCallback<call>(device: u64, setting: u64, callback: u64, context: u64, handle: u64) -> u32
        [max PASSIVE_LEVEL, wdm, partial "four settings have values, which never change"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        if setting == 0 || callback == 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        let mut id = [0; 16];
        driver_mem::read_bytes(setting, &mut id)?;
        let number = {
            let mut callbacks = CALLBACKS.lock();
            driver_mem::write_u64(handle, callbacks.upcoming())?;
            callbacks.add((callback, call.return_address()))
        };
        let Some((_, value)) = SETTINGS.iter().find(|(known, _)| *known == id) else {
            return Ok(STATUS_SUCCESS);
        };
        // The GUID and the value, for as long as the callback looks at them.
        let Some(shown) = pool::allocate(PoolKind::Paged, 20, TAG) else {
            CALLBACKS.lock().remove(number);
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        let written = driver_mem::write_bytes(shown, &id).and_then(|()| driver_mem::write_u32(shown + 16, *value));
        if written.is_ok() {
            CallContext::of(call).call(callback, &[shown, shown + 16, 4, context]);
        }
        pool::free(shown);
        written?;
        Ok(STATUS_SUCCESS)
    }

    /// `PoUnregisterPowerSettingCallback`.
    fn PoUnregisterPowerSettingCallback(handle: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let known = CALLBACKS.lock().remove(handle);
        Ok(known.map_or(STATUS_INVALID_PARAMETER, |_| STATUS_SUCCESS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guid_has_memory_layout() {
        assert_eq!(
            guid(0x0273_1015, 0x4510, 0x4526, 0x99e6_e5a1_7ebd_1aea),
            [
                0x15, 0x10, 0x73, 0x02, 0x10, 0x45, 0x26, 0x45, 0x99, 0xe6, 0xe5, 0xa1, 0x7e, 0xbd,
                0x1a, 0xea
            ]
        );
    }
}

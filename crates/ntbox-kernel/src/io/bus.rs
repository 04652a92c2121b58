//! Buses and DMA of a machine that has neither. Drivers ask for them by numbers, and
//! Windows answers for a bus that is not there as it is answered here; a line in the
//! log says that no hardware can be tried.

use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};

use crate::base::export::exports;
use crate::base::log;

/// Says why a driver for hardware gets nowhere.
fn note(function: &str) {
    log::note(&format!(
        "{function} fails: this machine has no buses and no DMA; a driver for hardware cannot be tried here"
    ));
}

exports! {
    /// `HalGetBusData`: 0 bytes, for there is no bus of that number.
    fn HalGetBusData(kind: u32, bus: u32, slot: u32, buffer: u64, length: u32) -> u32
        [max DISPATCH_LEVEL, undocumented] {
        note("HalGetBusData");
        Ok(0)
    }

    /// `HalGetBusDataByOffset`: 0 bytes, for there is no bus of that number.
    fn HalGetBusDataByOffset(kind: u32, bus: u32, slot: u32, buffer: u64, offset: u32, length: u32) -> u32
        [max DISPATCH_LEVEL, ntddk]
    {
        note("HalGetBusDataByOffset");
        Ok(0)
    }

    /// `HalSetBusData`: 0 bytes, for there is no bus of that number.
    fn HalSetBusData(kind: u32, bus: u32, slot: u32, buffer: u64, length: u32) -> u32
        [max DISPATCH_LEVEL, undocumented] {
        note("HalSetBusData");
        Ok(0)
    }

    /// `HalSetBusDataByOffset`: 0 bytes, for there is no bus of that number.
    fn HalSetBusDataByOffset(kind: u32, bus: u32, slot: u32, buffer: u64, offset: u32, length: u32) -> u32
        [max DISPATCH_LEVEL, ntddk]
    {
        note("HalSetBusDataByOffset");
        Ok(0)
    }

    /// `HalTranslateBusAddress`: FALSE, for no bus has addresses.
    fn HalTranslateBusAddress(kind: u32, bus: u32, address: u64, space: u64, translated: u64) -> bool
        [max DISPATCH_LEVEL, undocumented]
    {
        note("HalTranslateBusAddress");
        Ok(false)
    }

    /// `HalGetAdapter`: NULL, for there is no DMA.
    fn HalGetAdapter(description: u64, registers: u64) -> u64 [max PASSIVE_LEVEL, undocumented] {
        note("HalGetAdapter");
        Ok(0)
    }

    /// `IoGetDmaAdapter`: NULL, as where the adapter cannot be had. Nothing is written
    /// to the number of map registers.
    fn IoGetDmaAdapter(device: u64, description: u64, registers: u64) -> u64
        [max PASSIVE_LEVEL, wdm, partial "always fails: there is no DMA"] {
        note("IoGetDmaAdapter");
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, lines, value};

    #[test]
    fn get_bus_data_of_missing_bus_returns_zero() {
        let mut data = [7_u8; 4];
        let buffer = address_mut(&mut data);
        assert_eq!(value(HalGetBusData, &[4, 0, 0, buffer, 4]), 0);
        assert_eq!(value(HalGetBusDataByOffset, &[4, 0, 0, buffer, 0, 4]), 0);
        assert_eq!(value(HalSetBusData, &[4, 0, 0, buffer, 4]), 0);
        assert_eq!(value(HalSetBusDataByOffset, &[4, 0, 0, buffer, 0, 4]), 0);
        assert_eq!(data, [7; 4]);
        let mut translated = 7_u64;
        let to = address_mut(&mut translated);
        assert_eq!(value(HalTranslateBusAddress, &[5, 0, 0x1000, to, to]), 0);
        assert_eq!(translated, 7);
        let said = lines();
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(
            said[0].starts_with("ntbox: HalGetBusData fails"),
            "{said:?}"
        );
    }

    #[test]
    fn get_dma_adapter_returns_null_and_is_logged() {
        let mut registers = 7_u32;
        let to = address_mut(&mut registers);
        assert_eq!(value(IoGetDmaAdapter, &[0x1000, 0x2000, to]), 0);
        assert_eq!(value(HalGetAdapter, &[0x2000, to]), 0);
        assert_eq!(registers, 7);
        assert!(lines()[0].starts_with("ntbox: IoGetDmaAdapter fails"));
    }
}

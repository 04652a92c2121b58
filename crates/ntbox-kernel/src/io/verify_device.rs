//! The device whose medium a thread is to verify: drivers of removable media name it,
//! and whoever started the request asks for it. No volume is mounted again here.

use std::collections::BTreeMap;

use nt_layout::Irp;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::thread_table;

/// Threads and the devices that they are to verify.
static DEVICES: KernelCell<BTreeMap<u64, u64>> = KernelCell::new(BTreeMap::new());

/// A thread that ends verifies nothing any more.
pub fn thread_ended(thread: u64) {
    DEVICES.lock().remove(&thread);
}

/// Names a thread's device; NULL for none.
fn set(thread: u64, device: u64) {
    let mut devices = DEVICES.lock();
    if device == 0 {
        devices.remove(&thread);
    } else {
        devices.insert(thread, device);
    }
}

exports! {
    /// `IoGetDeviceToVerify`: NULL if there is none.
    fn IoGetDeviceToVerify(object: u64) -> u64 [max DISPATCH_LEVEL, ntifs] {
        thread_table::require(thread_table::thread(object), object)?;
        Ok(DEVICES.lock().get(&object).copied().unwrap_or(0))
    }

    /// `IoSetDeviceToVerify`.
    fn IoSetDeviceToVerify(object: u64, device: u64) -> () [max DISPATCH_LEVEL, ntifs] {
        thread_table::require(thread_table::thread(object), object)?;
        set(object, device);
        Ok(())
    }

    /// `IoSetHardErrorOrVerifyDevice`: for the thread of a request; a request of
    /// nobody's changes nothing.
    fn IoSetHardErrorOrVerifyDevice(irp: DriverPtr<Irp>, device: u64) -> () [max DISPATCH_LEVEL, ntddk] {
        let object = irp.get(|irp| &irp.thread)?;
        if object != 0 {
            thread_table::require(thread_table::thread(object), object)?;
            set(object, device);
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "sizes of small structures")]
mod tests {
    use super::*;
    use crate::ps::create;
    use crate::test_support::{address_mut, bug_check, call, processor, value};

    #[test]
    fn device_to_verify_is_per_thread() {
        processor();
        let process = create::create_process("verify").expect("memory");
        let thread = create::create(process, true).expect("memory");
        assert_eq!(value(IoGetDeviceToVerify, &[thread]), 0);
        let mut irp = [0_u64; DriverPtr::<Irp>::SIZE as usize / 8];
        let at = address_mut(&mut irp);
        value(IoSetHardErrorOrVerifyDevice, &[at, 0x3000]);
        assert_eq!(value(IoGetDeviceToVerify, &[thread]), 0);
        DriverPtr::<Irp>::new(at)
            .set(|irp| &irp.thread, thread)
            .expect("the test's memory");
        value(IoSetHardErrorOrVerifyDevice, &[at, 0x3000]);
        assert_eq!(value(IoGetDeviceToVerify, &[thread]), 0x3000);
        value(IoSetDeviceToVerify, &[thread, 0]);
        assert_eq!(value(IoGetDeviceToVerify, &[thread]), 0);
        value(IoSetDeviceToVerify, &[thread, 0x4000]);
        thread_ended(thread);
        assert_eq!(value(IoGetDeviceToVerify, &[thread]), 0);
        assert_eq!(bug_check(call(IoGetDeviceToVerify, &[8])).code, 0x18);
    }
}

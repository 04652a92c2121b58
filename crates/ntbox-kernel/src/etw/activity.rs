//! Activities: ids that link what a thread reports to what others report.

use std::collections::BTreeMap;

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS, STATUS_UNSUCCESSFUL};
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::export::exports;
use crate::base::thread_table;
use crate::ex;

/// Control codes of `EtwActivityIdControl`.
mod control {
    pub const GET: u32 = 1;
    pub const SET: u32 = 2;
    pub const CREATE: u32 = 3;
    pub const GET_SET: u32 = 4;
    pub const CREATE_SET: u32 = 5;
}

/// Activities by thread; of others it is all zeros.
static ACTIVITIES: KernelCell<BTreeMap<u64, [u8; 16]>> = KernelCell::new(BTreeMap::new());

/// The activity of a thread.
fn of(thread: u64) -> [u8; 16] {
    ACTIVITIES.lock().get(&thread).copied().unwrap_or_default()
}

/// A thread has ended.
pub fn thread_ended(thread: u64) {
    ACTIVITIES.lock().remove(&thread);
}

exports! {
    /// `EtwActivityIdControl`: gets, sets or makes the activity of the thread.
    fn EtwActivityIdControl(code: u32, activity: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let thread = thread_table::current_thread();
        let mut given = [0; 16];
        match code {
            control::GET => driver_mem::write_bytes(activity, &of(thread))?,
            control::SET | control::GET_SET => {
                driver_mem::read_bytes(activity, &mut given)?;
                if code == control::GET_SET {
                    driver_mem::write_bytes(activity, &of(thread))?;
                }
                ACTIVITIES.lock().insert(thread, given);
            }
            control::CREATE | control::CREATE_SET => {
                let Some(new) = ex::uuid::create() else { return Ok(STATUS_UNSUCCESSFUL) };
                let before = of(thread);
                if code == control::CREATE_SET {
                    driver_mem::write_bytes(activity, &before)?;
                    ACTIVITIES.lock().insert(thread, new);
                } else {
                    driver_mem::write_bytes(activity, &new)?;
                }
            }
            _ => return Ok(STATUS_INVALID_PARAMETER),
        }
        Ok(STATUS_SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, processor, status};

    fn control(code: u32, id: &mut [u8; 16]) -> u32 {
        status(EtwActivityIdControl, &[u64::from(code), address_mut(id)])
    }

    #[test]
    fn activity_id_is_per_thread() {
        processor();
        let mut id = [5_u8; 16];
        assert_eq!(control(control::SET, &mut id), STATUS_SUCCESS);
        let mut other = [6_u8; 16];
        assert_eq!(control(control::GET_SET, &mut other), STATUS_SUCCESS);
        assert_eq!(other, [5; 16], "the one before");
        assert_eq!(control(control::GET, &mut other), STATUS_SUCCESS);
        assert_eq!(other, [6; 16]);
        assert_eq!(control(control::CREATE_SET, &mut id), STATUS_SUCCESS);
        assert_eq!(id, [6; 16], "the one before");
        assert_eq!(control(control::CREATE, &mut other), STATUS_SUCCESS);
        assert_eq!(control(control::GET, &mut id), STATUS_SUCCESS);
        assert_ne!(id, other, "what is made is only set if that is asked for");
        assert_eq!(control(6, &mut id), STATUS_INVALID_PARAMETER);
        thread_ended(thread_table::current_thread());
        assert_eq!(control(control::GET, &mut id), STATUS_SUCCESS);
        assert_eq!(id, [0; 16]);
    }
}

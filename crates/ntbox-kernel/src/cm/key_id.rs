//! Which key an object is open on: a number that is the same for all objects of a
//! key, and its name.

use std::collections::BTreeMap;

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use super::callback_buffer::CallbackBuffer;
use super::context::is_key;
use super::{callback_buffer, callback_list, nt_key};
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::ex::pool;
use crate::se::in_pool;

/// Names that were given out, by object, until the object goes away. A key that is
/// renamed keeps the old one here, which is documented.
static NAMES: KernelCell<BTreeMap<u64, CallbackBuffer>> = KernelCell::new(BTreeMap::new());

/// Forgets the name of an object that goes away.
pub fn forget(object: u64) {
    let name = NAMES.lock().remove(&object);
    drop(name);
}

/// Address of the name of an object, for as long as the object lives.
fn lasting_name(object: u64) -> Result<u64, Refusal> {
    let known = NAMES.lock().get(&object).map(CallbackBuffer::at);
    if let Some(known) = known {
        return Ok(known);
    }
    let path = nt_key::path(object).ok_or(nt_status::STATUS_KEY_DELETED)?;
    let name = CallbackBuffer::string(&path)?;
    let at = name.at();
    NAMES.lock().insert(object, name);
    Ok(at)
}

/// A name that the driver has to give back.
fn own_name(object: u64, caller: u64) -> Result<u64, Refusal> {
    let path = nt_key::path(object).ok_or(nt_status::STATUS_KEY_DELETED)?;
    let block = in_pool(&callback_buffer::string_bytes(&path), caller)?;
    callback_buffer::write_string(block, &path)?;
    Ok(block)
}

/// Checks what the driver names, and writes the number of the key.
fn identify(cookie: u64, object: u64, id: u64) -> Result<(), Refusal> {
    let known = cookie != 0 && callback_list::is_registered(driver_mem::read_u64(cookie)?);
    if !known || !is_key(object) {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    if id != 0 {
        let number = nt_key::identity(object).ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        driver_mem::write_u64(id, number)?;
    }
    Ok(())
}

exports! {
    /// `CmCallbackGetKeyObjectID`: the name lasts until the object goes away.
    fn CmCallbackGetKeyObjectID(cookie: u64, object: u64, id: u64, name: u64) -> u32
        [max APC_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let run = || -> Result<(), Refusal> {
            identify(cookie, object, id)?;
            if name != 0 {
                driver_mem::write_u64(name, lasting_name(object)?)?;
            }
            Ok(())
        };
        error::status(run())
    }

    /// `CmCallbackGetKeyObjectIDEx`: the name is the driver's.
    fn CmCallbackGetKeyObjectIDEx<call>(cookie: u64, object: u64, id: u64, name: u64, flags: u32) -> u32
        [max APC_LEVEL, wdm, since WINDOWS_8] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let run = || -> Result<(), Refusal> {
            if flags != 0 {
                return Err(nt_status::STATUS_INVALID_PARAMETER.into());
            }
            identify(cookie, object, id)?;
            if name != 0 {
                driver_mem::write_u64(name, own_name(object, call.return_address())?)?;
            }
            Ok(())
        };
        error::status(run())
    }

    /// `CmCallbackReleaseKeyObjectIDEx`.
    fn CmCallbackReleaseKeyObjectIDEx<call>(name: u64) -> () [max APC_LEVEL, wdm, since WINDOWS_8] {
        if name != 0 {
            pool::free(name, None, call.return_address(), "CmCallbackReleaseKeyObjectIDEx")?;
        }
        Ok(())
    }

    /// `CmGetBoundTransaction`: no operation is part of a transaction.
    fn CmGetBoundTransaction(cookie: u64, object: u64) -> u64 [max APC_LEVEL, wdm] {
        Ok(0)
    }
}

//! A driver as its author writes it today in Rust: against the raw bindings of
//! Microsoft's `wdk-sys`, without `wdm`. It checks from inside what the reference
//! promises of the kernel's functions, one component at a time.
//!
//! `Component`, a DWORD of the service's `Parameters` key, says which; `Mistake`
//! makes it commit that component's mistake instead, which is to end in a bug check.
//! Every case is a line of debug output. What a case takes is given back by
//! dropping it, so that a call that fails, wherever it is, leaves nothing behind.

#![no_std]
#![expect(clippy::unnecessary_wraps, reason = "all cases have one type")]

use wdk_panic as _;

#[macro_use]
mod check;
#[macro_use]
mod owned;
#[macro_use]
mod text;
mod ex;
mod imports;
mod io;
mod irql;
mod ke;
mod kernel;
mod mistakes;
mod mm;
mod ob;
mod parameter;
mod ps;
mod requests;
mod rtl;
mod se;
mod zw;

use core::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering::Relaxed},
};

use wdk_sys::{
    DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_INVALID_PARAMETER,
};

use crate::check::{Case, Checks};

/// The cases of each component, in the order of their numbers.
const COMPONENTS: [&[Case]; 10] = [
    ex::CASES,
    io::CASES,
    ke::CASES,
    mm::CASES,
    ob::CASES,
    ps::CASES,
    requests::CASES,
    rtl::CASES,
    se::CASES,
    zw::CASES,
];

/// The kernel's object for this driver.
static DRIVER: AtomicPtr<DRIVER_OBJECT> = AtomicPtr::new(ptr::null_mut());

/// Runs the component's cases, or makes the mistake, that the parameters name.
///
/// # Safety
///
/// Called by the kernel, with its object for this driver and the path of the
/// service's key.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: the kernel's object is this driver's to fill in.
    unsafe { (*driver).DriverUnload = Some(unload) };
    DRIVER.store(driver, Relaxed);
    let component = match parameter::dword(registry_path, unicode!("Component")) {
        Ok(component) => component,
        Err(status) => return status,
    };
    match parameter::dword(registry_path, unicode!("Mistake")) {
        Ok(0) => {}
        Ok(number) => return mistakes::make(number),
        Err(status) => return status,
    }
    let cases = usize::try_from(component)
        .ok()
        .and_then(|component| COMPONENTS.get(component));
    cases.map_or(STATUS_INVALID_PARAMETER, |cases| Checks::run(cases))
}

/// Every case has given back what it took.
unsafe extern "C" fn unload(_: PDRIVER_OBJECT) {}

//! The kernel's events, of loom's mutex and condition.

#![allow(
    non_camel_case_types,
    non_snake_case,
    clippy::upper_case_acronyms,
    clippy::missing_panics_doc,
    clippy::missing_safety_doc,
    clippy::must_use_candidate,
    reason = "names and contracts are the WDK's"
)]

use std::{ffi::c_void, sync::Arc};

use loom::sync::{Condvar, Mutex};

pub mod _EVENT_TYPE {
    #![allow(non_upper_case_globals, reason = "the WDK's")]
    pub const NotificationEvent: u32 = 0;
}

pub mod _KWAIT_REASON {
    #![allow(non_upper_case_globals, reason = "the WDK's")]
    pub const Executive: u32 = 0;
}

pub mod _MODE {
    #![allow(non_upper_case_globals, reason = "the WDK's")]
    pub const KernelMode: u32 = 0;
}

/// An event, once it is initialised.
#[derive(Default)]
pub struct KEVENT(Option<Arc<(Mutex<bool>, Condvar)>>);

pub struct LARGE_INTEGER {
    pub QuadPart: i64,
}

pub mod ntddk {
    use super::{Arc, Condvar, KEVENT, LARGE_INTEGER, Mutex, c_void};

    pub unsafe fn KeInitializeEvent(event: *mut KEVENT, _: u32, state: u8) {
        let made = Arc::new((Mutex::new(state != 0), Condvar::new()));
        // SAFETY: the caller has the event for itself.
        unsafe { (*event).0 = Some(made) };
    }

    unsafe fn shared(event: *mut KEVENT) -> Arc<(Mutex<bool>, Condvar)> {
        // SAFETY: the caller vouches for an event that nobody initialises now.
        let event = unsafe { &(*event).0 };
        event.clone().expect("an event that is initialised")
    }

    pub unsafe fn KeSetEvent(event: *mut KEVENT, _: i32, _: u8) -> i32 {
        // SAFETY: the caller vouches for the event.
        let shared = unsafe { shared(event) };
        let mut state = shared.0.lock().expect("nobody has panicked");
        let before = i32::from(*state);
        *state = true;
        shared.1.notify_all();
        before
    }

    pub unsafe fn KeWaitForSingleObject(
        event: *mut c_void,
        _: u32,
        _: i8,
        _: u8,
        _: *mut LARGE_INTEGER,
    ) -> i32 {
        // SAFETY: the caller vouches for the event.
        let shared = unsafe { shared(event.cast()) };
        let mut state = shared.0.lock().expect("nobody has panicked");
        while !*state {
            state = shared.1.wait(state).expect("nobody has panicked");
        }
        0
    }

    pub unsafe fn KeDelayExecutionThread(_: i8, _: u8, _: *mut LARGE_INTEGER) -> i32 {
        loom::thread::yield_now();
        0
    }
}

//! Events that the components announce, for observers such as the verifier. A component
//! calls the function; an observer subscribes to the static of the same name. Events
//! whose types belong to one component are declared there.

use ntbox_host::driver_mem::Fault;
use ntbox_host::hook::{Event, Hook};
use ntbox_host::kernel_address_space::Protection;

use super::lock_class::LockClass;

macro_rules! events {
    ($($(#[$doc:meta])* $event:ident: fn $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        $(#[$doc])*
        pub static $event: Event<fn($($type),*)> = Event::new();

        $(#[$doc])*
        #[inline]
        pub fn $name($($argument: $type),*) {
            $event.notify(|observer| observer($($argument),*));
        }
    )*};
}

events! {
    /// A thread is about to wait for a lock without a timeout: the lock, its class, and
    /// the return address of the call.
    LOCK_ACQUIRING: fn lock_acquiring(lock: u64, class: LockClass, return_address: u64);
    /// A lock was acquired.
    LOCK_ACQUIRED: fn lock_acquired(lock: u64, class: LockClass, return_address: u64);
    /// A lock was released.
    LOCK_RELEASED: fn lock_released(lock: u64);
    /// A dispatcher object of so many bytes was initialised.
    OBJECT_INITIALIZED: fn object_initialized(object: u64, bytes: u64);
    /// Memory was freed, or is used for another purpose.
    MEMORY_FREED: fn memory_freed(start: u64, bytes: u64);
    /// Pages of a process are not mapped any more: start and end.
    USER_PAGES_UNMAPPED: fn user_pages_unmapped(start: u64, end: u64);
    /// The loader has bound an import.
    IMPORT_BOUND: fn import_bound(name: &str);
    /// A handle is about to be created: the process of the table, the `OBJ_` attributes,
    /// and the return address of the call.
    HANDLE_CREATING: fn handle_creating(process: u64, attributes: u32, return_address: u64);
    /// A handle was used that the current process does not have.
    HANDLE_NOT_FOUND: fn handle_not_found(handle: u64);
    /// A routine of the driver has returned to the kernel: its address.
    ROUTINE_RETURNED: fn routine_returned(routine: u64);
    /// A thread has returned from the dispatch routine for a program's request.
    USER_REQUEST_ENDED: fn user_request_ended(thread: u64);
    /// A driver stores data in the registry: the function, the data, and the return
    /// address of the call.
    REGISTRY_DATA_STORED: fn registry_data_stored(function: &str, data: &[u8], return_address: u64);
}

/// Pages of a process are about to be mapped: address, pages, and the protection.
/// The observer returns the protection that the host's mapping gets.
pub static USER_PAGES_MAPPING: Hook<fn(u64, u64, Protection) -> Protection> = Hook::new();

/// See [`USER_PAGES_MAPPING`].
pub fn user_pages_mapping(start: u64, pages: u64, protection: Protection) -> Protection {
    match USER_PAGES_MAPPING.registered() {
        Some(observer) => observer(start, pages, protection),
        None => protection,
    }
}

/// An observer that reads structures of the driver.
type Check<A> = fn(A) -> Result<(), Fault>;

/// A lock that is held: in words, and the return address of its acquisition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// Its address.
    pub lock: u64,
    /// The lock and where it was acquired.
    pub text: String,
    /// Where the call that acquired it returns to.
    pub return_address: u64,
}

/// Returns the lock that the current thread or DPC acquired last, if the observer
/// follows locks.
pub static LOCK_HELD: Hook<fn() -> Option<HeldLock>> = Hook::new();

/// See [`LOCK_HELD`].
pub fn lock_held() -> Option<HeldLock> {
    LOCK_HELD.registered().and_then(|observer| observer())
}

/// The same as the end of a sentence; empty without one.
pub fn lock_held_text() -> String {
    lock_held().map_or_else(String::new, |held| format!("; {} is held", held.text))
}

/// A thread is about to call the dispatch routine for a program's request: thread, IRP,
/// stack location.
pub static USER_REQUEST_BEGINNING: Hook<Check<(u64, u64, u64)>> = Hook::new();
/// A dispatcher object is about to be used by a function: object, function, return
/// address.
pub static OBJECT_USED: Hook<Check<(u64, &'static str, u64)>> = Hook::new();
/// An exception handler is about to run for an exception record.
pub static EXCEPTION_HANDLING: Hook<Check<u64>> = Hook::new();

fn check<A>(hook: &Hook<Check<A>>, argument: A) -> Result<(), Fault> {
    hook.registered()
        .map_or(Ok(()), |observer| observer(argument))
}

/// See [`USER_REQUEST_BEGINNING`].
///
/// # Errors
/// The observer cannot read the request.
pub fn user_request_beginning(thread: u64, irp: u64, location: u64) -> Result<(), Fault> {
    check(&USER_REQUEST_BEGINNING, (thread, irp, location))
}

/// See [`OBJECT_USED`].
///
/// # Errors
/// The observer cannot read the object.
pub fn object_used(object: u64, function: &'static str, return_address: u64) -> Result<(), Fault> {
    check(&OBJECT_USED, (object, function, return_address))
}

/// See [`EXCEPTION_HANDLING`].
///
/// # Errors
/// The observer cannot read the record.
pub fn exception_handling(record: u64) -> Result<(), Fault> {
    check(&EXCEPTION_HANDLING, record)
}

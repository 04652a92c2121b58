use std::sync::atomic::{AtomicU32, Ordering};

use ntbox_host::driver_mem;

use super::registration::{ObGetFilterVersion, ObRegisterCallbacks, ObUnRegisterCallbacks};
use super::{Filter, HandleParams, open, with};
use crate::base::altitude::Altitude;
use crate::base::call_context::CallContext;
use crate::cm::tests::helper::Text;
use crate::ob::{Type, callbacks, init};
use crate::test_support::{address, address_mut, bug_check, call, notes, processor, status, value};

/// What the routine before leaves as rights.
static LEAVES: AtomicU32 = AtomicU32::new(0);
/// Rights that the routine after heard of.
static GRANTED: AtomicU32 = AtomicU32::new(0);

extern "win64" fn before(context: u64, information: u64) -> u32 {
    let parameters = driver_mem::read_u64(information + 0x20).expect("parameters");
    driver_mem::write_u32(parameters, LEAVES.load(Ordering::Relaxed)).expect("DesiredAccess");
    driver_mem::write_u64(information + 0x18, context + 1).expect("CallContext");
    0
}

extern "win64" fn after(context: u64, information: u64) {
    assert_eq!(driver_mem::read_u64(information + 0x18), Ok(context + 1));
    let parameters = driver_mem::read_u64(information + 0x28).expect("parameters");
    let granted = driver_mem::read_u32(parameters).expect("GrantedAccess");
    GRANTED.store(granted, Ordering::Relaxed);
}

/// Rights that a handle gets, once the routine before has left some.
fn granted(kind: Type, access: u32, leaves: u32) -> u32 {
    LEAVES.store(leaves, Ordering::Relaxed);
    GRANTED.store(0, Ordering::Relaxed);
    let memory = vec![0_u64; 0x4000];
    let caller = CallContext::kernel(address(&memory[0x3ff0]));
    let wanted = HandleParams {
        object: 0x10,
        kind,
        access,
        kernel: true,
        copied: None,
    };
    let mut given = 0;
    let opened = open(&wanted, &caller, |access| {
        given = access;
        Ok(4)
    });
    assert_eq!(opened, Ok(4));
    given
}

#[test]
fn pre_callback_strips_listed_rights_only() {
    processor();
    let filter = Filter {
        handle: 0x20,
        altitude: Altitude::new(&[]),
        kind: Type::Process,
        operations: 1,
        before: before as *const () as u64,
        after: after as *const () as u64,
        context: 7,
        caller: 0,
    };
    with(|state| state.add(vec![filter]));
    // Terminating can be taken, reading memory cannot, writing is not added.
    assert_eq!(granted(Type::Process, 0x11, 0x20), 0x10);
    assert_eq!(GRANTED.load(Ordering::Relaxed), 0x10);
    assert_eq!(granted(Type::Process, 0x1f_ffff, 0), 0x1f_ffff & !0xbeb);
    assert_eq!(granted(Type::Thread, 0x1, 0), 0x1, "nobody hears of it");
    let [leak] = callbacks::leaks().try_into().expect("one registration");
    assert!(leak.message.contains("0x0000000000000020"), "{leak:?}");
    assert_eq!(granted(Type::Process, 0x1, 0), 0x1);
}

/// `OB_OPERATION_REGISTRATION`.
#[repr(C)]
struct Operation {
    kind: u64,
    operations: u32,
    before: u64,
    after: u64,
}

/// `OB_CALLBACK_REGISTRATION`.
#[repr(C)]
struct Registration {
    version: u16,
    count: u16,
    altitude: [u64; 2],
    context: u64,
    operations: u64,
}

fn register(version: u16, count: u16, kind: Type, operations: u32, before: u64) -> u32 {
    processor();
    let altitude = Text::new("320000");
    let read = |at: u64| driver_mem::read_u64(at).expect("it is ours");
    let of_type = init::object_of(kind);
    let operation = Operation {
        kind: address(&of_type),
        operations,
        before,
        after: 0,
    };
    let registration = Registration {
        version,
        count,
        altitude: [read(altitude.at()), read(altitude.at() + 8)],
        context: 0,
        operations: address(&operation),
    };
    let mut handle = 0_u64;
    let result = status(
        ObRegisterCallbacks,
        &[address(&registration), address_mut(&mut handle)],
    );
    assert_eq!(handle, 0);
    result
}

#[test]
fn register_callbacks_checks_registration() {
    let routine = before as *const () as u64;
    let invalid = nt_status::STATUS_INVALID_PARAMETER;
    assert_eq!(value(ObGetFilterVersion, &[]), 0x100);
    assert_eq!(register(0x200, 1, Type::Process, 1, routine), invalid);
    assert_eq!(register(0x100, 0, Type::Process, 1, routine), invalid);
    assert_eq!(register(0x100, 1, Type::File, 1, routine), invalid);
    assert_eq!(register(0x100, 1, Type::Thread, 0, routine), invalid);
    assert_eq!(register(0x100, 1, Type::Thread, 4, routine), invalid);
    assert_eq!(register(0x100, 1, Type::Thread, 3, 0), invalid);
    assert_eq!(
        register(0x100, 1, Type::Thread, 3, routine),
        nt_status::STATUS_ACCESS_DENIED,
        "a test is no driver"
    );
    let notes = notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("/INTEGRITYCHECK"), "{notes:?}");
}

#[test]
fn unregister_callbacks_of_unknown_handle_stops() {
    let stopped = bug_check(call(ObUnRegisterCallbacks, &[0x30]));
    assert_eq!(stopped.code, 0x7e);
}

use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::gate::{Call, ExportResult, NoReturn};

use super::*;
use crate::base::leak_check::Leak;
use crate::ob::attributes::PERMANENT;
use crate::ob::init::object_of;
use crate::ob::object::{end_deferred, reference_leaks};
use crate::ob::reference::*;
use crate::ob::{attributes, dereference, handles, insert, inspect, make_temporary};
use crate::test_support::{CALLER, address_mut, broken_rules, call, status, value};

/// The code of the bug check that a call ends in.
fn bug_check(handler: fn(&mut Call<'_>) -> ExportResult, arguments: &[u64]) -> (u32, u64) {
    match call(handler, arguments) {
        Err(NoReturn::BugCheck(data)) => (data.code, data.parameters[1]),
        other => panic!("the kernel did not stop: {other:?}"),
    }
}

fn taken(object: u64) -> usize {
    let of_object = format!("{object:#018x} is not");
    let leaks = reference_leaks();
    leaks
        .iter()
        .filter(|leak| leak.message.contains(&of_object))
        .count()
}

#[test]
fn reference_and_dereference_count() {
    let object = event();
    assert_eq!(value(ObfReferenceObject, &[object]), 2);
    assert_eq!(value(ObfReferenceObjectWithTag, &[object, 0x6761_7474]), 3);
    assert_eq!(value(ObReferenceObjectSafe, &[object]), 1);
    assert_eq!(status(ObReferenceObjectByPointer, &[object, 0, 0, 0]), 0);
    assert_eq!(taken(object), 4);
    let message = format!("a reference to Event at {object:#018x} is not released");
    assert!(reference_leaks().contains(&Leak::new(rules::REFERENCE_LEAK, message, CALLER)));
    for left in [4, 3, 2] {
        assert_eq!(value(ObfDereferenceObject, &[object]), left);
    }
    assert_eq!(value(ObDereferenceObject, &[object]), 1);
    assert_eq!(taken(object), 0);
    assert!(call(ObDereferenceObjectDeferDelete, &[object]).is_ok());
    assert!(!is_alive(object));
}

#[test]
fn dereference_below_zero_stops() {
    let object = event();
    dereference(object, &kernel());
    for handler in [ObfDereferenceObject, ObfReferenceObject] {
        assert_eq!(bug_check(handler, &[object]), (0x18, object));
    }
    assert_eq!(value(ObReferenceObjectSafe, &[object]), 0);
    // While a handle or a name needs it, the last reference is not the driver's.
    let object = event();
    let handle = handles::insert(object, 0, 0, 0).expect("a handle");
    dereference(object, &kernel());
    assert_eq!(bug_check(ObfDereferenceObject, &[object]), (0x18, object));
    handles::close(handle, &kernel()).expect("it was open");
    let object = event();
    insert(object, &named("\\reference-named", PERMANENT)).expect("room for it");
    dereference(object, &kernel());
    assert_eq!(bug_check(ObfDereferenceObject, &[object]), (0x18, object));
    make_temporary(object, &kernel());
}

#[test]
fn dereference_at_dispatch_level_defers_deletion() {
    let object = event();
    cpu::set_irql(cpu::DISPATCH_LEVEL);
    assert_eq!(value(ObfDereferenceObject, &[object]), 0);
    assert!(is_alive(object));
    assert_eq!(
        value(ObReferenceObjectSafe, &[object]),
        0,
        "it is about to go"
    );
    cpu::set_irql(cpu::PASSIVE_LEVEL);
    end_deferred(&kernel());
    assert!(!is_alive(object));
    assert!(inspect(object, |_| ()).is_none());
}

fn by_handle(handle: u64, access: u64, kind: u64, mode: u64) -> Result<(u64, [u32; 2]), u32> {
    let mut object = 0xdead_u64;
    let mut information = [0_u32; 2];
    let arguments = [
        handle,
        access,
        kind,
        mode,
        address_mut(&mut object),
        address_mut(&mut information),
    ];
    match status(ObReferenceObjectByHandle, &arguments) {
        0 => Ok((object, information)),
        status => {
            assert_eq!(object, 0, "no object with an error");
            Err(status)
        }
    }
}

#[test]
fn reference_by_handle_checks_type() {
    let object = event();
    let handle = handles::insert(object, 2, 0, 0).expect("a handle");
    let (event_type, thread_type) = (object_of(Type::Event), object_of(Type::Thread));
    assert_eq!(by_handle(handle, 0, event_type, 0), Ok((object, [0, 2])));
    assert_eq!(by_handle(handle, 0, 0, 0), Ok((object, [0, 2])));
    assert_eq!(
        by_handle(handle, 0, thread_type, 0),
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH)
    );
    assert_eq!(
        by_handle(handle, 0, object, 0),
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH),
        "not a type at all"
    );
    // In kernel mode rights do not matter.
    assert_eq!(by_handle(handle, 1, event_type, 0), Ok((object, [0, 2])));
    assert_eq!(
        by_handle(handle, 1, event_type, 1),
        Err(nt_status::STATUS_ACCESS_DENIED)
    );
    assert_eq!(by_handle(handle, 2, event_type, 1), Ok((object, [0, 2])));
    assert_eq!(taken(object), 4);
    for _ in 0..4 {
        value(ObfDereferenceObject, &[object]);
    }
    handles::close(handle, &kernel()).expect("it was open");
    assert_eq!(
        by_handle(handle, 0, event_type, 0),
        Err(nt_status::STATUS_INVALID_HANDLE)
    );
    dereference(object, &kernel());
}

#[test]
fn reference_by_kernel_handle_from_user_mode_fails() {
    let object = event();
    let handle = handles::insert(object, 3, attributes::KERNEL_HANDLE, 0).expect("a handle");
    assert_eq!(
        by_handle(handle, 0, 0, 1),
        Err(nt_status::STATUS_INVALID_HANDLE)
    );
    assert!(by_handle(handle, 0, 0, 0).is_ok());
    value(ObfDereferenceObject, &[object]);
    handles::close(handle, &kernel()).expect("it was open");
    dereference(object, &kernel());
}

#[test]
fn reference_by_null_handle_is_reported() {
    processor();
    assert_eq!(by_handle(0, 0, 0, 0), Err(nt_status::STATUS_INVALID_HANDLE));
    assert_eq!(broken_rules(), ["null-handle"]);
}

#[test]
fn reference_by_pointer_checks_type_in_user_mode_only() {
    let object = event();
    let wrong = object_of(Type::Thread);
    assert_eq!(
        status(ObReferenceObjectByPointer, &[object, 0, wrong, 0]),
        0
    );
    let refused = nt_status::STATUS_OBJECT_TYPE_MISMATCH;
    assert_eq!(
        status(ObReferenceObjectByPointer, &[object, 0, wrong, 1]),
        refused
    );
    assert_eq!(
        status(
            ObReferenceObjectByPointer,
            &[object, 0, object_of(Type::SymbolicLink), 0]
        ),
        refused
    );
    assert_eq!(
        status(
            ObReferenceObjectByPointerWithTag,
            &[object, 0, object_of(Type::Event), 1, 0]
        ),
        0
    );
    assert_eq!(taken(object), 2);
    for _ in 0..2 {
        value(ObfDereferenceObject, &[object]);
    }
    dereference(object, &kernel());
}

#[test]
fn reference_by_handle_injected_failure_returns_null() {
    let export = EXPORTS
        .iter()
        .find(|export| export.name == "ObReferenceObjectByHandle")
        .expect("it is there");
    let failure = export.failure.expect("it can fail");
    let mut object = 1_u64;
    let arguments = [4, 0, 0, 0, address_mut(&mut object), 0];
    assert_eq!(
        status(failure, &arguments),
        nt_status::STATUS_INVALID_HANDLE
    );
    assert_eq!(object, 0);
}

use super::*;
use crate::ob::attributes::{EXCLUSIVE, INHERIT, KERNEL_HANDLE};
use crate::ob::handles::{
    CURRENT_PROCESS, CURRENT_THREAD, KERNEL, PROTECT_CLOSE, close, close_all, get, get_in, insert,
    insert_in, is_kernel, set_attributes,
};
use crate::ob::{dereference, inspect};

/// Handles and references of an object.
fn counts(object: u64) -> (u64, u64) {
    inspect(object, |header| (header.handles, header.pointers)).expect("it is alive")
}

#[test]
fn handle_holds_reference() {
    let object = event();
    let handle = insert(object, 0x1f_0003, 0, 0).expect("a handle");
    assert_eq!(counts(object), (1, 2));
    let entry = get(handle).expect("it is open");
    assert_eq!(
        (entry.object, entry.kind, entry.access),
        (object, Type::Event, 0x1f_0003)
    );
    dereference(object, &kernel());
    assert!(is_alive(object));
    assert_eq!(close(handle, &kernel()), Ok(()));
    assert!(!is_alive(object));
    assert_eq!(
        insert(object, 0, 0, 0),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
}

#[test]
fn handle_low_bits_are_ignored() {
    let object = event();
    let handle = insert(object, 0, 0, 0).expect("a handle");
    assert_eq!(handle % 4, 0);
    assert_ne!(handle, 0);
    for bits in 1..4 {
        assert_eq!(get(handle | bits).map(|entry| entry.object), Ok(object));
    }
    assert_eq!(get(0), Err(nt_status::STATUS_INVALID_HANDLE));
    assert_eq!(close(handle, &kernel()), Ok(()));
    dereference(object, &kernel());
}

#[test]
fn kernel_handle_is_valid_in_each_process() {
    let object = event();
    let handle = insert(object, 0, KERNEL_HANDLE, 0).expect("a handle");
    assert_eq!(handle & KERNEL, KERNEL);
    assert!(is_kernel(handle) && !is_kernel(handle & !KERNEL));
    assert!(!is_kernel(CURRENT_PROCESS) && !is_kernel(CURRENT_THREAD));
    let elsewhere = 0x1234_0000;
    assert_eq!(
        get_in(elsewhere, handle).map(|entry| entry.object),
        Ok(object)
    );
    assert_eq!(
        get_in(elsewhere, handle & !KERNEL),
        Err(nt_status::STATUS_INVALID_HANDLE)
    );
    assert_eq!(close(handle, &kernel()), Ok(()));
    dereference(object, &kernel());
}

#[test]
fn close_of_protected_handle_fails() {
    let object = event();
    let handle = insert(object, 0, PROTECT_CLOSE, 0).expect("a handle");
    assert_eq!(
        close(handle, &kernel()),
        Err(nt_status::STATUS_HANDLE_NOT_CLOSABLE)
    );
    assert_eq!(set_attributes(handle, 0), Ok(()));
    assert_eq!(close(handle, &kernel()), Ok(()));
    assert_eq!(
        set_attributes(handle, 0),
        Err(nt_status::STATUS_INVALID_HANDLE)
    );
    dereference(object, &kernel());
}

#[test]
fn exclusive_object_refuses_other_process() {
    let object = event();
    let (mine, other) = (0x1111_0000, 0x2222_0000);
    let first = insert_in(mine, object, 0, EXCLUSIVE, 0).expect("a handle");
    assert_eq!(
        insert_in(other, object, 0, 0, 0),
        Err(nt_status::STATUS_ACCESS_DENIED)
    );
    assert!(insert_in(mine, object, 0, 0, 0).is_ok());
    close_all(mine, &kernel());
    assert_eq!(get_in(mine, first), Err(nt_status::STATUS_INVALID_HANDLE));
    assert!(insert_in(other, object, 0, 0, 0).is_ok());
    assert_eq!(
        insert_in(mine, object, 0, EXCLUSIVE, 0),
        Err(nt_status::STATUS_ACCESS_DENIED)
    );
    assert_eq!(
        insert_in(mine, object, 0, EXCLUSIVE | INHERIT, 0),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    close_all(other, &kernel());
    dereference(object, &kernel());
    assert!(!is_alive(object));
}

#[test]
fn close_all_closes_protected_handles() {
    let object = event();
    let process = 0x3333_0000;
    for attributes in [0, 0, PROTECT_CLOSE] {
        insert_in(process, object, 0, attributes, 0).expect("a handle");
    }
    dereference(object, &kernel());
    assert_eq!(counts(object), (3, 3));
    close_all(process, &kernel());
    assert!(!is_alive(object));
}

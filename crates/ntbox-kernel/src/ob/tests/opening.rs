use ntbox_host::driver_mem::UnicodeString;

use super::*;
use crate::ob::attributes::{KERNEL_HANDLE, PERMANENT};
use crate::ob::exports::*;
use crate::ob::init::object_of;
use crate::ob::query_name::ObQueryNameString;
use crate::ob::{dereference, handles, insert, inspect, lookup_path, make_temporary, reference};
use crate::test_support;
use crate::test_support::{address, address_mut, broken_rules, status, value, wide as terminated};

fn open(object: u64, attributes: u32, kind: u64, mode: u64) -> Result<u64, u32> {
    let mut handle = 1_u64;
    let arguments = [
        object,
        u64::from(attributes),
        0,
        3,
        kind,
        mode,
        address_mut(&mut handle),
    ];
    match status(ObOpenObjectByPointer, &arguments) {
        0 => Ok(handle),
        status => {
            assert_eq!(handle, 0, "no handle with an error");
            Err(status)
        }
    }
}

#[test]
fn open_object_by_pointer() {
    let object = event();
    let handle = open(object, 0, object_of(Type::Event), 1).expect("room for it");
    assert_eq!(
        handles::get(handle).map(|entry| (entry.object, entry.access)),
        Ok((object, 3))
    );
    let kernel_handle =
        open(object, KERNEL_HANDLE, 0, 0).expect("in kernel mode no type is needed");
    assert_eq!(value(ObIsKernelHandle, &[kernel_handle]), 1);
    assert_eq!(value(ObIsKernelHandle, &[handle]), 0);
    assert_eq!(
        open(object, 0, 0, 1),
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH)
    );
    assert_eq!(
        open(object, 0, object_of(Type::File), 0),
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH)
    );
    assert_eq!(
        open(object, 0x80_0000, 0, 0),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    assert_eq!(
        status(ObCloseHandle, &[kernel_handle, 1]),
        nt_status::STATUS_INVALID_HANDLE,
        "not from user mode"
    );
    assert_eq!(status(ObCloseHandle, &[kernel_handle, 0]), 0);
    assert_eq!(status(ObCloseHandle, &[handle, 1]), 0);
    assert!(broken_rules().is_empty());
    assert_eq!(
        status(ObCloseHandle, &[handle, 1]),
        nt_status::STATUS_INVALID_HANDLE
    );
    assert_eq!(broken_rules(), ["bad-handle-closed"]);
    dereference(object, &kernel());
}

/// Calls `ObReferenceObjectByName`.
fn by_name(name: &str, kind: u64) -> Result<u64, u32> {
    let mut text = terminated(name);
    let used = text.len() - 1;
    let string = test_support::Counted::unicode(&mut text, used);
    let mut object = 0_u64;
    let arguments = [
        address(&string),
        0x40,
        0,
        0,
        kind,
        0,
        0,
        address_mut(&mut object),
    ];
    match status(ObReferenceObjectByName, &arguments) {
        0 => Ok(object),
        status => Err(status),
    }
}

#[test]
fn reference_driver_by_name() {
    processor();
    let driver = create(Type::Driver, 0x150, Payload::None).expect("there is memory");
    insert(driver, &named("\\Driver\\opening-name", PERMANENT)).expect("room for it");
    let driver_type = object_of(Type::Driver);
    assert_eq!(by_name("\\driver\\OPENING-NAME", driver_type), Ok(driver));
    assert_eq!(inspect(driver, |header| header.pointers), Some(3));
    let mismatch = Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH);
    assert_eq!(
        by_name("\\Driver\\opening-name", object_of(Type::Event)),
        mismatch
    );
    assert_eq!(
        by_name("\\Driver\\opening-name", driver),
        mismatch,
        "not a type at all"
    );
    assert_eq!(
        by_name("\\Driver\\none", driver_type),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    assert_eq!(
        status(ObReferenceObjectByName, &[0; 8]),
        nt_status::STATUS_OBJECT_NAME_INVALID
    );
    assert_eq!(value(ObGetObjectType, &[driver]), driver_type);
    assert_eq!(value(ObGetObjectType, &[0x1000]), 0);
    test_support::call(reference::ObfDereferenceObject, &[driver]).expect("it returns");
    make_temporary(driver, &kernel());
    dereference(driver, &kernel());
    assert!(!is_alive(driver));
}

#[test]
fn open_event_by_name() {
    let object = event();
    insert(object, &named("\\opening-by-name", 0)).expect("room for it");
    let mut text = terminated("\\opening-by-name");
    let used = text.len() - 1;
    let string = test_support::Counted::unicode(&mut text, used);
    let attributes = [0x30, 0, address(&string), 0x40, 0, 0_u64];
    let mut handle = 0_u64;
    let arguments = [
        address(&attributes),
        object_of(Type::Event),
        0,
        0,
        0x1f_0003,
        0,
        address_mut(&mut handle),
    ];
    assert_eq!(status(ObOpenObjectByName, &arguments), 0);
    assert_eq!(
        handles::get(handle).map(|entry| (entry.object, entry.access)),
        Ok((object, 0x1f_0003))
    );
    assert_eq!(status(ObCloseHandle, &[handle, 0]), 0);
    assert!(
        lookup_path(&wide("\\opening-by-name"), None).is_err(),
        "the name went with the last handle"
    );
    dereference(object, &kernel());
}

/// A name as `ObQueryNameString` gives it in `room` bytes.
fn name_of(object: u64, room: u64) -> (u32, u32, Option<String>) {
    let mut buffer = [0xcccc_cccc_cccc_cccc_u64; 32];
    let mut length = 0_u32;
    let arguments = [
        object,
        address_mut(&mut buffer),
        room,
        address_mut(&mut length),
    ];
    let status = status(ObQueryNameString, &arguments);
    let text = (status == 0).then(|| {
        let string = UnicodeString::read(address(&buffer)).expect("it is ours");
        assert_eq!(
            string.maximum_length,
            if string.buffer == 0 {
                0
            } else {
                string.length + 2
            }
        );
        string.text().expect("it is ours")
    });
    if status != 0 {
        assert_eq!(buffer, [0xcccc_cccc_cccc_cccc; 32], "nothing is written");
    }
    (status, length, text)
}

#[test]
fn query_name_string_needs_buffer() {
    let object = event();
    assert_eq!(
        name_of(object, 256),
        (0, 16, Some(String::new())),
        "it has no name"
    );
    insert(
        object,
        &named("\\BaseNamedObjects\\opening-query", PERMANENT),
    )
    .expect("room for it");
    let path = "\\BaseNamedObjects\\opening-query";
    let needed = u32::try_from(16 + 2 * path.len() + 2).expect("short");
    assert_eq!(
        name_of(object, u64::from(needed)),
        (0, needed, Some(path.to_owned()))
    );
    let mismatch = nt_status::STATUS_INFO_LENGTH_MISMATCH;
    assert_eq!(
        name_of(object, u64::from(needed) - 1),
        (mismatch, needed, None)
    );
    assert_eq!(name_of(object, 0), (mismatch, needed, None));
    make_temporary(object, &kernel());
    dereference(object, &kernel());
    let root = lookup_path(&wide("\\"), None).expect("it is there").object;
    assert_eq!(name_of(root, 256).2.as_deref(), Some("\\"));
    let key = lookup_path(&wide("\\REGISTRY"), None)
        .expect("it is there")
        .object;
    assert_eq!(name_of(key, 256).2.as_deref(), Some("\\REGISTRY"));
}

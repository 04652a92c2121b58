use super::helper::*;
use crate::cm;
use crate::cm::rtl_registry::{
    RtlCheckRegistryKey, RtlCreateRegistryKey, RtlDeleteRegistryValue, RtlWriteRegistryValue,
};
use crate::ob::nt_handle;
use crate::test_support::{address, call, status, value, wide};

const ABSOLUTE: u64 = 0;
const SERVICES: u64 = 1;
const DEVICE_MAP: u64 = 4;
const USER: u64 = 5;
const HANDLE: u64 = 0x4000_0000;
const OPTIONAL: u64 = 0x8000_0000;

fn write(relative_to: u64, path: u64, name: &str, data: &[u8]) -> u32 {
    let name = wide(name);
    let arguments = [
        relative_to,
        path,
        address(name.as_slice()),
        3,
        address(data),
        data.len() as u64,
    ];
    status(RtlWriteRegistryValue, &arguments)
}

#[test]
fn check_key_resolves_relative_paths() {
    seed("rtl-check", &[]);
    let name = wide("rtl-check");
    assert_eq!(
        status(RtlCheckRegistryKey, &[SERVICES, address(name.as_slice())]),
        0
    );
    assert_eq!(
        status(
            RtlCheckRegistryKey,
            &[SERVICES | OPTIONAL, address(name.as_slice())]
        ),
        0
    );
    assert_eq!(
        status(RtlCheckRegistryKey, &[SERVICES, 0]),
        0,
        "no path means the well-known key"
    );
    let path = wide("\\Registry\\Machine\\Software");
    assert_eq!(
        status(RtlCheckRegistryKey, &[ABSOLUTE, address(path.as_slice())]),
        0
    );
    let none = wide("none");
    assert_eq!(
        status(RtlCheckRegistryKey, &[SERVICES, address(none.as_slice())]),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert_eq!(
        status(RtlCheckRegistryKey, &[6, address(name.as_slice())]),
        nt_status::STATUS_INVALID_PARAMETER
    );
}

#[test]
fn check_key_by_handle_closes_it() {
    let key = service("rtl-check-handle", &[]);
    assert_eq!(status(RtlCheckRegistryKey, &[HANDLE, key]), 0);
    assert_eq!(get(key, "Type"), Err(nt_status::STATUS_INVALID_HANDLE));
}

#[test]
fn write_value_creates_last_key_of_path() {
    seed("rtl-write", &[]);
    let path = wide("rtl-write\\Made");
    assert_eq!(
        write(SERVICES, address(path.as_slice()), "v", &[1, 2, 3]),
        0
    );
    let key = open(&Object::new(
        "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\rtl-write\\Made",
    ))
    .expect("it was made");
    assert_eq!(get(key, "V"), Ok((3, vec![1, 2, 3])));
    assert_eq!(write(HANDLE, key, "h", &[4]), 0);
    assert_eq!(get(key, "h"), Ok((3, vec![4])), "the handle stays open");
    let deep = wide("rtl-write\\Not\\There");
    assert_eq!(
        write(SERVICES, address(deep.as_slice()), "v", &[1]),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    close(key);
}

#[test]
fn write_value_under_device_map_and_user() {
    let path = wide("RTL-WRITE-COMM");
    assert_eq!(
        write(
            DEVICE_MAP,
            address(path.as_slice()),
            "\\Device\\Serial0",
            &[1]
        ),
        0
    );
    let path = wide("rtl-write-user");
    assert_eq!(write(USER, address(path.as_slice()), "v", &[1]), 0);
    let key = open(&Object::new("\\Registry\\User\\S-1-5-18\\rtl-write-user"))
        .expect("the link leads there");
    close(key);
}

#[test]
fn create_key_creates_one_level() {
    seed("rtl-create", &[]);
    let deep = wide("rtl-create\\A\\B");
    let shallow = wide("rtl-create\\A");
    assert_eq!(
        status(RtlCreateRegistryKey, &[SERVICES, address(deep.as_slice())]),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert_eq!(
        status(
            RtlCreateRegistryKey,
            &[SERVICES, address(shallow.as_slice())]
        ),
        0
    );
    assert_eq!(
        status(
            RtlCreateRegistryKey,
            &[SERVICES, address(shallow.as_slice())]
        ),
        0,
        "it may be there"
    );
    assert_eq!(
        status(RtlCreateRegistryKey, &[SERVICES, address(deep.as_slice())]),
        0
    );
}

#[test]
fn delete_value_missing_fails() {
    let key = service("rtl-delete", &[]);
    assert_eq!(set(key, "v", 3, &[1]), 0);
    let path = wide("rtl-delete");
    let name = wide("V");
    let arguments = [SERVICES, address(path.as_slice()), address(name.as_slice())];
    assert_eq!(status(RtlDeleteRegistryValue, &arguments), 0);
    assert_eq!(
        status(RtlDeleteRegistryValue, &arguments),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    let handle = [HANDLE, key, address(name.as_slice())];
    assert_eq!(
        status(RtlDeleteRegistryValue, &handle),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    close(key);
    assert_eq!(
        status(RtlDeleteRegistryValue, &handle),
        nt_status::STATUS_INVALID_HANDLE
    );
}

#[test]
fn injected_failure_returns_its_status() {
    let export = nt_handle::EXPORTS
        .iter()
        .find(|export| export.name == "ZwClose")
        .expect("it is there");
    assert!(
        export.failure.is_none(),
        "closing a good handle cannot fail"
    );
    let export = cm::TABLES
        .iter()
        .copied()
        .flatten()
        .find(|export| export.name == "RtlWriteRegistryValue")
        .expect("it is there");
    let failure = export.failure.expect("it can fail");
    assert_eq!(
        value(failure, &[]),
        u64::from(nt_status::STATUS_INSUFFICIENT_RESOURCES)
    );
    assert!(call(failure, &[]).is_ok());
}

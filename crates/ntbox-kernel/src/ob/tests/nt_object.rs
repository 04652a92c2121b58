use ntbox_host::driver_mem::UnicodeString;

use crate::cm::tests::helper::*;
use crate::ob::attributes::{CASE_INSENSITIVE, PERMANENT};
use crate::ob::nt_directory::{ZwCreateDirectoryObject, ZwOpenDirectoryObject};
use crate::ob::nt_handle::ZwClose;
use crate::ob::nt_object::{ZwMakeTemporaryObject, ZwQueryObject, ZwSetInformationObject};
use crate::test_support::{address, address_mut, broken_rules, status};

#[repr(align(8))]
struct Buffer([u8; 256]);

/// Asks about a handle: status, information, length.
fn query(handle: u64, class: u64, room: u64) -> (u32, Box<Buffer>, u32) {
    let mut buffer = Box::new(Buffer([0xbb; 256]));
    let mut length = 0_u32;
    let arguments = [
        handle,
        class,
        address_mut(&mut buffer.0),
        room,
        address_mut(&mut length),
    ];
    let status = status(ZwQueryObject, &arguments);
    (status, buffer, length)
}

#[test]
fn make_temporary_removes_permanent_name() {
    let object = || Object::new("\\zw-permanent").with_flags(PERMANENT | CASE_INSENSITIVE);
    let mut handle = 0_u64;
    assert_eq!(
        status(
            ZwCreateDirectoryObject,
            &[address_mut(&mut handle), 0xf_000f, object().at()]
        ),
        0
    );
    close(handle);
    assert_eq!(
        status(
            ZwOpenDirectoryObject,
            &[address_mut(&mut handle), 3, object().at()]
        ),
        0
    );
    assert_eq!(number(&query(handle, 0, 56).1.0, 0), PERMANENT);
    assert_eq!(status(ZwMakeTemporaryObject, &[handle]), 0);
    assert_eq!(number(&query(handle, 0, 56).1.0, 0), 0);
    close(handle);
    assert_eq!(
        status(
            ZwOpenDirectoryObject,
            &[address_mut(&mut handle), 3, object().at()]
        ),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert_eq!(
        status(ZwMakeTemporaryObject, &[handle]),
        nt_status::STATUS_INVALID_HANDLE
    );
}

#[test]
fn query_object_basic_counts_handles_and_references() {
    let key = service("zw-object-basic", &[]);
    let (status, buffer, length) = query(key, 0, 56);
    assert_eq!((status, length), (0, 56));
    assert_eq!(
        (
            number(&buffer.0, 4),
            number(&buffer.0, 8),
            number(&buffer.0, 12)
        ),
        // One reference of the handle, one of the call, and those that the handle has
        // ready, less the one that the call used up.
        (0xf_003f, 1, 2 + 0x8000 - 1)
    );
    let (_, buffer, _) = query(key, 0, 56);
    assert_eq!(number(&buffer.0, 12), 2 + 0x8000 - 2);
    // The name as `ObjectNameInformation` tells it.
    let path = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\zw-object-basic";
    assert_eq!(
        number(&buffer.0, 0x24),
        u32::try_from(16 + 2 * path.len() + 2).expect("short")
    );
    assert_eq!(query(key, 0, 57).0, nt_status::STATUS_INFO_LENGTH_MISMATCH);
    assert_eq!(query(key, 9, 56).0, nt_status::STATUS_INVALID_INFO_CLASS);
    close(key);
    assert_eq!(query(key, 0, 56).0, nt_status::STATUS_INVALID_HANDLE);
}

#[test]
fn query_object_name_and_type() {
    let key = service("zw-object-name", &[]);
    let (status, buffer, length) = query(key, 1, 256);
    let path = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\zw-object-name";
    let text = |at| UnicodeString::read(at).expect("it is ours").text();
    assert_eq!(
        (status, length),
        (0, u32::try_from(16 + 2 * path.len() + 2).expect("short"))
    );
    assert_eq!(text(address(&buffer.0)).as_deref(), Ok(path));
    let (status, buffer, length) = query(key, 2, 256);
    assert_eq!((status, length), (0, 104 + 8));
    assert_eq!(text(address(&buffer.0)).as_deref(), Ok("Key"));
    // Generic mapping and valid access.
    let rights: Vec<u32> = (0x44..0x58)
        .step_by(4)
        .map(|offset| number(&buffer.0, offset))
        .collect();
    assert_eq!(rights, [0x2_0019, 0x2_0006, 0x2_0019, 0xf_003f, 0x1f_003f]);
    assert_eq!(query(key, 2, 104).0, nt_status::STATUS_INFO_LENGTH_MISMATCH);
    close(key);
}

#[test]
fn set_object_protect_from_close() {
    let key = service("zw-object-protect", &[]);
    let flags = [0_u8, 1];
    assert_eq!(
        status(ZwSetInformationObject, &[key, 4, address(&flags), 2]),
        0
    );
    assert_eq!(query(key, 4, 2).1.0[..2], [0, 1]);
    assert_eq!(
        status(ZwClose, &[key]),
        nt_status::STATUS_HANDLE_NOT_CLOSABLE
    );
    assert_eq!(broken_rules(), ["bad-handle-closed"]);
    let flags = [0_u8, 0];
    assert_eq!(
        status(ZwSetInformationObject, &[key, 4, address(&flags), 2]),
        0
    );
    assert_eq!(
        status(ZwSetInformationObject, &[key, 4, address(&flags), 3]),
        nt_status::STATUS_INFO_LENGTH_MISMATCH
    );
    assert_eq!(
        status(ZwSetInformationObject, &[key, 0, address(&flags), 2]),
        nt_status::STATUS_INVALID_INFO_CLASS
    );
    close(key);
}

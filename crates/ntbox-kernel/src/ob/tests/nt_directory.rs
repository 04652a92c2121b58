use ntbox_host::driver_mem::UnicodeString;

use crate::cm::tests::helper::*;
use crate::ob::attributes::OPENIF;
use crate::ob::nt_directory::{
    ZwCreateDirectoryObject, ZwOpenDirectoryObject, ZwQueryDirectoryObject,
};
use crate::ob::nt_symbolic_link::ZwCreateSymbolicLinkObject;
use crate::test_support::{address, address_mut, status};

fn create_directory(object: &Object) -> (u32, u64) {
    let mut handle = 0_u64;
    (
        status(
            ZwCreateDirectoryObject,
            &[address_mut(&mut handle), 0xf_000f, object.at()],
        ),
        handle,
    )
}

fn open_directory(object: &Object) -> (u32, u64) {
    let mut handle = 0_u64;
    (
        status(
            ZwOpenDirectoryObject,
            &[address_mut(&mut handle), 3, object.at()],
        ),
        handle,
    )
}

#[test]
fn create_directory_then_open() {
    let (made, handle) = create_directory(&Object::new("\\zw-directory"));
    assert_eq!(made, 0);
    let (again, _) = create_directory(&Object::new("\\zw-directory"));
    assert_eq!(again, nt_status::STATUS_OBJECT_NAME_COLLISION);
    let (exists, second) = create_directory(&Object::new("\\zw-directory").with_flags(OPENIF));
    assert_eq!(exists, nt_status::STATUS_OBJECT_NAME_EXISTS);
    let (opened, third) = open_directory(&Object::new("\\ZW-directory"));
    assert_eq!(opened, 0);
    let (inner, fourth) = create_directory(&Object::below(handle, "Inner"));
    assert_eq!(inner, 0);
    let (through, fifth) = open_directory(&Object::new("\\zw-directory\\inner"));
    assert_eq!(through, 0);
    for handle in [fifth, fourth, third, second, handle] {
        close(handle);
    }
    let (gone, _) = open_directory(&Object::new("\\zw-directory"));
    assert_eq!(gone, nt_status::STATUS_OBJECT_NAME_NOT_FOUND);
}

#[test]
fn create_directory_without_name() {
    let mut handle = 0_u64;
    assert_eq!(
        status(
            ZwCreateDirectoryObject,
            &[address_mut(&mut handle), 0xf_000f, 0]
        ),
        0
    );
    close(handle);
    assert_eq!(
        status(ZwOpenDirectoryObject, &[address_mut(&mut handle), 3, 0]),
        nt_status::STATUS_INVALID_PARAMETER
    );
    let (other, _) = open_directory(&Object::new("\\REGISTRY"));
    assert_eq!(other, nt_status::STATUS_OBJECT_TYPE_MISMATCH);
}

/// A buffer for a listing.
#[repr(align(8))]
struct Buffer([u8; 512]);

/// Names and types in a listing.
fn read(buffer: &Buffer) -> Vec<(String, String)> {
    let text = |at: u64| {
        UnicodeString::read(at)
            .expect("it is ours")
            .text()
            .expect("it is ours")
    };
    let start = address(&buffer.0);
    (0..0x1000)
        .map(|n| start + 32 * n)
        .take_while(|at| UnicodeString::read(*at).expect("it is ours").buffer != 0)
        .map(|at| (text(at), text(at + 16)))
        .collect()
}

/// One call: status, entries, bytes.
fn list(
    handle: u64,
    room: u64,
    single: bool,
    restart: bool,
    context: &mut u32,
) -> (u32, Vec<(String, String)>, u32) {
    let mut buffer = Buffer([0; 512]);
    let mut length = 0_u32;
    let arguments = [
        handle,
        address_mut(&mut buffer.0),
        room,
        u64::from(single),
        u64::from(restart),
        address_mut(context),
        address_mut(&mut length),
    ];
    let status = status(ZwQueryDirectoryObject, &arguments);
    (status, read(&buffer), length)
}

fn entry(name: &str, kind: &str) -> (String, String) {
    (name.to_owned(), kind.to_owned())
}

#[test]
fn query_directory_single_and_multiple_entries() {
    let (_, handle) = create_directory(&Object::new("\\zw-list"));
    let mut context = 0;
    assert_eq!(
        list(handle, 512, false, true, &mut context).0,
        nt_status::STATUS_NO_MORE_ENTRIES
    );
    let (_, inner) = create_directory(&Object::below(handle, "B"));
    let target = Text::new("\\Device");
    let mut link = 0_u64;
    let object = Object::below(handle, "A");
    let arguments = [address_mut(&mut link), 0xf_0001, object.at(), target.at()];
    assert_eq!(status(ZwCreateSymbolicLinkObject, &arguments), 0);
    let (first, second) = (entry("A", "SymbolicLink"), entry("B", "Directory"));
    // The array with its end, and the strings with theirs.
    let (first_size, second_size) = (32 + 4 + 26, 32 + 4 + 20);
    let all = (
        0,
        vec![first.clone(), second.clone()],
        32 + first_size + second_size,
    );
    assert_eq!(list(handle, 512, false, true, &mut context), all);
    assert_eq!(context, 2);
    assert_eq!(
        list(handle, 512, false, false, &mut context).0,
        nt_status::STATUS_NO_MORE_ENTRIES
    );
    let room = u64::from(32 + first_size);
    let part = (
        nt_status::STATUS_MORE_ENTRIES,
        vec![first.clone()],
        32 + first_size,
    );
    assert_eq!(list(handle, room, false, true, &mut context), part);
    assert_eq!(
        list(handle, room, false, false, &mut context),
        (0, vec![second.clone()], 32 + second_size)
    );
    assert_eq!(
        list(handle, 512, true, true, &mut context),
        (0, vec![first], 32 + first_size)
    );
    assert_eq!(
        list(handle, 512, true, false, &mut context),
        (0, vec![second], 32 + second_size)
    );
    let small = list(handle, room - 1, true, true, &mut context);
    assert_eq!(
        (small.0, small.2),
        (nt_status::STATUS_BUFFER_TOO_SMALL, 32 + first_size)
    );
    assert_eq!(context, 2, "nothing was handed out");
    for handle in [link, inner, handle] {
        close(handle);
    }
}

use ntbox_host::driver_mem;

use super::helper::*;
use crate::cm::{nt_key, nt_query_key, nt_set_value};
use crate::ob::nt_handle;
use crate::test_support::{NOWHERE, address_mut, broken_rules, fault, status};
use crate::{ob, test_support};

const VOLATILE: u64 = 1;
const CREATE_LINK: u64 = 2;
const OPEN_LINK: u64 = 8;

#[test]
fn open_key_through_link_ignores_case() {
    seed("key-open", &[]);
    for path in [
        "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\key-open",
        "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\KEY-OPEN",
        "\\registry\\machine\\system\\currentcontrolset\\services\\key-open\\",
    ] {
        let key = open(&Object::new(path)).unwrap_or_else(|status| panic!("{path}: {status:#x}"));
        assert_eq!(
            get(key, "start"),
            Ok((4, 3_u32.to_le_bytes().to_vec())),
            "{path}"
        );
        close(key);
    }
    // Names of keys never distinguish case.
    let key = open(&Object::new("\\Registry\\machine").with_flags(0)).expect("it is there");
    close(key);
}

#[test]
fn open_key_relative_to_root_directory() {
    let parent = service("key-relative", &[("A", ntbox_api::RegValue::Dword(1))]);
    let child = open(&Object::below(parent, "Parameters")).expect("it is there");
    let same = open(&Object::below(child, "")).expect("an empty name means the key itself");
    assert_eq!(get(same, "A").map(|(kind, _)| kind), Ok(4));
    assert_eq!(
        open(&Object::below(parent, "\\Parameters")),
        Err(nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD)
    );
    assert_eq!(
        open(&Object::below(parent, "None")),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    assert_eq!(
        open(&Object::below(parent, "None\\Below")),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    for handle in [same, child, parent] {
        close(handle);
    }
    assert_eq!(
        open(&Object::below(parent, "Parameters")),
        Err(nt_status::STATUS_INVALID_HANDLE)
    );
}

#[test]
fn open_key_of_non_key_is_refused() {
    for (path, expected) in [
        ("\\Device", nt_status::STATUS_OBJECT_TYPE_MISMATCH),
        ("\\", nt_status::STATUS_OBJECT_TYPE_MISMATCH),
        ("\\Registry2", nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
        (
            "\\Registry2\\Machine",
            nt_status::STATUS_OBJECT_PATH_NOT_FOUND,
        ),
        (
            "Registry\\Machine",
            nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD,
        ),
        ("", nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD),
        ("\\\\Registry", nt_status::STATUS_OBJECT_NAME_INVALID),
    ] {
        assert_eq!(open(&Object::new(path)), Err(expected), "{path}");
    }
}

#[test]
fn open_key_with_invalid_attributes_is_refused() {
    let machine = || Object::new("\\Registry\\Machine");
    assert_eq!(
        open(&machine().with_length(0x2f)),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    assert_eq!(
        open(&machine().with_flags(0x8000)),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    assert_eq!(
        open(&machine().without_name()),
        Err(nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD)
    );
    let mut handle = 0_u64;
    assert_eq!(
        status(
            nt_key::ZwOpenKey,
            &[address_mut(&mut handle), ALL_ACCESS, 0]
        ),
        nt_status::STATUS_INVALID_PARAMETER
    );
    assert_eq!(
        fault(
            nt_key::ZwOpenKey,
            &[address_mut(&mut handle), ALL_ACCESS, NOWHERE]
        ),
        NOWHERE
    );
    assert_eq!(handle, 0);
}

#[test]
fn open_key_with_kernel_handle_sets_high_bits() {
    use crate::ob::attributes::{CASE_INSENSITIVE, KERNEL_HANDLE};
    let object = Object::new("\\Registry\\Machine").with_flags(CASE_INSENSITIVE | KERNEL_HANDLE);
    let kernel = open(&object).expect("it is there");
    assert!(ob::handles::is_kernel(kernel), "{kernel:#x}");
    let plain = open(&Object::new("\\Registry\\Machine")).expect("it is there");
    assert!(plain < 0x8000_0000 && plain.is_multiple_of(4), "{plain:#x}");
    // The two low bits are the caller's.
    assert!(open(&Object::below(plain | 3, "System")).map(close).is_ok());
    close(kernel);
    close(plain);
}

#[test]
fn close_twice_reports_bad_handle_closed() {
    let key = open(&Object::new("\\Registry\\Machine")).expect("it is there");
    close(key);
    assert_eq!(
        status(nt_handle::ZwClose, &[0xdead_0000]),
        nt_status::STATUS_INVALID_HANDLE
    );
    assert_eq!(broken_rules(), ["bad-handle-closed"]);
}

#[test]
fn create_key_returns_disposition() {
    let parent = service("key-create", &[]);
    let (key, disposition) = create(&Object::below(parent, "New"), 0).expect("room for it");
    assert_eq!(disposition, 1);
    let (again, disposition) =
        create(&Object::below(parent, "NEW"), VOLATILE).expect("it is there");
    assert_eq!(disposition, 2);
    assert_eq!(set(key, "a", 4, &[1, 0, 0, 0]), 0);
    assert_eq!(get(again, "a"), Ok((4, vec![1, 0, 0, 0])));
    assert_eq!(
        create(&Object::below(parent, "Not\\There"), 0),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    assert_eq!(
        create(&Object::new("\\Registry\\Machine\\Mine"), 0),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    assert_eq!(
        create(&Object::below(parent, "x"), 0x100),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    let (volatile, _) = create(&Object::below(parent, "Volatile"), VOLATILE).expect("room for it");
    assert_eq!(
        create(&Object::below(volatile, "x"), 0),
        Err(nt_status::STATUS_CHILD_MUST_BE_VOLATILE)
    );
    for handle in [parent, key, again, volatile] {
        close(handle);
    }
}

#[test]
fn create_link_opens_itself_with_open_link() {
    let parent = service("key-link", &[]);
    let (link, _) = create(&Object::below(parent, "Link"), CREATE_LINK).expect("room for it");
    assert_eq!(
        create(&Object::below(parent, "Link"), CREATE_LINK),
        Err(nt_status::STATUS_OBJECT_NAME_COLLISION)
    );
    assert_eq!(
        open(&Object::below(parent, "Link")),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    assert_eq!(
        set(link, "other", 1, &sz("x")),
        nt_status::STATUS_ACCESS_DENIED
    );
    let target: Vec<u8> = "\\Registry\\Machine\\System"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(set(link, "SymbolicLinkValue", 6, &target), 0);
    let through = open(&Object::below(parent, "Link\\Select")).map_or_else(|status| status, |_| 0);
    assert_eq!(through, nt_status::STATUS_OBJECT_NAME_NOT_FOUND);
    let through =
        open(&Object::below(parent, "Link\\ControlSet001")).expect("the link leads there");
    let mut handle = 0_u64;
    let object = Object::below(parent, "Link");
    let opened = status(
        nt_key::ZwOpenKeyEx,
        &[address_mut(&mut handle), ALL_ACCESS, object.at(), OPEN_LINK],
    );
    assert_eq!(opened, 0);
    assert_eq!(get(handle, "SymbolicLinkValue"), Ok((6, target)));
    let wrong = status(
        nt_key::ZwOpenKeyEx,
        &[address_mut(&mut handle), ALL_ACCESS, object.at(), 1],
    );
    assert_eq!(wrong, nt_status::STATUS_INVALID_PARAMETER_4);
    for handle in [parent, link, through, handle] {
        close(handle);
    }
}

#[test]
fn open_key_through_link_ring_fails() {
    let parent = service("key-ring", &[]);
    let (link, _) = create(&Object::below(parent, "Ring"), CREATE_LINK).expect("room for it");
    let path = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\key-ring\\Ring";
    let target: Vec<u8> = path.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(set(link, "SymbolicLinkValue", 6, &target), 0);
    assert_eq!(
        open(&Object::below(parent, "Ring")),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    close(link);
    close(parent);
}

#[test]
fn delete_key_marks_all_handles_deleted() {
    let parent = service("key-delete", &[]);
    let (key, _) = create(&Object::below(parent, "Doomed"), 0).expect("room for it");
    let (child, _) = create(&Object::below(key, "Child"), 0).expect("room for it");
    let other = open(&Object::below(parent, "Doomed")).expect("it is there");
    assert_eq!(
        status(nt_key::ZwDeleteKey, &[key]),
        nt_status::STATUS_CANNOT_DELETE
    );
    assert_eq!(status(nt_key::ZwDeleteKey, &[child]), 0);
    assert_eq!(status(nt_key::ZwDeleteKey, &[key]), 0);
    assert_eq!(status(nt_key::ZwDeleteKey, &[other]), 0, "it is deleted");
    let mut named = [0_u8; 0x200];
    let query = [other, 1, address_mut(&mut named), 0x200, 0];
    assert_eq!(
        status(ob::nt_object::ZwQueryObject, &query),
        nt_status::STATUS_KEY_DELETED
    );
    assert_eq!(set(other, "a", 1, &sz("a")), nt_status::STATUS_KEY_DELETED);
    assert_eq!(get(other, "a"), Err(nt_status::STATUS_KEY_DELETED));
    let name = Text::new("a");
    assert_eq!(
        status(nt_set_value::ZwDeleteValueKey, &[other, name.at()]),
        nt_status::STATUS_KEY_DELETED
    );
    assert_eq!(
        status(nt_key::ZwFlushKey, &[other]),
        nt_status::STATUS_KEY_DELETED
    );
    assert_eq!(
        open(&Object::below(other, "Child")),
        Err(nt_status::STATUS_KEY_DELETED)
    );
    assert_eq!(
        open(&Object::below(parent, "Doomed")),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    let machine = open(&Object::new("\\Registry\\Machine\\Software")).expect("it is there");
    assert_eq!(
        status(nt_key::ZwDeleteKey, &[machine]),
        nt_status::STATUS_CANNOT_DELETE
    );
    assert_eq!(
        status(nt_key::ZwDeleteKey, &[0]),
        nt_status::STATUS_INVALID_HANDLE
    );
    for handle in [parent, key, child, other, machine] {
        close(handle);
    }
}

/// Asks a key for information, with room for `room` bytes.
fn query(key: u64, class: u64, room: usize) -> (u32, Vec<u8>, u32) {
    let mut buffer = vec![0xbb_u8; room];
    let mut length = 0_u32;
    let arguments = [
        key,
        class,
        address_mut(buffer.as_mut_slice()),
        room as u64,
        address_mut(&mut length),
    ];
    (status(nt_query_key::ZwQueryKey, &arguments), buffer, length)
}

/// Makes a key with a class, two subkeys and two values.
fn furnished(name: &str) -> u64 {
    let parent = service(name, &[]);
    let class = Text::new("Class");
    let object = Object::below(parent, "Key");
    let mut key = 0_u64;
    let arguments = [
        address_mut(&mut key),
        ALL_ACCESS,
        object.at(),
        0,
        class.at(),
        0,
        0,
    ];
    assert_eq!(status(nt_key::ZwCreateKey, &arguments), 0);
    for child in ["Zulu", "Alpha1"] {
        close(
            create(&Object::below(key, child), 0)
                .expect("room for it")
                .0,
        );
    }
    assert_eq!(set(key, "Value", 1, &sz("some text")), 0);
    assert_eq!(set(key, "V", 4, &[1, 2, 3, 4]), 0);
    close(parent);
    key
}

#[test]
fn query_key_basic_information() {
    let key = furnished("key-basic");
    let (status, buffer, length) = query(key, 0, 64);
    assert_eq!((status, length), (0, 16 + 6));
    assert_eq!((number(&buffer, 8), number(&buffer, 12)), (0, 6));
    assert_eq!(text_in(&buffer, 16, 6), "Key");
    assert_ne!(buffer[..8], [0; 8], "the time of the last change");
    assert_eq!(query(key, 0, 15).0, nt_status::STATUS_BUFFER_TOO_SMALL);
    let (status, buffer, length) = query(key, 0, 18);
    assert_eq!((status, length), (nt_status::STATUS_BUFFER_OVERFLOW, 22));
    assert_eq!(text_in(&buffer, 16, 2), "K");
    close(key);
}

#[test]
fn query_key_node_information() {
    let key = furnished("key-node");
    let (status, buffer, length) = query(key, 1, 64);
    // The class begins on a multiple of four.
    assert_eq!((status, length), (0, 32 + 10));
    assert_eq!(
        (
            number(&buffer, 12),
            number(&buffer, 16),
            number(&buffer, 20)
        ),
        (32, 10, 6)
    );
    assert_eq!(text_in(&buffer, 24, 6), "Key");
    assert_eq!(text_in(&buffer, 32, 10), "Class");
    let child = open(&Object::below(key, "Zulu")).expect("it is there");
    let (status, buffer, length) = query(child, 1, 64);
    assert_eq!((status, length), (0, 24 + 8));
    assert_eq!((number(&buffer, 12), number(&buffer, 16)), (u32::MAX, 0));
    close(child);
    close(key);
}

#[test]
fn query_key_full_information() {
    let key = furnished("key-full");
    let (status, buffer, length) = query(key, 2, 64);
    assert_eq!((status, length), (0, 44 + 10));
    let numbers: Vec<u32> = (12..44)
        .step_by(4)
        .map(|offset| number(&buffer, offset))
        .collect();
    // Class at 44, 10 bytes; 2 subkeys of at most 12 bytes without class; 2
    // values of at most 10 bytes with at most 20 bytes.
    assert_eq!(numbers, [44, 10, 2, 12, 0, 2, 10, 20]);
    assert_eq!(text_in(&buffer, 44, 10), "Class");
    assert_eq!(query(key, 2, 43).0, nt_status::STATUS_BUFFER_TOO_SMALL);
    assert_eq!(query(key, 2, 44).0, nt_status::STATUS_BUFFER_OVERFLOW);
    close(key);
}

#[test]
fn query_key_name_information() {
    let key = furnished("key-path");
    let path = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\key-path\\Key";
    let bytes = u32::try_from(2 * path.len()).expect("short");
    let (status, buffer, length) = query(key, 3, 512);
    assert_eq!((status, length, number(&buffer, 0)), (0, 4 + bytes, bytes));
    assert_eq!(text_in(&buffer, 4, bytes), path);
    assert_eq!(query(key, 3, 3).0, nt_status::STATUS_BUFFER_TOO_SMALL);
    close(key);
}

#[test]
fn query_key_other_classes() {
    let key = furnished("key-other");
    let (status, buffer, length) = query(key, 4, 64);
    assert_eq!((status, length), (0, 40));
    let numbers: Vec<u32> = (12..36)
        .step_by(4)
        .map(|offset| number(&buffer, offset))
        .collect();
    assert_eq!(numbers, [2, 12, 2, 10, 20, 6]);
    let (status, buffer, _) = query(key, 5, 64);
    assert_eq!((status, number(&buffer, 4)), (0, 0));
    assert_eq!(query(key, 8, 64).0, nt_status::STATUS_INVALID_PARAMETER);
    assert_eq!(query(0x7ff0, 0, 64).0, nt_status::STATUS_INVALID_HANDLE);
    close(key);
}

#[test]
fn enumerate_key_returns_subkeys_in_order() {
    let key = furnished("key-enumerate");
    let names: Vec<Result<String, u32>> = (0..3)
        .map(|index| {
            let mut buffer = vec![0_u8; 64];
            let mut length = 0_u32;
            let arguments = [
                key,
                index,
                0,
                address_mut(buffer.as_mut_slice()),
                64,
                address_mut(&mut length),
            ];
            match status(nt_query_key::ZwEnumerateKey, &arguments) {
                0 => Ok(text_in(&buffer, 16, number(&buffer, 12))),
                status => Err(status),
            }
        })
        .collect();
    let end = Err(nt_status::STATUS_NO_MORE_ENTRIES);
    assert_eq!(names, [Ok("Alpha1".to_owned()), Ok("Zulu".to_owned()), end]);
    let mut length = 0_u32;
    let class_name = [key, 0, 3, 0, 0, address_mut(&mut length)];
    assert_eq!(
        status(nt_query_key::ZwEnumerateKey, &class_name),
        nt_status::STATUS_INVALID_PARAMETER
    );
    close(key);
}

#[test]
fn leaks_names_open_key_handles() {
    let key = service("key-left-open", &[]);
    let leaks = || {
        let all = ob::handles::leaks().into_iter();
        all.filter(|leak| leak.message.contains("key-left-open"))
            .collect::<Vec<_>>()
    };
    let [leak] = leaks().try_into().expect("one handle");
    let key_name = r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\key-left-open";
    assert!(
        leak.message
            .ends_with(&format!("to key {key_name} is not closed")),
        "{leak:?}"
    );
    assert_eq!(leak.return_address, test_support::CALLER);
    close(key);
    assert_eq!(leaks(), []);
    assert!(driver_mem::read_u8(NOWHERE).is_err());
}

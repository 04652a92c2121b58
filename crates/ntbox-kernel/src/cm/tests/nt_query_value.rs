use ntbox_api::RegValue;

use super::helper::*;
use crate::cm::{nt_query_value, nt_set_value};
use crate::test_support::{NOWHERE, address, address_mut, fault, status};

/// A buffer that begins on a multiple of eight.
#[repr(align(8))]
struct Buffer([u8; 256]);

/// Asks for a value, with room for `room` bytes.
fn query(key: u64, name: &str, class: u64, room: usize) -> (u32, Vec<u8>, u32) {
    let name = Text::new(name);
    let mut buffer = Buffer([0xbb; 256]);
    let mut length = 0_u32;
    let arguments = [
        key,
        name.at(),
        class,
        address_mut(&mut buffer.0),
        room as u64,
        address_mut(&mut length),
    ];
    (
        status(nt_query_value::ZwQueryValueKey, &arguments),
        buffer.0.to_vec(),
        length,
    )
}

#[test]
fn query_value_partial_information_of_any_buffer_size() {
    let key = service("value-partial", &[]);
    assert_eq!(set(key, "Name", 4, &[1, 2, 3, 4]), 0);
    let (status, buffer, length) = query(key, "NAME", 2, 16);
    assert_eq!((status, length), (0, 16));
    assert_eq!(
        buffer[..16],
        [0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4]
    );
    assert_eq!(buffer[16], 0xbb, "nothing past the information is written");
    let (status, buffer, length) = query(key, "Name", 2, 14);
    assert_eq!((status, length), (nt_status::STATUS_BUFFER_OVERFLOW, 16));
    assert_eq!(buffer[8..15], [4, 0, 0, 0, 1, 2, 0xbb]);
    assert_eq!(
        query(key, "Name", 2, 12).0,
        nt_status::STATUS_BUFFER_OVERFLOW
    );
    let (status, buffer, length) = query(key, "Name", 2, 11);
    assert_eq!((status, length), (nt_status::STATUS_BUFFER_TOO_SMALL, 16));
    assert_eq!(buffer[0], 0xbb, "nothing is written");
    close(key);
}

#[test]
fn query_value_basic_information_keeps_name_case() {
    let key = service("value-basic", &[]);
    assert_eq!(set(key, "MixedCase", 1, &sz("x")), 0);
    let (status, buffer, length) = query(key, "mixedcase", 0, 64);
    assert_eq!((status, length), (0, 12 + 18));
    assert_eq!((number(&buffer, 4), number(&buffer, 8)), (1, 18));
    assert_eq!(text_in(&buffer, 12, 18), "MixedCase");
    assert_eq!(
        query(key, "mixedcase", 0, 12).0,
        nt_status::STATUS_BUFFER_OVERFLOW
    );
    assert_eq!(
        query(key, "mixedcase", 0, 11).0,
        nt_status::STATUS_BUFFER_TOO_SMALL
    );
    close(key);
}

#[test]
fn query_value_full_information_aligns_data() {
    let key = service("value-full", &[]);
    assert_eq!(set(key, "abc", 3, &[9, 8, 7]), 0);
    let (status, buffer, length) = query(key, "abc", 1, 64);
    // Name at 20, 6 bytes; data at the next multiple of four.
    assert_eq!((status, length), (0, 28 + 3));
    assert_eq!(
        (number(&buffer, 8), number(&buffer, 12), number(&buffer, 16)),
        (28, 3, 6)
    );
    assert_eq!(buffer[28..31], [9, 8, 7]);
    let (status, buffer, length) = query(key, "abc", 3, 64);
    assert_eq!((status, length, number(&buffer, 8)), (0, 32 + 3, 32));
    assert_eq!(buffer[32..35], [9, 8, 7]);
    assert_eq!(
        query(key, "abc", 1, 19).0,
        nt_status::STATUS_BUFFER_TOO_SMALL
    );
    assert_eq!(
        query(key, "abc", 1, 20).0,
        nt_status::STATUS_BUFFER_OVERFLOW
    );
    assert_eq!(set(key, "none", 3, &[]), 0);
    let (status, buffer, length) = query(key, "none", 1, 64);
    assert_eq!(
        (status, length, number(&buffer, 8), number(&buffer, 12)),
        (0, 28, u32::MAX, 0)
    );
    close(key);
}

#[test]
fn query_value_aligned_class_with_unaligned_buffer_fails() {
    let key = service("value-aligned", &[]);
    assert_eq!(set(key, "q", 11, &[1; 8]), 0);
    let (got, buffer, length) = query(key, "q", 4, 64);
    assert_eq!((got, length), (0, 16));
    assert_eq!((number(&buffer, 0), number(&buffer, 4)), (11, 8));
    let name = Text::new("q");
    let mut buffer = Buffer([0; 256]);
    let mut length = 0_u32;
    let odd = address_mut(&mut buffer.0) + 4;
    for class in [3, 4] {
        let arguments = [key, name.at(), class, odd, 64, address_mut(&mut length)];
        assert_eq!(
            status(nt_query_value::ZwQueryValueKey, &arguments),
            nt_status::STATUS_DATATYPE_MISALIGNMENT
        );
    }
    close(key);
}

#[test]
fn query_value_invalid_request_is_refused() {
    let key = service("value-refused", &[]);
    assert_eq!(
        query(key, "None", 2, 64).0,
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    assert_eq!(
        query(key, "Type", 5, 64).0,
        nt_status::STATUS_INVALID_PARAMETER
    );
    assert_eq!(
        query(0x7ff0, "Type", 2, 64).0,
        nt_status::STATUS_INVALID_HANDLE
    );
    let name = Text::new("Type");
    let mut length = 0_u32;
    let arguments = [key, name.at(), 2, NOWHERE, 64, address_mut(&mut length)];
    assert_eq!(fault(nt_query_value::ZwQueryValueKey, &arguments), NOWHERE);
    let arguments = [key, NOWHERE, 2, 0, 0, address_mut(&mut length)];
    assert_eq!(fault(nt_query_value::ZwQueryValueKey, &arguments), NOWHERE);
    // No room at all needs no buffer.
    let arguments = [key, name.at(), 2, 0, 0, address_mut(&mut length)];
    assert_eq!(
        status(nt_query_value::ZwQueryValueKey, &arguments),
        nt_status::STATUS_BUFFER_TOO_SMALL
    );
    assert_eq!(length, 16);
    let odd = Text::new("Type").with_length(7);
    let arguments = [key, odd.at(), 2, 0, 0, address_mut(&mut length)];
    assert_eq!(
        status(nt_query_value::ZwQueryValueKey, &arguments),
        nt_status::STATUS_INVALID_PARAMETER
    );
    close(key);
}

#[test]
fn seed_stores_parameters_by_type() {
    let parameters = [
        ("dword", RegValue::Dword(0x1234_5678)),
        ("qword", RegValue::Qword(0x1_0000_0002)),
        ("sz", RegValue::Sz("ab".to_owned())),
        (
            "multi",
            RegValue::MultiSz(vec!["a".to_owned(), "b".to_owned()]),
        ),
        (
            "raw",
            RegValue::Raw {
                kind: 77,
                data: vec![1],
            },
        ),
    ];
    let service = service("value-parameters", &parameters);
    let key = open(&Object::below(service, "Parameters")).expect("it is there");
    assert_eq!(get(key, "dword"), Ok((4, vec![0x78, 0x56, 0x34, 0x12])));
    assert_eq!(get(key, "qword"), Ok((11, vec![2, 0, 0, 0, 1, 0, 0, 0])));
    assert_eq!(get(key, "sz"), Ok((1, vec![b'a', 0, b'b', 0, 0, 0])));
    assert_eq!(
        get(key, "multi"),
        Ok((7, vec![b'a', 0, 0, 0, b'b', 0, 0, 0, 0, 0]))
    );
    assert_eq!(get(key, "raw"), Ok((77, vec![1])));
    close(key);
    close(service);
}

#[test]
fn set_value_replaces_and_delete_value_removes() {
    let key = service("value-change", &[]);
    assert_eq!(set(key, "v", 3, &[1, 2]), 0);
    assert_eq!(set(key, "V", 4, &[1, 0, 0, 0]), 0);
    assert_eq!(get(key, "v"), Ok((4, vec![1, 0, 0, 0])));
    // The default value has no name.
    let data = [5_u8];
    assert_eq!(
        status(
            nt_set_value::ZwSetValueKey,
            &[key, 0, 0, 3, address(&data), 1]
        ),
        0
    );
    assert_eq!(get(key, ""), Ok((3, vec![5])));
    // NULs at the end of a name do not count.
    assert_eq!(set(key, "nul\0\0", 3, &[7]), 0);
    assert_eq!(get(key, "nul"), Ok((3, vec![7])));
    let name = Text::new("v");
    assert_eq!(status(nt_set_value::ZwDeleteValueKey, &[key, name.at()]), 0);
    assert_eq!(
        status(nt_set_value::ZwDeleteValueKey, &[key, name.at()]),
        nt_status::STATUS_OBJECT_NAME_NOT_FOUND
    );
    let name = Text::new("w");
    assert_eq!(
        fault(
            nt_set_value::ZwSetValueKey,
            &[key, name.at(), 0, 3, NOWHERE, 4]
        ),
        NOWHERE
    );
    assert_eq!(
        get(key, "w"),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
        "nothing is set by halves"
    );
    assert_eq!(
        status(
            nt_set_value::ZwSetValueKey,
            &[key, name.at(), 0, 3, NOWHERE, 0x8000_0000]
        ),
        nt_status::STATUS_INVALID_PARAMETER
    );
    close(key);
}

#[test]
fn enumerate_value_returns_creation_order() {
    let parent = service("value-enumerate", &[]);
    let (key, _) = create(&Object::below(parent, "Values"), 0).expect("room for it");
    for name in ["second", "first", "third"] {
        assert_eq!(set(key, name, 3, &[1]), 0);
    }
    let mut names = Vec::new();
    let end = loop {
        let mut buffer = vec![0_u8; 64];
        let mut length = 0_u32;
        let arguments = [
            key,
            names.len() as u64,
            0,
            address_mut(buffer.as_mut_slice()),
            64,
            address_mut(&mut length),
        ];
        match status(nt_query_value::ZwEnumerateValueKey, &arguments) {
            0 => names.push(text_in(&buffer, 12, number(&buffer, 8))),
            status => break status,
        }
    };
    assert_eq!(
        (names.join(" ").as_str(), end),
        ("second first third", nt_status::STATUS_NO_MORE_ENTRIES)
    );
    close(key);
    close(parent);
}
